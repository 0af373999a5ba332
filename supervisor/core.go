package supervisor

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// core is one incarnation of a supervisor. Its fields, and those of its
// children, are owned by the loop of its actor, but for the inbox.
//
// Everything that happens comes through the inbox and is handled by one task,
// dispatch, which never waits. What has to wait, a start, a restart, a stop,
// is a task of its own.
type core struct {
	node   *node
	spec   Spec
	ctx    actor.Context
	inbox  inbox
	out    *outlet
	budget intensity

	kids     []*child // in the order of their starts
	byPID    map[string]*child
	spawning *child
	past     ChildReport // those that are gone and forgotten

	lock     lock // of all children, unless they are independent
	stopping bool
	hurry    bool  // no grace any more
	cause    error // why it fails upward; nil: it was told to stop
	stopped  time.Time
	took     time.Duration
	over     *actors.Promise[struct{}]
	ended    chan struct{} // closed with over, for callers from outside
}

// setup is that of the supervisor's worker.
func setup(w *actors.Worker, spec Spec, made chan<- *node) error {
	c := &core{
		spec: spec, ctx: w.Context, byPID: map[string]*child{},
		budget: newIntensity(spec.MaxRestarts, spec.Within), over: actors.NewPromise[struct{}](), ended: make(chan struct{}),
		past: ChildReport{Name: "(gone before)", Kind: KindPast, Counted: true},
	}
	link.Attach(w.Context, func(before link.Supervisor) link.Supervisor {
		n, ok := before.(*node)
		if !ok {
			n = newNode(w.Context)
		}
		c.node = n
		n.begin(c)
		return n
	})
	if made != nil {
		select {
		case made <- c.node:
		default:
		}
	}
	c.out = c.outlet()
	t := w.Task()
	c.run(t, "supervisor", c.dispatch)
	c.run(t, "stop event", c.watchStop)
	err := c.startAll(t)
	c.node.begun(err)
	if err != nil {
		return err
	}
	w.Main(c.main)
	return nil
}

// many reports whether it is of a Dynamic.
func (c *core) many() bool { return c.spec.dynamic != nil }

// begin makes c the node's incarnation.
func (n *node) begin(c *core) {
	if old := n.core.Load(); old != nil {
		for _, r := range old.account().Children {
			c.past.add(r)
		}
	}
	n.mu.Lock()
	n.infos, n.order = map[string]*entry{}, nil
	n.mu.Unlock()
	n.core.Store(c)
	if p := n.parent(); p != nil {
		p.know(n)
	}
}

// parent is the supervisor that this one is a child of, or nil.
func (n *node) parent() *node {
	up := n.core.Load().ctx.Parent()
	if up == nil {
		return nil
	}
	p, _ := link.Of(n.sys, up).(*node)
	return p
}

// know notes that a child is a supervisor: it says so itself, in its setup.
func (n *node) know(inner *node) {
	c := n.core.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.infos[strings.TrimPrefix(inner.pid.Id, n.pid.Id+"/")]; e != nil {
		e.inner = inner
		e.info.Kind = KindSupervisor
	}
	c.inbox.post(func(*actors.Task) {
		if k := c.byPID[inner.pid.Id]; k != nil {
			k.inner, k.kind = inner, KindSupervisor
			k.changed.raise()
		}
	})
}

// outlet is where the events go: what the Spec leaves open is the parent's.
func (c *core) outlet() *outlet {
	o := &outlet{log: c.spec.Logger, hook: c.spec.OnEvent}
	if p := c.node.parent(); p != nil {
		up := p.core.Load().out
		o.up = up
		if o.log == nil {
			o.log = up.log
		}
	}
	o.log = cmp.Or(o.log, c.node.sys.Logger(), slog.Default())
	return o
}

// dispatch handles what comes.
func (c *core) dispatch(t *actors.Task) error {
	return c.serve(t, func() bool { return c.over.Future().Done() })
}

// run starts a task of the supervisor's own. What it returns is why it ended
// early: because the supervisor's actor does.
func (c *core) run(t *actors.Task, name string, f func(t *actors.Task) error) {
	actors.Start(t, func(t *actors.Task) (error, error) { return f(t), nil }, actors.Name(name))
}

func (c *core) serve(t *actors.Task, done func() bool) error {
	for !done() {
		all, more := c.inbox.take()
		if more != nil {
			if _, err := actors.Await(t, more); err != nil {
				return err
			}
		}
		for _, f := range all {
			f(t)
		}
	}
	return nil
}

// watchStop turns the actor's stop event into ours.
func (c *core) watchStop(t *actors.Task) error {
	stopping, err := t.SleepOrStop(math.MaxInt64)
	if stopping {
		c.inbox.post(func(t *actors.Task) { c.beginStop(t, nil) })
	}
	return err
}

// main lives as long as the supervisor.
func (c *core) main(t *actors.Task) error {
	if _, err := actors.Await(t, c.over.Future()); err != nil {
		return c.kill(t, err)
	}
	return c.cause
}

// startAll starts the children in order. If one does not start it stops those
// that have, and returns why.
func (c *core) startAll(t *actors.Task) error {
	if err := c.lock.acquire(t); err != nil {
		return err
	}
	for _, spec := range c.spec.Children {
		c.addChild(spec)
	}
	for _, k := range c.kids {
		err := c.bringUp(t, k)
		if t.Context().Err() != nil { // cut off: the actor is told to end at once
			return c.kill(t, t.Context().Err())
		}
		if c.stopping {
			break
		}
		if err != nil {
			err = &StartError{c.node.pid.Id, k.spec.Name, err}
			c.beginStop(t, err)
			break
		}
	}
	c.lock.release()
	if !c.stopping {
		return nil
	}
	if _, err := actors.Await(t, c.over.Future()); err != nil {
		return c.kill(t, err)
	}
	return c.cause
}

// after runs f on the loop in d.
func (c *core) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(max(d, 1), func() { c.inbox.post(func(*actors.Task) { f() }) })
}

// onFailure: a child has suspended itself.
func (c *core) onFailure(t *actors.Task, k *child, f link.Failure) {
	was := k.state
	if was == gone || was == stopping {
		c.emitFailure(k, f)
		return
	}
	k.failure = &f
	k.become(failed)
	if f.Err == nil { // its Main has returned: no failure, but it is Permanent
		c.out.emit(ChildEnded{At: k.at()})
	} else {
		k.lastErr = f.Err
		c.emitFailure(k, f)
		c.deadLetter(t, k, f)
	}
	if was == up && !c.stopping {
		c.run(t, "restart "+k.spec.Name, func(t *actors.Task) error { return c.recover(t, k) })
	}
}

func (c *core) emitFailure(k *child, f link.Failure) {
	e := ChildFailed{At: k.at(), Err: f.Err, Task: f.Task, Retried: f.Retried}
	var p *actors.PanicError
	if errors.As(f.Err, &p) {
		e.Stack = p.Stack
	}
	if f.Message != nil {
		e.Message = typeName(f.Message)
	}
	c.out.emit(e)
}

// deadLetter hands on the message that crashed a child.
func (c *core) deadLetter(t *actors.Task, k *child, f link.Failure) {
	call := k.spec.OnCrash.DeadLetter
	if call == nil || f.Message == nil || f.Retried {
		return
	}
	crash := Crash{c.node.pid.Id, k.spec.Name, f.Message, f.Sender, f.Err}
	done := actors.Start(t, func(*actors.Task) (struct{}, error) { call(crash); return struct{}{}, nil }, actors.Name("dead letter"))
	if _, err := done.TryResult(); err != nil && !errors.Is(err, actors.ErrPending) {
		c.out.log.Error("supervisor: OnCrash.DeadLetter failed", "supervisor", c.node.pid.Id, "child", k.spec.Name, "error", err)
	}
}
