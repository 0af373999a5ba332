package supervisor

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
	"github.com/protoloop/protoloop/internal/park"
)

// startAll starts the children in order. If one does not start it stops those
// that have, and returns why.
func (c *core) startAll(t *actors.Task) error {
	h := holding{l: &c.lock}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	for i := range c.spec.Children {
		spec := &c.spec.Children[i]
		c.addChild(spec.Name, spec)
	}
	bad, e := c.startEach(t)
	if bad != nil {
		c.notUp = bad.name
	}
	switch {
	case ended(t) != nil: // cut off: the actor is told to end at once
		return c.kill(t, ended(t))
	case bad == nil || c.isStopping():
	case bad.answer == startUp: // … and has failed while another one started
		if err := c.deal(t, &h, bad, e); ended(t) != nil {
			return c.kill(t, err)
		}
	default:
		c.beginStop(t, &StartError{Supervisor: c.node.pid.Id, Child: bad.name, Err: e.err})
	}
	h.release()
	if !c.isStopping() {
		return nil
	}
	if _, err := actors.Await(t, c.over.Future()); err != nil {
		return c.kill(t, err)
	}
	return c.failure()
}

// startEach starts the children one after the other, and returns the first
// that fails.
func (c *core) startEach(t *actors.Task) (*child, exit) {
	if c.grouped() {
		return c.bringUpAll(t, c.ordered())
	}
	for _, k := range c.ordered() {
		h := holding{l: &k.lock}
		if err := h.acquire(t); err != nil {
			return k, exit{failed: true, err: err}
		}
		bad, e := c.bringUpAll(t, []*child{k})
		h.release()
		if bad != nil {
			return bad, e
		}
	}
	return nil, exit{}
}

// bringUpAll starts those of a group that are down, in order. It returns the
// first that fails, and how: be it in its start or, if the group falls and
// rises together, after it, while others start.
func (c *core) bringUpAll(t *actors.Task, group []*child) (*child, exit) {
	for _, k := range group {
		if k.life.Want() != life.ChildWantStart {
			continue // removed; started by Restart, or let go; or to be dealt with by itself
		}
		bad, err := c.bringUp(t, k)
		if err == nil {
			continue
		}
		if bad != k && bad.failure != nil {
			return bad, exitOf(bad.failure)
		}
		return bad, exit{failed: true, err: err}
	}
	return nil, exit{}
}

// bringUp starts a child, or its next incarnation, and waits until its setup
// has succeeded. On an error the child that it returns is down or failed, or
// the supervisor is stopping.
func (c *core) bringUp(t *actors.Task, k *child) (*child, error) {
	if c.isStopping() {
		return k, ErrStopping
	}
	limit := k.spec.startTimeout()
	if k.life.State().HasFailed() { // what is in flight unwinds first
		limit += k.proc.StopGrace()
	}
	k.begun, k.answer, k.noActor, k.failure = c.now(), startPending, nil, nil
	k.happen(t, life.ChildStartAsked)
	if err := k.noActor; err != nil {
		k.show(func() { k.lastErr = err })
		emit(c.out, ChildFailed{At: k.at(), Err: err, Stack: stackOf(err)})
		return k, err
	}
	if c.grouped() {
		c.starting = k
		defer func() { c.starting = nil }()
	}
	for k.answer == startPending {
		switch bad := c.broken(k); {
		case c.isStopping():
			return k, ErrStopping
		case bad != nil:
			return bad, ErrEnded
		case k.kind != KindSupervisor && c.now()-k.begun >= limit:
			return k, k.tooLate(t, limit)
		case k.kind != KindSupervisor: // whose children have their own
			c.lookAt(k.begun + limit)
		}
		if err := k.changed.wait(t); err != nil {
			return k, err
		}
	}
	switch {
	case c.isStopping():
		return k, ErrStopping
	case k.answer == startUp:
		return nil, nil
	case k.life.State().HasFailed() && k.failure.Err != nil:
		return k, k.failure.Err
	case k.life.State().HasFailed():
		return k, ErrEnded
	}
	k.show(func() { k.lastErr = ErrEnded })
	emit(c.out, ChildFailed{At: k.at(), Err: ErrEnded})
	return k, ErrEnded
}

// lookAt lets those that wait for a start look at the clock, then or before.
// One timer serves all of them, and is not stopped when a start has come to its
// end: most do at once, and a timer for each was 3 % of a restart.
func (c *core) lookAt(at time.Duration) {
	if c.look != 0 && c.look <= at {
		return
	}
	c.look = at
	d := at - c.now()
	if c.looks != nil {
		c.looks.Reset(max(d, 1))
		return
	}
	c.looks = c.after(d, func() {
		c.look = 0
		for _, k := range c.kids {
			if k.life.State() == life.ChildStarting {
				k.changed.raise()
			}
		}
	})
}

// tooLate is the failure of a setup that takes too long.
func (k *child) tooLate(t *actors.Task, limit time.Duration) error {
	err := fmt.Errorf("%w: %v", ErrStartTimeout, limit)
	k.failure = &link.Failure{Err: err, Task: "setup"}
	k.happen(t, life.ChildStartTimedOut)
	emit(k.core.out, ChildFailed{At: k.at(), Err: err, Task: "setup"})
	return err
}

// broken is a sibling that has failed and must restart together with a child
// that starts. That one may wait for it, and in vain.
func (c *core) broken(k *child) *child {
	if !c.grouped() {
		return nil
	}
	for o := range c.due {
		if o.life.State().HasFailed() && (c.spec.Strategy == OneForAll || o.seq < k.seq) &&
			decide(o.spec.Restart, exitOf(o.failure)) != letGo {
			return o
		}
	}
	return nil
}

// spawn starts the child's actor.
func (k *child) spawn(t *actors.Task) {
	c := k.core
	k.proc = nil
	k.show(func() { k.kind, k.node = KindPlain, nil })
	var p *plain
	if c.looped != k.spec.Props {
		p = newPlain(k)
	}
	// A task of its own: a Goexit in a function of users ends that one. It does not
	// wait, and so has ended. Await would only say that t has been cut off meanwhile,
	// also if the actor is there, which then nobody would stop and account for.
	pid, err := actors.Start(t, func(*actors.Task) (*actor.PID, error) { return k.spawnAs(p) }, actors.Name("spawn")).TryResult()
	if err != nil {
		k.noActor = err
		k.happen(t, life.ChildSpawnFailed)
		return
	}
	k.show(func() { k.pid = pid })
	if k.proc != nil {
		c.looped = k.spec.Props
	} else {
		if p == nil {
			p = newPlain(k)
		}
		p.pid = pid
		k.proc = p
	}
	k.happen(t, life.ChildSpawned)
	if k.proc == process(p) && !p.watched {
		c.out.log.Debug("supervisor: the props of a plain actor spawn it in a way of their own: it counts as up at once", "child", pid.Id)
		k.happen(t, life.ChildSetUp)
	}
}

// spawnAs is the engine's Spawn, through p unless that is nil: the props are
// known to give an event loop. It calls code of users on our loop: the
// producer, and what is called on init.
func (k *child) spawnAs(p *plain) (pid *actor.PID, err error) {
	c := k.core
	id := c.node.pid.Id + "/" + k.name
	_, taken := c.node.sys.ProcessRegistry.GetLocal(id)
	c.spawning = k
	returned := false
	defer func() {
		c.spawning = nil
		if returned {
			return
		}
		if v := recover(); v != nil { // else it is a Goexit, which the task tells
			err = fmt.Errorf("supervisor: spawn: %w", &actors.PanicError{Value: v, Stack: debug.Stack()})
		}
		if !taken { // what was registered would answer to nothing
			who := c.node.sys.NewLocalPID(id)
			c.node.sys.ProcessRegistry.Remove(who)
			if p != nil && p.early != nil {
				p.early.lose(c.node.sys, who)
			}
		}
	}()
	props := k.spec.Props
	if p != nil {
		props = p.props(props)
	}
	pid, err = c.ctx.SpawnNamed(props, k.name)
	returned = true
	if err != nil {
		err = fmt.Errorf("supervisor: spawn: %w", err)
	}
	return pid, err
}

// isOver reports whether an operation must end without doing anything more.
func (c *core) isOver(t *actors.Task) bool { return c.isStopping() || ended(t) != nil }

// ended is why the task has been ended, or nil. Its context says the same, but
// has to be made.
func ended(t *actors.Task) error { return park.Enter(t, "supervisor").Ended }
