// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
)

var errNo = errors.New("no")

// heard is what a hook has been told.
type heard struct {
	mu  sync.Mutex
	all []inspect.Failure
}

func (h *heard) add(f inspect.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, f)
}

// take is what it has been told since the last call.
func (h *heard) take() []inspect.Failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// incident is an actor system in a bubble with a worker in which things go wrong.
type incident struct {
	*testing.T
	sys  *actor.ActorSystem
	root *actor.RootContext
	pid  *actor.PID
	hold chan struct{} // blocks turns until the end
}

type (
	failing   struct{ err error }           // a one-way message whose handler fails
	panicking struct{ after time.Duration } // one whose handler panics
	answering struct{ as any }              // … responds
	lasting   struct{ d time.Duration }     // … fails after so long, or when it is ended
)

func setUpIncident(hook func(t *actors.Task) error, hold chan struct{}) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.On(w, func(_ *actors.Task, m failing) error { return m.err })
		actors.On(w, func(t *actors.Task, m panicking) error {
			if m.after > 0 {
				_ = t.Sleep(m.after)
			}
			panic("a handler")
		})
		actors.On(w, func(t *actors.Task, m answering) error { t.Respond(m.as); return nil })
		actors.On(w, func(t *actors.Task, m lasting) error {
			_ = t.Sleep(m.d)
			return errNo
		})
		actors.Handle(w, func(*actors.Task, int) (int, error) { <-hold; return 1, nil })
		w.OnStop(hook)
		return nil
	}
}

// TestOnFailureKinds: each kind is told once, with whose it is, by its name.
func TestOnFailureKinds(t *testing.T) {
	type is struct {
		kind  inspect.Kind
		task  string
		says  string // a part of the error's text
		of    error  // that the error is, if not nil
		stack string // a part of it
	}
	const here = "inspect_test."
	for name, test := range map[string]struct {
		do   func(w incident)
		want []is
	}{
		"a one-way message fails": {
			func(w incident) { w.root.Send(w.pid, failing{errNo}) },
			[]is{{inspect.UnobservedFailure, here + "failing", "no", errNo, ""}},
		},
		"a request fails after its asker was told": {
			func(w incident) {
				f := actors.RequestFuture[actors.None](w.root, w.pid, lasting{time.Minute}, actors.Timeout(time.Second))
				_, _ = f.Wait(w.Context())
			},
			[]is{{inspect.UnobservedFailure, here + "lasting", "no", errNo, ""}},
		},
		"a stop hook fails": {
			func(w incident) { w.stop() },
			[]is{{inspect.UnobservedFailure, "stop hooks", "OnStop hook", errNo, ""}},
		},
		"a stop hook panics": {
			func(w incident) { w.stop() },
			[]is{{inspect.CallbackPanic, "an OnStop hook", "a hook", nil, "TestOnFailureKinds"}},
		},
		"a callback panics": {
			func(w incident) {
				f := actors.Submit(w.root, w.pid, func(t *actors.Task) (int, error) { return 1, t.Sleep(1) })
				f.OnDone(func(int, error) { panic("a callback") })
				_, _ = f.Wait(w.Context())
			},
			[]is{{inspect.CallbackPanic, "an OnDone callback", "a callback", nil, "TestOnFailureKinds"}},
		},
		"a promise's callback panics": {
			func(w incident) {
				p := new(actors.Promise[int])
				p.Future().OnDone(func(int, error) { panic("a promise's") })
				p.Resolve(1)
			},
			[]is{{inspect.CallbackPanic, "an OnDone callback", "a promise's", nil, "TestOnFailureKinds"}},
		},
		"a subscriber panics": {
			func(w incident) {
				sub := w.sys.EventStream.Subscribe(func(e any) {
					if _, dead := e.(*actor.DeadLetterEvent); dead {
						panic("a subscriber")
					}
				})
				defer w.sys.EventStream.Unsubscribe(sub)
				w.root.Send(w.pid, 1.5)
				synctest.Wait()
			},
			[]is{{inspect.DeadLetter, "float64", "no handler for float64", actors.ErrUnhandled, ""}, {inspect.CallbackPanic, "", "a subscriber", nil, here}},
		},
		"a worker fails": {
			func(w incident) { w.root.Send(w.pid, panicking{}) },
			[]is{
				{inspect.WorkerFailure, here + "panicking", "a handler", nil, "setUpIncident"},
				{inspect.WorkerRestart, "", "a handler", actors.ErrRestarted, "setUpIncident"},
			},
		},
		"a worker fails in its drain": {
			func(w incident) {
				w.root.Send(w.pid, panicking{after: time.Second}) // awaited by the stop, which comes while it sleeps
				synctest.Wait()
				w.stop()
			},
			[]is{{inspect.WorkerFailure, here + "panicking", "a handler", nil, ""}},
		},
		"a turn blocks, and is abandoned": {
			func(w incident) {
				f := actors.RequestFuture[int](w.root, w.pid, 1)
				time.Sleep(5 * time.Second)
				w.stop()
				_, _ = f.Wait(w.Context())
			},
			[]is{
				{inspect.BlockedTurn, "int", "blocked turn", nil, "setUpIncident"},
				{inspect.AbandonedTask, "int", "did not return", actors.ErrStopped, "setUpIncident"},
			},
		},
		"an offloaded function is abandoned": {
			func(w incident) {
				f := actors.SubmitErr(w.root, w.pid, func(t *actors.Task) error {
					return t.AwaitOffload(func(context.Context) error { <-w.hold; return nil }, actors.Name("blocking"))
				})
				time.Sleep(time.Second)
				w.stop()
				_, _ = f.Wait(w.Context())
			},
			[]is{{inspect.AbandonedTask, "blocking", "offloaded function", nil, ""}},
		},
		"a response has no sender": {
			func(w incident) { w.root.Send(w.pid, answering{as: "hello"}) },
			[]is{{inspect.DeadLetter, here + "answering", "string: a response", nil, ""}},
		},
		"a message comes after the stop event": {
			func(w incident) {
				actors.Submit(w.root, w.pid, func(t *actors.Task) (int, error) { return 1, t.Sleep(time.Second) })
				f := actors.RequestStop(w.root, w.pid, time.Minute)
				w.root.Send(w.pid, failing{errNo})
				_, _ = f.Wait(w.Context())
			},
			[]is{{inspect.DeadLetter, here + "failing", "dead letter", actors.ErrStopping, ""}},
		},
		"a limiter stalls": {
			func(w incident) {
				l := actors.NewLimiter("backend", 1)
				ctx, cancel := context.WithCancel(w.Context())
				wait := func(context.Context) error { <-ctx.Done(); return nil }
				f := actors.SubmitErr(w.root, w.pid, func(t *actors.Task) error {
					g := t.NewGroup()
					for range 2 {
						g.Go(func(t *actors.Task) error { return t.AwaitOffload(wait, actors.Through(l)) })
					}
					return g.Wait()
				})
				time.Sleep(15 * time.Second)
				cancel()
				_, _ = f.Wait(w.Context())
			},
			[]is{{inspect.StalledWork, "backend", "none of 1 offloaded functions", nil, ""}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				w := incident{T: t, sys: sys, root: sys.Root, hold: make(chan struct{})}
				defer synctest.Wait()
				defer close(w.hold)
				w.pid = actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error {
					switch name {
					case "a stop hook fails":
						return errNo
					case "a stop hook panics":
						panic("a hook")
					}
					return nil
				}, w.hold), actors.Options{StopGrace: 10 * time.Second})
				var h heard
				remove := inspect.OnFailure(sys, h.add)
				test.do(w)
				synctest.Wait()
				got := h.take()
				remove()
				if len(got) != len(test.want) {
					for _, f := range got {
						t.Logf("%q in %q: %v", f.Kind, f.Task, f.Err)
					}
					t.Fatalf("told of %d failures, want %d", len(got), len(test.want))
				}
				for i, f := range got {
					want := test.want[i]
					switch {
					case f.Kind != want.kind, f.Task != want.task, f.Err == nil, f.Dropped != 0, f.At.IsZero(),
						want.of != nil && !errors.Is(f.Err, want.of),
						!strings.Contains(f.Err.Error(), want.says), !strings.Contains(string(f.Stack), want.stack):
						t.Errorf("told of %q in %q: %v, %v\nwant %+v\nstack:\n%s", f.Kind, f.Task, f.Err, f.At, want, f.Stack)
					}
					if nobodys := name == "a promise's callback panics" || want.says == "a subscriber"; nobodys != (f.Worker == nil) || !nobodys && !f.Worker.Equal(w.pid) {
						t.Errorf("it is said to be of %v", f.Worker)
					}
				}
			})
		})
	}
}

func (w incident) stop() {
	w.Helper()
	if _, err := actors.Stop(w.Context(), w.root, w.pid, 10*time.Second); err != nil {
		w.Error(err)
	}
}

// TestOnFailureIsBounded: a hook that blocks is told the first thousand, in order, and
// how many it has missed; it holds up nobody.
func TestOnFailureIsBounded(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
		gate := make(chan struct{})
		var h, other heard
		defer inspect.OnFailure(sys, func(f inspect.Failure) { <-gate; h.add(f) })()
		defer inspect.OnFailure(sys, other.add)()
		const n = 2500
		send := func(i int) { sys.Root.Send(pid, failing{fmt.Errorf("%d", i)}) }
		send(0)
		synctest.Wait() // the hook has it
		for i := 1; i < n; i++ {
			send(i)
		}
		if v, err := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 1, nil }).Wait(t.Context()); v != 1 || err != nil {
			t.Errorf("the worker: %d, %v", v, err)
		}
		synctest.Wait()
		if got := h.take(); len(got) != 0 {
			t.Errorf("the hook has heard of %d while it was blocked", len(got))
		}
		if got := other.take(); len(got) < 1001 {
			t.Errorf("the other hook has heard of %d", len(got))
		}
		close(gate)
		synctest.Wait()
		got := h.take()
		if len(got) != 1001 {
			t.Errorf("told of %d, want 1001", len(got))
		}
		for i, f := range got {
			if f.Err.Error() != fmt.Sprint(i) || f.Dropped != 0 {
				t.Fatalf("the one at %d is %v, with %d dropped", i, f.Err, f.Dropped)
			}
		}
		send(n)
		send(n + 1)
		synctest.Wait()
		got = h.take()
		if len(got) != 2 || got[0].Dropped != n-1001 || got[0].Err.Error() != fmt.Sprint(n) || got[1].Dropped != 0 {
			t.Errorf("afterwards: %+v", got)
		}
	})
}

// TestOnFailureHookPanics: it is logged, and the next failure is told all the same.
func TestOnFailureHookPanics(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
		var h heard
		defer inspect.OnFailure(sys, func(f inspect.Failure) {
			h.add(f)
			switch f.Err.Error() {
			case "panic":
				panic("in the hook")
			case "goexit":
				runtime.Goexit()
			}
		})()
		for _, what := range []string{"panic", "goexit", "fine"} {
			sys.Root.Send(pid, failing{errors.New(what)})
		}
		synctest.Wait()
		if got := h.take(); len(got) != 3 || got[2].Err.Error() != "fine" {
			t.Errorf("told of %v", got)
		}
		if r := actortest.LogOf(sys).Find(slog.LevelError, "hook of OnFailure"); len(r) != 2 || r[0].Attr("panic") != "in the hook" {
			t.Errorf("logged: %v", r)
		}
	})
}

// TestOnFailureRemoved: no call begins any more, also of those that wait.
func TestOnFailureRemoved(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
		gate := make(chan struct{})
		var h heard
		remove := inspect.OnFailure(sys, func(f inspect.Failure) { h.add(f); <-gate })
		for range 3 {
			sys.Root.Send(pid, failing{errNo})
		}
		synctest.Wait()
		remove()
		remove()
		close(gate)
		sys.Root.Send(pid, failing{errNo})
		synctest.Wait()
		if got := h.take(); len(got) != 1 {
			t.Errorf("told of %d, want the one before the removal", len(got))
		}
	})
}

// TestOnFailureBeforeTheFirstWorker: a system without any is the same.
func TestOnFailureBeforeTheFirstWorker(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var h heard
		defer inspect.OnFailure(sys, h.add)()
		if s := inspect.System(sys); len(s.Workers) != 0 || s.At.IsZero() {
			t.Errorf("a system without workers shows %v", s)
		}
		pid := actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
		sys.Root.Send(pid, failing{errNo})
		synctest.Wait()
		if got := h.take(); len(got) != 1 {
			t.Errorf("told of %v", got)
		}
	})
}

// TestOnFailureUnobserved: of each kind of future, once nobody has it any more, and never of
// one that was looked at, or that says no more than that it was ended. It runs in real time
// and waits for the garbage collector.
func TestOnFailureUnobserved(t *testing.T) {
	sys := actortest.NewSystem(t)
	root := sys.Root
	pid := actortest.Spawn(t, root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
	plain := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {}))
	gone := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {}))
	if err := root.StopFuture(gone).Wait(); err != nil {
		t.Fatal(err)
	}
	var h heard
	defer inspect.OnFailure(sys, h.add)()
	fail := func(name string) *actors.Future[int] {
		return actors.Submit(root, pid, func(*actors.Task) (int, error) { return 0, fmt.Errorf("%w: %s", errNo, name) }, actors.Name(name))
	}
	rejected := func(text string) *actors.Future[int] { return futures.Failed[int](fmt.Errorf("%w: %s", errNo, text)) }
	ready := func(f interface{ Ready() <-chan struct{} }) { <-f.Ready() }
	func() {
		ready(fail("a task"))
		ready(rejected("a promise"))
		p := new(actors.Promise[int])
		p.Reject(errors.New("another promise"))
		ready(futures.Race[int]())
		ready(futures.WithTimeout(new(actors.Promise[int]).Future(), time.Millisecond))
		ready(actors.RequestFuture[int](root, plain, "hello", actors.Timeout(time.Millisecond)))
		ready(actors.Submit(root, gone, func(*actors.Task) (int, error) { return 1, nil }))
		ready(futures.Shield(rejected("a shielded promise")))
		ready(futures.All(rejected("a member of All"), futures.Resolved(1)))
		ready(actors.SubmitErr(root, pid, func(t *actors.Task) error { // of all that it makes nobody is told
			sleep := func(t *actors.Task) error { return t.Sleep(time.Hour) }
			await := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }
			t.Go(sleep)
			futures.All(t.Go(sleep), futures.Shield(t.Go(sleep)))
			one := actors.NewLimiter("one", 1)
			actors.Offload(t, await, actors.Through(one))
			actors.Offload(t, await, actors.Through(one))
			actors.RequestFuture[int](t, plain, "hello")
			actors.SubmitErr(t, pid, sleep)
			g := t.NewGroup()
			g.SetLimit(1)
			g.Go(sleep)
			g.Go(func(t *actors.Task) error { return t.Await(t.Go(sleep)) })
			return g.Wait()
		}, actors.Timeout(5*time.Millisecond), actors.Name("a creator")))
		futures.Any(rejected("a member of Any beside it"), func() *actors.Future[int] {
			for budget := 5 * time.Millisecond; ; budget *= 2 { // until the creator gets as far as to create
				kids := make(chan *actors.Future[int], 1)
				creator := actors.SubmitErr(root, pid, func(t *actors.Task) error {
					kids <- actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
					return t.Sleep(time.Hour)
				}, actors.Timeout(budget), actors.Name("another creator"))
				ready(creator)
				select {
				case kid := <-kids:
					ready(kid)
					return kid
				default:
					_, _ = creator.TryResult() // seen: it is not the one
				}
			}
		}())
		slow := new(actors.Promise[int])
		futures.Shield(slow.Future()).Cancel()
		slow.Reject(errors.New("behind a shield"))

		look := func(f *actors.Future[int]) { _, _ = f.TryResult() }
		look(rejected("seen: a promise"))
		all := futures.All(rejected("seen: a member of All"), rejected("seen: another member"))
		_, _ = all.TryResult()
		look(futures.Any(rejected("seen: a member of Any"), rejected("seen: another of Any")))
		_, _ = futures.Settled(rejected("seen: a member of Settled")).TryResult()
		loser := new(actors.Promise[int])
		look(futures.Race(futures.Resolved(1), loser.Future()))
		loser.Reject(errors.New("seen: a loser"))
		look(futures.WithTimeout(rejected("seen: WithTimeout"), time.Hour))
		rejected("seen: OnDone").OnDone(func(int, error) {})

		for _, end := range []error{actors.ErrCanceled, actors.ErrStopped, actors.ErrStopping, actors.ErrRestarted, context.Canceled} {
			futures.Failed[int](fmt.Errorf("the end: %w", end))
		}
		new(actors.Promise[int]).Future().Cancel()
		ready(actors.RequestStop(root, gone, actors.NoGrace))
		canceled := actors.RequestFuture[int](root, plain, "hello")
		canceled.Cancel()
	}()
	want := []string{
		": inspect_test.TestOnFailureUnobserved.func7.1: actors: no such actor: " + gone.Id, // of Submit
		"w: a task: no: a task",
		": promise: no: a promise",
		": promise: another promise",
		": promise: futures: there is no future to choose from (no_futures)",
		": futures.WithTimeout: actors: timeout after 1ms",
		"w: a creator: actors: timeout: a creator of w",
		"w: another creator: actors: timeout: another creator of w",
		": futures.Any: no: a member of Any beside it\nactors: timeout: another creator of w (timeout)",
		plain.Id + ": string: actors: timeout: string of " + plain.Id,
		": promise: no: a shielded promise",
		": promise: no: a member of All",
		": promise: behind a shield",
	}
	got := map[string]int{}
	look := func() {
		for _, f := range h.take() {
			if f.Kind != inspect.UnobservedFailure {
				t.Errorf("told of a %s: %v", f.Kind, f.Err)
			}
			got[fmt.Sprintf("%s: %s: %v", f.Worker.GetId(), f.Task, f.Err)]++
		}
	}
	actortest.Eventually(t, "all that nobody has looked at is told", func() bool {
		runtime.GC()
		look()
		return len(got) >= len(want)
	})
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	look()
	for _, what := range want {
		if got[what] != 1 {
			t.Errorf("told %d times: %s", got[what], what)
		}
		delete(got, what)
	}
	for what, n := range got {
		t.Errorf("told %d times, want 0: %s", n, what)
	}
	actortest.Stop(t, root, pid, time.Minute)
}

// TestOnFailureLetsGo: an error that leads to its own future does not keep it.
func TestOnFailureLetsGo(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "w", setUpIncident(func(*actors.Task) error { return nil }, nil), actors.Options{})
	var h heard
	defer inspect.OnFailure(sys, h.add)()
	func() {
		c := &conn{}
		c.closed.Reject(&connError{c})
	}()
	actortest.Eventually(t, "the failure is told", func() bool {
		runtime.GC()
		return slices.ContainsFunc(h.take(), func(f inspect.Failure) bool { return f.Err.Error() == "the connection was closed" })
	})
	actortest.Stop(t, sys.Root, pid, time.Minute)
}

// conn is what a user may have: its end is a promise.
type conn struct{ closed actors.Promise[int] }

type connError struct{ of *conn }

func (*connError) Error() string { return "the connection was closed" }
