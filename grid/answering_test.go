// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/internal/ownership"
)

// TestDropWhileAnswered: an ask may be canceled while its answer is being written. The list of those that are kept is
// the same afterwards.
func TestDropWhileAnswered(t *testing.T) {
	v := &answering{asks: map[askKey]*served{}, byNumber: map[uint32]*served{}}
	kept := &served{key: askKey{1, 1}, number: 1, answered: true, isKept: true, item: []byte("kept")}
	written := &served{key: askKey{1, 2}, number: 2, answered: true}
	for _, s := range []*served{kept, written} {
		v.asks[s.key], v.byNumber[s.number] = s, s
	}
	v.kept.add(kept)
	v.bytes = len(kept.item)
	v.drop(written)
	if v.kept.first != kept || v.kept.last != kept || v.bytes != len(kept.item) || len(v.asks) != 1 {
		t.Error("what is kept has changed")
	}
	v.drop(kept)
	v.drop(kept)
	if v.kept.first != nil || v.kept.last != nil || v.bytes != 0 || len(v.asks)+len(v.byNumber) != 0 {
		t.Error("something is left")
	}
}

// TestAskIsTakenOnce: of an ask that comes by two links at a time one is taken.
func TestAskIsTakenOnce(t *testing.T) {
	v := &answering{}
	v.init(&network{g: &Grid{hub: &hub{}}, c: &cluster{o: Options{Window: 1}}})
	ask := gridwire.Ask{ID: 1, Key: "account/k"}
	if s, full := v.begin(&peer{}, askKey{1, 1}, ask, Token{1, 1}); s == nil || full {
		t.Error("it is not taken")
	}
	if s, full := v.begin(&peer{}, askKey{1, 1}, ask, Token{1, 1}); s != nil || full {
		t.Error("it is taken twice")
	}
}

// caughtLine has the last frame.
type caughtLine struct {
	Line
	frame []byte
}

func (l *caughtLine) Send(_ Peer, _ uint64, frame []byte) error {
	l.frame = append(l.frame[:0], frame...)
	return nil
}

type headerReader struct {
	gridwire.Reader
	is gridwire.Header
}

func (r *headerReader) Begin(h gridwire.Header) { r.is = h }
func (r *headerReader) Ask(gridwire.Ask)        {}

// TestFrameThatWaits: a process may stand still between the moment in which a budget is written and that in which the
// frame is sent. It was on its way since the former.
func TestFrameThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caught := &caughtLine{}
		l := &link{n: &network{c: &cluster{clock: ownership.NewSystemClock()}, origin: 1}, self: Peer{"a", 1}, line: caught, limit: 1 << 20}
		p := &peer{link: l, is: Peer{"b", 2}, flushing: true}
		time.Sleep(time.Hour)
		body, err := gridwire.AppendAskBody(nil, &gridwire.Ask{ID: 1, Key: "account/k"}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.putAsk(body, time.Second, false)
		time.Sleep(10 * time.Second)
		p.flushLater()
		var r headerReader
		if err := gridwire.Read(caught.frame, &r); err != nil || r.is.Sent > time.Hour+time.Second {
			t.Errorf("it says that it was sent at %v: %v", r.is.Sent, err)
		}
	})
}

// TestDelay: what is slower than the fastest was on its way for longer, be it a burst after a standstill. But if nothing is as
// fast any more, the clocks have come apart, as when one of two machines was moved while it ran.
func TestDelay(t *testing.T) {
	p := &peer{}
	now := time.Hour
	frame := func(clock, took time.Duration) time.Duration {
		now += 100 * time.Millisecond
		return p.delayOf(now-took+clock, now)
	}
	for range 100 {
		if d := frame(0, time.Millisecond); d != 0 {
			t.Fatalf("%v late on a quiet day", d)
		}
	}
	for i := range 100 { // a standstill of 20 s, and then all of it at once
		took := 20*time.Second - time.Duration(i)*200*time.Millisecond
		if d := p.delayOf(now-took, now); d < took-10*time.Millisecond {
			t.Fatalf("%v late after %v", d, took)
		}
	}
	frame(0, time.Millisecond)
	for range 50 { // a network that has become slow
		if d := frame(0, 500*time.Millisecond); d < 450*time.Millisecond {
			t.Fatalf("%v late after half a second", d)
		}
	}
	frame(0, time.Millisecond)
	late := 0
	for range 1000 { // the sender's clock stood still for a second
		if frame(-time.Second, time.Millisecond) > 500*time.Millisecond {
			late++
		}
	}
	if late < 50 || late > 110 {
		t.Errorf("%d of 1000 frames are late by another clock", late)
	}
	if d := frame(-time.Second, 400*time.Millisecond); d < 350*time.Millisecond {
		t.Errorf("%v late by the other clock", d)
	}
}
