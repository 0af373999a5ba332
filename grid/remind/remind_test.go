// SPDX-License-Identifier: Apache-2.0

package remind_test

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	_ "google.golang.org/protobuf/types/descriptorpb" // a type that a test knows
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/remind"
	"github.com/protoloop/protoloop/grid/remind/remindtest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func TestMemory(t *testing.T) {
	remindtest.Run(t, func(*testing.T) remindtest.Stores {
		m := remind.NewMemory(memory.Options{})
		return remindtest.Stores{One: m, Two: m, Dead: func(*testing.T) (all []consumer.Message) {
			for _, d := range m.Dead() {
				one := *d.Message
				one.Attributes = consumer.DeadAttributes(d)
				all = append(all, one)
			}
			return all
		}}
	}, func(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) })
}

type word = *wrapperspb.StringValue

// world is a grid with one kind, and its reminders in memory.
type world struct {
	*testing.T
	sys   *actor.ActorSystem
	g     *grid.Grid
	store *remind.Memory
	rs    *remind.Reminders

	mu    sync.Mutex
	heard []string
}

// bubble runs f in virtual time; the grid is drained at its end.
func bubble(t *testing.T, o consumer.Options, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := &world{T: t, sys: sys, store: remind.NewMemory(memory.Options{})}
		var err error
		w.g, err = grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
			Name: "kind", Accepts: []grid.Message{grid.MessageOf[word]()},
			Setup: func(wk *actors.Worker, id string) error {
				actors.Handle(wk, func(_ *actors.Task, m word) (word, error) {
					w.note(id + " " + m.Value)
					return m, nil
				})
				return nil
			},
		}}})
		w.must(err)
		o.Concurrency = 1
		w.rs, err = remind.New(remind.Options{Store: w.store, Grid: w.g, Consumer: o})
		w.must(err)
		defer synctest.Wait()
		f(w)
		_, err = w.g.Drain(t.Context())
		w.must(err)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// deliver has a worker deliver for so long.
func (w *world) deliver(d time.Duration) {
	w.Helper()
	pid := actortest.Spawn(w, w.sys.Root, "reminders", w.rs.Setup, actors.Options{})
	time.Sleep(d)
	actortest.Stop(w, w.sys.Root, pid, time.Minute)
}

func (w *world) set(name string, in, every time.Duration, text string) {
	w.Helper()
	w.must(w.rs.Set(w.Context(), remind.Reminder{Kind: "kind", ID: "id", Name: name, At: time.Now().Add(in), Every: every, Message: wrapperspb.String(text)}))
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, what)
}

// want compares what has come, in the order in which it did: there is one delivery at a time.
func (w *world) want(heard ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.heard) != fmt.Sprint(heard) {
		w.Errorf("the workers have heard %q, want %q", w.heard, heard)
	}
}

// What was missed while nobody delivered comes as soon as somebody does, and one that repeats keeps to its instants.
func TestNobodyDelivers(t *testing.T) {
	bubble(t, consumer.Options{}, func(w *world) {
		w.set("a", time.Hour, 0, "once")
		w.set("b", 2*time.Hour, 24*time.Hour, "daily")
		begun := time.Now()
		time.Sleep(240 * time.Hour)
		w.want()
		w.deliver(time.Minute)
		w.want("id once", "id daily")
		all, err := w.rs.List(w.Context(), "kind", "id")
		w.must(err)
		if len(all) != 1 || !all[0].At.Equal(begun.Add(242*time.Hour)) || all[0].Message.(word).Value != "daily" || all[0].Every != 24*time.Hour {
			w.Errorf("%+v are set", all)
		}
		w.deliver(49 * time.Hour)
		w.want("id once", "id daily", "id daily", "id daily")
	})
}

// Without At, it is due in Every.
func TestEveryWithoutAt(t *testing.T) {
	bubble(t, consumer.Options{}, func(w *world) {
		w.must(w.rs.Set(w.Context(), remind.Reminder{Kind: "kind", ID: "id", Name: "a", Every: time.Hour, Message: wrapperspb.String("hourly")}))
		w.deliver(59 * time.Minute)
		w.want()
		w.deliver(2 * time.Hour)
		w.want("id hourly", "id hourly")
	})
}

// A grid that is drained is no fault of the reminder: it is not given up, and comes when there is a grid again.
func TestGridIsDrained(t *testing.T) {
	bubble(t, consumer.Options{MaxTries: 2}, func(w *world) {
		_, err := w.g.Drain(w.Context())
		w.must(err)
		w.set("a", 0, 0, "late")
		w.deliver(time.Hour)
		w.want()
		if n := len(w.store.Dead()); n != 0 {
			w.Errorf("%d are given up", n)
		}
		s := w.rs.Stats()
		if !s.Agree() || s.DeadLettered != 0 {
			w.Errorf("%v", s)
		}
		second, err := grid.Start(w.Context(), w.sys, grid.Options{Kinds: []grid.Kind{{
			Name: "kind", Accepts: []grid.Message{grid.MessageOf[word]()},
			Setup: func(wk *actors.Worker, id string) error {
				actors.On(wk, func(_ *actors.Task, m word) error { w.note(m.Value); return nil })
				return nil
			},
		}}})
		w.must(err)
		w.deliver(time.Hour)
		w.want("late")
		_, err = second.Drain(w.Context())
		w.must(err)
	})
}

// What this program cannot deliver is tried again, as another could, and then given up with its reason.
func TestUndeliverable(t *testing.T) {
	for name, c := range map[string]struct {
		kind string
		msg  proto.Message
		typ  string // in the place of the message's
		why  error
		text string
	}{
		"no such kind":         {kind: "other", msg: wrapperspb.String("x"), why: actors.ErrDeadLetter},
		"it does not accept":   {kind: "kind", msg: wrapperspb.Int64(1), why: actors.ErrUnhandled},
		"the type is unknown":  {kind: "kind", msg: wrapperspb.String("x"), typ: "no.such.Type", text: `does not know the message "no.such.Type" of kind/id/a`},
		"it is of another one": {kind: "kind", msg: wrapperspb.String("\x00"), typ: "google.protobuf.DescriptorProto", why: consumer.ErrPoison},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, consumer.Options{MaxTries: 3, Breaker: consumer.Breaker{Failures: -1}}, func(w *world) {
				data, err := proto.Marshal(c.msg)
				w.must(err)
				if c.why == consumer.ErrPoison {
					data = []byte("\xff")
				}
				typ := cmp.Or(c.typ, string(c.msg.ProtoReflect().Descriptor().FullName()))
				w.must(w.store.Set(w.Context(), remind.Entry{Key: remind.Key{Kind: c.kind, ID: "id", Name: "a"}, At: time.Now(), Type: typ, Data: data}))
				if all, err := w.rs.List(w.Context(), c.kind, "id"); err != nil || len(all) != 1 || (all[0].Message == nil) != (c.typ != "") {
					w.Errorf("%+v, %v", all, err)
				}
				w.deliver(time.Hour)
				w.want()
				dead := w.store.Dead()
				if len(dead) != 1 {
					w.Fatalf("%d are given up: %v", len(dead), w.rs.Stats())
				}
				want := 3
				if c.why == consumer.ErrPoison {
					want = 1
				}
				if d := dead[0]; d.Tries != want || c.why != nil && !errors.Is(d.Reason, c.why) || !strings.Contains(d.Reason.Error(), c.text) {
					w.Errorf("after %d tries: %v", d.Tries, d.Reason)
				}
			})
		})
	}
}

// While the breaker is open some wait here to be probed. One that is cancelled meanwhile is not.
func TestCanceledWhileTheBreakerIsOpen(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		defer synctest.Wait()
		var down atomic.Bool
		down.Store(true)
		var mu sync.Mutex
		heard := map[string]int{}
		g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
			Name: "kind", Accepts: []grid.Message{grid.MessageOf[word]()},
			Setup: func(wk *actors.Worker, id string) error {
				actors.On(wk, func(_ *actors.Task, m word) error {
					if down.Load() {
						return errors.New("it is down")
					}
					mu.Lock()
					heard[id]++
					mu.Unlock()
					return nil
				})
				return nil
			},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		rs, err := remind.New(remind.Options{Store: remind.NewMemory(memory.Options{}), Grid: g, Consumer: consumer.Options{Concurrency: 1}})
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		for i := range n {
			if err := rs.Set(t.Context(), remind.Reminder{Kind: "kind", ID: fmt.Sprint(i), Name: "a", At: time.Now(), Message: wrapperspb.String("x")}); err != nil {
				t.Fatal(err)
			}
		}
		pid := actortest.Spawn(t, sys.Root, "reminders", rs.Setup, actors.Options{})
		for rs.Stats().OpenSince.IsZero() {
			time.Sleep(time.Second)
		}
		for i := range n / 2 {
			if was, err := rs.Cancel(t.Context(), "kind", fmt.Sprint(i), "a"); !was || err != nil {
				t.Errorf("%v, %v", was, err)
			}
		}
		down.Store(false)
		time.Sleep(time.Hour)
		actortest.Stop(t, sys.Root, pid, time.Minute)
		if _, err := g.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range n {
			if got, want := heard[fmt.Sprint(i)], i/(n/2); got != want {
				t.Errorf("%d was reminded %d times, want %d", i, got, want)
			}
		}
	})
}

func TestMistakes(t *testing.T) {
	if _, err := remind.New(remind.Options{}); err == nil || !strings.Contains(err.Error(), "Store") {
		t.Error(err)
	}
	rs, err := remind.New(remind.Options{Store: remind.NewMemory(memory.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remind.New(remind.Options{Store: remind.NewMemory(memory.Options{}), Consumer: consumer.Options{Prefetch: -1}}); err == nil {
		t.Error("the consumer's mistakes are not told")
	}
	good := remind.Reminder{Kind: "kind", ID: "id", Name: "a", At: time.Now().Add(time.Hour), Message: wrapperspb.String("")}
	for field, change := range map[string]func(r *remind.Reminder){
		"":         func(*remind.Reminder) {},
		"Kind":     func(r *remind.Reminder) { r.Kind = "a/b" },
		"ID":       func(r *remind.Reminder) { r.ID = "" },
		"Name":     func(r *remind.Reminder) { r.Name = "" },
		"At":       func(r *remind.Reminder) { r.At = time.Time{} },
		"At ":      func(r *remind.Reminder) { r.At = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"Every":    func(r *remind.Reminder) { r.Every = time.Millisecond },
		"Every ":   func(r *remind.Reminder) { r.Every = -time.Hour },
		"Message":  func(r *remind.Reminder) { r.Message = nil },
		"Message ": func(r *remind.Reminder) { r.Message = word(nil) },
	} {
		r := good
		change(&r)
		err := rs.Set(t.Context(), r)
		if e, ok := errors.AsType[*actors.OptionError](err); ok != (field != "") || ok && e.Field != strings.TrimSpace(field) {
			t.Errorf("%q: %v", field, err)
		}
	}
	if _, err := rs.Cancel(t.Context(), "kind", "", "a"); err == nil {
		t.Error("an empty id")
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "Options.Grid") {
			t.Error(p)
		}
	}()
	rs.Props()
}

func TestNext(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ every, now, want time.Duration }{
		{time.Hour, 0, time.Hour},
		{time.Hour, time.Nanosecond, time.Hour},
		{time.Hour, time.Hour - 1, time.Hour},
		{time.Hour, time.Hour, 2 * time.Hour},
		{time.Hour, -time.Hour, time.Hour}, // a clock that is behind: never the same instant again
		{time.Second, 100*365*24*time.Hour + 1, 100*365*24*time.Hour + time.Second},
	} {
		e, again := remind.Entry{At: start, Every: c.every}.Next(start.Add(c.now))
		if got := e.At.Sub(start); got != c.want || !again {
			t.Errorf("every %v, after %v: %v, %v; want %v", c.every, c.now, got, again, c.want)
		}
	}
	if _, again := (remind.Entry{At: start}).Next(start); again {
		t.Error("once is again")
	}
}

// FuzzEntry: what is read is what was written, and nothing else is read.
func FuzzEntry(f *testing.F) {
	e := remind.Entry{Key: remind.Key{Kind: "kind", ID: "id\xff", Name: "a"}, At: time.Unix(1, 2).UTC(), Every: time.Hour, Type: "type", Data: []byte("data")}
	b, err := e.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	for n := range len(b) {
		if err := new(remind.Entry).UnmarshalBinary(b[:n]); err == nil {
			f.Errorf("%d of %d bytes are an entry", n, len(b))
		}
	}
	f.Add(b)
	f.Add(append(b, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again remind.Entry
		if e.UnmarshalBinary(b) != nil {
			return
		}
		out, err := e.AppendBinary(nil)
		if err != nil || again.UnmarshalBinary(out) != nil || fmt.Sprint(e) != fmt.Sprint(again) {
			t.Errorf("%+v, then %+v", e, again)
		}
	})
}
