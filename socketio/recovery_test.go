package socketio_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// recoverable is a client that remembers what it needs to recover.
type recoverable struct {
	*peer
	private, offset string
}

// connectBack connects with the auth payload of a recovering client; got are
// the packets that came, up to the connect packet.
func (w *world) connectBack(auth string) (r *recoverable, got []string) {
	w.Helper()
	r = &recoverable{peer: w.dial()}
	r.send("40" + auth)
	for {
		packet := r.next()
		got = append(got, packet)
		if strings.HasPrefix(packet, "40") {
			f := strings.Split(packet, `"`)
			r.id, r.private = f[3], f[7]
			return r, got
		}
	}
}

// event checks the next event's arguments, and keeps its offset.
func (r *recoverable) event(want string) {
	r.Helper()
	got := r.next()
	at := strings.LastIndex(got, `,"`)
	if at < 0 || got[:at] != want {
		r.Fatalf("got %s, want %s with an offset", got, want)
	}
	r.offset = strings.TrimSuffix(got[at+2:], `"]`)
}

func (r *recoverable) auth() string {
	return fmt.Sprintf(`{"pid":%q,"offset":%q}`, r.private, r.offset)
}

func (r *recoverable) cutOff() {
	_ = r.c.CloseNow()
	synctest.Wait()
}

func TestRecovery(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}}, func(w *world) {
		var ev events
		w.io.Use(func(_ *actors.Task, s *socketio.Socket) error {
			ev.add("middleware %v", s.Recovered())
			return nil
		})
		w.io.OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
			ev.add("connect %v %v %d", s.Recovered(), s.Data(), len(s.Rooms()))
			s.SetData("mine")
			return s.Join("room")
		})
		a, _ := w.connectBack("")
		ev.want(w, "middleware false", "connect false <nil> 1")
		b, _ := w.connectBack("")
		_ = w.io.Emit("one", 1)
		a.event(`42["one",1`)
		b.event(`42["one",1`)
		ev.want(w, "middleware false", "connect false <nil> 1")

		id, s := a.id, w.io.Socket(a.id)
		a.cutOff()
		_ = w.io.Emit("two")
		_ = w.io.To("room").Emit("three", []byte("x"))
		_ = w.io.To("other").Emit("not for it")
		_ = w.io.Except("room").Emit("neither")
		_ = w.io.Socket(b.id).Broadcast().Emit("four")
		_ = w.io.Socket(b.id).Emit("for the other one")
		_ = w.io.Volatile().Emit("volatile")
		_ = s.Emit("five") // it is gone, but may come back
		a2, got := w.connectBack(a.auth())
		if len(got) != 6 || !strings.HasPrefix(got[0], `42["two",`) || !strings.HasPrefix(got[1], `451-["three",{"_placeholder":true,"num":0},`) ||
			got[2] != "bx" || !strings.HasPrefix(got[3], `42["four",`) || !strings.HasPrefix(got[4], `42["five",`) || a2.id != id || a2.private != a.private {
			w.Fatalf("got %q, id %s, want id %s", got, a2.id, id)
		}
		ev.want(w, "middleware true", "connect true mine 2")
		_ = w.io.To("room").Emit("six")
		a2.event(`42["six"`)

		// The state can be had once.
		thief, got := w.connectBack(a2.auth())
		if len(got) != 1 || thief.id == id {
			w.Error("a state was had that is in use:", got)
		}
		if st := w.io.Stats(); st.Recovered != 1 {
			w.Errorf("%+v", st)
		}
	})
}

func TestRecoveryEnds(t *testing.T) {
	o := socketio.Options{Recovery: &socketio.Recovery{MaxDisconnection: time.Minute, MaxEvents: 5, MaxSessions: 3, SkipMiddlewares: true}}
	bubble(t, o, func(w *world) {
		lost := func(what string, r *recoverable) {
			w.Helper()
			again, got := w.connectBack(r.auth())
			if len(got) != 1 || again.id == r.id {
				w.Errorf("%s: recovered: %q", what, got)
			}
			again.send("41") // else its state would be kept, too
			again.cutOff()
		}
		begin := func() *recoverable {
			r, _ := w.connectBack("")
			_ = w.io.Emit("e")
			r.event(`42["e"`)
			return r
		}
		r := begin()
		r.send("41")
		synctest.Wait()
		lost("left by itself", r)

		r = begin()
		w.io.Socket(r.id).Disconnect()
		r.expect("41")
		lost("disconnected by the server", r)

		r = begin()
		r.cutOff()
		time.Sleep(time.Minute + 1)
		lost("too late", r)

		r = begin()
		r.cutOff()
		for range 6 {
			_ = w.io.Emit("more")
		}
		lost("more events than are kept", r)

		r = begin()
		r.cutOff()
		for range 3 {
			begin().cutOff()
		}
		lost("more sessions than are kept", r)

		r = begin()
		r.cutOff()
		for _, offset := range []string{"", "x", r.offset + "0", "other1", r.offset[:6] + "-1", r.offset[:6] + "zzzzzzzzzzzzzzzz"} {
			wrong := *r
			wrong.offset = offset
			lost("offset "+offset, &wrong)
		}
		if _, got := w.connectBack(`{"pid":1,"offset":{}}`); len(got) != 1 {
			w.Error(got)
		}
		if back, _ := w.connectBack(r.auth()); back.id != r.id {
			w.Error("not recovered after wrong tries")
		}
		_ = w.io.To("r").Emit("nothing has run a middleware")
	})
}

func TestRecoverySkipsMiddlewares(t *testing.T) {
	for skip, want := range map[bool]int{true: 1, false: 2} {
		t.Run(fmt.Sprint(skip), func(t *testing.T) {
			bubble(t, socketio.Options{Recovery: &socketio.Recovery{SkipMiddlewares: skip}}, func(w *world) {
				n := 0
				w.io.Use(func(*actors.Task, *socketio.Socket) error { n++; return nil })
				r, _ := w.connectBack("")
				_ = w.io.Emit("e")
				r.event(`42["e"`)
				r.cutOff()
				w.connectBack(r.auth())
				if synctest.Wait(); n != want {
					w.Error("middlewares ran:", n)
				}
			})
		})
	}
}
