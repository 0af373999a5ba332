// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

func TestConnect(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		w.io.OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
			h := s.Handshake()
			ev.Add("connect %s %s %s %s %v", h.Auth, h.Query.Get("x"), h.Headers.Get("X-Test"), h.Address, s.Rooms()[0] == s.ID())
			_ = s.Join("a", "b")
			return s.Emit("hello")
		})
		w.io.OnDisconnect(func(_ *actors.Task, s *socketio.Socket, reason socketio.Reason) {
			rooms := s.Rooms()
			ev.Add("disconnect %s %v %v %v", reason, s.Connected(), slices.Contains(rooms, s.ID()), len(rooms))
		})
		p := w.dialURL(base+"websocket&x=1", "X-Test", "yes")
		p.next()
		p.send(`40{"token":"abc"}`)
		if got := p.next(); len(got) != len(`40{"sid":"01234567890123456789"}`) {
			w.Error("got", got)
		}
		p.expect(`42["hello"]`)
		ev.want(w, `connect {"token":"abc"} 1 yes 192.0.2.1 true`)
		if n := len(w.io.Sockets()); n != 1 {
			w.Error("sockets:", n)
		}
		p.send("41")
		ev.want(w, "disconnect client namespace disconnect false true 3") // the rooms that it was in
		if list := w.io.To("a").Sockets(); len(list) != 0 {
			w.Error("it is in a room still:", list)
		}
		p.connect("/")
		p.expect(`42["hello"]`)
		ev.want(w, `connect {} 1 yes 192.0.2.1 true`)
	})
}

func TestNamespaces(t *testing.T) {
	bubble(t, socketio.Options{MaxNamespaces: 2}, func(w *world) {
		w.io.Of("/a")
		w.io.Of("/b")
		p := w.dial()
		p.send("40/none,")
		p.expect(`44/none,{"message":"Invalid namespace"}`)
		p.connect("/a").connect("/")
		p.send("40/b,")
		p.expect(`44/b,{"message":"Too many namespaces"}`)
		p.send("41/a,")
		p.connect("/b")
	})
}

func TestMiddleware(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		w.io.Use(func(t *actors.Task, s *socketio.Socket) error {
			if err := t.Sleep(time.Second); err != nil {
				return err
			}
			_ = s.Emit("dropped")
			return nil
		})
		w.io.Use(func(_ *actors.Task, s *socketio.Socket) error {
			var auth struct{ Case string }
			if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
				return err
			}
			switch auth.Case {
			case "data":
				return &socketio.Error{Message: "no", Data: map[string]int{"retryAfter": 5}}
			case "text":
				return errTest
			case "panic":
				panic("in a middleware")
			case "goexit":
				runtime.Goexit()
			case "bad data":
				return &socketio.Error{Message: "no", Data: make(chan int)}
			}
			return nil
		})
		p := w.dial()
		for _, c := range []struct{ name, want string }{
			{"data", `44{"message":"no","data":{"retryAfter":5}}`},
			{"text", `44{"message":"it is broken"}`},
			{"panic", `44{"message":"internal error"}`},
			{"goexit", `44{"message":"internal error"}`},
			{"bad data", `44{"message":"no"}`},
		} {
			p.send(`40{"case":"` + c.name + `"}`)
			p.expect(c.want)
		}
		p.connect("/")
		if s := w.io.Stats(); s.Refused != 5 || s.Connects != 1 || s.Panics != 1 || s.Sockets["/"] != 1 {
			w.Errorf("%+v", s)
		}
		// One that leaves before it has been let in is not connected.
		q := w.dial()
		q.send("40{}")
		time.Sleep(time.Second / 2)
		_ = q.c.CloseNow()
		time.Sleep(2 * time.Second)
		if s := w.io.Stats(); s.Connects != 1 || s.Sessions != 1 {
			w.Errorf("%+v", s)
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		p, began := w.dial(), time.Now()
		<-p.closed
		if d := time.Since(began); d != 45*time.Second {
			w.Error("closed after", d)
		}
		q := w.client()
		time.Sleep(time.Minute)
		q.quiet()
	})
}

func TestOnConnectHoldsEvents(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		w.io.OnConnect(func(t *actors.Task, s *socketio.Socket) error {
			answer, err := actors.Await(t, socketio.EmitAck[string](s, "who"))
			ev.Add("connect %s %v", answer, err)
			return err
		})
		w.io.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { ev.Add("%s", reason) })
		socketio.On(w.io, "n", func(_ *actors.Task, _ *socketio.Socket, n int) error {
			ev.Add("event %d", n)
			return nil
		})
		p := w.client()
		id := p.asked(`42["who"]`)
		p.send(`42["n",1]`, `42["n",2]`)
		ev.want(w)
		p.send(`43`+id+`["me"]`, `42["n",3]`)
		ev.want(w, "connect me <nil>", "event 1", "event 2", "event 3")

		// What came before the end is handled before the end is told.
		q := w.client()
		q.asked(`42["who"]`)
		q.send(`42["n",4]`, `41`)
		ev.want(w, "connect  socketio: the client has disconnected", "event 4", "client namespace disconnect")
	})
}

func TestOnConnectFails(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		w.io.OnConnect(func(*actors.Task, *socketio.Socket) error { return errTest })
		w.io.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { ev.Add("%s", reason) })
		p := w.client()
		p.expect("41")
		ev.want(w, "server namespace disconnect")
	})
}

func TestServerDisconnect(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		for _, name := range []string{"/", "/b"} {
			n := w.io.Of(name)
			n.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { ev.Add("%s %s", name, reason) })
			socketio.On(n, "leave", func(_ *actors.Task, s *socketio.Socket, _ any) error { s.Disconnect(); return nil })
			socketio.On(n, "close", func(_ *actors.Task, s *socketio.Socket, _ any) error { s.Close(); return nil })
		}
		p := w.client().connect("/b")
		p.send(`42["leave"]`)
		p.expect("41")
		ev.want(w, "/ server namespace disconnect")
		p.connect("/")
		p.send(`42["close"]`)
		p.expect("41/b,", "41")
		p.gone()
		ev.want(w, "/b server namespace disconnect", "/ server namespace disconnect")
	})
}

// TestLateForANamespace has a client be shown out of a namespace, or leave it,
// with packets for it on their way: its other namespaces go on.
func TestLateForANamespace(t *testing.T) {
	for name, leave := range map[string]func(w *world, p *peer){
		"shown out": func(w *world, p *peer) { w.io.Of("/admin").Socket(p.id).Disconnect(); p.expect("41/admin,") },
		"left":      func(_ *world, p *peer) { p.send("41/admin,"); synctest.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				ev := watched(w)
				admin := w.io.Of("/admin")
				socketio.On(admin, "x", func(*actors.Task, *socketio.Socket, any) error { ev.Add("event"); return nil })
				p := w.client().connect("/admin")
				f := socketio.EmitAck[any](admin.Socket(p.id), "ask")
				id := p.asked(`42/admin,["ask"]`)
				leave(w, p)
				if _, err := f.TryResult(); !errors.Is(err, socketio.ErrDisconnected) {
					w.Error(err)
				}
				p.send(`42/admin,["x"]`, `42/admin,1["x"]`, `43/admin,`+id+`["late"]`, `451-/admin,["x",{"_placeholder":true,"num":0}]`)
				p.sendBinary("b")
				p.send("41/admin,")
				p.alive()
				p.connect("/admin").send(`42/admin,["x"]`)
				p.alive()
				ev.want(w, "event")
			})
		})
	}
}

func TestInvalidState(t *testing.T) {
	for name, packet := range map[string]string{
		"event before connect": `42["x"]`, "ack before connect": `430[]`, "connect error": `44{}`,
		"other namespace": `42/other,["x"]`, "disconnect before connect": `41`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				p := w.dial()
				p.send(packet)
				p.gone()
				if s := w.io.Stats(); s.Malformed != 1 || s.Sessions != 0 {
					w.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestConnectsThatDoNotEnd has a client connect and leave again and again: what
// runs for it is bounded, and it is let in no further until some has ended.
func TestConnectsThatDoNotEnd(t *testing.T) {
	for name, set := range map[string]func(w *world, wait func(t *actors.Task)){
		"middleware": func(w *world, wait func(t *actors.Task)) {
			w.io.Use(func(t *actors.Task, _ *socketio.Socket) error { wait(t); return nil })
		},
		"OnConnect": func(w *world, wait func(t *actors.Task)) {
			w.io.OnConnect(func(t *actors.Task, _ *socketio.Socket) error { wait(t); return nil })
		},
		"OnDisconnect": func(w *world, wait func(t *actors.Task)) {
			w.io.OnDisconnect(func(t *actors.Task, _ *socketio.Socket, _ socketio.Reason) { wait(t) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{MaxEvents: 10, MaxNamespaces: 1}, func(w *world) {
				running, rounds := 0, 0 // owned by the session's worker, but for when all is quiet
				gate, begun := new(actors.Promise[int]), make(chan struct{}, 1000)
				set(w, func(t *actors.Task) {
					running++
					begun <- struct{}{}
					_, _ = actors.Await(t, gate.Future())
					running--
				})
				p := w.dial()
				go func() {
					for range 100 {
						p.send("40")
						if name == "middleware" {
							<-begun
						} else {
							<-p.in // it has been let in
						}
						p.send("41")
						rounds++
					}
				}()
				synctest.Wait()
				if running < 9 || running > 11 || rounds == 100 {
					w.Errorf("%d run after %d rounds", running, rounds)
				}
				gate.Resolve(1)
				synctest.Wait()
				if s := w.io.Stats(); running != 0 || rounds != 100 || s.Refused != 0 || s.Overloads != 0 || s.Sessions != 1 {
					w.Errorf("%d run after %d rounds, %+v", running, rounds, s)
				}
			})
		})
	}
}
