// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// farDoor is a door behind which all workers are of another actor system, as those of a grid
// are that other nodes own: a network without delay.
type farDoor struct {
	here, there *actor.ActorSystem
	worker      keyed.Worker
	sending     func() // called before SendUserMessage returns; nil: nothing is
	unbounded   bool   // requests lose their budgets on the way

	mu      sync.Mutex
	onWay   map[uint32]*crossing // by the RequestId of the far Sender
	crossed int
	header  map[string]string // of the last
	latest  *crossing
	told    map[string]int // how often of each asker's PID that nobody waits
}

// crossing is a request that the far worker has.
type crossing struct {
	asker *actor.PID
	work  keyed.Work
}

const (
	farAddress  = "far"  // of the door
	nearAddress = "near" // of those who ask, where the workers are
)

// newFarDoor puts a worker with that setup behind the door. begin begins it.
func newFarDoor(w *world, setup func(w *actors.Worker) error) *farDoor {
	d, begin := newFarDoorUnbegun(w, setup, actors.Options{})
	begin()
	synctest.Wait()
	return d
}

func newFarDoorUnbegun(w *world, setup func(w *actors.Worker) error, opts actors.Options) (d *farDoor, begin func()) {
	d = &farDoor{here: w.sys, there: actortest.NewSystem(w), onWay: map[uint32]*crossing{}, told: map[string]int{}}
	w.sys.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) { return d, pid.Address == farAddress })
	answers := farAnswers{d}
	d.there.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) { return answers, pid.Address == nearAddress })
	opts.Logger = discard()
	kind := keyed.NewKind(d.there, opts, unsupervised{})
	d.worker = kind.NewWorker("worker")
	return d, func() { d.worker.Begin(setup) }
}

func (d *farDoor) pid() *actor.PID { return actor.NewPID(farAddress, "key") }

func (d *farDoor) Admit(*actor.PID, any) (keyed.Worker, proto.Message, error) { return nil, nil, nil }

func (d *farDoor) SendUserMessage(_ *actor.PID, m any) {
	if d.sending != nil {
		defer d.sending()
	}
	env, is := m.(*actor.MessageEnvelope)
	if !is {
		env = &actor.MessageEnvelope{Message: m}
	}
	far := &actor.MessageEnvelope{Header: maps.Clone(env.Header), Message: env.Message}
	if d.unbounded {
		delete(far.Header, "protoloop-budget")
	}
	c := &crossing{asker: env.Sender}
	d.mu.Lock()
	d.header, d.latest = far.Header, c
	d.crossed++
	id := uint32(d.crossed)
	if env.Sender != nil {
		far.Sender = &actor.PID{Address: nearAddress, Id: "answers", RequestId: id}
		d.onWay[id] = c
	}
	d.mu.Unlock()
	switch d.worker.Reserve() {
	case keyed.Closed:
		d.answer(id, messages.NewFailure(actors.ErrStopping, false, true))
		return
	case keyed.Full:
		d.answer(id, messages.NewFailure(d.worker.FullError(), false, true))
		return
	}
	work := d.worker.Post(far.Message, far, false)
	d.mu.Lock()
	c.work = work
	d.mu.Unlock()
}

// CancelCarried cancels the far work, if it has not answered.
func (d *farDoor) CancelCarried(reply *actor.PID) {
	d.mu.Lock()
	d.told[fmt.Sprint(reply.Id, "/", reply.RequestId)]++
	var work keyed.Work
	for _, c := range d.onWay {
		if c.asker.Id == reply.Id && c.asker.RequestId == reply.RequestId {
			work = c.work
		}
	}
	d.mu.Unlock()
	if work != nil {
		work.Cancel(actors.ErrCanceled)
	}
}

func (d *farDoor) SendSystemMessage(*actor.PID, any) {}
func (d *farDoor) Stop(*actor.PID)                   {}

// answer brings one back to its asker.
func (d *farDoor) answer(id uint32, m any) {
	d.mu.Lock()
	c := d.onWay[id]
	delete(d.onWay, id)
	d.mu.Unlock()
	if c != nil {
		d.here.Root.Send(c.asker, m)
	}
}

// last is the work of the request that has crossed last.
func (d *farDoor) last() keyed.Work {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest.work
}

// timesTold is of how many requests the door was told that nobody waits. It fails the test if it was told of one more than once.
func (d *farDoor) timesTold(t testing.TB) int {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for pid, n := range d.told {
		if n != 1 {
			t.Errorf("told %d times that nobody waits for the answer to %s", n, pid)
		}
	}
	return len(d.told)
}

// wantCounts fails the test unless the far worker has accounted for as many requests as have crossed, of which so many were cancelled.
func (d *farDoor) wantCounts(t testing.TB, canceled int) {
	t.Helper()
	c := actors.Counts(d.worker.Counts())
	checkCounts(t, c)
	if c.Accepted != int64(d.crossed) || c.Canceled != int64(canceled) {
		t.Errorf("%d have crossed, %d were cancelled; the far worker has %v", d.crossed, canceled, c)
	}
}

// farAnswers is the process that far workers answer to.
type farAnswers struct{ door *farDoor }

func (a farAnswers) SendUserMessage(pid *actor.PID, m any) {
	a.door.answer(pid.RequestId, actor.UnwrapEnvelopeMessage(m))
}
func (farAnswers) SendSystemMessage(*actor.PID, any) {}
func (farAnswers) Stop(*actor.PID)                   {}

// unsupervised restarts what fails, and wants to know nothing.
type unsupervised struct{ supervision.Supervisor }

func (unsupervised) AdoptChild(supervision.Child) (p supervision.Policy)       { return }
func (unsupervised) ChildReady(supervision.Child)                              {}
func (unsupervised) ChildStopping(supervision.Child)                           {}
func (unsupervised) MessageNotHandled(supervision.Child, *supervision.Failure) {}
func (unsupervised) ChildStopped(supervision.Child)                            {}
func (unsupervised) ChildFailed(c supervision.Child, _ *supervision.Failure) bool {
	c.Restart()
	return true
}

// errNap is what a farHandler's nap returns if nothing has ended it.
var errNap = errors.New("slept well")

// farHandler is a worker that answers a string, naps, and panics at "panic". ended has why each nap ended; nil: it did not.
func farHandler(ended *[]error) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, s string) (string, error) {
			switch s {
			case "fail":
				return "", errJob
			case "panic":
				panic("boom")
			}
			return "did " + s, nil
		})
		actors.Handle(w, func(t *actors.Task, d nap) (string, error) {
			err := t.Sleep(time.Duration(d))
			*ended = append(*ended, context.Cause(t.Context()))
			if err == nil {
				err = errNap
			}
			return "", err
		})
		return nil
	}
}

func TestFarRequest(t *testing.T) {
	bubble(t, func(w *world) {
		var ended []error
		d := newFarDoor(w, farHandler(&ended))
		ask := func(s string, opts ...actors.CallOption) *actors.Future[string] {
			return actors.RequestFuture[string](w.root, d.pid(), s, opts...)
		}
		want(w, ask("this"), "did this")
		_, err := result(ask("panic"))
		testtools.WantText(w, err, "panic: boom")
		_, err = result(ask("fail"))
		if fail := (*messages.Failure)(nil); !errors.As(err, &fail) || fail.GetMessage() != errJob.Error() || !fail.GetRan() {
			w.Errorf("%v", err)
		}
		v, err := actors.Call[string](w.Context(), w.root, d.pid(), "that")
		if err != nil || v != "did that" {
			w.Errorf("%v, %v", v, err)
		}
		near := actortest.Spawn(w, w.root, "near", none, actors.Options{})
		want(w, actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
			return actors.Ask[string](t, d.pid(), "the other")
		}), "did the other")
		// Asked by the engine's way alone, which knows nothing of us.
		if v, err := w.root.RequestFuture(d.pid(), "it", hang).Result(); err != nil || v != "did it" {
			w.Errorf("%v, %v", v, err)
		}
		w.root.Send(d.pid(), "alone")
		synctest.Wait()
		d.wantCounts(w, 0)
		if n := d.timesTold(w); n != 0 {
			w.Errorf("told of %d that nobody waits: all were answered", n)
		}
	})
}

// TestDoorHearsWhoWaitsNoMore: whatever ends a request before it is answered, the door hears of that
// once, and what the far handler awaits ends at once.
func TestDoorHearsWhoWaitsNoMore(t *testing.T) {
	// asks has a task of the worker near ask the far one and await that.
	asks := func(w *world, d *farDoor, near *actor.PID, opts ...actors.CallOption) *actors.Future[string] {
		return actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
			return actors.Ask[string](t, d.pid(), nap(time.Hour))
		}, opts...)
	}
	for name, ask := range map[string]func(w *world, d *farDoor, near *actor.PID) (end func()){
		"Cancel": func(w *world, d *farDoor, _ *actor.PID) func() {
			f := actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour))
			return func() { f.Cancel() }
		},
		"Cancel of a request that sender middleware has seen": func(w *world, d *farDoor, _ *actor.PID) func() {
			root := actor.NewRootContext(w.sys, nil, func(next actor.SenderFunc) actor.SenderFunc { return next })
			f := actors.RequestFuture[string](root, d.pid(), nap(time.Hour))
			return func() { f.Cancel() }
		},
		"budget": func(w *world, d *farDoor, _ *actor.PID) func() {
			actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour), actors.Timeout(time.Second))
			return func() { time.Sleep(time.Second) }
		},
		"budget by default": func(w *world, d *farDoor, _ *actor.PID) func() {
			actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour))
			return func() { time.Sleep(30 * time.Second) }
		},
		"context": func(w *world, d *farDoor, _ *actor.PID) func() {
			ctx, cancel := context.WithCancel(w.Context())
			actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour), actors.WithContext(ctx))
			return cancel
		},
		"Call": func(w *world, d *farDoor, _ *actor.PID) func() {
			ctx, cancel := context.WithCancel(w.Context())
			go func() { _, _ = actors.Call[string](ctx, w.root, d.pid(), nap(time.Hour)) }()
			return cancel
		},
		"scope": func(w *world, d *farDoor, near *actor.PID) func() {
			fail := new(actors.Promise[int])
			actors.SubmitErr(w.root, near, func(t *actors.Task) error {
				err := t.Scope(func(t *actors.Task) error {
					actors.RequestFuture[string](t, d.pid(), nap(time.Hour))
					_, err := actors.Await(t, fail.Future())
					return err
				})
				if !errors.Is(err, errJob) {
					w.Errorf("the scope has ended with %v", err)
				}
				return nil
			})
			return func() { fail.Reject(errJob) }
		},
		"task": func(w *world, d *farDoor, near *actor.PID) func() {
			f := asks(w, d, near)
			return func() { f.Cancel() }
		},
		"budget of the task": func(w *world, d *farDoor, near *actor.PID) func() {
			asks(w, d, near, actors.Timeout(time.Second))
			return func() { time.Sleep(time.Second) }
		},
		"await that ends": func(w *world, d *farDoor, near *actor.PID) func() {
			f := actors.SubmitErr(w.root, near, func(t *actors.Task) error {
				g := t.NewGroup()
				g.Go(func(t *actors.Task) error {
					_, err := actors.Ask[string](t, d.pid(), nap(time.Hour))
					return err
				})
				if err := t.Sleep(time.Minute); err != nil {
					return err
				}
				g.Cancel()
				return g.Wait()
			}, actors.Timeout(actors.Forever))
			return func() { f.Cancel() }
		},
		"restart": func(w *world, d *farDoor, near *actor.PID) func() {
			asks(w, d, near)
			return func() { w.root.Send(near, "panic") }
		},
		"stop": func(w *world, d *farDoor, near *actor.PID) func() {
			asks(w, d, near)
			return func() { w.stopped(near, actors.NoGrace) }
		},
		"stop event": func(w *world, d *farDoor, near *actor.PID) func() {
			f := asks(w, d, near, actors.UntilStop())
			return func() {
				actors.RequestStop(w.root, near, time.Hour)
				wantErr(w, f, actors.ErrCanceled)
			}
		},
		"Forward": func(w *world, d *farDoor, _ *actor.PID) func() {
			via := w.worker("via", actors.Options{}, func(v *actors.Worker) error {
				actors.On(v, func(t *actors.Task, _ nap) error { t.Forward(d.pid()); return nil })
				return nil
			})
			f := actors.RequestFuture[string](w.root, via, nap(time.Hour))
			return func() { f.Cancel() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var ended []error
				d := newFarDoor(w, farHandler(&ended))
				d.unbounded = true // else the far task may end by itself, in the same moment
				near := w.worker("near", actors.Options{}, farHandler(new([]error)))
				end := ask(w, d, near)
				synctest.Wait()
				if d.crossed != 1 || d.timesTold(w) != 0 || d.worker.Counts().Pending != 1 {
					w.Fatalf("%d have crossed, told of %d, the far worker has %v", d.crossed, d.timesTold(w), d.worker.Counts())
				}
				end()
				synctest.Wait()
				if len(ended) != 1 || !errors.Is(ended[0], actors.ErrCanceled) {
					w.Fatalf("the far task has ended with %v", ended)
				}
				if n := d.timesTold(w); n != 1 {
					w.Errorf("told %d times", n)
				}
				d.wantCounts(w, 1)
			})
		})
	}
}

// TestDoorHearsOfNothingElse: what never crossed, and what was answered.
func TestDoorHearsOfNothingElse(t *testing.T) {
	bubble(t, func(w *world) {
		var ended []error
		d := newFarDoor(w, farHandler(&ended))
		over, cancel := context.WithCancel(w.Context())
		cancel()
		ask := func(s actor.SenderContext, opts ...actors.CallOption) *actors.Future[string] {
			return actors.RequestFuture[string](s, d.pid(), "x", opts...)
		}
		wantErr(w, ask(w.root, actors.Timeout(0)), actors.ErrTimeout)
		wantErr(w, ask(w.root, actors.WithContext(over)), actors.ErrCanceled)
		near := w.worker("near", actors.Options{}, none)
		wantErr(w, actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
			time.Sleep(time.Second) // its budget is used up within its turn
			return actors.Await(t, ask(t))
		}, actors.Timeout(time.Millisecond)), actors.ErrTimeout)
		if d.crossed != 0 {
			w.Errorf("%d have crossed", d.crossed)
		}
		f := ask(w.root)
		want(w, f, "did x")
		if f.Cancel() {
			w.Error("an answered request was cancelled")
		}
		ctx, cancel := context.WithCancel(w.Context())
		want(w, ask(w.root, actors.WithContext(ctx), actors.Timeout(time.Second)), "did x")
		cancel()
		want(w, actors.Submit(w.root, near, func(t *actors.Task) (string, error) { return actors.Await(t, ask(t)) }), "did x")
		// The answer ends who has asked, before anything else is done about it.
		var itself atomic.Pointer[actors.Future[string]]
		asks := actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
			actors.RequestFuture[string](t, d.pid(), nap(time.Second)).OnDone(func(string, error) { itself.Load().Cancel() })
			return "", t.Sleep(time.Hour)
		})
		itself.Store(asks)
		wantErr(w, asks, actors.ErrCanceled)
		actors.RequestFuture[string](w.root, d.pid(), nap(0)) // fails, by its handler
		time.Sleep(time.Hour)
		w.stopped(near, actors.NoGrace)
		if n := d.timesTold(w); n != 0 {
			w.Errorf("told of %d that nobody waits", n)
		}
		d.wantCounts(w, 0)
	})
}

// TestDoorHearsAfterTheRequest: a request that is ended while it goes through the door.
func TestDoorHearsAfterTheRequest(t *testing.T) {
	bubble(t, func(w *world) {
		var ended []error
		d := newFarDoor(w, farHandler(&ended))
		ctx, cancel := context.WithCancel(w.Context())
		d.sending = func() {
			cancel()
			synctest.Wait() // it has ended
			if n := d.timesTold(w); n != 0 {
				w.Errorf("told %d times, and the request is not through", n)
			}
		}
		f := actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour), actors.WithContext(ctx))
		wantErr(w, f, actors.ErrCanceled)
		synctest.Wait()
		if n := d.timesTold(w); n != 1 || len(ended) != 1 || !errors.Is(ended[0], actors.ErrCanceled) {
			w.Errorf("told %d times; the far task has ended with %v", n, ended)
		}
		d.wantCounts(w, 1)
	})
}

// TestDoorHearsOnceInARace: the request is ended in the moment in which it is through.
func TestDoorHearsOnceInARace(t *testing.T) {
	bubble(t, func(w *world) {
		const rounds = 1_000
		d := newFarDoor(w, farHandler(new([]error)))
		for range rounds {
			ctx, cancel := context.WithCancel(w.Context())
			d.sending = func() { go cancel() }
			wantErr(w, actors.RequestFuture[string](w.root, d.pid(), nap(time.Hour), actors.WithContext(ctx)), actors.ErrCanceled)
		}
		synctest.Wait()
		if n := d.timesTold(w); n != rounds {
			w.Errorf("told of %d of %d", n, rounds)
		}
		d.wantCounts(w, rounds)
	})
}

// TestFarRequestsAreAccountedFor: answers come, and requests end, in the same moments. Each future ends, once;
// the door hears of those alone that were ended; the far worker has an account of all.
func TestFarRequestsAreAccountedFor(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := 2_000
	if testing.Short() {
		rounds = 300
	}
	bubble(t, func(w *world) {
		dice := rand.New(rand.NewPCG(seed, 0))
		var ended []error
		d := newFarDoor(w, farHandler(&ended))
		near := w.worker("near", actors.Options{}, none)
		var all []*actors.Future[string]
		for range rounds {
			long := time.Duration(dice.IntN(4)) * time.Millisecond
			opt := actors.Timeout(time.Duration(1+dice.IntN(4)) * time.Millisecond)
			var f *actors.Future[string]
			if dice.IntN(2) == 0 {
				f = actors.RequestFuture[string](w.root, d.pid(), nap(long), opt)
			} else {
				f = actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
					return actors.Ask[string](t, d.pid(), nap(long), opt)
				})
			}
			all = append(all, f)
			switch dice.IntN(4) {
			case 0:
				time.AfterFunc(time.Duration(1+dice.IntN(4))*time.Millisecond, func() { f.Cancel() })
			case 1:
				time.Sleep(time.Duration(dice.IntN(2000)) * time.Microsecond)
			}
		}
		answered, cut := 0, 0
		for _, f := range all {
			switch _, err := result(f); {
			case errors.Is(err, actors.ErrTimeout), errors.Is(err, actors.ErrCanceled):
				cut++
			case err != nil && err.Error() == errNap.Error():
				answered++
			default:
				w.Errorf("%v", err)
			}
		}
		synctest.Wait()
		told := d.timesTold(w)
		if answered == 0 || told == 0 || answered+cut != rounds || d.crossed > rounds || told > cut || told+answered > d.crossed {
			w.Errorf("%d answered, %d ended, told of %d, %d have crossed", answered, cut, told, d.crossed)
		}
		c := actors.Counts(d.worker.Counts())
		checkCounts(w, c)
		if c.Accepted != int64(d.crossed) || c.Finished+c.Failed+c.Canceled != c.Accepted || len(d.onWay) != 0 {
			w.Errorf("%d have crossed, %d were not answered; the far worker has %v", d.crossed, len(d.onWay), c)
		}
		checkCounts(w, w.stopped(near, actors.NoGrace))
	})
}

// TestFarWorkIsCanceled: the end that the owner of a key has for work whose asker is on another node.
func TestFarWorkIsCanceled(t *testing.T) {
	bubble(t, func(w *world) {
		var began []string
		var ended []error
		gate := new(actors.Promise[int])
		d := newFarDoor(w, func(v *actors.Worker) error {
			actors.Handle(v, func(t *actors.Task, s string) (string, error) {
				began = append(began, s)
				switch s {
				case "stash":
					t.Stash()
					return "", nil
				case "answer early":
					t.Respond("early")
				case "panic":
					panic("boom")
				}
				_, err := actors.Await(t, gate.Future())
				ended = append(ended, context.Cause(t.Context()))
				return "did " + s, err
			}, actors.Exclusive())
			return nil
		})
		post := func(s string) (*actors.Future[string], keyed.Work) {
			f := actors.RequestFuture[string](w.root, d.pid(), s, actors.Timeout(time.Hour))
			work := d.last()
			synctest.Wait()
			return f, work
		}
		running, first := post("running") // and holds the others back
		queued, second := post("queued")
		second.Cancel(actors.ErrTimeout)
		wantErr(w, queued, actors.ErrTimeout)
		first.Cancel(errJob)
		wantErr(w, running, actors.ErrCanceled)
		synctest.Wait()
		if len(began) != 1 || len(ended) != 1 || !errors.Is(ended[0], errJob) {
			w.Errorf("begun were %q; the first has ended with %v", began, ended)
		}
		first.Cancel(actors.ErrCanceled) // it has ended
		second.Cancel(actors.ErrCanceled)

		// As of a future, the cancel of what was answered is none, although its handler goes on.
		answered, late := post("answer early")
		want(w, answered, "early")
		late.Cancel(actors.ErrCanceled)
		gate.Resolve(1)
		synctest.Wait()
		if len(ended) != 2 || ended[1] != nil {
			w.Errorf("the handlers have ended with %v", ended)
		}
		done, third := post("done")
		want(w, done, "did done")
		third.Cancel(actors.ErrCanceled)
		d.wantCounts(w, 2)

		stashed, fourth := post("stash")
		wantPending(w, "stashed", stashed)
		fourth.Cancel(nil)
		wantErr(w, stashed, actors.ErrCanceled)
		w.root.Send(d.pid(), "panic") // begins a new incarnation, which gets what was stashed
		synctest.Wait()
		if n := len(began); n != 5 || began[3] != "stash" {
			w.Errorf("begun were %q", began)
		}
		d.worker.Reserve()
		gate = new(actors.Promise[int])
		alone := d.worker.Post("alone", nil, false)
		synctest.Wait()
		alone.Cancel(errJob)
		synctest.Wait()
		d.crossed++
		if len(ended) != 4 || !errors.Is(ended[3], errJob) {
			w.Errorf("the plain Send has ended with %v", ended)
		}
		d.wantCounts(w, 4)
	})
}

// TestFarBudgetBeforeTheWorkerBegins: what waits for a setup expires in time, and never starts.
func TestFarBudgetBeforeTheWorkerBegins(t *testing.T) {
	bubble(t, func(w *world) {
		var began []string
		d, begin := newFarDoorUnbegun(w, func(v *actors.Worker) error {
			actors.Handle(v, func(t *actors.Task, s string) (string, error) {
				began = append(began, s)
				return s, nil
			})
			return nil
		}, actors.Options{})
		answer := actor.NewFuture(w.sys, time.Minute) // no asker of ours: the far worker has to look after the budget itself
		env := &actor.MessageEnvelope{Message: "early", Sender: answer.PID()}
		env.SetHeader("protoloop-budget", fmt.Sprint(int64(time.Second)))
		start := time.Now()
		d.SendUserMessage(d.pid(), env)
		later := actors.RequestFuture[string](w.root, d.pid(), "later")
		v, err := answer.Result()
		if fail, is := v.(*messages.Failure); !is || !errors.Is(fail, actors.ErrTimeout) || fail.GetRan() || time.Since(start) != time.Second {
			w.Errorf("after %v: %v, %v", time.Since(start), v, err)
		}
		begin()
		want(w, later, "later")
		if len(began) != 1 {
			w.Errorf("begun were %q", began)
		}
		d.wantCounts(w, 1)
	})
}

// TestFarBudgetShrinks from system to system: what is left counts, also of a request that was forwarded.
func TestFarBudgetShrinks(t *testing.T) {
	bubble(t, func(w *world) {
		d := newFarDoor(w, func(v *actors.Worker) error {
			actors.Handle(v, func(t *actors.Task, _ string) (time.Duration, error) {
				at, ok := t.Context().Deadline()
				if !ok {
					return 0, errors.New("no deadline")
				}
				return time.Until(at), nil
			})
			return nil
		})
		via := w.worker("via", actors.Options{}, func(v *actors.Worker) error {
			actors.On(v, func(t *actors.Task, _ string) error {
				if err := t.Sleep(10 * time.Second); err != nil {
					return err
				}
				t.Forward(d.pid())
				return nil
			})
			actors.Handle(v, func(t *actors.Task, _ int) (time.Duration, error) {
				if err := t.Sleep(10 * time.Second); err != nil {
					return 0, err
				}
				return actors.Ask[time.Duration](t, d.pid(), "left?")
			})
			return nil
		})
		left := func(to *actor.PID, msg any, opts ...actors.CallOption) *actors.Future[time.Duration] {
			return actors.RequestFuture[time.Duration](w.root, to, msg, opts...)
		}
		want(w, left(d.pid(), "left?"), 30*time.Second)
		want(w, left(d.pid(), "left?", actors.Timeout(time.Minute)), time.Minute)
		want(w, left(via, 1, actors.Timeout(25*time.Second)), 15*time.Second)
		want(w, left(via, 1, actors.Timeout(time.Minute)), 30*time.Second) // that of a request that says nothing itself
		want(w, left(via, "left?", actors.Timeout(time.Minute)), 50*time.Second)
		// One that has come with a budget itself, as from a third node.
		answer := actor.NewFuture(w.sys, time.Hour)
		env := &actor.MessageEnvelope{Message: "left?", Sender: answer.PID()}
		env.SetHeader("protoloop-budget", fmt.Sprint(int64(time.Minute)))
		env.SetHeader("other", "kept")
		w.root.Send(via, env)
		time.Sleep(10 * time.Second)
		if v, err := answer.Result(); err != nil || v != 50*time.Second {
			w.Errorf("%v, %v", v, err)
		}
		if env.GetHeader("protoloop-budget") != fmt.Sprint(int64(time.Minute)) {
			w.Error("the header that came was changed")
		}
		if h := d.header; h["other"] != "kept" || h["protoloop-budget"] != fmt.Sprint(int64(50*time.Second)) {
			w.Errorf("forwarded with %v", h)
		}
	})
}

// TestFarIdempotent: the header says so of those requests alone.
func TestFarIdempotent(t *testing.T) {
	bubble(t, func(w *world) {
		d := newFarDoor(w, farHandler(new([]error)))
		for _, opts := range [][]actors.CallOption{nil, {actors.Idempotent()}} {
			want(w, actors.RequestFuture[string](w.root, d.pid(), "x", opts...), "did x")
			if h := d.header["protoloop-idempotent"]; (h == "1") != (opts != nil) {
				w.Errorf("with %d options the header is %q", len(opts), h)
			}
		}
		near := w.worker("near", actors.Options{}, farHandler(new([]error)))
		want(w, actors.RequestFuture[string](w.root, near, "x", actors.Idempotent()), "did x")
	})
}

// TestFarTrace: a trace that a submission begins goes on in the far worker, and the values of contexts beside it.
func TestFarTrace(t *testing.T) {
	bubble(t, func(w *world) {
		d := newFarDoor(w, func(v *actors.Worker) error {
			actors.Handle(v, func(t *actors.Task, _ string) (string, error) {
				return fmt.Sprint(spanOf(t.Context()), " ", t.Context().Value(tenantKey{})), nil
			})
			return nil
		})
		near := w.worker("near", actors.Options{}, none)
		r := &recorder{}
		for _, sys := range []*actor.ActorSystem{w.sys, d.there} {
			inspect.Observe(sys, r.observer())
			defer inspect.Observe(sys, nil)
		}
		ctx := context.WithValue(w.Context(), tenantKey{}, tenant{7})
		want(w, actors.Submit(w.root, near, func(t *actors.Task) (string, error) {
			return actors.Ask[string](t, d.pid(), "where?")
		}, actors.Name("root"), actors.WithContext(ctx)), "/submit root@near.1/remote string/…/ask string@worker.1 {7}")
	})
}

// TestFarEndings: what the asker on another node is told, by a row of the table of docs/errors.md, and what that says of a retry.
func TestFarEndings(t *testing.T) {
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## How a request to another node ends")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) == 3 && cells[0] != "| told" {
			rows[strings.TrimPrefix(cells[0], "| ")] = cells[1] + ", " + strings.TrimSuffix(cells[2], " |")
		}
	}
	request := func(w *world, d *farDoor, m any) *actors.Future[string] {
		return actors.RequestFuture[string](w.root, d.pid(), m)
	}
	behind := func(w *world, d *farDoor, what string) *actors.Future[string] { // another one, which holds it back
		request(w, d, nap(time.Second))
		return request(w, d, what)
	}
	for told, c := range map[string]struct {
		end func(w *world, d *farDoor) *actors.Future[string]
		is  error
	}{
		"a value": {func(w *world, d *farDoor) *actors.Future[string] { return request(w, d, "x") }, nil},
		"`ErrNodeLost`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := request(w, d, nap(time.Hour))
			lost := messages.NewFailure(actors.ErrNodeLost, false, false)
			lost.MaybeRan = true
			d.answer(1, lost)
			return f
		}, actors.ErrNodeLost},
		"`ErrUnavailable`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := behind(w, d, "x")
			d.worker.(keyed.Failing).FailQueued(fmt.Errorf("%w: its setup fails", actors.ErrUnavailable))
			return f
		}, actors.ErrUnavailable},
		"`ErrRestarted`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := request(w, d, nap(time.Hour))
			synctest.Wait()
			d.worker.Restart()
			return f
		}, actors.ErrRestarted},
		"a panic":                                {func(w *world, d *farDoor) *actors.Future[string] { return request(w, d, "panic") }, nil},
		"an error that the handler has returned": {func(w *world, d *farDoor) *actors.Future[string] { return request(w, d, "fail") }, errJob},
		"`ErrMailboxFull`": {func(w *world, d *farDoor) *actors.Future[string] {
			request(w, d, nap(time.Hour))
			synctest.Wait()
			for range 2 {
				request(w, d, nap(time.Hour))
			}
			return request(w, d, "x")
		}, actors.ErrMailboxFull},
		"`ErrStopping`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := behind(w, d, "x")
			d.worker.Stop(actors.NoGrace)
			return f
		}, actors.ErrStopping},
		"`ErrStopped`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := request(w, d, nap(time.Hour))
			synctest.Wait()
			d.worker.Stop(actors.NoGrace)
			return f
		}, actors.ErrStopped},
		"`ErrTimeout`": {func(w *world, d *farDoor) *actors.Future[string] { return request(w, d, nap(time.Hour)) }, actors.ErrTimeout},
		"`ErrCanceled`": {func(w *world, d *farDoor) *actors.Future[string] {
			f := request(w, d, nap(time.Hour))
			f.Cancel()
			return f
		}, actors.ErrCanceled},
	} {
		t.Run(told, func(t *testing.T) {
			bubble(t, func(w *world) {
				d, begin := newFarDoorUnbegun(w, farHandler(new([]error)), actors.Options{MaxInFlight: 1, MailboxSize: 2})
				begin()
				synctest.Wait()
				v, err := result(c.end(w, d))
				if (err == nil) != (v != "") || c.is != nil && !errors.Is(err, c.is) && fmt.Sprint(err) != c.is.Error() {
					w.Errorf("told %q, %v", v, err)
				}
				ran := "yes"
				var f *messages.Failure
				switch {
				case err == nil:
				case !errors.As(err, &f):
					ran = "perhaps"
				case f.GetMaybeRan():
					ran = "nobody can tell"
				case !f.GetRan():
					ran = "no"
				}
				if f.GetCode() == "timeout" {
					ran = "perhaps" // it is known here, and would not be if the asker were first
				}
				safe := map[bool]string{true: "yes", false: "no"}[actors.RetrySafe(err)]
				if got := ran + ", " + safe; got != rows[told] {
					w.Errorf("%v: ran, retry safe: %s; docs/errors.md has %q", err, got, rows[told])
				}
			})
		})
		delete(rows, told)
	}
	if len(rows) != 0 {
		t.Errorf("docs/errors.md has rows that are not tried: %v", rows)
	}
}
