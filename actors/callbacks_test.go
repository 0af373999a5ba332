// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

var chainLength = flag.Int("chains.length", 10_000, "how long the chains of TestLongChains are")

// links are ways to make a future that completes when its predecessor does.
var links = map[string]func(f *actors.Future[int]) *actors.Future[int]{
	"OnDone": func(f *actors.Future[int]) *actors.Future[int] {
		p := new(actors.Promise[int])
		f.OnDone(func(v int, err error) {
			if err != nil {
				p.Reject(err)
				return
			}
			p.Resolve(v)
		})
		return p.Future()
	},
	"Shield": futures.Shield[int],
	"WithTimeout": func(f *actors.Future[int]) *actors.Future[int] {
		return futures.WithTimeout(f, time.Hour)
	},
	"Race": func(f *actors.Future[int]) *actors.Future[int] {
		return futures.Race(f, new(actors.Promise[int]).Future())
	},
	"Any": func(f *actors.Future[int]) *actors.Future[int] { return futures.Any(f) },
	"All": func(f *actors.Future[int]) *actors.Future[int] {
		return firstOf(futures.All(f), func(vs []int) int { return vs[0] })
	},
	"Settled": func(f *actors.Future[int]) *actors.Future[int] {
		p := new(actors.Promise[int])
		futures.Settled(f).OnDone(func(all []futures.Outcome[int], _ error) {
			if all[0].Err != nil {
				p.Reject(all[0].Err)
				return
			}
			p.Resolve(all[0].Value)
		})
		return p.Future()
	},
	"FirstCompleted": func(f *actors.Future[int]) *actors.Future[int] { return firstDone(futures.FirstCompleted(f)) },
	"FirstException": func(f *actors.Future[int]) *actors.Future[int] { return firstDone(futures.FirstException(f)) },
	"of all kinds":   nil,
}

// firstDone completes as the first of those that are done.
func firstDone(f *actors.Future[futures.Sets[int]]) *actors.Future[int] {
	p := new(actors.Promise[int])
	f.OnDone(func(s futures.Sets[int], _ error) {
		if v, err := s.Done[0].TryResult(); err != nil {
			p.Reject(err)
		} else {
			p.Resolve(v)
		}
	})
	return p.Future()
}

func firstOf[T any](f *actors.Future[T], value func(T) int) *actors.Future[int] {
	p := new(actors.Promise[int])
	f.OnDone(func(v T, err error) {
		if err != nil {
			p.Reject(err)
			return
		}
		p.Resolve(value(v))
	})
	return p.Future()
}

func init() {
	names := []string{"OnDone", "Shield", "WithTimeout", "Race", "Any", "All", "Settled", "FirstCompleted", "FirstException"}
	links["of all kinds"] = func(f *actors.Future[int]) *actors.Future[int] {
		return links[names[rand.IntN(len(names))]](f)
	}
}

// shallow lets the process end if a stack has more than that many bytes. By
// default it may have a gigabyte.
func shallow(t *testing.T, most int) {
	was := debug.SetMaxStack(most)
	t.Cleanup(func() { debug.SetMaxStack(was) })
}

func chainOf(link func(f *actors.Future[int]) *actors.Future[int]) (*actors.Promise[int], *actors.Future[int]) {
	p := new(actors.Promise[int])
	f := p.Future()
	for range *chainLength {
		f = link(f)
	}
	return p, f
}

// TestLongChains: a chain may be longer than a stack is deep, be it that the
// first one completes or that the last one is cancelled.
func TestLongChains(t *testing.T) {
	shallow(t, 1<<20)
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			p, f := chainOf(link)
			p.Resolve(7)
			wantNow(t, "the last one", f, 7)

			p, f = chainOf(link)
			p.Reject(errLeft)
			wantFailed(t, "the last one", f, errLeft)

			p, f = chainOf(link)
			if !f.Cancel() {
				t.Error("it was done")
			}
			wantFailed(t, "the last one", f, actors.ErrCanceled)
			switch name {
			case "WithTimeout", "Race", "Any":
				wantFailed(t, "the first one", p.Future(), actors.ErrCanceled)
			default: // there is a shield, or a promise that knows of no other
				wantPending(t, "the first one", p.Future())
				p.Resolve(7)
			}
		})
	}
}

// TestEndlessCallbacks: a callback may lead to the next one for ever.
func TestEndlessCallbacks(t *testing.T) {
	shallow(t, 1<<20)
	for name, next := range map[string]func(v int, then func(int, error)){
		"that is added before": func(v int, then func(int, error)) {
			p := new(actors.Promise[int])
			p.Future().OnDone(then)
			p.Resolve(v)
		},
		"that is added after": func(v int, then func(int, error)) { futures.Resolved(v).OnDone(then) },
		"that cancels": func(v int, then func(int, error)) {
			p := new(actors.Promise[int])
			p.Future().OnDone(func(int, error) { then(v, nil) })
			futures.Race(p.Future()).Cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var alive, most atomic.Int64
			calls := 0
			var step func(v int, err error)
			step = func(v int, err error) {
				if calls++; v != calls || err != nil {
					t.Errorf("call %d: got %d, %v", calls, v, err)
				}
				if calls == *chainLength {
					most.Store(collectUntil(&alive, 5000))
					return
				}
				kept := new([64]byte)
				alive.Add(1)
				runtime.AddCleanup(kept, func(int) { alive.Add(-1) }, 0)
				next(v+1, step)
				runtime.KeepAlive(kept)
			}
			next(1, step)
			if calls != *chainLength {
				t.Errorf("%d calls, want %d", calls, *chainLength)
			}
			// As many as fit into what a stack may use.
			if n := most.Load(); n > 5000 {
				t.Errorf("what %d calls keep is alive in the last one", n)
			}
		})
	}
}

// collectUntil collects garbage until no more than most are alive, for ten
// seconds at most, and returns how many are.
func collectUntil(alive *atomic.Int64, most int64) int64 {
	for end := time.Now().Add(10 * time.Second); alive.Load() > most && time.Now().Before(end); {
		runtime.GC()
		time.Sleep(time.Millisecond) // real time: the garbage collector is in no bubble
	}
	return alive.Load()
}

// TestCallbacksWhereTheStackIsDeep: the order in which callbacks are called is
// the same there.
func TestCallbacksWhereTheStackIsDeep(t *testing.T) {
	scenario := func() []string {
		var tr testtools.Trace
		ps, fs := promises(4)
		note := func(name string, then func()) func(int, error) {
			return func(int, error) {
				tr.Add("%s", name)
				if then != nil {
					then()
				}
			}
		}
		fs[0].OnDone(note("first", func() {
			ps[1].Resolve(1)
			fs[1].OnDone(note("late", nil))
			ps[2].Reject(errLeft)
			wantNow(t, "Race", futures.Race(fs[1], fs[3]), 1) // a combination is done at once if it can be
		}))
		fs[0].OnDone(note("last", nil))
		fs[1].OnDone(note("second", func() { ps[3].Resolve(3) }))
		fs[1].OnDone(note("fourth", nil))
		fs[2].OnDone(note("fifth", nil))
		futures.Shield(fs[2]).OnDone(note("sixth", nil))
		fs[3].OnDone(note("third", nil))
		ps[0].Resolve(0)
		return tr.Take()
	}
	want := []string{"first", "second", "third", "fourth", "late", "fifth", "sixth", "last"}
	if got := scenario(); !slices.Equal(got, want) {
		t.Errorf("where it is not: got %q, want %q", got, want)
	}
	descend(400, func() {
		if got := scenario(); !slices.Equal(got, want) {
			t.Errorf("where it is: got %q, want %q", got, want)
		}
	})
}

// descend calls f with n frames of at least 1,024 bytes on the stack.
//
//go:noinline
func descend(n int, f func()) (sum byte) {
	var room [1024]byte
	room[n%len(room)] = 1
	if n == 0 {
		f()
	} else {
		sum = descend(n-1, f)
	}
	return sum + room[(n+1)%len(room)]
}

// TestGoexitInCallback: a callback must not do that. Those that come after it
// are called all the same.
func TestGoexitInCallback(t *testing.T) {
	for name, frames := range map[string]int{"shallow": 0, "deep": 400} {
		t.Run(name, func(t *testing.T) {
			var tr testtools.Trace
			ps, fs := promises(2)
			fs[0].OnDone(func(int, error) { ps[1].Resolve(1); runtime.Goexit() })
			fs[0].OnDone(func(int, error) { tr.Add("after") })
			fs[1].OnDone(func(int, error) { tr.Add("within") })
			done := make(chan struct{})
			go func() {
				defer close(done)
				descend(frames, func() { ps[0].Resolve(0) })
			}()
			<-done
			tr.Want(t, "within", "after")
		})
	}
}

// TestChainsKeepNothing: a future keeps none of those that it was made from once
// it is done, nor do they keep those before them.
func TestChainsKeepNothing(t *testing.T) {
	for name, link := range links {
		for end, complete := range map[string]func(p *actors.Promise[int]){
			"that succeeds": func(p *actors.Promise[int]) { p.Resolve(7) },
			"that fails":    func(p *actors.Promise[int]) { p.Reject(errLeft) },
		} {
			t.Run(name+" "+end, func(t *testing.T) {
				var alive atomic.Int64
				p := new(actors.Promise[int])
				f := p.Future()
				for i := range 1000 {
					alive.Add(1)
					runtime.AddCleanup(f, func(int) { alive.Add(-1) }, 0)
					next := link(f)
					if i == 100 {
						complete(p)
						p = nil
					}
					f = next
				}
				if n := collectUntil(&alive, 2); n > 2 {
					t.Errorf("%d futures are alive", n)
				}
				if _, err := f.TryResult(); err != nil && !errors.Is(err, errLeft) {
					t.Error(err)
				}
			})
		}
	}
}

// TestCallbacksOfWhatAStopDrops: a callback must not block. One that does holds up
// neither the stop nor the combination that its future is a member of.
func TestCallbacksOfWhatAStopDrops(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{MaxInFlight: 1}, none)
		actors.Submit(w.root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
		release := make(chan struct{})
		var tr testtools.Trace
		var shields []*actors.Future[int]
		for i := range 3 {
			f := actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 0, nil })
			f.OnDone(func(_ int, err error) {
				<-release
				tr.Add("%d: %v", i, errors.Is(err, actors.ErrStopping))
			})
			shields = append(shields, futures.Shield(f))
		}
		time.Sleep(time.Second)
		stop := actors.RequestStop(w.root, pid, actors.NoGrace)
		time.Sleep(time.Minute)
		if !stop.Done() {
			w.Error("the stop has not ended")
		}
		for _, f := range shields {
			wantFailed(w, "a shield of what was dropped", f, actors.ErrStopping)
		}
		close(release)
		time.Sleep(time.Second)
		tr.Want(w, "0: true", "1: true", "2: true")
		if _, err := stop.TryResult(); err != nil {
			w.Errorf("the stop: %v", err)
		}
	})
}

// blockedCallbacks are the ways by which a future of work ends on a loop between two
// turns, or by the clock. Each calls block in an OnDone callback, which does not
// return, and returns whether what has to go on has.
var blockedCallbacks = map[string]func(w *world, pid *actor.PID, block func()) (wentOn func() bool){
	"a task that a stop cuts off": func(w *world, pid *actor.PID, block func()) func() bool {
		f := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		f.OnDone(func(struct{}, error) { block() })
		time.Sleep(time.Second)
		return actors.RequestStop(w.root, pid, actors.NoGrace).Done
	},
	"a task that a restart cuts off": func(w *world, pid *actor.PID, block func()) func() bool {
		f := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		f.OnDone(func(struct{}, error) { block() })
		time.Sleep(time.Second)
		w.root.Send(pid, boom{})
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"work elsewhere of a task that a restart cuts off": func(w *world, pid *actor.PID, block func()) func() bool {
		other := w.worker("other", actors.Options{}, none)
		did(w.root, pid, func(t *actors.Task) error {
			f := did(t, other, func(t *actors.Task) error { return t.Sleep(time.Hour) })
			f.OnDone(func(struct{}, error) { block() })
			return t.Sleep(time.Hour)
		})
		time.Sleep(time.Second)
		w.root.Send(pid, boom{})
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"a function that is offloaded when a restart comes": func(w *world, pid *actor.PID, block func()) func() bool {
		did(w.root, pid, func(t *actors.Task) error {
			f := actors.Offload(t, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
			f.OnDone(func(int, error) { block() })
			return nil
		})
		time.Sleep(time.Second)
		w.root.Send(pid, boom{})
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"a request that is open when a stop comes": func(w *world, pid *actor.PID, block func()) func() bool {
		f := actors.RequestFuture[string](w.root, pid, keep{})
		f.OnDone(func(string, error) { block() })
		time.Sleep(time.Second)
		return actors.RequestStop(w.root, pid, actors.NoGrace).Done
	},
	"a request without an answer": func(w *world, pid *actor.PID, block func()) func() bool {
		f := actors.RequestFuture[string](w.root, pid, oneWay{})
		f.OnDone(func(string, error) { block() })
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"a request whose handler calls Goexit": func(w *world, pid *actor.PID, block func()) func() bool {
		f := actors.RequestFuture[string](w.root, pid, exit{})
		f.OnDone(func(string, error) { block() })
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"a task that is abandoned": func(w *world, pid *actor.PID, block func()) func() bool {
		release := make(chan struct{})
		w.Cleanup(func() { close(release) })
		f := did(w.root, pid, func(t *actors.Task) error { <-release; return nil })
		f.OnDone(func(struct{}, error) { block() })
		time.Sleep(time.Second)
		return actors.RequestStop(w.root, pid, actors.NoGrace).Done
	},
	"work of a group that a member's failure ends": func(w *world, pid *actor.PID, block func()) func() bool {
		other := w.worker("other", actors.Options{}, none)
		did(w.root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error {
				f := did(t, other, func(t *actors.Task) error { return t.Sleep(time.Hour) })
				f.OnDone(func(struct{}, error) { block() })
				return t.Sleep(time.Hour)
			})
			g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
			return g.Wait()
		})
		time.Sleep(2 * time.Second)
		return actors.RequestFuture[string](w.root, pid, "x").Done
	},
	"the end of a worker": func(w *world, pid *actor.PID, block func()) func() bool {
		did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
		first, second := actors.RequestStop(w.root, pid, time.Minute), actors.RequestStop(w.root, pid, time.Minute)
		first.OnDone(func(actors.Counts, error) { block() })
		return second.Done
	},
	"a request that expires": func(w *world, _ *actor.PID, block func()) func() bool {
		silent := w.plain(func(actor.Context) {})
		var others []*actors.Future[string]
		for i := range 100 {
			f := actors.RequestFuture[string](w.root, silent, i, actors.Timeout(time.Second))
			if i == 0 {
				f.OnDone(func(string, error) { block() })
			} else {
				others = append(others, f)
			}
		}
		all := futures.Settled(others...)
		return all.Done
	},
}

type (
	boom   struct{}
	keep   struct{}
	oneWay struct{}
	exit   struct{}
)

// TestCallbacksThatBlock: a callback must not block. One that does holds up neither a
// loop, which could not be taken over then, nor the clock.
func TestCallbacksThatBlock(t *testing.T) {
	for name, begin := range blockedCallbacks {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("worker", actors.Options{StopGrace: time.Second}, func(wk *actors.Worker) error {
					actors.Handle(wk, func(_ *actors.Task, s string) (string, error) { return s, nil })
					actors.On(wk, func(*actors.Task, boom) error { panic("boom") })
					actors.On(wk, func(t *actors.Task, _ keep) error { t.Sender(); return nil })
					// They sleep until the callback is there.
					actors.On(wk, func(t *actors.Task, _ oneWay) error { return t.Sleep(time.Second) })
					actors.On(wk, func(t *actors.Task, _ exit) error { _ = t.Sleep(time.Second); runtime.Goexit(); return nil })
					return nil
				})
				release := make(chan struct{})
				var called atomic.Bool
				wentOn := begin(w, pid, func() { called.Store(true); <-release })
				time.Sleep(time.Minute)
				if !called.Load() {
					w.Error("the callback was not called")
				}
				if !wentOn() {
					w.Error("the callback has held up others")
				}
				close(release)
			})
		})
	}
}

// toldByLoops are what a loop tells others of between two turns, by way of the engine:
// to dead letters, to askers that are none of ours, to the event stream. Each returns
// whether the loop has gone on, and what others hear, in order.
var toldByLoops = map[string]func(w *world, gone *actor.PID) (wentOn func() bool, want []string){
	"messages that a stop drops": func(w *world, _ *actor.PID) (func() bool, []string) {
		pid := w.worker("busy", actors.Options{MaxInFlight: 1}, none)
		did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		for _, m := range []string{"a", "b", "c"} {
			w.root.Send(pid, m)
		}
		time.Sleep(time.Second)
		return actors.RequestStop(w.root, pid, actors.NoGrace).Done, []string{"dead letter a", "dead letter b", "dead letter c"}
	},
	"askers of what a stop cuts off": func(w *world, gone *actor.PID) (func() bool, []string) {
		pid := w.worker("busy", actors.Options{}, func(wk *actors.Worker) error {
			actors.On(wk, func(t *actors.Task, _ string) error { return t.Sleep(time.Hour) })
			return nil
		})
		w.root.RequestWithCustomSender(pid, "x", gone)
		w.root.RequestWithCustomSender(pid, "x", gone)
		time.Sleep(time.Second)
		failure := []string{"sends a *messages.Failure", "dead letter *messages.Failure"}
		return actors.RequestStop(w.root, pid, actors.NoGrace).Done, append(failure, failure...)
	},
	"an asker of what calls Goexit": func(w *world, gone *actor.PID) (func() bool, []string) {
		pid := w.worker("leaving", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(_ *actors.Task, n int) (int, error) { return n, nil })
			actors.On(wk, func(*actors.Task, exit) error { runtime.Goexit(); return nil })
			return nil
		})
		w.root.RequestWithCustomSender(pid, exit{}, gone)
		time.Sleep(time.Second)
		return actors.RequestFuture[int](w.root, pid, 1).Done, []string{"sends a *messages.Failure", "dead letter *messages.Failure"}
	},
	"watchers that are gone": func(w *world, _ *actor.PID) (func() bool, []string) {
		pid := w.worker("watched", actors.Options{}, none)
		var terminated atomic.Bool
		watcher := func() *actor.PID {
			return w.plain(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					c.Watch(pid)
				case *actor.Terminated:
					terminated.Store(true)
				}
			})
		}
		for range 2 {
			_ = w.root.StopFuture(watcher()).Wait()
		}
		watcher()
		time.Sleep(time.Second)
		stop := actors.RequestStop(w.root, pid, actors.NoGrace)
		return func() bool { return stop.Done() && terminated.Load() }, []string{"dead letter *actor.Terminated", "dead letter *actor.Terminated"}
	},
	"restarts of a worker without a parent": func(w *world, _ *actor.PID) (func() bool, []string) {
		pid := w.worker("failing", actors.Options{}, func(wk *actors.Worker) error {
			actors.On(wk, func(_ *actors.Task, s string) error { panic(s) })
			actors.Handle(wk, func(_ *actors.Task, n int) (int, error) { return n, nil })
			return nil
		})
		w.root.Send(pid, "first")
		w.root.Send(pid, "second")
		return actors.RequestFuture[int](w.root, pid, 1).Done, []string{"restart by panic: first", "restart by panic: second"}
	},
}

// TestSubscribersThatBlock: what subscribers to the event stream and sender middleware
// of the root do is theirs. It neither holds up a loop, which could not be taken over
// then, nor takes it down; and what comes after it is heard of, in order.
func TestSubscribersThatBlock(t *testing.T) {
	for name, begin := range toldByLoops {
		for how, misbehave := range map[string]func(release chan struct{}){
			"blocks":       func(release chan struct{}) { <-release },
			"panics":       func(chan struct{}) { panic("boom") },
			"calls Goexit": func(chan struct{}) { runtime.Goexit() },
		} {
			t.Run(name+", and the first "+how, func(t *testing.T) {
				bubble(t, func(w *world) {
					gone := w.worker("gone", actors.Options{}, none)
					w.stopped(gone, 0)
					release := make(chan struct{})
					var armed, called atomic.Bool
					var heard testtools.Trace
					hear := func(format string, args ...any) {
						if !armed.Load() {
							return
						}
						heard.Add(format, args...)
						if called.CompareAndSwap(false, true) {
							misbehave(release)
						}
					}
					w.sys.EventStream.Subscribe(func(event any) {
						switch e := event.(type) {
						case *actor.DeadLetterEvent:
							if s, ok := e.Message.(string); ok {
								hear("dead letter %s", s)
							} else {
								hear("dead letter %T", e.Message)
							}
						case *actor.SupervisorEvent:
							hear("restart by %v", e.Reason)
						}
					})
					w.sys.Root.WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc {
						return func(c actor.SenderContext, target *actor.PID, env *actor.MessageEnvelope) {
							if _, failed := env.Message.(*messages.Failure); failed {
								hear("sends a %T", env.Message)
							}
							next(c, target, env)
						}
					})
					armed.Store(true)
					wentOn, want := begin(w, gone)
					time.Sleep(time.Minute)
					if !called.Load() {
						w.Error("nothing was heard")
					}
					if !wentOn() {
						w.Error("the loop has not gone on")
					}
					close(release)
					time.Sleep(time.Second)
					if how != "blocks" && len(want) > 1 && want[0] == "sends a *messages.Failure" {
						want = append(want[:1:1], want[2:]...) // it has kept the first from being sent
					}
					heard.Want(w, want...)
				})
			})
		}
	}
}
