package supervisor

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// run is Run.
func (n *node) run(ctx context.Context, signals []os.Signal) (Report, error) {
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
	for {
		select {
		case <-n.done:
			return n.report, n.err
		case s := <-came:
			n.core.Load().out.log.Warn("supervisor: second signal: the grace is over", "supervisor", n.pid.Id, "signal", s.String())
			n.endGrace()
		}
	}
}
