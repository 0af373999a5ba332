// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

func stoppingRefuses(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	dead := testtools.DeadLetters(sys)
	pid := actortest.Spawn(t, sys.Root, "w", echo(&tr), actors.Options{})
	other := actortest.Spawn(t, sys.Root, "other", bare, actors.Options{})
	do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(5 * time.Second) })
	synctest.Wait()
	end := actors.RequestStop(sys.Root, pid, time.Minute)

	wantDone(t, "a submission", do(sys.Root, pid, func(*actors.Task) error { tr.Add("ran"); return nil }), actors.ErrStopping)
	wantDone(t, "a request", actors.RequestFuture[string](sys.Root, pid, "request"), actors.ErrStopping)
	run(t, sys.Root, other, func(k *actors.Task) error {
		_, err := actors.Ask[string](k, pid, "task's")
		wantErr(t, "a task's request", err, actors.ErrStopping)
		_, err = actors.Await(k, do(k, pid, func(*actors.Task) error { tr.Add("ran"); return nil }))
		wantErr(t, "a task's submission", err, actors.ErrStopping)
		return nil
	})
	if f := ask(t, sys, pid, "plain request"); !errors.Is(f, actors.ErrStopping) || f.Ran || !f.RetrySafe {
		t.Errorf("a plain request: %v", f)
	}
	sys.Root.Send(pid, "plain message")
	synctest.Wait()
	dead.Want(t, "plain message to w")
	v, err := end.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr.Want(t)
	wantCounts(t, v, actors.Counts{Finished: 1, Refused: 6})
}

func stoppingKeepsPrimitives(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	var tr testtools.Trace
	other := actortest.Spawn(t, sys.Root, "other", echo(&tr), actors.Options{})
	f := do(sys.Root, pid, func(t *actors.Task) error {
		before := t.StopRequested()
		if stopping, err := t.SleepOrStop(time.Hour); !stopping || err != nil || before || !t.StopRequested() {
			return fmt.Errorf("SleepOrStop: %v, %v; StopRequested before: %v, now: %v", stopping, err, before, t.StopRequested())
		}
		select {
		case <-t.Stopping():
		default:
			return errors.New("t.Stopping is not closed")
		}
		if err := t.Context().Err(); err != nil {
			return fmt.Errorf("the context: %w", err)
		}
		ch := make(chan int, 1)
		ch <- 1
		_, _, err1 := loopsync.Receive(t, ch)
		_, err2 := actors.Await(t, actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Second) }))
		_, err3 := actors.Await(t, actors.Offload(t, func(context.Context) (none, error) { return none{}, nil }))
		_, err4 := actors.Ask[string](t, other, "still asking")
		return errors.Join(err1, err2, err3, err4, t.Yield(), t.Sleep(time.Second))
	})
	synctest.Wait()
	watch := newStopwatch()
	wantCounts(t, actortest.Stop(t, sys.Root, pid, time.Minute), finished(1))
	watch.want(t, "stopped", 2*time.Second)
	wantDone(t, "work in flight", f, nil)
	if _, err := f.TryResult(); err != nil {
		t.Error(err)
	}
}

func acceptedRunsOn(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, n int) (int, error) {
			tr.Add("begin %d", n)
			err := t.Sleep(time.Second)
			tr.Add("end %d", n)
			return n, err
		}, actors.Exclusive())
		return nil
	}, actors.Options{})
	var fs []*actors.Future[int]
	for i := range 3 {
		fs = append(fs, actors.RequestFuture[int](sys.Root, pid, i))
	}
	watch := newStopwatch()
	wantCounts(t, actortest.Stop(t, sys.Root, pid, time.Minute), finished(3))
	watch.want(t, "stopped", 3*time.Second)
	tr.Want(t, "begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2")
	for i, f := range fs {
		if v, err := f.TryResult(); v != i || err != nil {
			t.Error(v, err)
		}
	}
}

// failsInDrain are the ways to fail after the stop event. Requests are numbered
// from 1; the first has begun when the stop comes.
var failsInDrain = map[string]struct {
	options actors.Options
	setup   func(w *actors.Worker)                   // or nil
	handle  func(t *actors.Task, n int) (int, error) // or nil
	failed  int                                      // so many requests
	letters int                                      // so many more are dead letters of a supervisor
}{
	"a handler panics, one at a time": {
		options: actors.Options{MaxInFlight: 1},
		handle: func(t *actors.Task, n int) (int, error) {
			if n == 1 {
				defer panic("boom")
			}
			return n, t.Sleep(time.Second)
		},
		failed: 1,
	},
	"handlers panic while others await": {
		handle: func(t *actors.Task, n int) (int, error) {
			if n%3 == 0 {
				defer panic("boom")
			}
			return n, t.Sleep(time.Second)
		},
		failed: 3,
	},
	"handlers of a worker end it": {
		handle: func(t *actors.Task, n int) (int, error) {
			err := t.Sleep(time.Second)
			switch n {
			case 1:
				t.Exit(errSoldOut)
			case 2:
				t.Exit(supervisor.ErrEscalate)
			case 3:
				t.Exit(nil)
			}
			return n, err
		},
		letters: 2,
	},
	"a Background returns an error because of the stop": {
		options: actors.Options{MaxInFlight: 1},
		setup: func(w *actors.Worker) {
			w.Background("watch", func(t *actors.Task) error {
				_, err := t.SleepOrStop(time.Hour)
				return errors.Join(err, errSoldOut)
			})
		},
	},
	"a Background panics, and Main has no more to do": {
		options: actors.Options{MaxInFlight: 1},
		setup: func(w *actors.Worker) {
			w.Background("watch", func(t *actors.Task) error { _, _ = t.SleepOrStop(time.Hour); panic("boom") })
			w.Main(func(t *actors.Task) error { _, err := t.SleepOrStop(time.Hour); return err })
		},
	},
	"Main returns an error": {
		options: actors.Options{MaxInFlight: 1},
		setup: func(w *actors.Worker) {
			w.Main(func(t *actors.Task) error {
				_, err := t.SleepOrStop(time.Hour)
				return errors.Join(err, t.Sleep(time.Second), errSoldOut)
			})
		},
	},
}

// tenInDrain sends ten requests to a worker that fails as in failsInDrain, stops
// it when the first has begun, and wants all but failed answered within grace.
func tenInDrain(t *testing.T, sys *actor.ActorSystem, pid *actor.PID, failed int, stop func() actors.Counts) {
	t.Helper()
	fs := make([]*actors.Future[int], 10)
	for i := range fs {
		fs[i] = actors.RequestFuture[int](sys.Root, pid, i+1)
	}
	synctest.Wait()
	wantCounts(t, stop(), actors.Counts{Finished: int64(len(fs) - failed), Failed: int64(failed)})
	for i, f := range fs {
		n, err := f.TryResult()
		var p *actors.PanicError
		switch {
		case err != nil && errors.As(err, &p):
			failed--
		case err != nil || n != i+1:
			t.Errorf("request %d: %d, %v", i+1, n, err)
		}
	}
	if failed != 0 {
		t.Errorf("%d panics are missing", failed)
	}
}

func drainSurvivesFailures(t *testing.T, sys *actor.ActorSystem) {
	for name, d := range failsInDrain {
		for _, how := range []string{"Stop", "Poison"} {
			d.options.StopGrace = time.Minute
			hooks := 0
			pid := actortest.Spawn(t, sys.Root, strings.ReplaceAll(name+how, " ", "-"), inDrain(d.setup, d.handle, &hooks), d.options)
			t.Log(how, name)
			tenInDrain(t, sys, pid, d.failed, func() actors.Counts {
				f := actors.RequestStop(sys.Root, pid, 0)
				if how == "Poison" {
					sys.Root.Poison(pid)
				}
				v, err := f.Wait(t.Context())
				if err != nil {
					t.Error(err)
				}
				return v
			})
			if hooks != 1 {
				t.Errorf("OnStop has run %d times", hooks)
			}
		}
	}
	// A plain actor on an EventLoop, and an Exclusive turn that is awaiting.
	pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if n, ok := c.Message().(int); ok {
			t := actors.TaskOf(c)
			_ = t.Sleep(time.Second)
			if n == 1 {
				panic("boom")
			}
			c.Respond(n)
		}
	}, actors.EventLoop(actors.Options{MaxInFlight: 1, StopGrace: time.Minute})))
	tenInDrain(t, sys, pid, 1, func() actors.Counts {
		f := actors.RequestStop(sys.Root, pid, 0)
		sys.Root.Poison(pid)
		v, err := f.Wait(t.Context())
		if err != nil {
			t.Error(err)
		}
		return v
	})
}

// inDrain is the setup of a worker of failsInDrain.
func inDrain(setup func(w *actors.Worker), handle func(t *actors.Task, n int) (int, error), hooks *int) func(w *actors.Worker) error {
	if handle == nil {
		handle = func(t *actors.Task, n int) (int, error) { return n, t.Sleep(time.Second) }
	}
	return func(w *actors.Worker) error {
		actors.Handle(w, handle)
		w.OnStop(func(*actors.Task) error { *hooks++; return nil })
		if setup != nil {
			setup(w)
		}
		return nil
	}
}

func supervisedDrain(t *testing.T, sys *actor.ActorSystem) {
	for name, d := range failsInDrain {
		t.Log(name)
		hooks, failures, letters := 0, 0, 0
		d.options.StopGrace = time.Second
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{
			Name: strings.ReplaceAll(name, " ", "-"),
			OnEvent: func(e supervisor.Event) {
				if _, ok := e.(supervisor.ChildFailed); ok {
					failures++
				}
			},
			Children: []supervisor.Child{{
				Name: "w", Shutdown: 20 * time.Second,
				OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: func(supervisor.Crash) { letters++ }},
				Props:   actors.Props(inDrain(d.setup, d.handle, &hooks), actors.EventLoop(d.options)),
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tenInDrain(t, sys, s.Child("w"), d.failed, func() actors.Counts {
			r, err := s.Stop(context.Background())
			if err != nil {
				t.Error(err)
			}
			c := r.Total
			return actors.Counts{Offered: c.Offered, Accepted: c.Accepted, Finished: c.Finished, Failed: c.Failed, Canceled: c.Canceled}
		})
		synctest.Wait()
		if hooks != 1 || failures == 0 || letters != d.failed+d.letters {
			t.Errorf("OnStop has run %d times; %d failures were told, and %d dead letters, want %d", hooks, failures, letters, d.failed+d.letters)
		}
	}
}

func graceCutsOff(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MaxInFlight: 2})
	var ctx context.Context
	running := do(sys.Root, pid, func(t *actors.Task) error { ctx = t.Context(); return t.Sleep(time.Hour) })
	quick := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
	next := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
	queued := do(sys.Root, pid, func(*actors.Task) error { return nil })
	watch := newStopwatch()
	end := actors.RequestStop(sys.Root, pid, 3*time.Second)
	time.Sleep(3*time.Second - 1)
	synctest.Wait()
	if running.Done() || next.Done() || queued.Done() || ctx.Err() != nil {
		t.Error("cut off before the end of the grace")
	}
	v, err := end.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	watch.want(t, "stopped", 3*time.Second)
	wantDone(t, "running", running, actors.ErrStopped)
	wantDone(t, "started within the grace", next, actors.ErrStopped)
	wantDone(t, "queued", queued, actors.ErrStopping)
	if _, err := quick.TryResult(); err != nil {
		t.Errorf("finished within the grace: %v", err)
	}
	if cause := context.Cause(ctx); ctx.Err() == nil || !errors.Is(cause, actors.ErrStopped) {
		t.Errorf("the context: %v, cause %v", ctx.Err(), cause)
	}
	wantCounts(t, v, actors.Counts{Finished: 1, Canceled: 3})
}

func stopAbandons(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{StopGrace: 2 * time.Second, BlockedTurn: -1})
	release := make(chan none)
	defer close(release)
	f := do(sys.Root, pid, func(*actors.Task) error { stuck(release); return nil }, actors.Name("stubborn"))
	queued := do(sys.Root, pid, func(*actors.Task) error { return nil })
	synctest.Wait()
	watch := newStopwatch()
	end := actors.RequestStop(sys.Root, pid, time.Second)
	if v, err := end.Wait(t.Context()); err != nil {
		t.Error(err)
	} else {
		wantCounts(t, v, actors.Counts{Abandoned: 1, Canceled: 1})
	}
	if d := time.Since(time.Time(watch)); d < 3*time.Second || d > 3100*time.Millisecond {
		t.Errorf("stopped after %v, want the grace and StopGrace, 3 s, and little more", d)
	}
	wantDone(t, "stuck", f, actors.ErrStopped)
	wantDone(t, "queued", queued, actors.ErrStopping)
	wantAbandoned(t, sys, "stubborn", time.Time(watch).Add(time.Second)) // the end of the grace
}

func accountHolds(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{MailboxSize: 20})
	send := actortest.Go(t, func() (none, error) {
		for i := range 300 {
			f := do(sys.Root, pid, func(t *actors.Task) error {
				if i%11 == 0 {
					panic("boom")
				}
				if i%5 == 0 {
					return errSoldOut
				}
				return t.Sleep(time.Duration(i%7) * time.Millisecond)
			}, actors.Timeout(5*time.Millisecond))
			if i%3 == 0 {
				f.Cancel()
			}
			if i%50 == 0 {
				sys.Root.Send(pid, 1) // a restart
			}
			if i%40 == 39 {
				time.Sleep(30 * time.Millisecond)
				sys.Root.Send(pid, 3.14) // nobody receives it
			}
		}
		return none{}, nil
	})
	var last actors.Counts
	var pending int64
	for send.Blocked() {
		time.Sleep(time.Millisecond)
		f := actors.RequestFuture[*messages.Status](sys.Root, pid, &messages.StatusRequest{})
		st, err := f.Wait(t.Context())
		if err != nil { // no room in the mailbox
			continue
		}
		n := st.GetCounts()
		last = actors.Counts{
			Offered: n.Offered, Accepted: n.Accepted, Refused: n.Refused, Finished: n.Finished, Failed: n.Failed,
			Canceled: n.Canceled, Abandoned: n.Abandoned, DeadLettered: n.DeadLettered, Pending: n.Pending,
		}
		pending = max(pending, last.Pending)
		if !last.Agree() {
			t.Errorf("it does not balance: %+v", last)
		}
	}
	c := actortest.Stop(t, sys.Root, pid, 0)
	for name, v := range map[string]int64{"refused": c.Refused, "finished": c.Finished, "failed": c.Failed,
		"canceled": c.Canceled, "dead-lettered": c.DeadLettered} {
		if v == 0 {
			t.Errorf("nothing was %s: %v", name, c)
		}
	}
	if pending == 0 || c.Offered < last.Offered {
		t.Errorf("accounts on the way: %v, at the end: %v", last, c)
	}
}

func engineStopIsForced(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MaxInFlight: 1})
	running := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
	queued := do(sys.Root, pid, func(*actors.Task) error { return nil })
	synctest.Wait()
	watch := newStopwatch()
	if err := sys.Root.StopFuture(pid).Wait(); err != nil {
		t.Error(err)
	}
	watch.want(t, "stopped", 0)
	wantDone(t, "running", running, actors.ErrStopped)
	wantDone(t, "queued", queued, actors.ErrStopping)
}

func enginePoisonDrains(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MaxInFlight: 2, StopGrace: 3 * time.Second})
	running := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
	quick := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
	queued := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
	synctest.Wait()
	watch := newStopwatch()
	end := sys.Root.PoisonFuture(pid)
	wantDone(t, "refused", do(sys.Root, pid, func(*actors.Task) error { return nil }), actors.ErrStopping)
	if err := end.Wait(); err != nil {
		t.Error(err)
	}
	watch.want(t, "stopped", 3*time.Second)
	wantDone(t, "running", running, actors.ErrStopped)
	for _, f := range []*actors.Future[none]{quick, queued} {
		if _, err := f.TryResult(); err != nil {
			t.Errorf("accepted work: %v", err)
		}
	}
}
