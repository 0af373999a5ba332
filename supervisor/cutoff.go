// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// ownStopGrace is what a supervisor's own tasks, which run no code of users,
// have to end in when its actor is cut off, and its children with it.
const ownStopGrace = time.Minute

// endAtCutOff is the hook at the end of an incarnation, which most of the time
// finds that all is over. Else its actor was told to end at once, by somebody
// who has used the engine's Stop: so are its children.
func (c *core) endAtCutOff(t *actors.Task) error {
	if c.life.State() != life.SupervisorOver {
		c.cutOffChildren(t)
	}
	return nil
}

// cutOffInSetup is the same in a setup, for which there is no hook, and whose task has
// been ended.
func (c *core) cutOffInSetup(t *actors.Task, why error) error {
	_ = t.Cleanup(ownStopGrace, func(t *actors.Task) error {
		c.cutOffChildren(t)
		return nil
	})
	return why
}

// cutOffChildren handles what comes by itself: dispatchMessages has been ended, too.
func (c *core) cutOffChildren(t *actors.Task) {
	c.handleEvent(t, life.SupervisorCutOff)
	limit := time.Duration(0)
	left := c.orderedChildren()
	for _, k := range left {
		c.askChildToStop(t, k)
		if k.life.State().IsEnding() {
			k.handleEvent(t, life.ChildCutOff)
			limit = max(limit, k.unwindLimit())
		}
	}
	by := c.sinceStart() + limit // after all have been told
	defer c.afterFunc(limit, func() {}).Stop()
	_ = c.serveUntil(t, func() bool {
		for len(left) > 0 && !left[len(left)-1].life.State().HasActor() {
			left = left[:len(left)-1]
		}
		return len(left) == 0 || c.isOverdue(by)
	})
	for _, k := range left {
		if k.life.State().HasActor() {
			c.abandonChild(t, k)
		}
	}
	c.emitStopped()
	c.handleEvent(t, life.SupervisorHasStopped)
}
