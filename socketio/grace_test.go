// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// forEver waits until the task is ended.
func forEver(t *actors.Task) error {
	_, err := actors.Await(t, new(actors.Promise[int]).Future())
	return err
}

// stuck is a place in which a session's handler waits for ever.
type stuck struct {
	set  func(w *world, wait func(t *actors.Task) error)
	act  func(p *peer)
	told bool // the client has been, so that there is an OnDisconnect
}

var stuckIn = map[string]stuck{
	"a middleware": {
		set: func(w *world, wait func(t *actors.Task) error) {
			w.io.Use(func(t *actors.Task, _ *socketio.Socket) error { return wait(t) })
		},
		act: func(p *peer) { p.send("40") },
	},
	"OnConnect": {
		set: func(w *world, wait func(t *actors.Task) error) {
			w.io.OnConnect(func(t *actors.Task, _ *socketio.Socket) error { return wait(t) })
		},
		act:  func(p *peer) { p.connect("/") },
		told: true,
	},
	"an Exclusive": {
		set: func(w *world, wait func(t *actors.Task) error) {
			socketio.On(w.io, "x", func(t *actors.Task, _ *socketio.Socket, _ any) error { return wait(t) }, socketio.Exclusive())
		},
		act:  func(p *peer) { p.connect("/"); p.send(`42["x"]`) },
		told: true,
	},
	"an event": {
		set: func(w *world, wait func(t *actors.Task) error) {
			socketio.On(w.io, "x", func(t *actors.Task, _ *socketio.Socket, _ any) error { return wait(t) })
		},
		act:  func(p *peer) { p.connect("/"); p.send(`42["x"]`) },
		told: true,
	},
}

// begin has a client come to where the handler waits.
func (s stuck) begin(w *world) (*peer, *events) {
	ev := watched(w)
	s.set(w, func(t *actors.Task) error {
		ev.Add("cut off: %v", forEver(t) == actors.ErrStopped)
		return nil // who has been cut off need not say so
	})
	p := w.dial()
	s.act(p)
	synctest.Wait()
	return p, ev
}

// ending is what there is to see when it is ended.
func (s stuck) ending(name, reason string) []string {
	switch {
	case name == "an event": // which OnDisconnect does not wait for
		return []string{reason, "cut off: true"}
	case s.told:
		return []string{"cut off: true", reason}
	}
	return []string{"cut off: true"}
}

// TestHandlerGrace: what runs when the client goes is ended after HandlerGrace,
// and OnDisconnect runs all the same.
func TestHandlerGrace(t *testing.T) {
	for name, s := range stuckIn {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{HandlerGrace: 10 * time.Second}, func(w *world) {
				p, ev := s.begin(w)
				_ = p.c.CloseNow()
				time.Sleep(10*time.Second - 1)
				if n := w.io.Remembered(); n == 0 {
					w.Error("ended too early")
				}
				time.Sleep(2 * time.Nanosecond)
				ev.want(w, s.ending(name, "transport close")...)
				if n := w.io.Remembered(); n != 0 {
					w.Error("what the server remembers:", n)
				}
			})
		})
	}
}

// TestStopGrace: a Shutdown ends it before its context does, so that
// OnDisconnect runs.
func TestShutdownGrace(t *testing.T) {
	for name, s := range stuckIn {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				_, ev := s.begin(w)
				op := w.shutdownIn(10 * time.Second)
				time.Sleep(9*time.Second + time.Millisecond)
				report, err := op.Result()
				if err != nil || report.Sessions != 1 || report.CutOff != 1 {
					w.Error(report, err)
				}
				ev.want(w, s.ending(name, "server shutting down")...)
			})
		})
	}
}

// TestGraceOfDisconnect: OnDisconnect has as long again, and is ended, too.
func TestGraceOfDisconnect(t *testing.T) {
	bubble(t, socketio.Options{HandlerGrace: 10 * time.Second}, func(w *world) {
		var ev events
		w.io.OnConnect(func(t *actors.Task, _ *socketio.Socket) error { return t.Sleep(9 * time.Second) })
		w.io.OnDisconnect(func(t *actors.Task, _ *socketio.Socket, _ socketio.Reason) {
			ev.Add("begins")
			ev.Add("%v", forEver(t))
		})
		p := w.client()
		_ = p.c.CloseNow()
		time.Sleep(18 * time.Second)
		ev.want(w, "begins")
		time.Sleep(time.Second)
		ev.want(w, actors.ErrStopped.Error())
		if n := w.io.Remembered(); n != 0 {
			w.Error("what the server remembers:", n)
		}
	})
}

// TestDisconnectAfterTheWorker runs OnDisconnect where there is no more than a
// moment left: it is ended by then, and the server gone even if it does not
// return.
func TestDisconnectAfterTheWorker(t *testing.T) {
	for name, c := range map[string]struct {
		wait func(t *actors.Task)
		want []string
	}{
		"awaits": {func(t *actors.Task) { _ = forEver(t) }, []string{"begins", "ends"}},
		"blocks": {func(t *actors.Task) { time.Sleep(time.Minute) }, []string{"begins"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{HandlerGrace: 10 * time.Second}, func(w *world) {
				var ev events
				w.io.OnConnect(func(t *actors.Task, _ *socketio.Socket) error { return forEver(t) })
				w.io.OnDisconnect(func(t *actors.Task, _ *socketio.Socket, _ socketio.Reason) {
					ev.Add("begins")
					c.wait(t)
					ev.Add("ends")
				})
				p := w.client()
				_ = p.c.CloseNow()
				time.Sleep(12 * time.Second)
				ev.want(w, c.want...)
				if n := w.io.Remembered(); n != 0 {
					w.Error("what the server remembers:", n)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}
