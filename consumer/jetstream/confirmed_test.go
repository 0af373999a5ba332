// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestConfirmedOnce: a confirmation that comes late, or once more, is nobody's. A server that begins to lead a stream confirms
// what the one before it has confirmed last. While confirmed subjects were used again, that was taken for the next message,
// which had been lost with the server.
func TestConfirmedOnce(t *testing.T) {
	p := newPublisher(nil, "in.")
	p.sending = true // nothing is really sent
	var told []string
	publish := func(name string) *publication {
		t.Helper()
		p.publish(&nats.Msg{Subject: "items"}, func(seq uint64, err error) {
			told = append(told, fmt.Sprint(name, " ", seq, " ", errors.Is(err, errUnconfirmed)))
		})
		return p.queue[len(p.queue)-1]
	}
	confirm := func(one *publication, seq int) {
		p.confirmed(&nats.Msg{Subject: p.subjectOf(one), Data: fmt.Appendf(nil, `{"stream":"ITEMS","seq":%d}`, seq)})
	}
	first := publish("first")
	defer p.timer.Stop()
	confirm(first, 7)
	second := publish("second")
	confirm(first, 7) // once more
	second.began = time.Now().Add(-publishWithin)
	p.giveUp()
	third := publish("third")
	confirm(second, 8) // late
	if p.failed(second) {
		t.Error("what was given up has failed as well")
	}
	confirm(third, 9)
	confirm(third, 9)
	if got, want := fmt.Sprint(told), "[first 7 false second 0 true third 9 false]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
