// SPDX-License-Identifier: Apache-2.0

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
	n, err := beginSupervisor(sys, spec)
	if err != nil {
		return Report{Supervisor: spec.Name}, err
	}
	r := &runCall{supervisor: n, signals: came, ctxDone: ctx.Done()}
	r.waitUntilClosed(n.started)
	if n.startFailure == nil && r.stopAskedAt.IsZero() && up != nil {
		err = r.callUpFunc(up)
	}
	r.waitUntilClosed(n.done)
	if err == nil && n.err != nil {
		if err = n.err; n.startFailure != nil {
			err = n.startError(nil)
		}
	}
	return n.report, err
}

// runCall is one call of Run, and what may stop its supervisor.
type runCall struct {
	supervisor  *node
	signals     <-chan os.Signal
	ctxDone     <-chan struct{} // nil: that has been dealt with
	stopAskedAt time.Time       // to stop, first
}

func (r *runCall) stopOnce() {
	if r.stopAskedAt.IsZero() {
		r.stopAskedAt = time.Now()
		r.supervisor.setStopEvent()
	}
}

// callUpFunc calls up, and stops the supervisor unless up returns nil.
func (r *runCall) callUpFunc(up func(*Supervisor) error) error {
	returned := false
	defer func() {
		if !returned { // nobody but us can stop what is up, or hears a signal
			r.stopOnce()
			r.waitUntilClosed(r.supervisor.done)
		}
	}()
	err := up(&Supervisor{r.supervisor})
	returned = true
	if err != nil {
		r.stopOnce()
	}
	return err
}

// waitUntilClosed waits for what closes c, and stops the supervisor when it is to.
func (r *runCall) waitUntilClosed(c <-chan struct{}) {
	for {
		select {
		case <-c:
			return
		case <-r.ctxDone:
			r.ctxDone = nil
			r.stopOnce()
		case s := <-r.signals:
			log := r.supervisor.core.Load().events.log
			switch {
			case r.stopAskedAt.IsZero():
				log.Info("supervisor: signal", "supervisor", r.supervisor.pid.Id, "signal", s.String())
				r.stopOnce()
			case time.Since(r.stopAskedAt) >= sameSignal:
				log.Warn("supervisor: second signal: the grace is over", "supervisor", r.supervisor.pid.Id, "signal", s.String())
				r.supervisor.endGrace()
			}
		}
	}
}
