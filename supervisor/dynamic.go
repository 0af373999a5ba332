// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// DynamicSpec describes a supervisor of many children of one kind, which come
// and go (OTP: simple_one_for_one, DynamicSupervisor). The zero value of each
// field but Name is usable.
type DynamicSpec struct {
	// Name is that of the supervisor's actor. For one that is a child, the
	// child's name counts.
	Name string
	// Child is the template of all children. Its Name does not count; its Props
	// are those of a Start without any. Without MaxRestarts nothing but the
	// Backoff holds up a child that fails again and again, so a Backoff of zero
	// is then 10 ms, doubled up to 30 s with a Jitter of 0.2, and 10 ms again for
	// a child that has been up for 5 s.
	Child Child
	// MaxRestarts within Within, of all children together, are allowed; with one
	// more the supervisor stops all of them and fails itself, as in Spec. 0 is no
	// limit, unlike there and in OTP: of a thousand children that know nothing of
	// each other two fail within five seconds sooner or later, which says nothing
	// of the others. Negative: none at all.
	MaxRestarts int
	Within      time.Duration
	// MaxChildren is how many there may be at a time; 0: no limit.
	MaxChildren int
	Logger      *slog.Logger
	OnEvent     func(Event)
}

// ErrTooMany says that a Dynamic has MaxChildren children.
var ErrTooMany = errors.New("supervisor: MaxChildren reached")

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (s DynamicSpec) Validate() error {
	errs := s.asSpec().listMistakes()
	template := s.Child
	template.Name = "template"
	if template.Props == nil {
		template.Props = actor.PropsFromFunc(func(actor.Context) {}) // each Start may bring its own
	}
	errs = append(errs, template.listMistakes(s.Name, "template", Never)...)
	if s.MaxChildren < 0 {
		errs = append(errs, mistake(s.Name, "", "MaxChildren", s.MaxChildren, "is negative"))
	}
	return errors.Join(errs...)
}

// unlimitedBackoff and unlimitedReset are the defaults where no number of restarts is
// too many.
var (
	unlimitedBackoff = actors.Backoff{Initial: 10 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.2}
	unlimitedReset   = 5 * time.Second
)

func (s DynamicSpec) asSpec() Spec {
	if s.MaxRestarts == 0 {
		s.MaxRestarts = unlimited
		if !s.Child.hasBackoff() {
			s.Child.Backoff, s.Child.ResetAfter = unlimitedBackoff, unlimitedReset
		}
	}
	return Spec{Name: s.Name, MaxRestarts: s.MaxRestarts, Within: s.Within, Logger: s.Logger, OnEvent: s.OnEvent, dynamic: &s}
}

// Dynamic is a supervisor of many children of one kind that runs. Each child
// is restarted, or not, by itself; one that ends for good is forgotten. They
// are stopped side by side. Its methods may be called where those of a
// [Supervisor] may.
type Dynamic struct{ n *node }

// StartDynamic starts a supervisor without children. A ctx that has ended
// prevents that, as in [Start].
func StartDynamic(ctx context.Context, sys *actor.ActorSystem, spec DynamicSpec) (*Dynamic, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	n, err := startSupervisor(ctx, sys, spec.asSpec())
	if err != nil {
		return nil, err
	}
	return &Dynamic{n}, nil
}

// DynamicProps are the props of a Dynamic that is another supervisor's child.
func DynamicProps(spec DynamicSpec) (*actor.Props, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	return supervisorProps(spec.asSpec(), nil), nil
}

// Start starts a child and waits until it is up (OTP: start_child). Without a
// name it gets one; without props those of the template count. If it does not
// start it is not added. A ctx that ends ends the waiting only.
func (d *Dynamic) Start(ctx context.Context, name string, props *actor.Props) (*actor.PID, error) {
	child, err := d.n.dynamicChild(cmp.Or(name, "template"), name, props)
	if err != nil {
		return nil, err
	}
	return d.n.runStartCall(ctx, "Start", name, child, false)
}

// GetOrStart returns the child of that name once it is up, and starts it if there is
// none: with these props, or without any with those of the template. One that starts or
// waits for its restart is waited for, and so is the end of one that is stopping, which
// takes no new work; then the next is started. Any number of callers get one child; if
// it does not start, all that have waited for that get a [*StartError] that says why. A
// ctx that ends ends the waiting only.
//
// The child may end between this call and a request to it. Such a request fails with
// [actors.ErrStopping] or [actors.ErrDeadLetter] and has not run: call GetOrStart again
// if [actors.RetrySafe] says so of the error, and if it is no [actors.ErrMailboxFull].
func (d *Dynamic) GetOrStart(ctx context.Context, name string, props *actor.Props) (*actor.PID, error) {
	child, err := d.n.dynamicChild(name, name, props)
	if err != nil {
		return nil, err
	}
	return d.n.runStartCall(ctx, "GetOrStart", name, child, true)
}

// dynamicChild is the Child of one with these props, or those of the template. The name
// that is checked has a word in place of one that is yet to be chosen.
func (n *node) dynamicChild(checked, name string, props *actor.Props) (*Child, error) {
	spec := n.core.Load().spec.dynamic
	child := &spec.Child // which all share that have no props of their own
	if props != nil {
		own := spec.Child
		own.Props = props
		child = &own
	}
	return child, errors.Join(child.listMistakesAs(checked, n.pid.Id, name, Never)...)
}

// refuseDynamicChild is refuseChild within MaxChildren. One without a name gets a free one.
func (c *core) refuseDynamicChild(name string) error {
	if m := c.spec.dynamic.MaxChildren; m > 0 && len(c.children) >= m {
		return fmt.Errorf("%w: %d", ErrTooMany, m)
	}
	if name == "" && !c.isStopping() {
		return nil
	}
	return c.refuseChild(name)
}

// getOrStartChild is GetOrStart where there is a child of that name which is not up.
func (c *core) getOrStartChild(t *actors.Task, by *child, name string, spec *Child) (*actor.PID, error) {
	for {
		k := c.children[name]
		switch {
		case c.isStopping():
			return nil, errStopping
		case k == nil:
			if err := c.refuseDynamicChild(name); err != nil {
				return nil, err
			}
			return c.addLocked(t, name, spec, nil) // they restart each by itself: its own lock is free
		case k.life.State() == life.ChildUp:
			return k.pid, nil
		case k == by && k.life.State() == life.ChildStarting:
			return nil, fmt.Errorf("%w: %q", ErrInSetup, name)
		}
		if err := k.changed.Wait(t); err != nil {
			return nil, err
		}
		if why := k.failed().lastErr; k.life.State() == life.ChildRemoved && k.upCount == 0 && why != nil {
			return nil, &StartError{Supervisor: c.node.pid.Id, Child: name, Err: why}
		}
	}
}

// freeName is a name that no child has. An abandoned actor may have it: see renameChild.
func (c *core) freeName() string {
	var buf [24]byte
	for {
		name := string(strconv.AppendUint(append(buf[:0], '$'), c.node.unnamed.Add(1), 10))
		if c.children[name] == nil {
			return name
		}
	}
}

// renameChild gives k, whose name the engine says is taken, another one. An actor that was abandoned has it, also
// by a supervisor before this one. To ask the engine before each start was a twentieth of that (bench: start/dynamic).
func (c *core) renameChild(k *child) {
	name := c.freeName()
	c.node.mu.Lock()
	defer c.node.mu.Unlock()
	delete(c.children, k.name)
	k.name = name
	c.children[name] = k
}

// Len is how many children there are.
func (d *Dynamic) Len() int {
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	return len(d.n.core.Load().children)
}

// PID is that of the supervisor's actor.
func (d *Dynamic) PID() *actor.PID { return d.n.pid }

// Child returns the PID of a child that has an actor, or nil.
func (d *Dynamic) Child(name string) *actor.PID { return d.n.childPID(name) }

// Children returns the children as they are, in the order of their starts. It
// does not wait for anything.
func (d *Dynamic) Children() []ChildInfo { return d.n.childInfos() }

// Remove stops a child, waits until it is gone, and forgets it (OTP:
// terminate_child). Its account stays in the report.
func (d *Dynamic) Remove(ctx context.Context, name string) error { return d.n.removeChild(ctx, name) }

// RequestStop is as [Supervisor.RequestStop].
func (d *Dynamic) RequestStop() *actors.Future[Report] { return d.n.requestStop() }

// Stop is as [Supervisor.Stop], but that all children stop side by side.
func (d *Dynamic) Stop(ctx context.Context) (Report, error) { return d.n.stopAndWait(ctx) }

// EndGrace is as [Supervisor.EndGrace].
func (d *Dynamic) EndGrace() { d.n.endGrace() }

// Stopped is closed when the supervisor has ended, whatever for.
func (d *Dynamic) Stopped() <-chan struct{} { return d.n.done }

// Err is as [Supervisor.Err].
func (d *Dynamic) Err() error { return d.n.endError() }
