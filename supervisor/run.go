package supervisor

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how long after the first signal another one is taken for the
// same: one that also ended ctx, by signal.NotifyContext, or that timeout(1)
// has sent to the process and to its group.
const sameSignal = 200 * time.Millisecond

// run is Run.
func (n *node) run(ctx context.Context, signals []os.Signal) (Report, error) {
	notInTask(ctx, "Run", "await RequestStop")
	if len(signals) == 0 {
		signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	}
	came := make(chan os.Signal, 2)
	signal.Notify(came, signals...)
	defer signal.Stop(came)
	select {
	case <-ctx.Done():
	case s := <-came:
		n.core.Load().out.log.Info("supervisor: signal", "supervisor", n.pid.Id, "signal", s.String())
	case <-n.done:
	}
	n.stop()
	first := time.Now()
	for {
		select {
		case <-n.done:
			return n.report, n.err
		case s := <-came:
			if time.Since(first) < sameSignal {
				continue
			}
			n.core.Load().out.log.Warn("supervisor: second signal: the grace is over", "supervisor", n.pid.Id, "signal", s.String())
			n.endGrace()
		}
	}
}
