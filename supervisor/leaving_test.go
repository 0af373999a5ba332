// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/supervisor"
)

// A child that ends by itself, or because of somebody else, takes nothing new from then
// on, and is "stopping" until it is gone.
func TestStateOfAChildThatLeaves(t *testing.T) {
	drains := actors.Options{StopGrace: time.Minute}
	for name, leave := range map[string]func(w *world, pid *actor.PID, main chan struct{}){
		"Exit":         func(w *world, pid *actor.PID, _ chan struct{}) { w.tell(pid, exit{nil}) },
		"Main returns": func(_ *world, _ *actor.PID, main chan struct{}) { close(main) },
		"RequestStop":  func(w *world, pid *actor.PID, _ chan struct{}) { actors.RequestStop(w.root, pid, time.Minute) },
		"Poison":       func(w *world, pid *actor.PID, _ chan struct{}) { w.root.Poison(pid) },
	} {
		bubble(t, func(w *world) {
			main := make(chan struct{})
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Restart: supervisor.Transient,
				Props: w.part("a", func(_ int, aw *actors.Worker) error {
					aw.Main(func(t *actors.Task) error { _, _, err := loopsync.Receive(t, main); return err })
					return nil
				}, drains)}}})
			pid := s.Child("a")
			last := w.tell(pid, sleep{10 * time.Second})
			synctest.Wait()
			if got := state(s, "a"); got != "up" {
				w.Errorf("%s: before that it is %s", name, got)
			}
			begin := time.Now()
			leave(w, pid, main)
			synctest.Wait()
			if got := state(s, "a"); got != "stopping" || !s.Children()[0].Since.Equal(begin) {
				w.Errorf("%s: it is %s", name, got)
			}
			if _, err := w.ask(pid, life{}); !errors.Is(err, actors.ErrStopping) {
				w.Errorf("%s: a request is told %v", name, err)
			}
			if _, err := last.Wait(context.Background()); err != nil {
				w.Errorf("%s: what was accepted is told %v", name, err)
			}
			time.Sleep(time.Hour) // Main hears no stop, and is cut off
			if got := state(s, "a"); got != "gone" {
				w.Errorf("%s: in the end it is %s", name, got)
			}
			w.stop(s)
		})
	}
}

// What is done with a child that leaves: Restart waits for its end and starts the next,
// Remove and a stop of the supervisor bound its grace, and siblings that restart
// together take it along.
func TestOperationsOnAChildThatLeaves(t *testing.T) {
	leaves := func(w *world, strategy supervisor.Strategy) *supervisor.Supervisor {
		s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 5, Children: []supervisor.Child{
			{Name: "a", Restart: supervisor.Transient, Props: w.part("a", nil, actors.Options{StopGrace: time.Hour})},
			{Name: "b", Props: w.part("b", nil)},
		}})
		w.tell(s.Child("a"), sleep{10 * time.Second})
		synctest.Wait()
		w.ask(s.Child("a"), exit{nil})
		synctest.Wait()
		if got := state(s, "a"); got != "stopping" {
			w.Errorf("it is %s", got)
		}
		w.noted("+a +b")
		return s
	}
	bubble(t, func(w *world) {
		s := leaves(w, supervisor.OneForOne)
		begin := time.Now()
		if err := s.Restart(context.Background(), "a"); err != nil {
			w.Error(err)
		}
		w.took(begin, 10*time.Second)
		w.noted("-a +a")
		if n, err := w.ask(s.Child("a"), life{}); n != 2 || err != nil {
			w.Error(n, err)
		}
		w.stop(s)
	})
	bubble(t, func(w *world) {
		s := leaves(w, supervisor.OneForOne)
		begin := time.Now()
		if err := s.Remove(context.Background(), "a"); err != nil {
			w.Error(err)
		}
		w.took(begin, 5*time.Second) // its Shutdown
		w.noted("-a")
		w.stop(s)
	})
	bubble(t, func(w *world) {
		s := leaves(w, supervisor.OneForOne)
		begin := time.Now()
		w.stop(s)
		w.took(begin, 5*time.Second)
		w.noted("-b -a")
	})
	bubble(t, func(w *world) {
		s := leaves(w, supervisor.OneForAll)
		w.crash(s.Child("b"))
		time.Sleep(time.Minute)
		w.noted("-b -a +a +b")
		if got := state(s, "a"); got != "up" {
			w.Errorf("it is %s", got)
		}
		w.stop(s)
	})
}

// dynamicOf starts a Dynamic whose children are parts.
func (w *world) dynamicOf(child supervisor.Child, more ...func(*supervisor.DynamicSpec)) *supervisor.Dynamic {
	w.Helper()
	spec := supervisor.DynamicSpec{Name: "many", Child: child, OnEvent: w.event}
	for _, f := range more {
		f(&spec)
	}
	d, err := supervisor.StartDynamic(w.Context(), w.sys, spec)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

// Any number of callers get one child, and wait for it while it starts, restarts or
// ends.
func TestGetOrStart(t *testing.T) {
	bubble(t, func(w *world) {
		slow := func(_ int, aw *actors.Worker) error { return aw.Task().Sleep(time.Second) }
		d := w.dynamicOf(supervisor.Child{Restart: supervisor.Transient, Props: w.part("x", slow, actors.Options{StopGrace: time.Hour}),
			Backoff: actors.Backoff{Initial: time.Minute}})
		get := func() *actor.PID {
			pid, err := d.GetOrStart(context.Background(), "x", nil)
			if err != nil {
				w.Error(err)
			}
			return pid
		}
		all := func() (first *actor.PID) {
			var callers sync.WaitGroup
			pids := make([]*actor.PID, 50)
			for i := range pids {
				callers.Go(func() { pids[i] = get() })
			}
			callers.Wait()
			for _, pid := range pids {
				if pid == nil || pid.Id != "many/x" {
					w.Fatalf("a caller gets %v", pid)
				}
			}
			return pids[0]
		}
		begin := time.Now()
		pid := all()
		w.took(begin, time.Second)
		w.noted("+x")
		if get(); time.Since(begin) != time.Second {
			w.Error("one that is up is waited for")
		}

		w.crash(pid) // it restarts after its backoff
		begin = time.Now()
		all()
		w.took(begin, time.Minute+time.Second)
		w.noted("-x +x")

		last := w.tell(pid, sleep{10 * time.Second})
		synctest.Wait()
		w.ask(pid, exit{nil}) // it ends, when that is over
		begin = time.Now()
		pid = all()
		w.took(begin, 11*time.Second)
		w.noted("-x +x")
		if n, err := last.Wait(context.Background()); n != 2 || err != nil {
			w.Errorf("what was accepted: %d, %v", n, err)
		}
		if n, err := w.ask(pid, life{}); n != 3 || err != nil || d.Len() != 1 {
			w.Errorf("incarnation %d, %v, of %d children", n, err, d.Len())
		}
		w.ask(pid, exit{nil})
		synctest.Wait()
		if d.Len() != 0 {
			w.Errorf("%d are left", d.Len())
		}
		begin = time.Now()
		all()
		w.took(begin, time.Second)
		d.Stop(context.Background())
		if _, err := d.GetOrStart(context.Background(), "x", nil); !errors.Is(err, actors.ErrStopping) {
			w.Errorf("after the stop: %v", err)
		}
	})
}

// A start that fails is told to all who have waited for it, and is tried once.
func TestGetOrStartFails(t *testing.T) {
	bubble(t, func(w *world) {
		why := errors.New("no disk")
		var setups atomic.Int32
		props := actors.Props(func(aw *actors.Worker) error {
			setups.Add(1)
			if err := aw.Task().Sleep(time.Second); err != nil {
				return err
			}
			return why
		})
		d := w.dynamicOf(supervisor.Child{Props: w.part("x", nil)}, func(s *supervisor.DynamicSpec) { s.MaxChildren = 1 })
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				pid, err := d.GetOrStart(context.Background(), "x", props)
				var e *supervisor.StartError
				if pid != nil || !errors.As(err, &e) || e.Child != "x" || !errors.Is(err, why) {
					w.Errorf("%v, %v", pid, err)
				}
			})
		}
		callers.Wait()
		if n := setups.Load(); n != 1 || d.Len() != 0 {
			w.Errorf("%d setups, %d children", n, d.Len())
		}
		// Then it is as if it had not been.
		if _, err := d.GetOrStart(context.Background(), "x", nil); err != nil {
			w.Error(err)
		}
		if _, err := d.GetOrStart(context.Background(), "y", nil); !errors.Is(err, supervisor.ErrTooMany) {
			w.Error(err)
		}
		for _, name := range []string{"", "a/b"} {
			var e *actors.OptionError
			if _, err := d.GetOrStart(context.Background(), name, nil); !errors.As(err, &e) || e.Field != "Name" {
				w.Errorf("%q: %v", name, err)
			}
		}
		// A ctx ends the waiting.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		if err := d.Remove(context.Background(), "x"); err != nil {
			w.Error(err)
		}
		begin := time.Now()
		if _, err := d.GetOrStart(ctx, "x", props); !errors.Is(err, context.DeadlineExceeded) {
			w.Error(err)
		}
		w.took(begin, time.Second/2)
		d.Stop(context.Background())
	})
}

// A child that asks for itself in its setup would wait for itself.
func TestGetOrStartInSetup(t *testing.T) {
	bubble(t, func(w *world) {
		var d *supervisor.Dynamic
		got := make(chan error, 1)
		d = w.dynamicOf(supervisor.Child{Props: w.part("x", func(_ int, aw *actors.Worker) error {
			return aw.Task().AwaitOffload(func(ctx context.Context) error {
				_, err := d.GetOrStart(ctx, "x", nil)
				got <- err
				return nil
			})
		})})
		if _, err := d.GetOrStart(context.Background(), "x", nil); err != nil {
			w.Error(err)
		}
		w.wants(<-got, supervisor.ErrInSetup)
		d.Stop(context.Background())
	})
}

// A child with an IdleAfter ends without being a failure, unless it is Permanent. Who
// sends to it by GetOrStart loses nothing, however often that is.
func TestIdleAfterUnderASupervisor(t *testing.T) {
	for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Transient, supervisor.Temporary} {
		bubble(t, func(w *world) {
			d := w.dynamicOf(supervisor.Child{Restart: restart, Props: w.part("x", nil, actors.Options{IdleAfter: time.Minute})},
				func(s *supervisor.DynamicSpec) { s.MaxRestarts = -1 })
			s := w.start(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{
				{Name: "y", Restart: restart, Props: w.part("y", nil, actors.Options{IdleAfter: time.Minute})}}})
			if _, err := d.GetOrStart(context.Background(), "x", nil); err != nil {
				w.Error(err)
			}
			time.Sleep(2 * time.Minute)
			want := map[supervisor.Restart]string{supervisor.Permanent: "up up", supervisor.Transient: "gone unknown", supervisor.Temporary: "unknown unknown"}[restart]
			if got := state(s, "y") + " " + state(d, "x"); got != want {
				w.Errorf("%v: %s, want %s", restart, got, want)
			}
			if failed := eventsOf[supervisor.ChildFailed](w); len(failed) != 0 {
				w.Errorf("%v: %v", restart, failed)
			}
			if s.Err() != nil || d.Err() != nil {
				w.Error(s.Err(), d.Err())
			}
			w.stop(s)
			d.Stop(context.Background())
		})
	}
	bubble(t, func(w *world) {
		const idle = 16 * time.Millisecond // with a look each millisecond
		d := w.dynamicOf(supervisor.Child{Restart: supervisor.Transient, Props: w.part("x", nil, actors.Options{IdleAfter: idle})})
		var sent, retried atomic.Int64
		var senders sync.WaitGroup
		for i := range 20 {
			senders.Go(func() {
				for n := range 50 {
					time.Sleep(idle + time.Duration((i*n)%4)*time.Millisecond)
					for {
						pid, err := d.GetOrStart(context.Background(), fmt.Sprint("x", i/4), nil)
						if err != nil {
							w.Error(err)
							return
						}
						sent.Add(1)
						if _, err = w.ask(pid, life{}); err == nil {
							break
						} else if !actors.RetrySafe(err) {
							w.Error(err)
							return
						}
						retried.Add(1)
					}
				}
			})
		}
		senders.Wait()
		r, err := d.Stop(context.Background())
		if err != nil || r.Total.Finished != 1000 || r.Total.Failed+r.Total.Canceled+r.Total.Abandoned+r.Total.DeadLettered != 0 {
			w.Errorf("%v, %v", r, err)
		}
		w.Logf("%d sent, %d retried", sent.Load(), retried.Load())
	})
}
