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
// The signals wait until it returns, and if it fails the supervisor is stopped.
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
	var asked time.Time // to stop, first
	stop := func() {
		if asked.IsZero() {
			asked = time.Now()
			n.stop()
		}
	}
	started, ended := n.started, ctx.Done()
	for {
		select {
		case <-started:
			started = nil
			if n.failed == nil && asked.IsZero() && up != nil {
				if err = up(&Supervisor{n}); err != nil {
					stop()
				}
			}
		case <-ended:
			ended = nil
			stop()
		case s := <-came:
			log := n.core.Load().out.log
			switch {
			case asked.IsZero():
				log.Info("supervisor: signal", "supervisor", n.pid.Id, "signal", s.String())
				stop()
			case time.Since(asked) >= sameSignal:
				log.Warn("supervisor: second signal: the grace is over", "supervisor", n.pid.Id, "signal", s.String())
				n.endGrace()
			}
		case <-n.done:
			if err == nil && n.err != nil {
				if err = n.err; n.failed != nil {
					err = n.startError(nil)
				}
			}
			return n.report, err
		}
	}
}
