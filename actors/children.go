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

// spawn is the engine's SpawnNamed. alone runs a function that touches the
// engine's context, and reports false, without a call, if who spawns has been
// abandoned.
func (mb *mailbox) spawn(inc *incarnation, alone func(f func()) bool, props *actor.Props, name string) (*actor.PID, error) {
	var like actor.Context
	var children *actor.PIDSet
	late := false
	if !alone(func() {
		if late = mb.life.Phase() >= life.PhaseRestarting; !late {
			like, children = engine.ChildlessContext(mb.raw(), mb.sys.as, inc.actor)
		}
	}) {
		return nil, mb.refusalOfAbandoned(inc, name)
	}
	if late {
		return nil, mb.refusalLate(inc, name)
	}
	if children == nil {
		return mb.raw().SpawnNamed(props, name)
	}
	pid, err := like.SpawnNamed(props, name)
	if err != nil {
		return pid, err
	}
	if !alone(func() { children.Add(pid) }) {
		mb.sparse().strays.Store(pid.Id, nil) // nobody expects to hear of its end
		mb.sys.as.Root.Stop(pid)
		return nil, mb.refusalOfAbandoned(inc, name)
	}
	return pid, nil
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
