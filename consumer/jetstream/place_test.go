// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestPlace: where a message was confirmed the next one may be; where one was
// given up no other one ever is, so that a late confirmation is nobody's.
func TestPlace(t *testing.T) {
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
	confirm := func(subject string, seq int) {
		p.confirmed(&nats.Msg{Subject: subject, Data: fmt.Appendf(nil, `{"stream":"ITEMS","seq":%d}`, seq)})
	}
	first := publish("first")
	defer p.timer.Stop()
	confirm(first.subject, 7)
	second := publish("second")
	if second.subject != first.subject {
		t.Errorf("confirmed at %s after %s", second.subject, first.subject)
	}
	second.began = time.Now().Add(-publishWithin)
	p.giveUp()
	third := publish("third")
	if third.subject == second.subject {
		t.Errorf("confirmed at %s, like one that was given up", third.subject)
	}
	confirm(second.subject, 8) // late
	if p.failed(second) {
		t.Error("what was given up has failed as well")
	}
	confirm(third.subject, 9)
	confirm(third.subject, 9)
	if got, want := fmt.Sprint(told), "[first 7 false second 0 true third 9 false]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
