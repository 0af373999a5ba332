package supervisor

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// sameSignal is how long after the first signal another one is taken for the
// same: one that also ended ctx, by signal.NotifyContext, or that timeout(1)
// has sent to the process and to its group.
const sameSignal = 200 * time.Millisecond

// Run starts a supervisor and runs it: it waits until ctx ends, a signal
// arrives or the supervisor ends by itself, then stops it and returns its
// report. It is what main calls. Without signals it is SIGINT and SIGTERM; a
// second one, not within 200 ms of the first, ends all grace periods at once.
//
// It hears signals from its begin: one that comes while the children start
// stops those that are up, in reverse. up, if not nil, is called once all are.
// The signals wait until it returns, and if it fails the supervisor is stopped;
// so it is if up panics or calls [runtime.Goexit], which goes on when the
// supervisor has ended.
//
// The error is a [*StartError], that of up, or why the supervisor has failed,
// as Err says; nil if it was told to stop, also during its start. A stop that
// had to leave something behind is told by [Report.Err].
func Run(ctx context.Context, sys *actor.ActorSystem, spec Spec, up func(*Supervisor) error, signals ...os.Signal) (Report, error) {
	notInTask(ctx, "Run", "await RequestStop of a Supervisor that Start has returned")
	if len(signals) == 0 {
		signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	}
	came := make(chan os.Signal, 2)
	signal.Notify(came, signals...)
	defer signal.Stop(came)
	n, err := begin(sys, spec)
	if err != nil {
		return Report{Supervisor: spec.Name}, err
	}
	r := &run{n: n, came: came, ended: ctx.Done()}
	r.waitUntil(n.started)
	if n.failed == nil && r.asked.IsZero() && up != nil {
		err = r.callUp(up)
	}
	r.waitUntil(n.done)
	if err == nil && n.err != nil {
		if err = n.err; n.failed != nil {
			err = n.startError(nil)
		}
	}
	return n.report, err
}

// run is one call of Run, which hears what stops the supervisor.
type run struct {
	n     *node
	came  <-chan os.Signal
	ended <-chan struct{} // nil: that has been heard
	asked time.Time       // to stop, first
}

func (r *run) stop() {
	if r.asked.IsZero() {
		r.asked = time.Now()
		r.n.stop()
	}
}

// callUp stops the supervisor unless up returns nil.
func (r *run) callUp(up func(*Supervisor) error) error {
	returned := false
	defer func() {
		if !returned { // nobody but us can stop what is up, or hears a signal
			r.stop()
			r.waitUntil(r.n.done)
		}
	}()
	err := up(&Supervisor{r.n})
	returned = true
	if err != nil {
		r.stop()
	}
	return err
}

// waitUntil waits for what closes c, and stops the supervisor when it is to.
func (r *run) waitUntil(c <-chan struct{}) {
	for {
		select {
		case <-c:
			return
		case <-r.ended:
			r.ended = nil
			r.stop()
		case s := <-r.came:
			log := r.n.core.Load().out.log
			switch {
			case r.asked.IsZero():
				log.Info("supervisor: signal", "supervisor", r.n.pid.Id, "signal", s.String())
				r.stop()
			case time.Since(r.asked) >= sameSignal:
				log.Warn("supervisor: second signal: the grace is over", "supervisor", r.n.pid.Id, "signal", s.String())
				r.n.endGrace()
			}
		}
	}
}
