// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sequence is what the server says about a message that was published: its
// place in the stream, or why it has none.
func sequence(m *nats.Msg) (uint64, error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return 0, errNoStream
	}
	var ack struct {
		Error  *jetstream.APIError `json:"error"`
		Stream string              `json:"stream"`
		Seq    uint64              `json:"seq"`
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Stream == "": // of somebody else who listens to the subject
		return 0, jetstream.ErrInvalidJSAck
	}
	return ack.Seq, nil
}

// beingStored reports whether the server has refused a double of a message that it has not stored yet: it may fail to.
func beingStored(err error) bool {
	const duplicateInProcess = 10158
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == duplicateInProcess
}
