// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/callerctx"
)

// Supervisor is a supervisor that runs. Its methods may be called on any
// goroutine, but those that wait not in a task, which would block its worker:
// with the context of a task they panic. A task may call them in
// actors.Offload.
type Supervisor struct{ n *node }

// Start starts a supervisor and its children, in order, and waits until all
// of them are up. If one does not start, or ctx ends before all have, those
// that are up are stopped in reverse, each within its Shutdown. The error is
// then a [*StartError], which says which child was starting, why it is not up,
// and has the report of the stop. Mistakes in the Spec are all in one error:
// see [Spec.Validate]. What is up when Start returns outlives ctx.
func Start(ctx context.Context, sys *actor.ActorSystem, spec Spec) (*Supervisor, error) {
	n, err := startSupervisor(ctx, sys, spec)
	if err != nil {
		return nil, err
	}
	return &Supervisor{n}, nil
}

func startSupervisor(ctx context.Context, sys *actor.ActorSystem, spec Spec) (*node, error) {
	notInTask(ctx, "Start", offload)
	if ctx.Err() != nil {
		return nil, &StartError{Supervisor: spec.Name, Err: context.Cause(ctx)}
	}
	n, err := beginSupervisor(sys, spec)
	if err != nil {
		return nil, err
	}
	var asked error
	select {
	case <-n.started:
	case <-ctx.Done():
		select {
		case <-n.started: // it was faster
		default:
			asked = context.Cause(ctx)
			n.setStopEvent()
			<-n.started
		}
	}
	if n.startFailure == nil && asked == nil {
		return n, nil
	}
	<-n.done
	return nil, n.startError(asked)
}

// beginSupervisor spawns the supervisor's actor, which starts its children. It returns as
// soon as there is a node.
func beginSupervisor(sys *actor.ActorSystem, spec Spec) (*node, error) {
	errs := spec.listMistakes()
	if spec.Name == "" {
		errs = append([]error{mistake(spec.Name, "", "Name", nil, "is missing")}, errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	made := make(chan *node, 1)
	pid, err := sys.Root.SpawnNamed(supervisorProps(spec, made), spec.Name)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %s: %w", spec.Name, err)
	}
	// It queues behind setup, and fails if somebody stops the actor before.
	setUp := actors.Submit(sys.Root, pid, func(*actors.Task) (struct{}, error) { return struct{}{}, nil })
	setUp.OnDone(func(struct{}, error) {}) // that it has failed is no news: the start tells why
	select {
	case n := <-made:
		return n, nil
	case <-setUp.Ready():
	}
	select {
	case n := <-made:
		return n, nil
	default:
		return nil, &StartError{Supervisor: spec.Name, Err: errStopping}
	}
}

// startError is why a supervisor that has ended did not start, with the report
// of those that were up. asked is why it was told to stop, or nil.
func (n *node) startError(asked error) *StartError {
	e := StartError{Supervisor: n.pid.Id, Err: n.startFailure}
	if own, ok := n.startFailure.(*StartError); ok {
		e = *own // a copy: others have that one from an event
	}
	if asked != nil && (e.Err == nil || errors.Is(e.Err, errStopping)) {
		e.Err = asked
	}
	e.Report = n.report
	return &e
}

// Props are the props of a supervisor that is another one's child, or any
// actor's. The Spec is validated here.
func Props(spec Spec) (*actor.Props, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	return supervisorProps(spec, nil), nil
}

// workerKind is the kind of the workers that are supervisors.
const workerKind = "supervisor"

func supervisorProps(spec Spec, made chan<- *node) *actor.Props {
	spec.Children = slices.Clone(spec.Children)
	return actors.Props(func(w *actors.Worker) error {
		return setUpSupervisor(w, spec, made)
	}, actors.EventLoop(actors.Options{Kind: workerKind, StopGrace: ownStopGrace, Logger: spec.Logger}), actor.WithOnInit(func(ctx actor.Context) {
		if p := parentOf(ctx); p != nil {
			p.expectSupervisor(ctx.Self())
		}
	}))
}

// PID is that of the supervisor's actor.
func (s *Supervisor) PID() *actor.PID { return s.n.pid }

// Child returns the PID of a child that has an actor, or nil; "inner/a" is
// child a of the child inner, a supervisor. The PID stays the child's when it
// restarts.
func (s *Supervisor) Child(path string) *actor.PID { return s.n.childPID(path) }

// Children returns the children as they are, in the order of their starts,
// and of those that are supervisors the whole tree. It does not wait for
// anything.
func (s *Supervisor) Children() []ChildInfo { return s.n.childInfos() }

// Supervisor returns the child of that path, a Supervisor; nil if there is
// none. What is returned is its actor of now: it lives on when that fails and
// restarts, and has ended when a sibling's failure or Restart has replaced it.
func (s *Supervisor) Supervisor(path string) *Supervisor {
	if n := s.n.innerNode(path, false); n != nil {
		return &Supervisor{n}
	}
	return nil
}

// Dynamic returns the child of that path, a [Dynamic]; nil if there is none.
func (s *Supervisor) Dynamic(path string) *Dynamic {
	if n := s.n.innerNode(path, true); n != nil {
		return &Dynamic{n}
	}
	return nil
}

// Add starts a child after the others and waits until it is up (OTP:
// start_child). If it does not start it is not added. Where children restart
// together one that waits for its backoff is waited for, and a call from the
// setup of one fails with ErrInSetup. A ctx that ends ends the waiting only.
func (s *Supervisor) Add(ctx context.Context, child Child) (*actor.PID, error) {
	auto := s.n.core.Load().spec.AutoShutdown
	if err := errors.Join(child.listMistakes(s.n.pid.Id, child.Name, auto)...); err != nil {
		return nil, err
	}
	return runOperation(ctx, s.n, "Add", child.Name, func(t *actors.Task, c *core, by caller) (*actor.PID, error) {
		return c.addChild(t, by, child.Name, &child)
	})
}

// Remove stops a child, waits until it is gone, and forgets it (OTP:
// terminate_child and delete_child). Its account stays in the report.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	return s.n.removeChild(ctx, name)
}

// Restart restarts a child, as after a failure but without a wait and without
// taking it from the budget, or starts one that has ended (OTP:
// restart_child). Siblings are not concerned.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	_, err := runOperation(ctx, s.n, "Restart", name, func(t *actors.Task, c *core, by caller) (struct{}, error) {
		return struct{}{}, c.restartChild(t, by, name)
	})
	return err
}

// RequestStop sets the stop event and returns at once. The future completes
// with the report. A task may await it; in that of a child, which has to end
// first, the await fails at the end of the child's grace.
func (s *Supervisor) RequestStop() *actors.Future[Report] { return s.n.requestStop() }

// Stop sets the stop event, waits until all children are gone, and returns the
// account of their work. One child after the other is stopped, in the reverse
// order of their starts, each within its Shutdown.
//
// It may be called by many and again. A ctx that ends makes it return, with
// [context.Cause] of it as the only error there is, while the stop goes on.
// In a task use RequestStop.
func (s *Supervisor) Stop(ctx context.Context) (Report, error) { return s.n.stopAndWait(ctx) }

// EndGrace ends all grace periods of a stop at once, of this one or the next:
// contexts end, and what does not return is abandoned.
func (s *Supervisor) EndGrace() { s.n.endGrace() }

// Stopped is closed when the supervisor has ended, whatever for.
func (s *Supervisor) Stopped() <-chan struct{} { return s.n.done }

// Err is why the supervisor has failed: an [*IntensityError], an
// [*EscalateError]. It is nil as long as it runs, if it was told to stop, and
// if it has stopped because its significant children have ended.
func (s *Supervisor) Err() error { return s.n.endError() }

// notInTask panics if ctx is nil, or that of a task: to wait there would block its
// worker and, if that is a child, hold up the very thing it waits for.
func notInTask(ctx context.Context, what, instead string) {
	if ctx == nil {
		panic(fmt.Sprintf("supervisor: %s called with a nil context", what))
	}
	if by := callerctx.Of(ctx); by != nil && by.InTask() {
		panic(fmt.Sprintf("supervisor: %s called with the context of a task: it would block the worker; %s", what, instead))
	}
}

const offload = "call it in actors.Offload"
