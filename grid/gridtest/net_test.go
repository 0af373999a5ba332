// SPDX-License-Identifier: Apache-2.0

package gridtest_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// ear is a Receiver that notes what it is told.
type ear struct {
	*testing.T
	*gridtest.Node
	grid.Line

	mu    sync.Mutex
	busy  bool
	heard []string
}

func (e *ear) note(what string) {
	e.mu.Lock()
	if e.busy {
		e.Error("two calls of a receiver at a time")
	}
	e.busy = true
	e.mu.Unlock()
	runtime.Gosched()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
	e.heard = append(e.heard, what)
}

func (e *ear) Received(from string, frame []byte) { e.note(fmt.Sprint(from, ": ", string(frame))) }
func (e *ear) Undelivered(to grid.Peer, tag uint64) {
	e.note(fmt.Sprint("undelivered ", to.Node, " ", tag))
}
func (e *ear) Gone(node string) { e.note("gone " + node) }
func (e *ear) Missed()          { e.note("missed") }
func (e *ear) send(to *ear, tag uint64, s string) error {
	return e.Line.Send(to.peer(), tag, []byte(s))
}
func (e *ear) peer() grid.Peer { return grid.Peer{Node: e.Name(), Session: uint64(len(e.Name()))} }

// take is what it was told since the last time.
func (e *ear) take() []string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	return heard
}

func (e *ear) want(want ...string) {
	e.Helper()
	if got := e.take(); !slices.Equal(got, want) {
		e.Errorf("%s was told %q, want %q", e.Name(), got, want)
	}
}

// onNet calls f with two nodes that have lines.
func onNet(t *testing.T, o gridtest.Options, f func(a, bb *ear)) {
	synctest.Test(t, func(t *testing.T) {
		c := gridtest.New(o)
		open := func(name string) *ear {
			e := &ear{T: t, Node: c.Node(name)}
			l, err := e.Open(t.Context(), e.peer(), e)
			if err != nil {
				t.Fatal(err)
			}
			e.Line = l
			return e
		}
		f(open("a"), open("bb"))
	})
}

const soon = 10 * time.Millisecond

// TestFramesKeepTheirOrder, also behind a pause of the one who sends, and of the one who gets them.
func TestFramesKeepTheirOrder(t *testing.T) {
	onNet(t, gridtest.Options{Seed: 1, FrameLatency: 5 * time.Millisecond}, func(a, bb *ear) {
		var want []string
		for i := range 60 {
			switch i {
			case 20:
				bb.Pause()
			case 30:
				bb.Resume()
			case 40:
				a.Pause()
			case 50:
				a.Resume()
			}
			if err := a.send(bb, 0, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint("a: ", i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(soon)
		got := slices.DeleteFunc(bb.take(), func(s string) bool { return s == "missed" })
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// TestFramesThatCannotBeSent: one that is too long, and one on a line that is closed.
func TestFramesThatCannotBeSent(t *testing.T) {
	onNet(t, gridtest.Options{MaxFrame: 5}, func(a, bb *ear) {
		if err := a.send(bb, 0, "123456"); err == nil {
			t.Error("one that is too long is sent")
		}
		if err := a.send(bb, 0, "12345"); err != nil || a.MaxFrame() != 5 {
			t.Error(err)
		}
		time.Sleep(soon)
		bb.want("a: 12345")
		a.Line.Close()
		if err := a.send(bb, 0, "1"); err == nil {
			t.Error("one is sent on a closed line")
		}
		if err := bb.send(a, 9, "1"); err != nil {
			t.Error(err)
		}
		time.Sleep(soon)
		bb.want("undelivered a 9")
		a.want()
	})
}

// TestCrashIsNoticed: what is sent in the first moment is lost, later nobody is there, and then the node is gone.
func TestCrashIsNoticed(t *testing.T) {
	onNet(t, gridtest.Options{}, func(a, bb *ear) {
		bb.Crash()
		a.send(bb, 1, "lost")
		time.Sleep(20 * time.Millisecond)
		a.want()
		a.send(bb, 2, "nobody")
		time.Sleep(soon)
		a.want("undelivered bb 2")
		time.Sleep(300 * time.Millisecond)
		a.want("gone bb")
	})
}

// TestReconnect: what is on its way is lost, nothing can be sent meanwhile, and the node is told. One that is back soon is not gone.
func TestReconnect(t *testing.T) {
	onNet(t, gridtest.Options{}, func(a, bb *ear) {
		a.send(bb, 1, "there")
		bb.send(a, 2, "back")
		bb.Reconnect(30 * time.Millisecond)
		if err := bb.send(a, 3, "in between"); err == nil {
			t.Error("it is sent without a connection")
		}
		a.send(bb, 4, "in between")
		time.Sleep(20 * time.Millisecond)
		a.want("undelivered bb 4")
		time.Sleep(20 * time.Millisecond)
		bb.want("missed")
		a.send(bb, 5, "again")
		time.Sleep(soon)
		bb.want("a: again")
		time.Sleep(time.Second)
		a.want()
	})
}

// TestPauseAndCut: after a while the network takes a node for gone that it does not hear of.
func TestPauseAndCut(t *testing.T) {
	onNet(t, gridtest.Options{Room: 10}, func(a, bb *ear) {
		bb.Pause()
		for range 3 {
			a.send(bb, 0, "1234")
		}
		time.Sleep(500 * time.Millisecond)
		bb.Resume()
		time.Sleep(soon)
		got := bb.take()
		slices.Sort(got)
		if want := []string{"a: 1234", "a: 1234", "missed", "missed"}; !slices.Equal(got, want) {
			t.Errorf("after a short pause, without room: %q", got)
		}
		bb.Cut(gridtest.All)
		a.send(bb, 1, "lost")
		if err := bb.send(a, 2, "lost"); err != nil {
			t.Error(err)
		}
		time.Sleep(1200 * time.Millisecond)
		a.want()
		if err := bb.send(a, 3, "lost"); err == nil {
			t.Error("it is sent while the node is cut off")
		}
		time.Sleep(300 * time.Millisecond)
		a.want("gone bb")
		bb.Heal()
		bb.send(a, 4, "healed")
		time.Sleep(soon)
		a.want("bb: healed")
		bb.want("missed")
	})
}

// TestFrameLoss: some are lost, and the others arrive.
func TestFrameLoss(t *testing.T) {
	onNet(t, gridtest.Options{Seed: 3, FrameLoss: 0.5}, func(a, bb *ear) {
		for range 100 {
			a.send(bb, 0, "x")
		}
		time.Sleep(soon)
		if n := len(bb.take()); n < 30 || n > 70 {
			t.Errorf("%d of 100 arrive", n)
		}
	})
}

// topicEar is the ear of a node as a TopicReceiver.
type topicEar struct{ *ear }

func (e topicEar) Published(from string, frame []byte) {
	e.note(fmt.Sprint(from, " published ", string(frame)))
}

func (e *ear) hears(topic string) {
	e.Helper()
	if _, err := e.Line.(grid.TopicLine).Subscribe(topic, topicEar{e}); err != nil {
		e.Fatal(err)
	}
}

func (e *ear) publish(topic, frame string) error {
	return e.Line.(grid.TopicLine).Publish(topic, []byte(frame))
}

// TestTopicFaults: what is published has the faults that frames have: of the way to each of the others, and who has missed something is
// told by the line and by each topic.
func TestTopicFaults(t *testing.T) {
	onNet(t, gridtest.Options{Seed: 3, Room: 10}, func(a, bb *ear) {
		a.hears("news")
		bb.hears("news")
		a.publish("news", "all")
		a.publish("other", "nobody")
		time.Sleep(soon)
		a.want("a published all")
		bb.want("a published all")
		bb.Cut(gridtest.FramesIn)
		a.publish("news", "lost")
		bb.publish("news", "out")
		time.Sleep(soon)
		heard := a.take()
		slices.Sort(heard)
		if !slices.Equal(heard, []string{"a published lost", "bb published out"}) {
			t.Errorf("a was told %q", heard)
		}
		bb.Heal()
		a.publish("news", "heal")
		time.Sleep(soon)
		a.want("a published heal")
		bb.want("missed", "missed", "a published heal") // Heal ends a silence, of which the line is told, and the topic
		bb.Pause()
		a.Pause()
		for i := range 4 {
			a.publish("news", fmt.Sprint(i, "34"))
		}
		a.Resume()
		time.Sleep(500 * time.Millisecond)
		bb.Resume()
		time.Sleep(soon)
		a.take()
		heard = bb.take()
		order := slices.DeleteFunc(slices.Clone(heard), func(s string) bool { return s == "missed" })
		if !slices.Equal(order, []string{"a published 034", "a published 134", "a published 234"}) || len(heard) == len(order) {
			t.Errorf("held, with room for three of four: %q", heard)
		}
		bb.Reconnect(30 * time.Millisecond)
		if err := bb.publish("news", "x"); err == nil {
			t.Error("it is published without a connection")
		}
		a.publish("news", "gone")
		time.Sleep(50 * time.Millisecond)
		a.want("a published gone") // nobody is told that bb has not got it
		bb.want("missed", "missed")
	})
	onNet(t, gridtest.Options{Seed: 3, FrameLoss: 0.5}, func(a, bb *ear) {
		bb.hears("news")
		for range 100 {
			a.publish("news", "x")
		}
		time.Sleep(soon)
		if n := len(bb.take()); n < 30 || n > 70 {
			t.Errorf("%d of 100 arrive", n)
		}
	})
}
