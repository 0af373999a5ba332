// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var errNoStream = errors.New("jetstream: no stream takes the message")

// sequence is what the server says about a message that was published: its
// place in the stream, or why it has none.
func sequence(m *nats.Msg) (uint64, error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return 0, errNoStream
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Seq   uint64              `json:"seq"`
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("jetstream: the server's confirmation: %w", err)
	case ack.Error != nil:
		return 0, fmt.Errorf("jetstream: %w", ack.Error)
	}
	return ack.Seq, nil
}
