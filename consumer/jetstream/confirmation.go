package jetstream

import (
	"bytes"
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
	if seq, ok := plainSequence(m.Data); ok {
		return seq, nil
	}
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

// plainSequence reads the confirmation of a message that is stored as the server
// writes it as long as there is no more to say: {"stream":"ITEMS","seq":7}. It
// is there because that is nearly all of them, two for each item of a service,
// and encoding/json takes half a microsecond for one, this a twentieth of that.
// false: it is for encoding/json to tell.
func plainSequence(data []byte) (seq uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	if !ok || bytes.ContainsAny(name, `"\\`) { // not the end of the name, or one with escapes
		return 0, false
	}
	digits, ok := bytes.CutSuffix(rest, []byte("}"))
	if !ok || len(digits) == 0 || len(digits) > 18 || digits[0] == '0' {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		seq = 10*seq + uint64(c-'0')
	}
	return seq, true
}
