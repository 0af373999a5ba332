// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

// plain is a plain actor that notes its life. To a string it panics, "stuck"
// excepted; to an int it answers with the number of its incarnation. more, if
// not nil, sees all messages first.
func (w *world) plain(name string, more func(n int, c actor.Context), opts ...actor.PropsOption) *actor.Props {
	n := 0
	return actor.PropsFromProducer(func() actor.Actor {
		n++
		me := n
		return actor.ReceiveFunc(func(c actor.Context) {
			if more != nil {
				more(me, c)
			}
			switch m := c.Message().(type) {
			case *actor.Started:
				w.note("+" + name)
			case *actor.Stopped, *actor.Restarting:
				w.note("-" + name)
			case string:
				if m == "stuck" {
					<-w.hold
					return
				}
				panic(m)
			case int:
				c.Respond(me)
			}
		})
	}, opts...)
}

// plainly is a child that is one.
func (w *world) plainly(name string, more func(n int, c actor.Context)) supervisor.Child {
	return supervisor.Child{Name: name, Props: w.plain(name, more)}
}

// in panics, or blocks, in one of the engine's messages.
func (w *world) in(what any, incarnation int, block bool) func(int, actor.Context) {
	return func(n int, c actor.Context) {
		if typeOf(c.Message()) != typeOf(what) || incarnation > 0 && n != incarnation {
			return
		}
		if block {
			<-w.hold
			return
		}
		panic("in " + typeOf(what))
	}
}

// A plain actor under each strategy: it restarts at its PID, keeps its queue,
// and tells who had asked.
func TestPlainRestart(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
		for _, backoff := range []time.Duration{0, time.Second} {
			bubble(t, func(w *world) {
				b := w.plainly("b", nil)
				b.Backoff.Initial = backoff
				s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 9, Children: []supervisor.Child{w.plainly("a", nil), b, w.child("c")}})
				w.noted("+a +b +c")
				for i := range 3 {
					crash := w.tell(s.Child("b"), "why")
					waits := w.tell(s.Child("b"), 1)
					sibling := w.tell(s.Child("a"), 1)
					_, err := crash.Wait(w.Context())
					var f *messages.Failure
					if !errors.As(err, &f) || f.GetMessage() != "panic: why" {
						t.Errorf("the asker got %v", err)
					}
					if n, err := waits.Wait(w.Context()); n != i+2 || err != nil {
						t.Errorf("what waited got %d, %v", n, err)
					}
					if _, err := sibling.Wait(w.Context()); err != nil {
						t.Errorf("the sibling's asker: %v", err)
					}
					if strategy == supervisor.OneForOne {
						w.noted("-b +b")
					} else {
						w.noted("-c -a +a -b +b +c") // a plain one hears Restarting only then
					}
				}
				e := eventsOf[supervisor.ChildFailed](w)
				if len(e) != 3 || len(e[0].Stack) == 0 || e[0].Message != "string" || e[0].Err.Error() != "panic: why" {
					t.Errorf("%+v", e)
				}
				if r := row(w.stop(s).Children, "b"); r.Counted || r.Kind != supervisor.KindPlain || r.Restarts != 3 || r.Counts != (actors.Counts{}) {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// No message reaches the incarnation that has crashed.
func TestPlainCrashedGetsNothing(t *testing.T) {
	bubble(t, func(w *world) {
		crashed := 0
		a := w.plainly("a", func(n int, c actor.Context) {
			switch c.Message().(type) {
			case string:
				crashed = n
			case int:
				if n <= crashed {
					t.Errorf("incarnation %d got a message after its crash", n)
				}
			}
		})
		a.Backoff.Initial = time.Second
		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{a}})
		for range 1000 {
			w.root.Send(s.Child("a"), 1)
		}
		w.root.Send(s.Child("a"), "crash")
		for range 1000 {
			w.root.Send(s.Child("a"), 1)
		}
		time.Sleep(time.Minute)
		if n, err := w.ask(s.Child("a"), 1); n != 2 || err != nil {
			t.Error(n, err)
		}
	})
}

// Panics in the engine's messages: a stop stays a stop, a restart a
// restart, and the supervisor hears of the end.
func TestPlainPanics(t *testing.T) {
	for _, what := range []any{&actor.Stopping{}, &actor.Stopped{}, &actor.Restarting{}} {
		bubble(t, func(w *world) {
			s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{w.plainly("a", w.in(what, 0, false)), w.child("b")}})
			w.noted("+a +b")
			w.tell(s.Child("a"), "crash").Wait(w.Context())
			if n, err := w.ask(s.Child("a"), 1); n != 2 || err != nil {
				t.Errorf("%T: %d, %v", what, n, err)
			}
			begin := time.Now()
			r := w.stop(s)
			w.took(begin, 0)
			if r.Err() != nil {
				t.Errorf("%T: %v", what, r)
			}
			if _, there := w.sys.ProcessRegistry.GetLocal("app/a"); there {
				t.Errorf("%T: it is still there", what)
			}
		})
	}
}

// A panic in Started: no start at first, a failure like others later.
func TestPlainStarted(t *testing.T) {
	bubble(t, func(w *world) {
		_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a"), w.plainly("b", w.in(&actor.Started{}, 0, false))}})
		var e *supervisor.StartError
		var p *actors.PanicError
		if !errors.As(err, &e) || e.Child != "b" || !errors.As(err, &p) || len(p.Stack) == 0 {
			t.Errorf("%v", err)
		}
		w.noted("+a -b -a")

		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{w.plainly("b", w.in(&actor.Started{}, 2, false))}})
		w.tell(s.Child("b"), "crash").Wait(w.Context())
		if n, err := w.ask(s.Child("b"), 1); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
}

// A plain actor that hangs is left behind, and named.
func TestPlainHangs(t *testing.T) {
	for name, what := range map[string]any{"stopping": &actor.Stopping{}, "stopped": &actor.Stopped{}, "handler": ""} {
		bubble(t, func(w *world) {
			s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), with(w.plainly("b", w.in(what, 0, true)), func(c *supervisor.Child) { c.Shutdown = 2 * time.Second })}})
			if what == "" {
				w.root.Send(s.Child("b"), "stuck")
				synctest.Wait()
			}
			begin := time.Now()
			r := w.stop(s)
			w.took(begin, 7*time.Second)
			var e *supervisor.AbandonedError
			if !errors.As(r.Err(), &e) || len(e.Tasks) != 1 || e.Tasks[0] != "b: actor app/b" {
				t.Errorf("%s: %v", name, r.Err())
			}
		})
	}
}

// One that hangs in Started has its StartTimeout, at a restart, too.
func TestPlainHangsInStarted(t *testing.T) {
	bubble(t, func(w *world) {
		b := w.plainly("b", w.in(&actor.Started{}, 0, true))
		b.StartTimeout = time.Second
		begin := time.Now()
		_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a"), b}})
		w.wants(err, supervisor.ErrStartTimeout)
		w.took(begin, time.Second+5*time.Second)
	})
	bubble(t, func(w *world) {
		b := w.plainly("b", w.in(&actor.Started{}, 2, true))
		b.StartTimeout = time.Second
		s := w.start(supervisor.Spec{MaxRestarts: 2, Within: time.Hour, Children: []supervisor.Child{w.child("a"), b}})
		w.tell(s.Child("b"), "crash").Wait(w.Context())
		err := ended(s) // its name is taken: nothing can be done
		w.wants(err, actor.ErrNameExists)
	})
}

// A producer that panics, at the start and later.
func TestPlainProducer(t *testing.T) {
	bubble(t, func(w *world) {
		n, bad := 0, map[int]bool{1: true}
		child := supervisor.Child{Name: "a", Props: actor.PropsFromProducer(func() actor.Actor {
			if n++; bad[n] {
				panic("producer")
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case string:
					panic("boom")
				case int:
					c.Respond(n)
				}
			})
		})}
		_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{child}})
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "producer" {
			t.Error(err)
		}
		bad[3] = true
		s := w.start(supervisor.Spec{MaxRestarts: 2, Children: []supervisor.Child{child}})
		w.tell(s.Child("a"), "crash").Wait(w.Context())
		if n, err := w.ask(s.Child("a"), 1); n != 4 || err != nil {
			t.Error(n, err)
		}
		// On init, when it is registered already.
		child.Name = "b"
		child.Props = child.Props.Clone(actor.WithOnInit(func(actor.Context) { panic("init") }))
		if _, err := s.Add(w.Context(), child); !errors.As(err, &p) || p.Value != "init" {
			t.Error(err)
		}
		if _, there := w.sys.ProcessRegistry.GetLocal("app/b"); there {
			t.Error("its name is taken")
		}
		child.Name, child.Props = "c", nothing.Clone(actor.WithGuardian(actor.DefaultSupervisorStrategy()))
		if _, err := s.Add(w.Context(), child); err == nil {
			t.Error("a child with a guardian has started")
		}
	})
}

// A plain actor that fails while it works through its queue for a stop is
// restarted for the rest of it, and ends; one that was left to itself ends.
func TestPlainFailsAtTheEnd(t *testing.T) {
	for abandon, lives := range map[bool]string{false: "+a -a +a -a", true: "+a -a"} {
		bubble(t, func(w *world) {
			gate := make(chan struct{})
			a := w.plainly("a", func(_ int, c actor.Context) {
				if c.Message() == "late" {
					<-gate
				}
			})
			if a.Abandon = abandon; !abandon {
				a.Shutdown = actors.Forever
			}
			s := w.start(supervisor.Spec{Children: []supervisor.Child{a}})
			w.root.Send(s.Child("a"), "late")
			synctest.Wait()
			f := s.RequestStop()
			synctest.Wait()
			close(gate)
			if _, err := f.Wait(w.Context()); err != nil {
				t.Error(err)
			}
			w.noted(lives)
		})
	}
}

// A plain actor that is restarted at its stop, for the rest of its queue, and fails
// before it is up, does not do so again and again: it is cut off.
func TestPlainFailsToStartAtTheEnd(t *testing.T) {
	bubble(t, func(w *world) {
		var lives atomic.Int64
		gate := make(chan struct{})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Shutdown: actors.Forever, Props: actor.PropsFromProducer(func() actor.Actor {
			life := lives.Add(1)
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					if life > 1 && life < 1000 { // it would go on for ever
						panic("not again")
					}
				case string:
					<-gate
					panic("late")
				}
			})
		})}}})
		w.root.Send(s.Child("a"), "late")
		w.root.Send(s.Child("a"), "later")
		synctest.Wait()
		f := s.RequestStop()
		synctest.Wait()
		close(gate)
		if _, err := f.Wait(w.Context()); err != nil {
			t.Error(err)
		}
		if n := lives.Load(); n != 2 {
			t.Errorf("it had %d lives, want 2", n)
		}
	})
}

// One that hangs in Started then has its grace, and no more.
func TestPlainHangsInStartedAtTheEnd(t *testing.T) {
	bubble(t, func(w *world) {
		gate := make(chan struct{})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{with(w.plainly("a", func(n int, c actor.Context) {
			switch _, started := c.Message().(*actor.Started); {
			case started && n == 2:
				<-w.hold
			case c.Message() == "late":
				<-gate
			}
		}), func(c *supervisor.Child) { c.Shutdown = 2 * time.Second })}})
		w.root.Send(s.Child("a"), "late")
		synctest.Wait()
		begin := time.Now()
		f := s.RequestStop()
		synctest.Wait()
		close(gate)
		r, _ := f.Wait(w.Context())
		w.took(begin, 2*time.Second+5*time.Second)
		var e *supervisor.AbandonedError
		if !errors.As(r.Err(), &e) || len(e.Tasks) != 1 || e.Tasks[0] != "a: actor app/a" {
			t.Error(r.Err())
		}
	})
}

// What a plain actor panics with says nothing of its own work.
func TestPlainPanicHasRun(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				panic(messages.NewFailure(actors.ErrMailboxFull, false, true)) // of somebody whom it has asked
			}
		})}}})
		got, err := w.root.RequestFuture(s.Child("a"), "x", time.Minute).Result()
		if f, ok := got.(*messages.Failure); !ok || !f.Ran || f.RetrySafe {
			w.Errorf("the asker was told %v, %v", got, err)
		}
		w.stop(s)
	})
}

// A child of a plain child whose end makes it panic does not hold it up.
func TestPlainPanicsInTerminated(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{w.plainly("a", func(_ int, c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Spawn(nothing)
			case *actor.Terminated:
				panic("terminated")
			}
		})}})
		w.tell(s.Child("a"), "crash").Wait(w.Context())
		if n, err := w.ask(s.Child("a"), 1); n != 2 || err != nil {
			t.Error(n, err)
		}
		begin := time.Now()
		w.stop(s)
		w.took(begin, 0)
	})
}

// A plain actor that ends handles no message and starts no child while it waits for
// its children. In the engine it does, and nobody tells such a child to stop: the
// actor never ended, nor restarted, and its name was taken for ever.
func TestPlainEndsWithChildren(t *testing.T) {
	for name, end := range map[string]func(w *world, s *supervisor.Supervisor){
		"stop":         func(_ *world, s *supervisor.Supervisor) { s.RequestStop() },
		"stop at once": func(w *world, s *supervisor.Supervisor) { w.root.Stop(s.Child("a")) },
		"cut off":      func(w *world, s *supervisor.Supervisor) { w.root.Stop(s.PID()) },
		"restart":      func(w *world, s *supervisor.Supervisor) { w.root.Send(s.Child("a"), "crash") },
	} {
		for when, again := range map[string]any{
			"a message": 1.5, "Stopping": &actor.Stopping{}, "Restarting": &actor.Restarting{},
			"Terminated": &actor.Terminated{}, "Stopped": &actor.Stopped{},
		} {
			t.Run(name+", "+when, func(t *testing.T) {
				bubble(t, func(w *world) {
					goOn := make(chan struct{})
					slow := actor.PropsFromFunc(func(c actor.Context) {
						if _, ok := c.Message().(*actor.Stopping); ok {
							<-goOn
						}
					})
					s := w.start(supervisor.Spec{Children: []supervisor.Child{w.plainly("a", func(n int, c actor.Context) {
						if _, ok := c.Message().(*actor.Started); ok && n == 1 {
							c.Spawn(slow)
						} else if typeOf(c.Message()) == typeOf(again) {
							c.Spawn(nothing)
						}
					})}})
					a := s.Child("a")
					end(w, s)
					synctest.Wait()
					for range 3 {
						w.root.Send(a, 1.5)
					}
					waits := w.tell(a, 1)
					time.Sleep(time.Second)
					close(goOn)
					synctest.Wait()
					if n, err := waits.TryResult(); name != "restart" {
						w.wants(err, actors.ErrDeadLetter)
					} else if n != 2 || err != nil {
						t.Error(n, err)
					}
					if r := w.stop(s); r.Err() != nil {
						t.Error(r.Err())
					}
					synctest.Wait() // a child that Stopped has started ends afterwards
					if left := testtools.RegisteredIDs(w.sys, "app"); len(left) > 0 {
						t.Errorf("%q are left", left)
					}
				})
			})
		}
	}
}

// Whatever waits in the mailbox of a plain actor that is stopped at once, be it
// suspended, is a dead letter: in the engine it vanishes.
func TestPlainStoppedWithAQueue(t *testing.T) {
	for _, suspended := range []bool{false, true} {
		bubble(t, func(w *world) {
			a := w.plainly("a", nil)
			a.Backoff.Initial = time.Hour
			s := w.start(supervisor.Spec{Children: []supervisor.Child{a}})
			pid := s.Child("a")
			if suspended {
				w.root.Send(pid, "boom")
			} else {
				w.root.Send(pid, "stuck")
			}
			synctest.Wait()
			f := w.tell(pid, 1)
			w.root.Stop(pid)
			if !suspended {
				synctest.Wait()
				w.hold <- struct{}{}
			}
			synctest.Wait()
			_, err := f.TryResult()
			w.wants(err, actors.ErrDeadLetter)
		})
	}
}

// A Restart that comes behind a Stop changes nothing: in the engine the actor
// lives again, and is in no registry.
func TestPlainStopsOnce(t *testing.T) {
	bubble(t, func(w *world) {
		goOn := make(chan struct{})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.plainly("a", func(_ int, c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Spawn(w.plain("kid", w.in(&actor.Stopping{}, 0, true))) // it holds up the end of a
			} else if c.Message() == "late" {
				<-goOn
			}
		})}})
		w.noted("+a +kid")
		w.root.Send(s.Child("a"), "late")
		synctest.Wait()
		restart := actortest.Go(t, func() (any, error) { return nil, s.Restart(context.Background(), "a") })
		if !restart.Blocked() { // it waits for a to come to rest
			t.Error("it has restarted")
		}
		stop := s.RequestStop()
		synctest.Wait() // a was told to stop …
		close(goOn)     // … and fails: the failure is over, too
		synctest.Wait()
		w.hold <- struct{}{}
		if r, err := stop.Wait(w.Context()); err != nil || r.Err() != nil {
			t.Error(r, err)
		}
		_, err := restart.Result()
		w.wants(err, actors.ErrStopping)
		w.noted("-kid -a")
	})
}

// A receiver middleware around ours that panics in a message of an actor's end holds up
// neither that end nor that of the actor's children.
func TestPlainEndsWithMiddlewareThatPanics(t *testing.T) {
	for _, in := range []any{&actor.Stopping{}, &actor.Terminated{}, &actor.Stopped{}} {
		for _, kids := range []int{0, 2} {
			bubble(t, func(w *world) {
				left := 1
				panics := actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
					return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
						if typeOf(env.Message) == typeOf(in) && left > 0 {
							left--
							panic("middleware")
						}
						next(c, env)
					}
				})
				a := supervisor.Child{Name: "a", Props: w.plain("a", func(_ int, c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						for range kids {
							c.Spawn(nothing)
						}
					}
				}, panics)}
				s := w.start(supervisor.Spec{Children: []supervisor.Child{a}})
				begin := time.Now()
				if r := w.stop(s); r.Err() != nil {
					t.Errorf("%T, %d children: %v", in, kids, r.Err())
				}
				w.took(begin, 0)
			})
		}
	}
}

// A plain actor that is to rest behind a Restart which it has not handled yet handles no
// message until the next Restart, although the engine resumes it with the first.
func TestPlainRestsBehindRestart(t *testing.T) {
	bubble(t, func(w *world) {
		b := w.plainly("b", func(n int, c actor.Context) {
			if _, ok := c.Message().(*actor.Restarting); ok && n == 1 {
				time.Sleep(time.Second) // the failure of its sibling is handled meanwhile
			}
		})
		a := w.plainly("a", nil)
		a.Backoff.Initial = 10 * time.Second
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 9, Children: []supervisor.Child{b, a}})
		pid := s.Child("b")
		go func() { _ = s.Restart(w.Context(), "b") }()
		time.Sleep(time.Millisecond)
		w.root.Send(s.Child("a"), "crash")
		f := w.tell(pid, 1)
		time.Sleep(5 * time.Second)
		if n, err := f.TryResult(); n != 0 {
			t.Errorf("it has handled a message while it was to rest: %d, %v", n, err)
		}
		time.Sleep(15 * time.Second)
		if n, err := f.TryResult(); n < 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		w.stop(s)
	})
}

// A plain actor that calls runtime.Goexit has failed, as by a panic: its asker hears of
// it, and the next life handles what comes after.
func TestPlainGoexit(t *testing.T) {
	for _, in := range []any{"", &actor.Started{}, &actor.Terminated{}, &actor.ReceiveTimeout{}} {
		bubble(t, func(w *world) {
			var left atomic.Bool
			a := w.plainly("a", func(n int, c actor.Context) {
				if m := c.Message(); typeOf(m) == typeOf(in) && m != "crash" && n == 2 && !left.Swap(true) {
					runtime.Goexit()
				}
				if _, ok := c.Message().(float64); ok && n == 2 { // leads to the other messages
					c.Stop(c.Spawn(nothing))
					c.SetReceiveTimeout(time.Second)
				}
			})
			s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{a}})
			_, _ = w.ask(s.Child("a"), "crash")
			synctest.Wait()
			if _, started := in.(*actor.Started); !started {
				w.root.Send(s.Child("a"), 1.5)
			}
			if in == "" {
				begin := time.Now()
				if _, err := w.ask(s.Child("a"), "leave"); !errors.Is(err, actors.ErrGoexit) {
					t.Errorf("the asker was told %v", err)
				}
				w.took(begin, 0)
			}
			time.Sleep(2 * time.Second)
			if n, err := w.tell(s.Child("a"), 1, actors.Timeout(time.Second)).Wait(w.Context()); n != 3 || err != nil {
				t.Errorf("in %T: %d, %v", in, n, err)
			}
			begin := time.Now()
			if r := w.stop(s); r.Err() != nil {
				t.Errorf("in %T: %v", in, r)
			}
			w.took(begin, 0)
		})
	}
}

// One that does so in a message of its end, or of the end of a life, ends all the same,
// and so do its children.
func TestPlainEndsWithGoexit(t *testing.T) {
	for _, in := range []any{&actor.Stopping{}, &actor.Stopped{}, &actor.Restarting{}, &actor.Terminated{}} {
		for _, always := range []bool{false, true} {
			for _, kids := range []int{0, 2} {
				bubble(t, func(w *world) {
					var left atomic.Bool
					a := w.plainly("a", func(_ int, c actor.Context) {
						switch m := c.Message(); {
						case typeOf(m) == typeOf(&actor.Started{}):
							for range kids {
								c.Spawn(nothing)
							}
						case typeOf(m) == typeOf(in) && (always || !left.Swap(true)):
							runtime.Goexit()
						}
					})
					s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{a}})
					_, _ = w.ask(s.Child("a"), "crash")
					if n, err := w.tell(s.Child("a"), 1, actors.Timeout(time.Second)).Wait(w.Context()); n != 2 || err != nil {
						t.Errorf("%T, always: %v, %d children: %d, %v", in, always, kids, n, err)
					}
					begin := time.Now()
					if r := w.stop(s); r.Err() != nil {
						t.Errorf("%T, always: %v, %d children: %v", in, always, kids, r)
					}
					w.took(begin, 0)
					if _, there := w.sys.ProcessRegistry.GetLocal("app/a"); there {
						t.Errorf("%T, always: %v, %d children: it is still there", in, always, kids)
					}
				})
			}
		}
	}
}

// A producer that calls runtime.Goexit at a restart is a failure of that, and the next
// restart calls it again.
func TestPlainProducerGoexit(t *testing.T) {
	bubble(t, func(w *world) {
		n := 0
		props := actor.PropsFromProducer(func() actor.Actor {
			if n++; n == 2 {
				runtime.Goexit()
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case string:
					panic("boom")
				case int:
					c.Respond(n)
				}
			})
		})
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{{Name: "a", Props: props}}})
		_, _ = w.ask(s.Child("a"), "crash")
		if n, err := w.tell(s.Child("a"), 1, actors.Timeout(time.Second)).Wait(w.Context()); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if r := w.stop(s); r.Err() != nil {
			t.Error(r)
		}
	})
}
