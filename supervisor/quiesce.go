package supervisor

import (
	"time"

	"github.com/protoloop/protoloop/actors"
)

// quiesce brings a group to rest, in the reverse order of their starts. All
// but the one that failed lose what is in flight, and nobody loses its queue;
// a supervisor among them is stopped, as its own children are. Temporary ones
// end here.
func (c *core) quiesce(t *actors.Task, group []*child, because *child, why error) error {
	for i := len(group) - 1; i >= 0; i-- {
		k := group[i]
		switch {
		case c.stopping:
			return ErrStopping
		case k.removed || k.state == gone || k.state == quiet:
			continue
		case k != because && k.spec.Restart == Temporary:
			if err := c.down(t, k); err != nil {
				return err
			}
			if c.stopping {
				return ErrStopping
			}
			emit(c.out, ChildEnded{At: k.at()})
			c.forget(k)
			continue
		case k.kind == KindSupervisor && k.state != failed:
			if err := c.down(t, k); err != nil {
				return err
			}
			continue
		}
		if err := c.rest(t, k, why); err != nil {
			return err
		}
	}
	return nil
}

// rest brings one child to rest. One that does not come to rest although its
// tasks have been abandoned long ago is left behind: a plain actor whose
// handler does not return. There is no starting it again then, because its
// name is taken, and that is a failure like others.
func (c *core) rest(t *actors.Task, k *child, why error) error {
	// Also if it fails or ends on the way to rest: it comes up with the others.
	defer func() { k.setDue(false) }()
	k.proc.Quiesce(why)
	begin, limit := time.Now(), k.unwinding()
	alarm := c.after(limit, func() { k.changed.raise() })
	defer func() { alarm.Stop() }()
	for told := false; k.state != quiet && k.state != gone; {
		switch late := time.Since(begin) >= limit; {
		case c.stopping:
			return ErrStopping
		case late && told, late && isPlain(k.proc):
			c.leave(k)
			return nil
		case late: // somebody else has told it to end, with a grace of his own
			told, begin = true, time.Now()
			k.proc.Stop(-1)
			alarm = c.after(limit, func() { k.changed.raise() })
		}
		if err := k.changed.wait(t); err != nil {
			return err
		}
	}
	return nil
}
