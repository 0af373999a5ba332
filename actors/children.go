// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/life"
)

// The engine notes a child with its parent when the spawn is through. Before
// that it runs user code, such as the child's producer, and that may be what a
// turn hangs in: when it returns, the turn may have been taken over, and another
// incarnation be in the engine's context, which is not made for two at a time. So
// a child is spawned by a context of its own, which is like the parent's but has
// no children, and noted with the parent afterwards, if that still stands.

// childSpawner is what an incarnation spawns its children by, one after the other: so a
// child needs no context, sets and functions of its own.
type childSpawner struct {
	mb   *mailbox
	inc  *incarnation
	like *engine.Childless // nil: there is none, see ChildlessContext
	own  bool              // no spawn middleware of users is in the way
	late bool              // the actor is about to end
	pid  *actor.PID        // of the child
	told bool              // the engine has noted it with like

	prepare, noteChild func() // run on the loop; made once, not for each child
}

// spawningTask is who spawns: a Task, or a context that acts for one. Its runOnLoop runs a
// function that touches the engine's context, and reports false, without a call, if the
// task has been abandoned.
type spawningTask interface{ runOnLoop(f func()) bool }

// takeSpawner returns the one that waits for the next child, or a new one.
func (mb *mailbox) takeSpawner(inc *incarnation) *childSpawner {
	if c := mb.sparse().spawner.Swap(nil); c != nil && c.inc == inc {
		return c
	}
	c := &childSpawner{mb: mb, inc: inc}
	c.prepare = func() {
		if c.late = mb.life.Phase() >= life.PhaseRestarting; !c.late && c.like == nil {
			mb.raw().Get(0) // makes the engine's part of the context that ChildlessContext copies
			c.like = engine.ChildlessContext(mb.raw(), mb.sys.as, inc.actor)
			c.own = !engine.HasSpawnMiddleware(mb.raw())
		}
	}
	c.noteChild = func() {
		c.like.Children.Add(c.pid)
		if c.told {
			c.like.Spawned.Remove(c.pid)
		}
		c.pid = nil
		mb.sparse().spawner.Store(c)
	}
	return c
}

// spawnChild is the engine's SpawnNamed, for who.
func (mb *mailbox) spawnChild(inc *incarnation, who spawningTask, props *actor.Props, name string) (*actor.PID, error) {
	c := mb.takeSpawner(inc)
	if !who.runOnLoop(c.prepare) {
		return nil, mb.refusalOfAbandoned(inc, name)
	}
	switch {
	case c.late:
		return nil, mb.refusalLate(inc, name)
	case c.like == nil:
		return mb.raw().SpawnNamed(props, name)
	}
	pid, err := c.spawnNamed(props, name)
	if err != nil {
		return pid, err
	}
	if c.pid = pid; !who.runOnLoop(c.noteChild) {
		mb.sparse().strays.Store(pid.Id, nil) // nobody expects to hear of its end
		mb.sys.as.Root.Stop(pid)
		return nil, mb.refusalOfAbandoned(inc, name)
	}
	return pid, nil
}

// spawnNamed is the engine's SpawnNamed. Where only that function itself is between the
// parent and the spawn, what it calls is called here: it would note the child with like, from
// where it had to be taken again.
func (c *childSpawner) spawnNamed(props *actor.Props, name string) (*actor.PID, error) {
	if c.told = !c.own || !engine.SpawnsByDefault(props); c.told {
		return c.like.SpawnNamed(props, name)
	}
	return actor.DefaultSpawner(c.mb.sys.as, c.mb.pid.Id+"/"+name, props, c.like)
}

// refusalLate is the error of a spawn by an actor whose children have been told to
// stop: the engine would tell the new one no more, and wait for it for ever.
func (mb *mailbox) refusalLate(inc *incarnation, name string) error {
	return fmt.Errorf("actors: spawn %q by an actor that is about to end: %w", name, inc.endCause())
}

// refusalOfAbandoned is the error of a spawn by who has been abandoned.
func (mb *mailbox) refusalOfAbandoned(inc *incarnation, name string) error {
	return fmt.Errorf("actors: spawn %q by a task that was abandoned: %w", name, inc.endCause())
}
