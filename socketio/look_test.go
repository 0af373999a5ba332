// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/socketio"
)

// A server is found as long as it serves.
func TestAll(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		other, err := socketio.NewServer(w.sys, socketio.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if all := socketio.All(w.sys); len(all) != 2 || all[0] != w.io || all[1] != other {
			t.Errorf("there are %v", all)
		}
		if _, err := other.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if all := socketio.All(w.sys); len(all) != 1 || all[0] != w.io {
			t.Errorf("then there are %v", all)
		}
		pid, err := w.sys.Root.SpawnNamed(other.Props(), "other") // which begins anew
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := socketio.All(w.sys); len(all) != 2 || all[1] != other {
			t.Errorf("after it began anew there are %v", all)
		}
		if _, err := actors.Stop(context.Background(), w.sys.Root, pid, time.Second); err != nil {
			t.Fatal(err)
		}
		if all := socketio.All(w.sys); len(all) != 1 {
			t.Errorf("in the end there are %v", all)
		}
	})
}

// A session has one id whatever its transport, and a transport.
func TestSessionID(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		w.io.Of("/b")
		got := make(chan *socketio.Socket, 1)
		w.io.OnConnect(func(_ *actors.Task, s *socketio.Socket) error { got <- s; return nil })
		var upgraded testtools.Trace
		defer w.io.Subscribe(socketio.SocketUpgraded, 0, func(a socketio.Activity) { upgraded.Add("%s", a.Session) })()
		p := w.poller()
		p.post("40")
		a := <-got
		if a.Transport() != "polling" {
			t.Errorf("it goes by %s", a.Transport())
		}
		if s := w.io.Stats(); s.Sessions != 1 || s.WebSockets != 0 {
			t.Errorf("%d sessions, %d by WebSocket", s.Sessions, s.WebSockets)
		}
		p.get() // the connect packet
		up := w.dialURL(base + "websocket&sid=" + strings.Split(p.url, "sid=")[1])
		up.send("2probe")
		up.expect("3probe")
		up.send("5")
		synctest.Wait()
		if s := w.io.Stats(); a.Transport() != "websocket" || s.WebSockets != 1 || s.Sessions != 1 {
			t.Errorf("upgraded it goes by %s, %d sessions, %d by WebSocket", a.Transport(), s.Sessions, s.WebSockets)
		}
		upgraded.Want(t, a.SessionID())
		up.send("40/b,")
		up.next()
		other := w.client()
		b := <-got
		if a.SessionID() == b.SessionID() || a.SessionID() != w.io.Of("/b").Sockets()[0].SessionID() {
			t.Errorf("%s, %s, %s", a.SessionID(), b.SessionID(), w.io.Of("/b").Sockets()[0].SessionID())
		}
		if s := w.io.Stats(); s.WebSockets != 2 || s.Sessions != 2 {
			t.Errorf("%d of %d sessions by WebSocket", s.WebSockets, s.Sessions)
		}
		_ = up.c.CloseNow()
		_ = other.c.CloseNow()
		synctest.Wait()
		if s := w.io.Stats(); s.WebSockets != 0 || s.Sessions != 0 {
			t.Errorf("in the end %d of %d sessions by WebSocket", s.WebSockets, s.Sessions)
		}
	})
}

// Whoever subscribes is told of all that happens, in order, and of what he wants alone.
func TestSubscribe(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var mu sync.Mutex
		ids := map[string]string{} // names in place of ids
		show := func(a socketio.Activity) string {
			mu.Lock()
			defer mu.Unlock()
			if a.At != time.Now() || a.Dropped != 0 || a.Session == "" || a.Session != a.Socket.SessionID() {
				t.Errorf("%+v", a)
			}
			who := ids[a.Socket.ID()]
			if who == "" {
				who = fmt.Sprint("s", len(ids)+1)
				ids[a.Socket.ID()] = who
			}
			what := map[socketio.ActivityKind]string{socketio.SocketConnected: "connected", socketio.SocketDisconnected: "disconnected",
				socketio.RoomJoined: "joined", socketio.RoomLeft: "left", socketio.EventReceived: "received", socketio.EventSent: "sent"}[a.Kind]
			return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", who, what, a.Room, a.Reason, a.Event, string(a.Args))), "_")
		}
		var all, rooms events
		cancel := w.io.Subscribe(socketio.AllActivity, 0, func(a socketio.Activity) { all.Add("%s", show(a)) })
		defer w.io.Subscribe(socketio.RoomJoined|socketio.RoomLeft, 0, func(a socketio.Activity) { rooms.Add("%s", show(a)) })()
		socketio.On(w.io, "hi", func(_ *actors.Task, s *socketio.Socket, name string) error {
			if err := s.Join("r", "r", "q"); err != nil {
				return err
			}
			s.Leave("q", "q", "none")
			return s.Emit("hello", name, []byte("bin"))
		})
		a := w.client()
		a.send(`42["hi","Ann",1]`)
		all.want(t, "s1_connected", `s1_received_hi_["Ann",1]`, "s1_joined_r", "s1_joined_q", "s1_left_q",
			`s1_sent_hello_["Ann",{"_placeholder":true,"num":0}]`)
		a.send(`42["nobody"]`)
		all.want(t, `s1_received_nobody_[]`)
		b := w.client()
		w.ok(w.io.Emit("news", map[string]int{"n": 1}))
		w.ok(w.io.To("r").Emit("r only"))
		w.ok(w.io.Sockets()[0].EmitVolatile("v"))
		all.want(t, "s2_connected", `s1_sent_news_[{"n":1}]`, `s2_sent_news_[{"n":1}]`, "s1_sent_r_only_[]", "s1_sent_v_[]")
		w.ok(w.io.SocketsJoin("all"))
		w.io.To("r").SocketsLeave("all", b.id)
		all.want(t, "s1_joined_all", "s2_joined_all", "s1_left_all")
		w.io.Socket(b.id).Leave(b.id)
		w.io.To("r").DisconnectSockets(false)
		all.want(t, "s2_left_"+b.id, "s1_disconnected_server_namespace_disconnect")
		cancel()
		w.io.DisconnectSockets(true)
		b.gone()
		all.want(t)
		rooms.want(t, "s1_joined_r", "s1_joined_q", "s1_left_q", "s1_joined_all", "s2_joined_all", "s1_left_all", "s2_left_"+b.id)
	})
}

// Arguments that are long are not kept for somebody who is slow.
func TestSubscribeLongArguments(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var got []socketio.Activity
		defer w.io.Subscribe(socketio.EventSent, 0, func(a socketio.Activity) { got = append(got, a) })()
		w.client()
		w.ok(w.io.Emit("x", strings.Repeat("a", 64<<10-4)))
		w.ok(w.io.Emit("x", strings.Repeat("a", 64<<10-3)))
		synctest.Wait()
		if len(got) != 2 || len(got[0].Args) != 64<<10 || got[0].Size != 64<<10 || got[1].Args != nil || got[1].Size != 64<<10+1 {
			t.Errorf("told of %d, of lengths %d, %d and %d, %d", len(got), len(got[0].Args), got[0].Size, len(got[1].Args), got[1].Size)
		}
	})
}

// The handlers of each event are counted, and one of 64 is timed.
func TestEventStats(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.On(w.io, "slow", func(t *actors.Task, _ *socketio.Socket, d time.Duration) error { return t.Sleep(d) }, socketio.Exclusive())
		socketio.On(w.io.Of("/b"), "fails", func(*actors.Task, *socketio.Socket, string) error { return errTest })
		c := w.client().connect("/b")
		c.send(`42/b,["fails"]`, `42/b,["fails"]`, `42/b,["nobody"]`)
		for range 130 {
			c.send(`42["slow",1000000000]`)
		}
		time.Sleep(time.Hour)
		want := []socketio.EventStats{
			{Namespace: "/", Event: "slow", Count: 130, Timed: 3, Time: 3 * time.Second},
			{Namespace: "/b", Event: "fails", Count: 2, Failed: 2, Timed: 1},
		}
		if got := w.io.EventStats(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if in := w.io.Stats().BytesIn; in < 130*21 || in > 130*21+200 {
			t.Errorf("%d bytes came", in)
		}
	})
}

// The sessions for which most waits come first.
func TestSessions(t *testing.T) {
	bubble(t, socketio.Options{MaxEvents: 1}, func(w *world) {
		socketio.On(w.io, "hold", func(t *actors.Task, _ *socketio.Socket, _ string) error { return t.Sleep(time.Minute) })
		a, b := w.client(), w.poller()
		b.post("40")
		b.get()
		time.Sleep(time.Second)
		w.ok(w.io.SocketsJoin("r"))
		w.ok(w.io.Emit("x", strings.Repeat("x", 1000)))
		a.send(`42["hold"]`, `42["hold"]`)
		synctest.Wait()
		got := w.io.Sessions(0)
		if len(got) != 2 || got[0].Transport != "polling" || got[0].Buffered < 1000 || got[1].Buffered != 0 ||
			got[1].Running != 1 || got[1].Held != 1 || got[1].Address != "192.0.2.1" || time.Since(got[1].Since) != time.Second || got[1].Worker == nil ||
			len(got[1].Sockets) != 1 || got[1].Sockets[0] != (socketio.SocketInfo{ID: a.id, Namespace: "/", Rooms: 1}) || got[1].ID != w.io.Socket(a.id).SessionID() {
			t.Errorf("%+v", got)
		}
		if rooms := w.io.Of("/").Rooms(); len(rooms) != 1 || rooms["r"] != 2 {
			t.Errorf("rooms %v", rooms)
		}
		if got := w.io.Sessions(1); len(got) != 1 || got[0].Transport != "polling" {
			t.Errorf("%+v", got)
		}
		w.io.Of("/b")
		if all := w.io.Namespaces(); len(all) != 2 || all[0].Name() != "/" || all[1].Name() != "/b" {
			t.Errorf("%v", all)
		}
	})
}

// SocketsJoin leaves out who is in as many rooms as he may be.
func TestSocketsJoinTooMany(t *testing.T) {
	bubble(t, socketio.Options{MaxRooms: 1}, func(w *world) {
		a, b := w.client(), w.client()
		w.ok(w.io.Socket(a.id).Join("x"))
		w.fails(w.io.SocketsJoin("y"), socketio.ErrTooManyRooms)
		if rooms := w.io.Of("/").Rooms(); len(rooms) != 2 || rooms["x"] != 1 || rooms["y"] != 1 {
			t.Errorf("rooms %v", rooms)
		}
		if all := w.io.To("y").Sockets(); len(all) != 1 || all[0].ID() != b.id {
			t.Errorf("%v", all)
		}
	})
}

// contextLog keeps the contexts of records by their text.
type contextLog struct {
	slog.Handler
	mu  sync.Mutex
	all map[string]context.Context
}

func (h *contextLog) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[r.Message] = ctx
	return nil
}

// What is logged of a handler comes with the context of its task.
func TestLogContext(t *testing.T) {
	h := &contextLog{Handler: slog.DiscardHandler, all: map[string]context.Context{}}
	logger := slog.New(struct{ slog.Handler }{enabled{h}})
	bubble(t, socketio.Options{Logger: logger}, func(w *world) {
		tasks := map[string]context.Context{}
		w.io.OnConnect(func(t *actors.Task, _ *socketio.Socket) error {
			tasks["socketio: connect failed"] = t.Context()
			return errTest
		})
		w.io.OnDisconnect(func(t *actors.Task, _ *socketio.Socket, _ socketio.Reason) {
			tasks["socketio: disconnect panicked"] = t.Context()
			panic("disconnect")
		})
		socketio.On(w.io.Of("/b"), "ev", func(t *actors.Task, _ *socketio.Socket, _ string) error {
			tasks["socketio: socketio event ev failed"] = t.Context()
			return errTest
		})
		p := w.client()
		p.expect("41")
		p.connect("/b").send(`42/b,["ev"]`)
		synctest.Wait()
		if len(tasks) != 3 {
			t.Errorf("%d tasks", len(tasks))
		}
		for text, ctx := range tasks {
			if h.all[text] != ctx {
				t.Errorf("%s: the record has %v, want %v", text, h.all[text], ctx)
			}
		}
	})
}

// enabled is a handler that wants all records.
type enabled struct{ slog.Handler }

func (enabled) Enabled(context.Context, slog.Level) bool { return true }
