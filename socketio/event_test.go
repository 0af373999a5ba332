// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
)

type item struct {
	Name string          `json:"name"`
	Data socketio.Binary `json:"data,omitempty"`
}

func TestOn(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		socketio.On(w.io, "item", func(_ *actors.Task, s *socketio.Socket, v item) error {
			ev.Add("%s %q", v.Name, v.Data)
			if v.Name == "bad" {
				return errTest
			}
			return nil
		})
		p := w.client()
		p.send(`42["item",{"name":"a"}]`, `421["item",{"name":"b"},"more"]`)
		p.expect("431[]")
		p.send(`422["item"]`)
		p.expect("432[]")
		ev.want(w, `a ""`, `b ""`, ` ""`)
		p.send(`423["item",{"name":"bad"}]`, `424["item",{"name":1}]`, `425["item","text"]`, `42["none",1]`, `426["none",1]`)
		p.expect(`433[{"error":{"message":"it is broken"}}]`,
			`434[{"error":{"message":"invalid argument: unexpected number"}}]`,
			`435[{"error":{"message":"invalid argument: unexpected string"}}]`)
		p.quiet()
		ev.want(w, `bad ""`)
		if s := w.io.Stats(); s.Events != 8 || s.Handled != 6 || s.Unhandled != 2 || s.BadArguments != 2 || s.Failed != 0 {
			w.Errorf("%+v", s)
		}
		p.send(`42["item",{"name":"bad"}]`)
		ev.want(w, `bad ""`)
		if logged := actortest.LogOf(w.sys).Find(0, "socketio event item failed"); len(logged) != 1 || w.io.Stats().Failed != 1 {
			w.Error("an error that no client gets is logged:", logged)
		}
	})
}

func TestOnAck(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.OnAck(w.io.Of("/n"), "save", func(_ *actors.Task, _ *socketio.Socket, v item) (item, error) {
			switch v.Name {
			case "no":
				return item{}, &socketio.Error{Message: "refused", Data: []int{1, 2}}
			case "wrapped":
				return item{}, fmt.Errorf("outer: %w", &socketio.Error{Message: "inner"})
			}
			return item{Name: v.Name + "!", Data: v.Data}, nil
		})
		p := w.dial().connect("/n")
		p.send(`42/n,7["save",{"name":"<é>"}]`)
		p.expect(`43/n,7[{"name":"<é>!"}]`)
		p.send(`42/n,8["save",{"name":"no"}]`, `42/n,9["save",{"name":"wrapped"}]`)
		p.expect(`43/n,8[{"error":{"message":"refused","data":[1,2]}}]`, `43/n,9[{"error":{"message":"inner"}}]`)
		p.send(`451-/n,10["save",{"name":"x","data":{"_placeholder":true,"num":0}}]`)
		p.sendBinary("\x01\x02")
		p.expect(`461-/n,10[{"name":"x!","data":{"_placeholder":true,"num":0}}]`, "b\x01\x02")
		p.send(`42/n,["save",{"name":"nobody asks"}]`)
		p.quiet()
	})
}

func TestBinary(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.OnAck(w.io, "bytes", func(_ *actors.Task, s *socketio.Socket, b []byte) (any, error) {
			if err := s.Emit("two", b, "x", socketio.Binary("z")); err != nil {
				return nil, err
			}
			return map[string]any{"all": []socketio.Binary{b, nil}}, nil
		})
		socketio.OnAck(w.io, "ask", func(t *actors.Task, s *socketio.Socket, _ any) (string, error) {
			b, err := actors.Await(t, socketio.EmitAck[[]byte](s, "bytes?"))
			return string(b), err
		})
		socketio.OnRaw(w.io, "/", "raw", func(_ *actors.Task, s *socketio.Socket, args []json.RawMessage, bins [][]byte) error {
			return s.EmitRaw("raw", args, bins)
		})
		p := w.client()
		p.send(`451-1["bytes",{"_placeholder":true,"num":0}]`)
		p.sendBinary("abc")
		p.expect(`452-["two",{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]`, "babc", "bz",
			`462-1[{"all":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}]`, "babc", "b")
		p.send(`422["ask"]`)
		id := p.asked(`42["bytes?"]`)
		p.send(`461-` + id + `[{"num":0,"_placeholder":true}]`)
		p.sendBinary("xyz")
		p.expect(`432["xyz"]`)
		p.send(`451-["raw",{"a":[{"_placeholder":true,"num":0}]},2]`)
		p.sendBinary("")
		p.expect(`451-["raw",{"a":[{"_placeholder":true,"num":0}]},2]`, "b")
	})
}

// TestRelayedData has handlers pass on what a client has sent, in every way that
// data leaves by: it is the same for all, whatever it looks like.
func TestRelayedData(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.On(w.io, "any", func(_ *actors.Task, _ *socketio.Socket, v any) error { return w.io.Emit("said", v) })
		socketio.On(w.io, "raw", func(_ *actors.Task, s *socketio.Socket, v json.RawMessage) error {
			return s.Broadcast().Emit("said", []json.RawMessage{v}, socketio.Binary("x"))
		})
		socketio.On(w.io, "beside", func(_ *actors.Task, _ *socketio.Socket, v any) error { return w.io.Emit("said", v, []byte("x")) })
		socketio.OnAck(w.io, "back", func(_ *actors.Task, _ *socketio.Socket, v any) (any, error) { return v, nil })
		socketio.On(w.io, "fail", func(_ *actors.Task, _ *socketio.Socket, v any) error {
			return &socketio.Error{Message: "no", Data: v}
		})
		p, other := w.client(), w.client()
		for _, v := range []string{`{"_socketio_binary":"AAAA"}`, `{"_socketio_binary":"!"}`, `{"a":[` + strings.Repeat(`{"_socketio_binary":""},`, 10) + `{}]}`} {
			p.send(`42["any",`+v+`]`, `42["raw",`+v+`]`, `421["back",`+v+`]`, `422["fail",`+v+`]`)
			p.expect(`42["said",`+v+`]`, `431[`+v+`]`, `432[{"error":{"message":"no","data":`+v+`}}]`)
			other.expect(`42["said",`+v+`]`, `451-["said",[`+v+`],{"_placeholder":true,"num":0}]`, "bx")
		}
		const like = `{"_placeholder":true,"num":99}`
		p.send(`42["any",`+like+`]`, `423["beside",`+like+`]`, `424["beside",1]`)
		p.expect(`42["said",`+like+`]`,
			`433[{"error":{"message":"socketio: an object with \"_placeholder\": true cannot be sent together with binary data"}}]`,
			`451-["said",1,{"_placeholder":true,"num":0}]`, "bx", "434[]")
		other.expect(`42["said",`+like+`]`, `451-["said",1,{"_placeholder":true,"num":0}]`, "bx")
		p.quiet()
		other.quiet()
	})
}

// TestWhatAnyLoses: attachments and half a surrogate pair are kept in a RawMessage
// and by OnRaw, as far as JSON can have them.
func TestWhatAnyLoses(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.OnAck(w.io, "any", func(_ *actors.Task, _ *socketio.Socket, v any) (any, error) { return v, nil })
		socketio.OnAck(w.io, "raw", func(_ *actors.Task, _ *socketio.Socket, v json.RawMessage) (json.RawMessage, error) { return v, nil })
		p := w.client()
		p.send(`421["any","\ud800x"]`, `422["raw","\ud800x"]`)
		p.expect("431[\"\ufffdx\"]", `432["\ud800x"]`)
		for i, name := range []string{"any", "raw"} {
			p.send(fmt.Sprintf(`451-%d[%q,{"a":{"_placeholder":true,"num":0}}]`, i, name))
			p.sendBinary("abc")
			p.expect(fmt.Sprintf(`43%d[{"a":"YWJj"}]`, i))
		}
	})
}

func TestOrderAndAwait(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		sleep := func(name string) func(t *actors.Task, s *socketio.Socket, n int) error {
			return func(t *actors.Task, _ *socketio.Socket, n int) error {
				ev.Add("%s %d begins", name, n)
				err := t.Sleep(time.Second)
				ev.Add("%s %d ends", name, n)
				return err
			}
		}
		socketio.On(w.io, "slow", sleep("slow"))
		socketio.On(w.io, "alone", sleep("alone"), socketio.Exclusive())
		socketio.On(w.io, "last", sleep("last"))
		p := w.client()
		p.send(`42["slow",1]`, `42["slow",2]`, `42["alone",3]`, `42["slow",4]`, `42["alone",5]`, `426["last"]`)
		p.expect("436[]")
		time.Sleep(10 * time.Second)
		var begun []string
		all := ev.Take()
		for i, line := range all {
			if strings.HasSuffix(line, "begins") {
				begun = append(begun, line)
			}
			if line == "alone 3 begins" && all[i+1] != "alone 3 ends" || line == "alone 5 begins" && all[i+1] != "alone 5 ends" {
				w.Errorf("something ran beside an exclusive handler: %q", all)
			}
		}
		if got := strings.Join(begun, ", "); got != "slow 1 begins, slow 2 begins, alone 3 begins, slow 4 begins, alone 5 begins, last 0 begins" {
			w.Error(got)
		}
		if len(all) != 12 {
			w.Error(all)
		}
	})
}

func TestEventsStartInOrder(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var got []int
		socketio.On(w.io, "n", func(t *actors.Task, _ *socketio.Socket, n int) error {
			got = append(got, n) // by one task at a time: the session's
			return t.Yield()
		})
		p := w.client()
		for i := range 2000 {
			p.send(fmt.Sprintf(`42["n",%d]`, i))
		}
		p.send(`421["n",2000]`)
		p.expect("431[]")
		for i, n := range got {
			if i != n {
				w.Fatalf("event %d started as the %dth", n, i)
			}
		}
		if len(got) != 2001 {
			w.Error("handled:", len(got))
		}
	})
}

func TestPanic(t *testing.T) {
	for policy, closes := range map[socketio.PanicPolicy]bool{socketio.KeepSession: false, socketio.CloseSession: true} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			bubble(t, socketio.Options{OnPanic: policy}, func(w *world) {
				socketio.On(w.io, "panic", func(*actors.Task, *socketio.Socket, any) error { panic("secret") })
				socketio.On(w.io, "alone", func(*actors.Task, *socketio.Socket, any) error { panic(errTest) }, socketio.Exclusive())
				socketio.On(w.io, "goexit", func(*actors.Task, *socketio.Socket, any) error { runtime.Goexit(); return nil })
				socketio.On(w.io, "goexit alone", func(*actors.Task, *socketio.Socket, any) error { runtime.Goexit(); return nil }, socketio.Exclusive())
				socketio.On(w.io, "fine", func(*actors.Task, *socketio.Socket, any) error { return nil })
				other := w.client()
				p := w.client()
				for i, name := range []string{"goexit", "goexit alone", "panic", "alone"} {
					p.send(fmt.Sprintf(`42%d[%q]`, i, name))
					if closes && i == 3 {
						break
					}
					p.expect(fmt.Sprintf(`43%d[{"error":{"message":"internal error"}}]`, i))
					if closes && i == 2 {
						p.expect("41")
						p.gone()
					}
				}
				if !closes {
					p.send(`429["fine"]`)
					p.expect("439[]")
				}
				other.send(`429["fine"]`)
				other.expect("439[]")
				want := map[bool]int64{false: 2, true: 1}[closes]
				logged := actortest.LogOf(w.sys).Find(0, "panicked")
				if s := w.io.Stats(); s.Panics != want || int64(len(logged)) != want || logged[0].Attr("stack") == nil {
					w.Errorf("%+v %v", s, logged)
				}
			})
		})
	}
}

func TestEmitAck(t *testing.T) {
	bubble(t, socketio.Options{AckTimeout: time.Minute}, func(w *world) {
		results := make(chan error, 1)
		w.io.OnConnect(func(t *actors.Task, s *socketio.Socket) error {
			v, err := actors.Await(t, socketio.EmitAck[item](s, "ask", 1))
			if err == nil {
				err = errors.New(v.Name)
			}
			results <- err
			return nil
		})
		result := func() error { return <-results }
		p := w.client()
		id := p.asked(`42["ask",1]`)
		p.send(`439`+id+`[]`, `43[]`, `43`+id+`[{"name":"me"}]`, `43`+id+`[{"name":"again"}]`)
		if err := result(); err.Error() != "me" {
			w.Error(err)
		}
		q := w.client()
		q.send(`43` + q.asked(`42["ask",1]`) + `["no item"]`)
		var wrong *json.UnmarshalTypeError
		if err := result(); !errors.As(err, &wrong) {
			w.Error(err)
		}
		q = w.client()
		q.send(`43` + q.asked(`42["ask",1]`) + `[]`)
		if err := result(); err.Error() != "" {
			w.Error(err)
		}
		began := time.Now()
		w.client()
		if err := result(); !errors.Is(err, socketio.ErrAckTimeout) || time.Since(began) != time.Minute {
			w.Error(err, time.Since(began))
		}
		_ = w.client().c.CloseNow()
		if err := result(); !errors.Is(err, socketio.ErrDisconnected) {
			w.Error(err)
		}
		if _, err := socketio.EmitAck[int](w.io.Socket(p.id), "x", make(chan int)).TryResult(); err == nil {
			w.Error("a channel was encoded")
		}
	})
}

// TestLateAck has an acknowledgement come behind the end of the socket that it
// was for: it answers no question of another one.
func TestLateAck(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var ev events
		socketio.On(w.io, "ask", func(t *actors.Task, s *socketio.Socket, question string) error {
			answer, err := actors.Await(t, socketio.EmitAck[string](s, question))
			ev.Add("%s: %s %v", question, answer, err)
			return nil
		})
		p := w.client()
		p.send(`42["ask","A"]`)
		first := p.asked(`42["A"]`)
		p.send("41")
		p.connect("/").send(`42["ask","B"]`)
		second := p.asked(`42["B"]`)
		p.send(`43` + first + `["answer to A"]`)
		ev.want(w, "A:  "+socketio.ErrDisconnected.Error())

		_ = p.c.CloseNow()
		ev.want(w, "B:  "+socketio.ErrDisconnected.Error())
		q := w.client() // the same client, as far as its callbacks know
		q.send(`42["ask","C"]`)
		third := q.asked(`42["C"]`)
		q.send(`43`+first+`["answer to A"]`, `43`+second+`["answer to B"]`, `43`+third+`["answer to C"]`)
		ev.want(w, "C: answer to C <nil>")
	})
}

// TestPendingAcks are the acknowledgements that somebody waits for, and no
// others.
func TestPendingAcks(t *testing.T) {
	bubble(t, socketio.Options{MaxPendingAcks: 3}, func(w *world) {
		p := w.client()
		s := w.io.Socket(p.id)
		var list []*actors.Future[int]
		for range 3 {
			list = append(list, socketio.EmitAck[int](s, "ask"))
		}
		if _, err := socketio.EmitAck[int](s, "ask").TryResult(); !errors.Is(err, socketio.ErrTooManyAcks) {
			w.Error(err)
		}
		var ids []string
		for range list {
			ids = append(ids, p.asked(`42["ask"]`))
		}
		list[0].Cancel()
		if n := s.PendingAcks(); n != 2 {
			w.Error("a cancelled one is kept:", n)
		}
		if _, err := futures.WithTimeout(list[1], time.Second).Wait(w.Context()); !errors.Is(err, actors.ErrTimeout) || s.PendingAcks() != 1 {
			w.Error(err, s.PendingAcks())
		}
		p.send(`43`+ids[0]+`[1]`, `43`+ids[2]+`[3]`)
		if v, err := list[2].Wait(w.Context()); v != 3 || err != nil || s.PendingAcks() != 0 {
			w.Error(v, err, s.PendingAcks())
		}
		if st := w.io.Stats(); st.Acks != 1 {
			w.Errorf("%+v", st)
		}
	})
}

// badReply panics when it is decoded.
type badReply struct{}

func (*badReply) UnmarshalJSON([]byte) error { panic("in UnmarshalJSON") }

func TestAckDecodingPanics(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		p := w.client()
		s := w.io.Socket(p.id)
		f := socketio.EmitAck[badReply](s, "ask")
		p.send(`43` + p.asked(`42["ask"]`) + `[1]`)
		var panicked *actors.PanicError
		if _, err := f.Wait(w.Context()); !errors.As(err, &panicked) {
			w.Error(err)
		}
		_ = s.Emit("still", "there")
		p.expect(`42["still","there"]`)
	})
}

func TestMisuse(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		nothing := func(*actors.Task, *socketio.Socket, any) error { return nil }
		socketio.On(w.io, "twice", nothing)
		w.io.OnConnect(func(*actors.Task, *socketio.Socket) error { return nil })
		for name, f := range map[string]func(){
			"second handler":   func() { socketio.On(w.io, "twice", nothing) },
			"reserved":         func() { socketio.On(w.io, "disconnect", nothing) },
			"nil handler":      func() { socketio.On[int](w.io, "x", nil) },
			"second OnConnect": func() { w.io.OnConnect(func(*actors.Task, *socketio.Socket) error { return nil }) },
			"reserved emit":    func() { _ = w.io.Emit("connect") },
			"namespace":        func() { w.io.Of("admin") },
			"with a comma":     func() { w.io.Of("/a,b") },
			"with a query":     func() { w.io.Of("/a?b") },
			"too long":         func() { w.io.Of("/" + strings.Repeat("n", 256)) },
			"no UTF-8":         func() { w.io.Of("/\xff") },
		} {
			func() {
				defer func() {
					if recover() == nil {
						w.Error("no panic:", name)
					}
				}()
				f()
			}()
		}
		for text, o := range map[string]socketio.Options{
			"socketio: NewServer: Options.AckTimeout is negative: -1s": {AckTimeout: -time.Second},
			"socketio: NewServer: Options.MaxPayload is negative: -1":  {MaxPayload: -1},
			`socketio: NewServer: Options.Transports has one that is neither polling nor websocket: "webtransport"`: {
				Transports: []string{"webtransport"}},
			`socketio: NewServer: Options.AllowedOrigins has one that matches no origin (it is empty): ""`: {AllowedOrigins: []string{""}},
			"socketio: NewServer: Options.MaxPendingAcks is negative: -2":                                  {MaxPendingAcks: -2},
			"socketio: NewServer: Options.Recovery.MaxEvents is negative: -1": {
				Recovery: &socketio.Recovery{MaxEvents: -1}},
		} {
			io, err := socketio.NewServer(w.sys, o)
			var e *actors.OptionError
			if io != nil || !errors.As(err, &e) || err.Error() != text {
				w.Errorf("%v, want %s", err, text)
			}
		}
		if _, err := socketio.NewServer(nil, socketio.Options{PingTimeout: -1, MaxRooms: -1}); strings.Count(err.Error(), "socketio: NewServer: ") != 3 {
			w.Errorf("not all mistakes: %v", err)
		}
		if err := w.io.Emit("x", make(chan int)); err == nil {
			w.Error("a channel was encoded")
		}
		longest := "/" + strings.Repeat("n", 255)
		w.io.Of(longest)
		w.dial().connect(longest)
	})
}
