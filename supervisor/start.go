package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// bringUp starts a child, or its next incarnation, and waits until its setup
// has succeeded. On an error the child is down or failed, or the supervisor
// is stopping.
func (c *core) bringUp(t *actors.Task, k *child) error {
	if c.stopping {
		return ErrStopping
	}
	begin, again := time.Now(), k.state != gone
	k.failure = nil
	if again {
		k.become(starting)
		k.proc.Restart()
	} else if err := k.spawn(); err != nil {
		k.lastErr = err
		c.out.emit(ChildFailed{At: k.at(), Err: err})
		return err
	}
	limit := k.spec.startTimeout()
	timer := c.after(limit, func() { k.changed.raise() })
	defer timer.Stop()
	for k.state == starting {
		if c.stopping {
			return ErrStopping
		}
		if k.inner == nil && time.Since(begin) >= limit {
			err := fmt.Errorf("%w: %v", ErrStartTimeout, limit)
			k.failure, k.lastErr = &link.Failure{Err: err}, err
			k.become(failed)
			c.out.emit(ChildFailed{At: k.at(), Err: err, Task: "setup"})
			return err
		}
		if err := k.changed.wait(t); err != nil {
			return err
		}
	}
	switch k.state {
	case up:
		if !again {
			c.out.emit(ChildStarted{k.at(), k.pid, time.Since(begin)})
		}
		return nil
	case failed:
		if k.failure.Err == nil {
			return ErrEnded
		}
		return k.failure.Err
	case gone:
		k.lastErr = ErrEnded
		c.out.emit(ChildFailed{At: k.at(), Err: ErrEnded})
		return ErrEnded
	}
	return ErrStopping
}

// isOver reports whether an operation must end without doing anything more.
func isOver(t *actors.Task, err error) bool {
	return errors.Is(err, ErrStopping) || t.Context().Err() != nil
}
