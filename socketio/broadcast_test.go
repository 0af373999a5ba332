// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

func TestBroadcast(t *testing.T) {
	bubble(t, socketio.Options{MaxRooms: 2}, func(w *world) {
		admin := w.io.Of("/admin")
		var p []*peer
		var s []*socketio.Socket
		for range 4 {
			c := w.client()
			p, s = append(p, c), append(s, w.io.Socket(c.id))
		}
		_ = s[0].Join("a")
		_ = s[1].Join("a", "b", "a")
		_ = s[2].Join("b")
		n := 0
		emit := func(to interface {
			Emit(string, ...any) error
		}, want ...int) {
			w.Helper()
			n++
			if err := to.Emit("n", n); err != nil {
				w.Fatal(err)
			}
			for _, i := range want {
				p[i].expect(fmt.Sprintf(`42["n",%d]`, n))
			}
			for _, each := range p {
				each.quiet()
			}
		}
		emit(w.io, 0, 1, 2, 3)
		emit(w.io.To("a"), 0, 1)
		emit(w.io.To("a", "b"), 0, 1, 2)
		emit(w.io.To("a").To("b").Except("a"), 2)
		emit(w.io.Except("a"), 2, 3)
		emit(w.io.Except("a", s[3].ID()), 2)
		emit(w.io.To(s[3].ID()), 3)
		emit(w.io.To("none"))
		emit(s[0], 0)
		emit(s[0].Broadcast(), 1, 2, 3)
		emit(s[0].To("a"), 1)
		emit(s[0].To("a", "b"), 1, 2)
		emit(s[0].Except("b"), 3)
		emit(admin)

		// A room of somebody's id may be joined by others, and left.
		_ = s[3].Join(s[0].ID())
		emit(w.io.To(s[0].ID()), 0, 3)
		s[0].Leave(s[0].ID())
		emit(w.io.To(s[0].ID()), 3)
		_ = s[0].Join(s[0].ID())
		emit(w.io.To(s[0].ID()), 0, 3)
		s[1].Leave("a", "none")
		emit(w.io.To("a"), 0)
		if got := strings.Join(s[1].Rooms(), " "); got != s[1].ID()+" b" && got != "b "+s[1].ID() {
			w.Error(got)
		}
		if err := s[1].Join("x", "y"); !errors.Is(err, socketio.ErrTooManyRooms) || len(s[1].Rooms()) != 2 {
			w.Error(err, s[1].Rooms())
		}
		if n := len(w.io.To("a", "b").Sockets()); n != 3 {
			w.Error("sockets:", n)
		}
		p[1].send("41")
		synctest.Wait()
		emit(w.io.To("b"), 2)
		if err := s[1].Join("z"); err != nil || slices.Contains(s[1].Rooms(), "z") || w.io.Socket(s[1].ID()) != nil {
			w.Error("a socket that is gone has joined something")
		}
	})
}

// counted counts how often it is encoded.
type counted struct{ times *atomic.Int32 }

func (c counted) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(c.times.Add(1)), 10), nil
}

// TestBroadcastEncodesOnce has clients of both transports in the room.
func TestBroadcastEncodesOnce(t *testing.T) {
	for name, o := range map[string]socketio.Options{"plain": {}, "recovery": {Recovery: &socketio.Recovery{}}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(w *world) {
				p := []*peer{w.client(), w.client()}
				var q []*poller
				for range 2 {
					one := w.poller()
					one.post("40")
					one.get()
					q = append(q, one)
				}
				for _, s := range w.io.Sockets() {
					_ = s.Join("room")
				}
				var times atomic.Int32
				for n, to := range []socketio.Broadcast{w.io.To("room"), w.io.To("room", "none"), w.io.Except("none")} {
					if err := to.Emit("e", counted{&times}); err != nil {
						w.Fatal(err)
					}
					want := fmt.Sprintf(`42["e",%d`, n+1)
					for _, one := range p {
						if got := one.next(); !strings.HasPrefix(got, want) {
							w.Errorf("by WebSocket: %q, want %q", got, want)
						}
					}
					for _, one := range q {
						if _, got := one.get(); !strings.HasPrefix(got, want) {
							w.Errorf("by polling: %q, want %q", got, want)
						}
					}
					if got := int(times.Load()); got != n+1 {
						w.Errorf("encoded %d times, want %d", got, n+1)
					}
				}
			})
		})
	}
}

// TestEmitOrder has many callers emit at once: each one's events keep their
// order at every client, by whatever way they go.
func TestEmitOrder(t *testing.T) {
	const callers, each = 8, 200
	bubble(t, socketio.Options{}, func(w *world) {
		var p []*peer
		for range 5 {
			p = append(p, w.client())
		}
		s := w.io.Sockets()
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					switch {
					case i%3 == 0:
						for _, one := range s {
							_ = one.Emit("e", c, i)
						}
					default:
						_ = w.io.Emit("e", c, i)
					}
				}
			})
		}
		wg.Wait()
		for _, one := range p {
			var next [callers]int
			for range callers * each {
				var c, i int
				got := one.next()
				if _, err := fmt.Sscanf(got, `42["e",%d,%d]`, &c, &i); err != nil || next[c] != i {
					w.Fatalf("got %s, want number %d of the caller", got, next[c])
				}
				next[c]++
			}
			one.quiet()
		}
	})
}

func TestEmitOfTasks(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.On(w.io, "say", func(_ *actors.Task, s *socketio.Socket, text string) error {
			_ = s.Broadcast().Emit("said", text)
			return s.Emit("you said", text)
		})
		a, b := w.client(), w.client()
		a.send(`42["say","hi \"there\""]`)
		a.expect(`42["you said","hi \"there\""]`)
		b.expect(`42["said","hi \"there\""]`)
	})
}

func TestVolatile(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		p := w.client()
		s := w.io.Socket(p.id)
		synctest.Wait() // until nothing is being written
		_ = s.EmitVolatile("a")
		p.expect(`42["a"]`)
		synctest.Wait()
		_ = w.io.Volatile().Emit("b")
		p.expect(`42["b"]`)
		synctest.Wait()

		// A polling client can be written to while a GET waits.
		q := w.poller()
		q.post("40")
		q.get()
		var slow *socketio.Socket
		for _, one := range w.io.Sockets() {
			if one != s {
				slow = one
			}
		}
		_ = slow.EmitVolatile("dropped")
		_ = w.io.Volatile().Emit("for the other")
		p.expect(`42["for the other"]`)
		_ = slow.Emit("kept")
		if _, body := q.get(); body != `42["kept"]` {
			w.Error(body)
		}
	})
}
