// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
)

// plainDispatcher is between the mailbox and its dispatcher. A plain actor, its
// producer or a middleware that calls runtime.Goexit ends the goroutine on which the
// mailbox works. The engine would leave the mailbox busy, so that nobody would work on it
// any more, and tell nobody: the asker would wait for its timeout, and a stop for ever.
type plainDispatcher struct {
	actor.Dispatcher
	invoker *plainInvoker
}

// Schedule is the mailbox's.
func (d *plainDispatcher) Schedule(work func()) {
	d.Dispatcher.Schedule(func() {
		returned := false
		defer func() {
			if returned || d.invoker.handling == nil {
				// A middleware of the mailbox itself may be called when others work on
				// it already: to schedule it then would let two at it.
				return
			}
			if v := recover(); v != nil { // the engine's own: it recovers those of users
				panic(v)
			}
			defer d.Schedule(work)
			d.invoker.handleGoexit()
		}()
		work()
		returned = true
	})
}

// plainGoexit is that a plain actor has called runtime.Goexit, on its way through the
// engine.
type plainGoexit struct{ restartRound uint64 }

func (plainGoexit) Error() string { return actors.ErrGoexit.Error() }

// goOnProbe is whose end lets the engine look whether all children have ended.
var goOnProbe = actor.NewPID("protoloop", "go-on")

// handleGoexit does what is due of a message that has not been handled to its end. In the
// end of the actor, or of one of its lives, the engine goes on as it would have done. Else
// the actor has failed.
func (i *plainInvoker) handleGoexit() {
	p, m := i.plain, i.handling
	i.handling = nil
	if p.end.stopAsked || p.end.delivers {
		p.logPanic(typeName(m), "runtime.Goexit was called")
		p.end.delivers, p.end.stopsChildren, p.end.spawnErr = false, true, actors.ErrRestarted
		if p.end.stopAsked {
			p.end.spawnErr = actors.ErrStopped
		}
		for _, kid := range p.context.Children() {
			sendSystem(p.child.core.node.sys, kid, &actor.Stop{})
		}
		i.mailbox.PostSystemMessage(&actor.Terminated{Who: goOnProbe})
		return
	}
	if env, ok := m.(*actor.MessageEnvelope); ok {
		p.failAsker(env.Sender, actors.ErrGoexit)
	}
	if p.abandoned.Load() {
		p.child.core.events.logError("supervisor: runtime.Goexit in an abandoned actor; it stops", "actor", p.pid)
		p.child.core.tellFailure(failure.WorkerFailure, p.pid, typeName(m), actors.ErrGoexit)
		p.postSystem(&actor.Stop{})
		return
	}
	i.EscalateFailure(plainGoexit{p.restartsBegun.Load()}, m)
}

var _ actor.Dispatcher = (*plainDispatcher)(nil)
