package supervisor_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

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
	s, err := supervisor.Start(actortest.NewSystem(t), supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "a", Props: slow, Shutdown: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	begun := make(chan struct{})
	go func() {
		close(begun)
		var rep supervisor.Report
		rep, r.err = s.Run(ctx, syscall.SIGUSR1, syscall.SIGUSR2)
		r.report <- rep
	}()
	<-begun
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

// The first signal is the stop event, a second one, later, ends the grace.
func TestRunSignals(t *testing.T) {
	// Until Run has asked for it, a SIGUSR1 would end the process.
	hold := make(chan os.Signal, 1)
	signal.Notify(hold, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(hold)

	r := run(t, context.Background(), time.Hour)
	actortest.Eventually(t, "the first signal is the stop event", func() bool {
		r.signal(syscall.SIGUSR1) // again, for one that came before Run
		select {
		case <-r.told:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	select { // those of the first moment are the same one
	case rep := <-r.report:
		t.Fatalf("it has ended: %v", rep)
	case <-time.After(300 * time.Millisecond):
	}
	begin := time.Now()
	r.signal(syscall.SIGUSR2)
	rep := <-r.report
	if r.err != nil || rep.Supervisor != "app" || time.Since(begin) > time.Minute {
		t.Errorf("%v, %v", r.err, rep)
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
		s := w.start(supervisor.Spec{MaxRestarts: -1, Children: w.children("a")})
		op := actortest.Go(t, func() (supervisor.Report, error) { return s.Run(context.Background(), syscall.SIGUSR1) })
		if !op.Blocked() {
			t.Error("Run has returned")
		}
		w.crash(s.Child("a"))
		rep, err := op.Result()
		var e *supervisor.IntensityError
		if !errors.As(err, &e) || rep.Total.Failed != 1 {
			t.Errorf("%v, %v", err, rep)
		}
	})
}
