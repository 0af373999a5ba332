// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// running is a Run in the real world: signals know no bubble.
type running struct {
	*testing.T
	s      *supervisor.Supervisor
	told   chan struct{} // the child has seen the stop event
	report chan supervisor.Report
	err    error
}

// run runs a supervisor with a child that takes d to end.
func run(t *testing.T, ctx context.Context, d time.Duration) *running {
	r := &running{T: t, told: make(chan struct{}), report: make(chan supervisor.Report, 1)}
	slow := actors.Props(func(aw *actors.Worker) error {
		aw.Background("slow", func(t *actors.Task) error {
			if _, err := t.SleepOrStop(time.Hour); err != nil {
				return err
			}
			close(r.told)
			return t.Sleep(d)
		})
		actors.Handle(aw, func(_ *actors.Task, m exit) (int, error) { return 0, nil })
		return nil
	})
	spec := supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "a", Props: slow, Shutdown: time.Hour}}}
	sys := actortest.NewSystem(t)
	up := make(chan struct{})
	go func() {
		rep, err := supervisor.Run(ctx, sys, spec, func(s *supervisor.Supervisor) error {
			r.s = s
			close(up)
			return nil
		}, syscall.SIGUSR1, syscall.SIGUSR2)
		r.err = err
		r.report <- rep
	}()
	<-up
	return r
}

func (r *running) signal(s os.Signal) {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(s)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// The first signal is the stop event, a second one, later, ends the grace. When that is TestSignalTimes
// has: here the second one comes until it is late enough.
func TestRunSignals(t *testing.T) {
	r := run(t, context.Background(), time.Hour)
	r.signal(syscall.SIGUSR1)
	<-r.told
	rep := r.signalUntilEnded(syscall.SIGUSR2)
	if r.err != nil || rep.Supervisor != "app" {
		t.Errorf("%v, %v", r.err, rep)
	}
}

// signalUntilEnded sends a signal again and again until Run returns.
func (r *running) signalUntilEnded(s os.Signal) supervisor.Report {
	for {
		r.signal(s)
		select {
		case rep := <-r.report:
			return rep
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The end of ctx is the stop event, too.
func TestRunContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := run(t, ctx, time.Millisecond)
	select {
	case rep := <-r.report:
		t.Fatalf("it has ended: %v", rep)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if rep := <-r.report; r.err != nil || len(rep.Children) != 1 || rep.Err() != nil {
		t.Errorf("%v, %v", r.err, rep)
	}
	<-r.told
}

// A stop by somebody else, and a failure, end Run, too.
func TestRunEnds(t *testing.T) {
	r := run(t, context.Background(), 0)
	r.s.RequestStop()
	if rep := <-r.report; r.err != nil || len(rep.Children) != 1 {
		t.Errorf("%v, %v", r.err, rep)
	}
	bubble(t, func(w *world) {
		op := w.run(w.Context(), supervisor.Spec{MaxRestarts: -1, Children: w.children("a")}, nil)
		if !op.Blocked() {
			t.Error("Run has returned")
		}
		w.crash(actor.NewPID(w.sys.Address(), "app/a"))
		rep, err := op.Result()
		var e *supervisor.IntensityError
		if !errors.As(err, &e) || rep.Total.Failed != 1 {
			t.Errorf("%v, %v", err, rep)
		}
	})
}

// run is Run in a bubble, where no signal comes.
func (w *world) run(ctx context.Context, spec supervisor.Spec, up func(*supervisor.Supervisor) error) *actortest.Op[supervisor.Report] {
	spec.Name, spec.OnEvent = "app", w.event
	return actortest.Go(w.T, func() (supervisor.Report, error) {
		return supervisor.Run(ctx, w.sys, spec, up, syscall.SIGUSR1)
	})
}

// A signal while the children start stops those that are up, in reverse, and
// the report has all of them. One whose setup goes on has its Shutdown, which a
// second signal ends.
func TestRunSignalDuringStart(t *testing.T) {
	var mu sync.Mutex
	var order []string
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	inSetup, told := make(chan struct{}), make(chan struct{})
	part := func(name string, setup func(t *actors.Task) error) supervisor.Child {
		return supervisor.Child{Name: name, Shutdown: time.Hour, Props: actors.Props(func(aw *actors.Worker) error {
			aw.OnStop(func(*actors.Task) error { note("-" + name); return nil })
			if setup != nil {
				return setup(aw.Task())
			}
			note("+" + name)
			return nil
		})}
	}
	slow := func(t *actors.Task) error {
		close(inSetup)
		if stopping, err := t.SleepOrStop(time.Hour); !stopping {
			return err
		}
		close(told)
		err := t.Sleep(time.Hour) // it still waits for a server
		note("c gives up")
		return err
	}
	r := &running{T: t, report: make(chan supervisor.Report, 1)}
	sys := actortest.NewSystem(t)
	go func() {
		rep, err := supervisor.Run(context.Background(), sys, supervisor.Spec{Name: "app",
			Children: []supervisor.Child{part("a", nil), part("b", nil), part("c", slow), part("d", nil)}},
			func(*supervisor.Supervisor) error { t.Error("it is up"); return nil }, syscall.SIGUSR1, syscall.SIGUSR2)
		r.err = err
		r.report <- rep
	}()
	<-inSetup
	r.signal(syscall.SIGUSR1)
	<-told
	rep := r.signalUntilEnded(syscall.SIGUSR2)
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order, " "); got != "+a +b c gives up -b -a" {
		t.Errorf("order: %s", got)
	}
	if r.err != nil || len(rep.Children) != 4 || rep.Err() != nil {
		t.Errorf("%v, %v", r.err, rep)
	}
}

// The end of ctx while the children start is the same. Start tells it as an
// error with the report, Run as an orderly end.
func TestContextEndsDuringStart(t *testing.T) {
	why := errors.New("why")
	spec := func(w *world) supervisor.Spec {
		return supervisor.Spec{Children: []supervisor.Child{w.child("a"), {Name: "b", Props: w.part("b", func(_ int, aw *actors.Worker) error {
			w.tell(actor.NewPID(w.sys.Address(), "app/a"), life{})
			return aw.Task().Sleep(time.Hour)
		}), StartTimeout: 2 * time.Hour, Shutdown: 3 * time.Second}, w.child("c")}}
	}
	check := func(w *world, rep supervisor.Report) {
		w.noted("+a -a")
		w.agrees(rep)
		if len(rep.Children) != 3 || row(rep.Children, "a").Counts.Finished != 1 || rep.Err() != nil {
			t.Errorf("%v", rep)
		}
	}
	bubble(t, func(w *world) {
		ctx, cancel := context.WithCancelCause(w.Context())
		op := actortest.Go(t, func() (*supervisor.Supervisor, error) {
			s := spec(w)
			s.Name = "app"
			return supervisor.Start(ctx, w.sys, s)
		})
		if !op.Blocked() {
			t.Error("Start has returned")
		}
		cancel(why)
		time.Sleep(3*time.Second - 1)
		if !op.Blocked() { // b's Shutdown
			t.Error("Start has returned")
		}
		time.Sleep(time.Nanosecond)
		_, err := op.Result()
		var e *supervisor.StartError
		if !errors.As(err, &e) || e.Supervisor != "app" || e.Child != "b" || e.Err != why {
			t.Fatalf("%v", err)
		}
		check(w, e.Report)
	})
	bubble(t, func(w *world) {
		ctx, cancel := context.WithCancelCause(w.Context())
		op := w.run(ctx, spec(w), func(*supervisor.Supervisor) error { t.Error("it is up"); return nil })
		if !op.Blocked() {
			t.Error("Run has returned")
		}
		cancel(why)
		time.Sleep(3 * time.Second)
		rep, err := op.Result()
		w.wants(err, nil)
		check(w, rep)
	})
	bubble(t, func(w *world) { // before it has begun
		ctx, cancel := context.WithCancelCause(w.Context())
		cancel(why)
		_, err := supervisor.Start(ctx, w.sys, supervisor.Spec{Name: "app", Children: w.children("a")})
		w.wants(err, why)
		w.noted("")
	})
}

// A start that fails has the report of what was up, by Start and by Run.
func TestStartFailureReports(t *testing.T) {
	no := errors.New("no")
	for name, start := range map[string]func(w *world, spec supervisor.Spec) (supervisor.Report, error){
		"Start": func(w *world, spec supervisor.Spec) (supervisor.Report, error) {
			_, err := w.tryStart(spec)
			var e *supervisor.StartError
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			return e.Report, err
		},
		"Run": func(w *world, spec supervisor.Spec) (supervisor.Report, error) {
			return w.run(w.Context(), spec, nil).Result()
		},
	} {
		bubble(t, func(w *world) {
			rep, err := start(w, supervisor.Spec{Children: []supervisor.Child{w.child("a"), {Name: "b", Props: w.part("b", func(_ int, aw *actors.Worker) error {
				actors.Await(aw.Task(), w.tell(actor.NewPID(w.sys.Address(), "app/a"), life{}))
				return no
			})}}})
			var e *supervisor.StartError
			if !errors.As(err, &e) || e.Child != "b" || !errors.Is(err, no) || row(e.Report.Children, "a").Counts.Finished != 1 {
				t.Errorf("%s: %v", name, err)
			}
			if rep.Total.Finished != 1 {
				t.Errorf("%s: %v", name, rep)
			}
			w.agrees(rep)
		})
	}
}

// What up returns ends Run.
func TestRunUp(t *testing.T) {
	no := errors.New("no")
	bubble(t, func(w *world) {
		rep, err := w.run(w.Context(), supervisor.Spec{Children: w.children("a")}, func(s *supervisor.Supervisor) error {
			if n, err := w.ask(s.Child("a"), life{}); n != 1 || err != nil {
				t.Error(n, err)
			}
			return no
		}).Result()
		if err != no || rep.Total.Finished != 1 {
			t.Errorf("%v, %v", err, rep)
		}
		w.noted("+a -a")
	})
}

// An up that does not return is no reason to leave behind what is up: what it has
// begun, a panic or a Goexit, goes on when that has ended.
func TestRunUpDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){
		"panic":  func() { panic("no") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var panicked any
				var s *supervisor.Supervisor
				over := make(chan struct{})
				go func() {
					defer close(over)
					defer func() { panicked = recover() }()
					_, _ = supervisor.Run(w.Context(), w.sys, supervisor.Spec{Name: "app", OnEvent: w.event, Children: w.children("a", "b")}, func(up *supervisor.Supervisor) error {
						s = up
						end()
						return nil
					})
					t.Error("Run has returned")
				}()
				<-over
				if want := map[string]any{"panic": "no"}[name]; panicked != want {
					t.Errorf("the panic was %v, want %v", panicked, want)
				}
				select {
				case <-s.Stopped():
				default:
					t.Error("the supervisor runs")
				}
				w.noted("+a +b -b -a")
			})
		})
	}
}

func TestNilContext(t *testing.T) {
	bubble(t, func(w *world) {
		var none context.Context
		for what, f := range map[string]func(){
			"Run":   func() { _, _ = supervisor.Run(none, w.sys, supervisor.Spec{Name: "app"}, nil) },
			"Start": func() { _, _ = supervisor.Start(none, w.sys, supervisor.Spec{Name: "app"}) },
		} {
			func() {
				defer func() {
					if p, want := recover(), "supervisor: "+what+" called with a nil context"; p != want {
						t.Errorf("the panic is %v, want %s", p, want)
					}
				}()
				f()
			}()
		}
	})
}
