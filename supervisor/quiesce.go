package supervisor

import (
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// quiesce brings a group to rest, in the reverse order of their starts. All
// but the one that failed lose what is in flight, and nobody loses its queue;
// a supervisor among them is stopped, as its own children are. Temporary ones
// end here.
func (c *core) quiesce(t *actors.Task, group []*child, because *child, why error) error {
	for i := len(group) - 1; i >= 0; i-- {
		k := group[i]
		switch {
		case c.isStopping():
			return ErrStopping
		case !k.life.State().HasActor() || k.life.State() == life.ChildQuiet:
			continue
		case k != because && k.spec.Restart == Temporary:
			if err := c.down(t, k); err != nil {
				return err
			}
			if c.isStopping() {
				return ErrStopping
			}
			emit(c.out, ChildEnded{At: k.at()})
			c.forget(t, k)
			continue
		case k.kind == KindSupervisor && !k.life.State().HasFailed():
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
	defer func() { k.happen(t, life.ChildQuiesceOver) }()
	k.happenBecause(t, life.ChildQuiesceAsked, why)
	begin, limit := time.Now(), k.unwinding()
	alarm := c.after(limit, func() { k.changed.raise() })
	defer func() { alarm.Stop() }()
	for told := false; k.life.State().HasActor() && k.life.State() != life.ChildQuiet; {
		switch late := time.Since(begin) >= limit; {
		case c.isStopping():
			return ErrStopping
		case late && told, late && isPlain(k.proc):
			c.leave(t, k)
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
