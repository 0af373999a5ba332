// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/subscribers"
)

// AnySupervisor is a supervisor that runs, a [*Supervisor] or a [*Dynamic]: what both can
// do. Nothing else implements it.
type AnySupervisor interface {
	PID() *actor.PID
	Child(path string) *actor.PID
	Children() []ChildInfo
	Info() Info
	Remove(ctx context.Context, name string) error
	RequestStop() *actors.Future[Report]
	Stop(ctx context.Context) (Report, error)
	EndGrace()
	Stopped() <-chan struct{}
	Err() error
	supervisorNode() *node
}

func (s *Supervisor) supervisorNode() *node { return s.n }
func (d *Dynamic) supervisorNode() *node    { return d.n }

// All returns the supervisors of an actor system that have begun and not ended: each
// behind the one that it is a child of, and else in the order in which they began. It waits
// for none of them.
func All(sys *actor.ActorSystem) []AnySupervisor {
	if sys == nil {
		panic("supervisor: All called with a nil actor system")
	}
	var all []AnySupervisor
	for _, n := range registryOf(sys).listNodes() {
		if n.core.Load().isDynamic() {
			all = append(all, &Dynamic{n})
		} else {
			all = append(all, &Supervisor{n})
		}
	}
	return all
}

// registry tracks the supervisors of one actor system, and who is told of their events.
type registry struct {
	events    subscribers.List[timedEvent]
	lastStart atomic.Uint64 // see Ref.Start

	mu    sync.Mutex
	nodes map[*node]struct{}
	byID  map[string]*node // by the id of the PID: the last
}

func registryOf(sys *actor.ActorSystem) *registry { return persystem.Of[registry](sys) }

func (r *registry) addNode(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nodes == nil {
		r.nodes, r.byID = map[*node]struct{}{}, map[string]*node{}
	}
	r.nodes[n] = struct{}{}
	r.byID[n.pid.Id] = n
}

func (r *registry) removeNode(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.nodes, n)
	if r.byID[n.pid.Id] == n { // another one may have its PID by now
		delete(r.byID, n.pid.Id)
	}
}

func (r *registry) findNode(id string) *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// listNodes returns the nodes, parents first.
func (r *registry) listNodes() []*node {
	r.mu.Lock()
	nodes := make([]*node, 0, len(r.nodes))
	for n := range r.nodes {
		nodes = append(nodes, n)
	}
	r.mu.Unlock()
	slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.firstStart, b.firstStart) })
	children := map[*node][]*node{}
	there := make(map[*node]bool, len(nodes))
	for _, n := range nodes {
		there[n] = true
	}
	for _, n := range nodes {
		if up := n.parent; there[up] {
			children[up] = append(children[up], n)
		} else {
			children[nil] = append(children[nil], n)
		}
	}
	out := make([]*node, 0, len(nodes))
	var add func(all []*node)
	add = func(all []*node) {
		for _, n := range all {
			out = append(out, n)
			add(children[n])
		}
	}
	add(children[nil])
	return out
}

// Ref names a supervisor, or a child of one, as it was when somebody looked. What is done
// with a Ref is refused if there has been another start since.
type Ref struct {
	Supervisor string `json:"supervisor"`      // id of its PID
	Child      string `json:"child,omitempty"` // name; empty: the supervisor itself
	// Start says which start it is, or was the last: no other start of a child or
	// supervisor in the actor system has the same. 0: it was never started.
	Start uint64 `json:"start"`
}

// RestartChild is [Supervisor.Restart] of the child that r names, also of one that has
// been stopped by [StopChild]. The error is [ErrChanged] if it has been started anew since, and
// [ErrUnknownChild] if there is none any more.
func RestartChild(ctx context.Context, sys *actor.ActorSystem, r Ref) error {
	return actOnChild(ctx, sys, "RestartChild", r, func(t *actors.Task, c *core, k *child) error {
		return c.restartLocked(t, k)
	})
}

// StopChild stops the child that r names and waits until it is gone (OTP:
// terminate_child). It stays down until somebody restarts it, or a sibling's failure does,
// but a Temporary one and that of a [Dynamic] are forgotten, as with Remove. Its errors are those
// of [RestartChild].
func StopChild(ctx context.Context, sys *actor.ActorSystem, r Ref) error {
	return actOnChild(ctx, sys, "StopChild", r, func(t *actors.Task, c *core, k *child) error {
		if err := c.stopAndAwait(t, k); err != nil {
			return err
		}
		if k.spec.Restart == Temporary || c.isDynamic() {
			c.forgetChild(t, k)
		}
		return nil
	})
}

func actOnChild(ctx context.Context, sys *actor.ActorSystem, what string, r Ref, f func(t *actors.Task, c *core, k *child) error) error {
	n := registryOf(sys).findNode(r.Supervisor)
	if n == nil {
		return fmt.Errorf("%w: there is no supervisor %q", ErrUnknownChild, r.Supervisor)
	}
	_, err := runOperation(ctx, n, what, r.Child, func(t *actors.Task, c *core, by caller) (struct{}, error) {
		return struct{}{}, c.withChild(t, by, r.Child, func(k *child) error {
			if k.startID != r.Start {
				return changedError(r)
			}
			return f(t, c, k)
		})
	})
	return err
}

func changedError(r Ref) error {
	name := r.Supervisor
	if r.Child != "" {
		name += "/" + r.Child
	}
	return fmt.Errorf("%w: %q", ErrChanged, name)
}

// EndGrace ends the grace of what r names, a child that is being stopped, or of all
// children of a supervisor as [Supervisor.EndGrace] does, and waits until that is done, not until
// they have ended. Of a child that nobody stops it is [ErrNotStopping]. Its other errors are those of [RestartChild].
func EndGrace(ctx context.Context, sys *actor.ActorSystem, r Ref) error {
	n := registryOf(sys).findNode(r.Supervisor)
	if n == nil {
		return fmt.Errorf("%w: there is no supervisor %q", ErrUnknownChild, r.Supervisor)
	}
	_, err := runOperation(ctx, n, "EndGrace", r.Child, func(t *actors.Task, c *core, _ caller) (struct{}, error) {
		return struct{}{}, c.endGraceOf(t, r)
	})
	return err
}

// endGraceOf is EndGrace.
func (c *core) endGraceOf(t *actors.Task, r Ref) error {
	if r.Child == "" {
		if c.startID != r.Start {
			return changedError(r)
		}
		c.handleEvent(t, life.SupervisorGraceOver)
		return nil
	}
	switch k := c.children[r.Child]; {
	case k == nil:
		return fmt.Errorf("%w: %q", ErrUnknownChild, r.Child)
	case k.startID != r.Start:
		return changedError(r)
	case !k.life.State().IsEnding():
		return fmt.Errorf("%w: %q", ErrNotStopping, r.Child)
	default:
		k.handleEvent(t, life.ChildGraceOver)
		c.allEnded.Broadcast() // who waits for many looks when to abandon this one
	}
	return nil
}
