// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// Each defect of the engine's supervision, with plain children, whose mailbox
// is the engine's.

// A group, and an escalation, at the root end the process there.
func TestEngineGroupAtTheRoot(t *testing.T) {
	bubble(t, func(w *world) {
		for _, strategy := range []supervisor.Strategy{supervisor.OneForAll, supervisor.RestForOne} {
			s := w.start(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{w.plainly("a", nil), w.plainly("b", nil)}})
			w.noted("+a +b")
			w.root.Send(s.Child("a"), "boom")
			w.noted("-a +a -b +b")
			w.root.Send(s.Child("a"), "boom")
			if err := ended(s); err == nil {
				t.Error("the second one was not too many")
			}
			w.noted("-b -a")
		}
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				panic(errors.Join(errSleep, supervisor.ErrEscalate))
			}
		})}}})
		w.root.Send(s.Child("a"), "boom")
		w.wants(ended(s), errSleep)
	})
}

// Its exponential backoff is linear, without a cap, and its jitter is in
// nanoseconds.
func TestEngineBackoff(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.plainly("a", nil)
		a.Backoff = actors.Backoff{Initial: 50 * time.Millisecond, Max: time.Second}
		s := w.start(supervisor.Spec{MaxRestarts: 100, Children: []supervisor.Child{a}})
		var waits []time.Duration
		for range 7 {
			w.root.Send(s.Child("a"), "boom")
			begin := time.Now()
			w.ask(s.Child("a"), 1)
			waits = append(waits, time.Since(begin)/time.Millisecond)
		}
		if want := []time.Duration{50, 100, 200, 400, 800, 1000, 1000}; !slices.Equal(waits, want) {
			t.Errorf("%v", waits)
		}
	})
}

// It starts what fails at its start eleven times at once, and counts the
// failures of a whole life.
func TestEngineIntensity(t *testing.T) {
	bubble(t, func(w *world) {
		starts := 0
		_, err := w.tryStart(supervisor.Spec{MaxRestarts: 10, Children: []supervisor.Child{w.plainly("a", func(_ int, c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				starts++
				panic("start")
			}
		})}})
		if err == nil || starts != 1 {
			t.Errorf("%v after %d starts", err, starts)
		}
		s := w.start(supervisor.Spec{MaxRestarts: 2, Within: 10 * time.Second, Children: []supervisor.Child{w.plainly("a", nil)}})
		for range 30 {
			w.root.Send(s.Child("a"), "boom")
			time.Sleep(6 * time.Second)
		}
		if n, err := w.ask(s.Child("a"), 1); n != 31 || err != nil {
			t.Error(n, err)
		}
	})
}

// Its all-for-one counts the failures of each child apart.
func TestEngineGroupIntensity(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 3, Children: []supervisor.Child{w.plainly("a", nil), w.plainly("b", nil), w.plainly("c", nil)}})
		for _, c := range []string{"a", "b", "c", "a"} {
			w.root.Send(s.Child(c), "boom")
			synctest.Wait()
		}
		var e *supervisor.IntensityError
		if err := ended(s); !errors.As(err, &e) || e.Child != "a" {
			t.Error(err)
		}
	})
}

// A child whose failure its parent escalates stays suspended there for ever.
func TestEngineEscalateResume(t *testing.T) {
	bubble(t, func(w *world) {
		inner := w.props(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{w.plainly("x", nil)}})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "inner", Props: inner}}})
		w.root.Send(s.Child("inner/x"), "boom")
		synctest.Wait()
		if n, err := w.ask(s.Child("inner/x"), 1); n != 2 || err != nil {
			t.Error(n, err)
		}
	})
}

// Its restart waits for children without a limit.
func TestEngineChildrenThatStay(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.plainly("a", func(_ int, c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Send(c.Spawn(w.plain("kid", nil)), "stuck")
			}
		})
		a.StartTimeout = 10 * time.Second
		s := w.start(supervisor.Spec{Within: time.Hour, Children: []supervisor.Child{a, w.child("b")}})
		synctest.Wait() // or the kid might be told to end before it is stuck
		w.root.Send(s.Child("a"), "boom")
		begin := time.Now()
		w.wants(ended(s), supervisor.ErrStartTimeout)
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("it took %v", d)
		}
		if n := len(w.stop(s).Children[0].Abandoned); n != 1 {
			t.Errorf("%d are named", n)
		}
	})
}

// Its guardians are kept for ever, one for each strategy value: we make none.
func TestEngineGuardiansTable(t *testing.T) {
	bubble(t, func(w *world) {
		for range 50 {
			w.stop(w.start(supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{w.child("a"), w.plainly("p", nil)}}))
		}
		if ids := testtools.RegisteredIDs(w.sys, "guardian"); len(ids) > 0 {
			t.Errorf("%q are there", ids)
		}
	})
}

// A panic in Stopping turns a stop into a restart.
func TestEnginePanicInStopping(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{w.plainly("a", w.in(&actor.Stopping{}, 0, false))}})
		w.wants(s.Remove(w.Context(), "a"), nil)
		w.noted("+a -a")
		if _, there := w.sys.ProcessRegistry.GetLocal("app/a"); there {
			t.Error("it is there")
		}
	})
}

// After a panic in Stopped nobody hears of the end.
func TestEnginePanicInStopped(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{w.plainly("a", w.in(&actor.Stopped{}, 0, false))}})
		w.root.Stop(s.Child("a")) // the supervisor does, and starts it again
		w.noted("+a +a")
		begin := time.Now()
		w.stop(s)
		w.took(begin, 0)
	})
}

// Whoever sends to a known name while that is being spawned panics, and
// wedges the mailbox. OnInit is in that moment.
func TestEngineSendWhileSpawning(t *testing.T) {
	bubble(t, func(w *world) {
		var fs []*actors.Future[int]
		var got []int
		early := actor.WithOnInit(func(c actor.Context) {
			for i := range 10 {
				w.root.Send(c.Self(), int32(i))
				fs = append(fs, w.tell(c.Self(), i))
			}
			c.Watch(w.root.Spawn(nothing)) // a system message, of ours
			sys := c.ActorSystem().Root
			sys.Send(c.Self(), "boom") // and it fails
		})
		record := func(_ int, c actor.Context) {
			if n, ok := c.Message().(int32); ok {
				got = append(got, int(n))
			}
		}
		for name, props := range map[string]*actor.Props{
			"a": w.plain("a", record, early), "b": w.plain("b", record, early, actor.WithMailbox(actor.Bounded(100))),
			"c": w.plain("c", record, early, actor.WithDispatcher(actor.NewSynchronizedDispatcher(300))),
		} {
			fs, got = nil, nil
			s := w.start(supervisor.Spec{Name: "app" + name, Children: []supervisor.Child{{Name: name, Props: props}}})
			for _, f := range fs {
				if n, err := f.Wait(w.Context()); n != 1 || err != nil {
					t.Errorf("%s: %d, %v", name, n, err)
				}
			}
			if n, err := w.ask(s.Child(name), 1); n != 2 || err != nil {
				t.Errorf("%s, after its restart: %d, %v", name, n, err)
			}
			if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
				t.Errorf("%s got %v", name, got)
			}
			w.stop(s)
			w.noted(fmt.Sprintf("+%s -%[1]s +%[1]s -%[1]s", name))
		}
		// One that is never spawned: its messages are dead letters.
		child := supervisor.Child{Name: "d", Props: w.plain("d", nil, early, actor.WithOnInit(func(actor.Context) { panic("init") }))}
		fs = nil
		if _, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{child}}); err == nil {
			t.Error("it has started")
		}
		for _, f := range fs {
			_, err := f.Wait(w.Context())
			w.wants(err, actors.ErrDeadLetter)
		}
	})
}

// The same by chance: senders in a race with the spawn, at each start.
func TestEngineSendWhileSpawningRace(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actor.NewPID(sys.Address(), "app/a")
	over := make(chan struct{})
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					sys.Root.Send(pid, 1)
					runtime.Gosched()
				}
			}
		})
	}
	for range 30 {
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{Name: "app", Logger: slog.New(slog.DiscardHandler), Children: []supervisor.Child{{Name: "a", Props: nothing, Shutdown: actors.NoGrace}}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Stop(t.Context()); err != nil || r.Err() != nil {
			t.Fatalf("%v, %v", err, r)
		}
	}
	close(over)
	senders.Wait()
}

// The end of its system stops no actor, and panics the second time. Ours
// stops the tree, in order, as often as one likes.
func TestEngineSystemShutdown(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), w.plainly("p", nil)}})
		for range 3 {
			w.stop(s)
		}
		w.noted("+a +p -p -a")
		w.sys.Shutdown()
	})
}

// The order of its children changes when one goes.
func TestEngineOrderOfChildren(t *testing.T) {
	bubble(t, func(w *world) {
		var kids []supervisor.Child
		for _, n := range []string{"a", "b", "c", "d", "e"} {
			kids = append(kids, w.plainly(n, nil))
		}
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 5, Children: kids})
		w.noted("+a +b +c +d +e")
		w.wants(s.Remove(w.Context(), "a"), nil)
		w.wants(s.Remove(w.Context(), "c"), nil)
		w.root.Send(s.Child("d"), "boom")
		w.noted("-a -c -b +b -d +d -e +e")
		w.stop(s)
		w.noted("-e -d -b")
	})
}
