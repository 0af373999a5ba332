// SPDX-License-Identifier: Apache-2.0

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
	if r.offset == "" {
		return fmt.Sprintf(`{"pid":%q}`, r.private) // as the reference's client does
	}
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
			ev.Add("middleware %v", s.Recovered())
			return nil
		})
		w.io.OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
			ev.Add("connect %v %v %d", s.Recovered(), s.Data(), len(s.Rooms()))
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
		if _, got := w.connectBack(fmt.Sprintf(`{"pid":%q,"offset":""}`, r.private)); len(got) != 1 {
			w.Error(got)
		}
		for _, offset := range []string{"x", r.offset + "0", "other1", r.offset[:6] + "-1", r.offset[:6] + "zzzzzzzzzzzzzzzz"} {
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

// back has the client reconnect and checks that it has its state again, and
// those events.
func (r *recoverable) back(events ...string) *recoverable {
	r.Helper()
	again, got := r.connectBack(r.auth())
	if again.id != r.id {
		r.Fatalf("not recovered: %q", got)
	}
	if len(got) != len(events)+1 {
		r.Fatalf("got %.1000q, want the events %.1000q", got, events)
	}
	for i, want := range events {
		at := strings.LastIndex(got[i], `,"`)
		if at < 0 || got[i][:at] != want {
			r.Fatalf("got %.1000q, want the events %.1000q", got, events)
		}
		again.offset = strings.TrimSuffix(got[i][at+2:], `"]`)
	}
	if again.offset == "" {
		again.offset = r.offset
	}
	return again
}

// TestRecoveryBehindOtherStrings: a client takes each event's last argument for
// the offset if it is a string, also that of an event that is not kept.
func TestRecoveryBehindOtherStrings(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}}, func(w *world) {
		r, _ := w.connectBack("")
		for round, emit := range []func() error{
			func() error { return w.io.Volatile().Emit("v", "text") },
			func() error { return w.io.Socket(r.id).EmitVolatile("v", "text") },
			func() error { return w.io.Volatile().Emit("v", 1, []byte("x"), "text") },
			func() error { return w.io.Socket(r.id).EmitVolatile("v") },
		} {
			if round%2 == 0 {
				_ = w.io.Emit("kept", round)
				r.event(fmt.Sprintf(`42["kept",%d`, round))
			}
			synctest.Wait()
			if err := emit(); err != nil {
				w.Fatal(err)
			}
			switch round {
			case 2:
				r.event(`451-["v",1,{"_placeholder":true,"num":0},"text"`)
				r.expect("bx")
			case 3:
				r.event(`42["v"`)
			default:
				r.event(`42["v","text"`)
			}
			r.cutOff()
			_ = w.io.Emit("missed")
			r = r.back(`42["missed"`)
		}
		synctest.Wait()
		_ = w.io.Volatile().Emit("v", 1) // is no string
		r.expect(`42["v",1]`)
	})
}

// TestRecoveryKeepsWhatWasSent: a buffer that the caller uses again changes
// nothing of what was sent.
func TestRecoveryKeepsWhatWasSent(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}}, func(w *world) {
		r, _ := w.connectBack("")
		r.cutOff()
		buf := []byte("first")
		for _, text := range []string{"first", "other"} {
			copy(buf, text)
			_ = w.io.Emit("b", buf, socketio.Binary(buf))
		}
		_, got := w.connectBack(r.auth())
		if len(got) != 7 || got[1] != "bfirst" || got[2] != "bfirst" || got[4] != "bother" || got[5] != "bother" {
			w.Errorf("%q", got)
		}
	})
}

// TestRecoveryCutOffAgain has clients be cut off before they are connected again.
func TestRecoveryCutOffAgain(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}, MaxNamespaces: 1}, func(w *world) {
		w.io.Of("/other")
		hold := false
		w.io.Use(func(t *actors.Task, s *socketio.Socket) error {
			if s.Recovered() {
				s.SetData(fmt.Sprint(s.Data(), "+"))
			}
			if hold {
				return t.Sleep(time.Second)
			}
			return nil
		})
		r, _ := w.connectBack("")
		_ = w.io.Socket(r.id).Join("room")
		_ = w.io.To("room").Emit("one")
		r.event(`42["one"`)
		r.cutOff()
		_ = w.io.To("room").Emit("two")
		hold = true
		for range 3 {
			p := w.dial()
			p.send("40" + r.auth())
			synctest.Wait()
			_ = p.c.CloseNow()
			time.Sleep(30 * time.Second)
		}
		hold = false
		_ = w.io.To("room").Emit("three")
		p := w.dial() // one that connects to too many namespaces
		p.connect("/other").send("40" + r.auth())
		p.expect(`44{"message":"Too many namespaces"}`)
		r = r.back(`42["two"`, `42["three"`)
		if s := w.io.Socket(r.id); s.Data() != "<nil>++++" || len(s.Rooms()) != 2 {
			w.Error(s.Data(), s.Rooms())
		}
	})
}

// TestRecoveryOfMuch has a client miss more than MaxBuffered: it is no slow one
// by that.
func TestRecoveryOfMuch(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}, MaxBuffered: 200_000}, func(w *world) {
		ev := watched(w)
		text := strings.Repeat("x", 50_000)
		for _, transport := range []string{"websocket", "polling"} {
			r, _ := w.connectBack("")
			r.cutOff()
			ev.want(w, "transport close")
			var want []string
			for i := range 20 {
				_ = w.io.Emit("n", i, text)
				want = append(want, fmt.Sprintf(`42["n",%d,"%s"`, i, text))
			}
			if transport == "websocket" {
				back := r.back(want...)
				_ = w.io.Emit("more")
				back.event(`42["more"`)
				_ = back.c.CloseNow()
				ev.want(w, "transport close")
				continue
			}
			p := w.poller()
			p.post("40" + r.auth())
			synctest.Wait() // nobody polls: all of it waits
			for range 3 {
				_ = w.io.Emit("more", text)
			}
			ev.want(w)
			if _, body := p.get(); strings.Count(body, text) != 23 {
				w.Error("events:", strings.Count(body, text))
			}
			for range 4 { // from here on it is one like others
				_ = w.io.Emit("more", text)
			}
			ev.want(w, "slow client")
		}
	})
}

// TestRecoveryListsNoState twice has a client come and go behind one that stays
// away.
func TestRecoveryListsNoStateTwice(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}}, func(w *world) {
		away, _ := w.connectBack("")
		away.cutOff()
		r, _ := w.connectBack("")
		for range 100 {
			r.cutOff()
			r = r.back()
		}
		if saved, listed := w.io.Of("/").SavedStates(); saved != 1 || listed != 1 {
			w.Error("states:", saved, "listed:", listed)
		}
		r.cutOff()
		away.back()
		if saved, listed := w.io.Of("/").SavedStates(); saved != 1 || listed != 1 {
			w.Error("states:", saved, "listed:", listed)
		}
	})
}

// TestRecoveryOfAQuietClient has clients miss events who have got none before, or
// none for long.
func TestRecoveryOfAQuietClient(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{MaxEvents: 10}}, func(w *world) {
		_ = w.io.Emit("before all")
		r, _ := w.connectBack("")
		_ = w.io.To("nobody").Emit("not for it")
		r.cutOff()
		_ = w.io.Emit("missed")
		r = r.back(`42["missed"`)

		for range 30 {
			_ = w.io.To("nobody").Emit("not for it")
			time.Sleep(time.Minute)
		}
		r.cutOff()
		_ = w.io.Emit("missed, too")
		r = r.back(`42["missed, too"`)
		r.cutOff()
		r = r.back() // it has not missed that again

		// What went to a room before the client joined it is nothing that it missed.
		_ = w.io.To("room").Emit("earlier")
		_ = w.io.Socket(r.id).Join("room")
		r.cutOff()
		_ = w.io.To("room").Emit("later")
		r = r.back(`42["later"`)

		r.cutOff()
		for range 11 {
			_ = w.io.To("nobody").Emit("not for it")
		}
		if _, got := w.connectBack(r.auth()); len(got) != 1 {
			w.Errorf("recovered although an event may be gone: %q", got)
		}
	})
}

// TestRecoveryOfWhatIsOnItsWay has a client be cut off with events on their way
// that it never gets.
func TestRecoveryOfWhatIsOnItsWay(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{}}, func(w *world) {
		for _, first := range []bool{false, true} {
			p := w.poller()
			p.post("40")
			_, body := p.get()
			f := strings.Split(body, `"`)
			r := &recoverable{peer: &peer{world: w}, private: f[7]}
			r.id = f[3]
			if first {
				_ = w.io.Emit("one")
				_, body = p.get()
				r.offset = strings.Split(body, `"`)[3]
			}
			_ = w.io.Emit("on its way")
			w.io.Socket(r.id).Handshake() // it is there
			time.Sleep(time.Minute)       // ping timeout: it has not polled
			_ = w.io.Emit("behind")
			r.back(`42["on its way"`, `42["behind"`)
		}
	})
}

// TestRecoveryTooLate has a middleware take so long that what the client has
// missed is gone: it has to come again.
func TestRecoveryTooLate(t *testing.T) {
	bubble(t, socketio.Options{Recovery: &socketio.Recovery{MaxEvents: 5}}, func(w *world) {
		ev := watched(w)
		w.io.Use(func(t *actors.Task, s *socketio.Socket) error {
			if s.Recovered() {
				return t.Sleep(time.Second)
			}
			return nil
		})
		r, _ := w.connectBack("")
		r.cutOff()
		ev.want(w, "transport close")
		_ = w.io.Emit("missed")
		p := w.dial()
		p.send("40" + r.auth())
		synctest.Wait()
		for range 5 {
			_ = w.io.Emit("more")
		}
		p.gone()
		ev.want(w)
		if again, got := w.connectBack(r.auth()); len(got) != 1 || again.id == r.id {
			w.Errorf("%q", got)
		}
	})
}
