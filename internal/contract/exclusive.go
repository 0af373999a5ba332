// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

type hold struct{ d time.Duration }

// holder is a worker with an exclusive handler and an ordinary one.
func holder(tr *testtools.Trace) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, h hold) (none, error) {
			tr.Add("hold")
			defer tr.Add("let go")
			if h.d < 0 {
				t.Sleep(-h.d)
				panic("boom")
			}
			return none{}, t.Sleep(h.d)
		}, actors.Exclusive())
		return echo(tr)(w)
	}
}

func exclusiveHolds(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", holder(&tr), actors.Options{})
	promise := new(actors.Promise[none])
	do(sys.Root, pid, func(t *actors.Task) error { t.Sleep(time.Second); tr.Add("sleeper"); return nil })
	do(sys.Root, pid, func(t *actors.Task) error { actors.Await(t, promise.Future()); tr.Add("waiter"); return nil })
	synctest.Wait()
	f := actors.RequestFuture[none](sys.Root, pid, hold{time.Minute})
	do(sys.Root, pid, func(*actors.Task) error { tr.Add("submission"); return nil })
	sys.Root.Send(pid, "message")
	synctest.Wait()
	promise.Resolve(none{})
	time.Sleep(time.Minute - 1)
	synctest.Wait()
	tr.Want(t, "hold")
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	if all := tr.Take(); len(all) != 5 || all[0] != "let go" {
		t.Errorf("happened: %v", all)
	}
}

func exclusiveHoldsTerminated(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	watched := []*actor.PID{
		actortest.Spawn(t, sys.Root, "x", bare, actors.Options{}),
		actortest.Spawn(t, sys.Root, "y", bare, actors.Options{}),
	}
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		for _, pid := range watched {
			w.Watch(pid)
		}
		actors.On(w, func(t *actors.Task, _ *actor.Terminated) error {
			tr.Add("terminated")
			defer tr.Add("handled")
			return t.Sleep(time.Second)
		}, actors.Exclusive())
		return holder(&tr)(w)
	}, actors.Options{})
	f := actors.RequestFuture[none](sys.Root, pid, hold{time.Minute})
	synctest.Wait()
	for _, pid := range watched {
		sys.Root.Stop(pid)
	}
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	time.Sleep(3 * time.Second)
	tr.Want(t, "hold", "let go", "terminated", "handled", "terminated", "handled")
}

func exclusiveStarts(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ int) (none, error) {
			child := actors.Start(t, func(t *actors.Task) (none, error) {
				tr.Add("child")
				g := actors.Start(t, func(t *actors.Task) (none, error) {
					err := t.Sleep(time.Second)
					tr.Add("grandchild goes on")
					return none{}, err
				})
				_, err := actors.Await(t, g)
				tr.Add("child goes on")
				return none{}, err
			})
			_, err := actors.Await(t, child)
			tr.Add("let go")
			return none{}, err
		}, actors.Exclusive())
		return nil
	}, actors.Options{})
	f := actors.RequestFuture[none](sys.Root, pid, 1)
	do(sys.Root, pid, func(*actors.Task) error { tr.Add("other"); return nil })
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	tr.Want(t, "child", "grandchild goes on", "child goes on", "let go", "other")
}

func exclusiveOrder(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", holder(&tr), actors.Options{})
	block := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-block; return nil })
	sys.Root.Send(pid, "1")
	actors.RequestFuture[none](sys.Root, pid, hold{time.Second})
	sys.Root.Send(pid, "2")
	actors.RequestFuture[none](sys.Root, pid, hold{time.Second})
	sys.Root.Send(pid, "3")
	close(block)
	time.Sleep(3 * time.Second)
	tr.Want(t, "1", "hold", "let go", "2", "hold", "let go", "3")
}

func exclusiveLetsGo(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", holder(&tr), actors.Options{})
	f := actors.RequestFuture[none](sys.Root, pid, hold{time.Hour})
	sys.Root.Send(pid, "after a cancel")
	synctest.Wait()
	f.Cancel()
	synctest.Wait()
	tr.Want(t, "hold", "let go", "after a cancel")
	actors.RequestFuture[none](sys.Root, pid, hold{-time.Second})
	sys.Root.Send(pid, "after a panic")
	time.Sleep(2 * time.Second)
	tr.Want(t, "hold", "let go", "after a panic")
}

// wantDeadlock fails the test unless err names the ring of workers, from any
// of them on.
func wantDeadlock(t *testing.T, err error, path ...string) {
	t.Helper()
	var d *actors.DeadlockError
	if !errors.As(err, &d) {
		t.Errorf("error %v, want a DeadlockError", err)
		return
	}
	var got []string
	for _, pid := range d.Path {
		got = append(got, pid.Id)
	}
	if len(got) != len(path) {
		t.Errorf("path %v, want %v", got, path)
		return
	}
	for turn := range path {
		same := true
		for i := range path {
			same = same && got[i] == path[(i+turn)%len(path)]
		}
		if same {
			return
		}
	}
	t.Errorf("path %v, want %v", got, path)
}

type askNext struct{ to []*actor.PID }

// ringWorker passes a request on along a path. It is exclusive.
func ringWorker(opts ...actors.HandlerOption) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m askNext) (int, error) {
			if len(m.to) == 0 {
				return 1, nil
			}
			if err := t.Sleep(time.Second); err != nil {
				return 0, err
			}
			n, err := actors.Ask[int](t, m.to[0], askNext{m.to[1:]})
			return n + 1, err
		}, opts...)
		return nil
	}
}

func ringOfOne(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "a", ringWorker(actors.Exclusive()), actors.Options{})
	watch := newStopwatch()
	_, err := actors.RequestFuture[int](sys.Root, pid, askNext{[]*actor.PID{pid}}).Wait(t.Context())
	wantDeadlock(t, err, "a")
	watch.want(t, "found", time.Second)
}

func ringOfTwo(t *testing.T, sys *actor.ActorSystem) {
	a := actortest.Spawn(t, sys.Root, "a", ringWorker(actors.Exclusive()), actors.Options{})
	b := actortest.Spawn(t, sys.Root, "b", ringWorker(actors.Exclusive()), actors.Options{})
	watch := newStopwatch()
	// One request that comes round.
	_, err := actors.RequestFuture[int](sys.Root, a, askNext{[]*actor.PID{b, a}}).Wait(t.Context())
	wantDeadlock(t, err, "a", "b")
	watch.want(t, "found", 2*time.Second)
	// Two requests that meet: one of them closes the ring, the other one
	// succeeds.
	f := actors.RequestFuture[int](sys.Root, a, askNext{[]*actor.PID{b}})
	g := actors.RequestFuture[int](sys.Root, b, askNext{[]*actor.PID{a}})
	_, err1 := f.Wait(t.Context())
	_, err2 := g.Wait(t.Context())
	watch.want(t, "found", 3*time.Second)
	if (err1 == nil) == (err2 == nil) {
		t.Errorf("two that ask each other: %v and %v, want one DeadlockError", err1, err2)
	}
	wantDeadlock(t, errors.Join(err1, err2), "a", "b")
}

func ringRequestNeverRuns(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "a", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ int) (string, error) {
			_, err := actors.Ask[string](t, t.Self(), "pay")
			if errors.As(err, new(*actors.DeadlockError)) {
				tr.Add("deadlock")
			}
			return "told", nil
		}, actors.Exclusive())
		return echo(&tr)(w)
	}, actors.Options{})
	if _, err := actors.RequestFuture[string](sys.Root, pid, 1).Wait(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	tr.Want(t, "deadlock") // whoever heard of that may try again: it must not be paid behind his back
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 1, Canceled: 1})
}

func ringAtMaxInFlight(t *testing.T, sys *actor.ActorSystem) {
	a := actortest.Spawn(t, sys.Root, "a", ringWorker(), actors.Options{MaxInFlight: 1})
	b := actortest.Spawn(t, sys.Root, "b", ringWorker(actors.Exclusive()), actors.Options{})
	_, err := actors.RequestFuture[int](sys.Root, a, askNext{[]*actor.PID{a}}).Wait(t.Context())
	wantDeadlock(t, err, "a")
	_, err = actors.RequestFuture[int](sys.Root, a, askNext{[]*actor.PID{b, a}}).Wait(t.Context())
	wantDeadlock(t, err, "a", "b")
}

func noRing(t *testing.T, sys *actor.ActorSystem) {
	a := actortest.Spawn(t, sys.Root, "a", ringWorker(actors.Exclusive()), actors.Options{})
	b := actortest.Spawn(t, sys.Root, "b", ringWorker(), actors.Options{})
	c := actortest.Spawn(t, sys.Root, "c", ringWorker(actors.Exclusive()), actors.Options{})
	for _, path := range [][]*actor.PID{{a, b, c}, {b, b, b, b}, {b, a, b, c, b}} {
		f := actors.RequestFuture[int](sys.Root, path[0], askNext{path[1:]})
		g := actors.RequestFuture[int](sys.Root, path[0], askNext{path[1:]}) // queues behind it
		for _, f := range []*actors.Future[int]{f, g} {
			if v, err := f.Wait(t.Context()); v != len(path) || err != nil {
				t.Errorf("%v: %d, %v", path, v, err)
			}
		}
	}
}
