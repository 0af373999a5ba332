package supervisor

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// state is where a child is in its life. The package doc has the diagram.
type state int

const (
	gone     state = iota // there is no actor: it has not started, or has ended
	starting              // setup runs
	up                    // it works
	failed                // it has suspended itself
	quiet                 // nothing of it runs; it keeps its queue
	stopping              // the stop event is set
)

func (s state) String() string {
	return name(s, "gone", "starting", "up", "failed", "quiet", "stopping")
}

// process is what a supervisor does with a child's actor.
type process = link.Child

// child is one child. Owned by the loop.
type child struct {
	core *core
	spec Child
	pid  *actor.PID
	proc process // nil: it was never spawned
	kind Kind

	inner   *node // of a supervisor
	state   state
	changed bell          // state, or what a wait depends on
	lock    lock          // of what goes on with it, if children are independent
	failure *link.Failure // why it is failed
	lastErr error

	retries  retries
	restarts int
	since    time.Time // it is in its state

	hasAccount, isForgotten bool // what has to come before it is gone
	hurried                 bool // its grace was ended
	detached                bool // nobody waits for it any more
	account                 ChildReport
}

func (c *core) addChild(spec Child) *child {
	k := &child{core: c, spec: spec, kind: KindPlain}
	k.account = ChildReport{Name: spec.Name, Counted: true}
	c.kids = append(c.kids, k)
	c.byPID[k.id()] = k
	n := c.node
	n.mu.Lock()
	n.infos[spec.Name] = &entry{info: ChildInfo{Name: spec.Name}}
	n.order = append(n.order, spec.Name)
	n.mu.Unlock()
	return k
}

// id is that of the child's PID.
func (k *child) id() string { return k.core.node.pid.Id + "/" + k.spec.Name }

func (k *child) at() At { return At{k.core.node.pid.Id, k.spec.Name} }

func (k *child) become(s state) {
	k.state, k.since = s, time.Now()
	k.publish()
	k.changed.raise()
}

// publish lets everybody see the child as it is now.
func (k *child) publish() {
	n := k.core.node
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.infos[k.spec.Name]
	if e == nil { // removed
		return
	}
	e.info = ChildInfo{
		Name: k.spec.Name, PID: k.pid, Kind: k.kind, State: k.state.String(),
		Since: k.since, Restarts: k.restarts, Err: k.lastErr,
	}
	if e.inner != nil {
		e.info.Kind = KindSupervisor
	}
	if k.state == gone {
		e.info.PID = nil
	}
}

// ready: setup has succeeded.
func (k *child) ready() {
	if k.state == starting {
		k.retries.readyAt = time.Now()
		k.become(up)
	}
}

// quieted: nothing of it runs.
func (k *child) quieted() {
	if k.state == up || k.state == starting || k.state == failed {
		k.become(quiet)
	}
}

// spawn starts the child's actor.
func (k *child) spawn() error {
	c := k.core
	k.proc, k.kind, k.inner = nil, KindPlain, nil
	k.hasAccount, k.isForgotten, k.hurried, k.detached = false, false, false, false
	p := newPlain(k)
	c.spawning = k
	pid, err := c.ctx.SpawnNamed(p.props(k.spec.Props), k.spec.Name)
	c.spawning = nil
	if err != nil {
		return fmt.Errorf("spawn: %w", err)
	}
	k.pid = pid
	if k.proc == nil {
		p.pid = pid
		k.proc = p
	}
	k.become(starting)
	if k.proc == process(p) && !p.watched {
		k.ready() // its props spawn it in a way of their own: there is no telling
	}
	return nil
}

// accounted: its mailbox has told the final account.
func (k *child) accounted(t *actors.Task, e link.Ended) {
	if k.detached {
		return
	}
	k.hasAccount = true
	k.settle(e)
	k.maybeGone(t)
}

// terminated: the engine has forgotten it.
func (k *child) terminated(t *actors.Task) {
	if k.detached {
		return
	}
	k.isForgotten = true
	if _, ok := k.proc.(*plain); ok {
		k.hasAccount = true
		k.settle(k.proc.Account())
	}
	k.maybeGone(t)
}

// report is what the child has done, all its actors together.
func (k *child) report() ChildReport {
	r := k.account
	r.Kind = k.kind
	return r
}

// settle adds what one actor of this child has done.
func (k *child) settle(e link.Ended) {
	a := &k.account
	a.Abandoned = append(a.Abandoned, abandonedOf(e.Abandoned)...)
	switch k.kind {
	case KindWorker:
		a.Counts = a.Counts.plus(countsOf(e.Counts))
		a.Phases = phasesOf(e)
	case KindPlain:
		a.Counted = false
		a.Phases = []Phase{{"stop", e.Release}}
	case KindSupervisor:
		a.Phases = []Phase{{"stop", e.Drain + e.Unwind + e.Hooks + e.Release}}
		if k.inner != nil {
			a.Counts = a.Counts.plus(k.inner.report.Total)
			a.Children = merge(a.Children, k.inner.report.Children)
		}
	}
	for _, lost := range e.Abandoned {
		k.core.out.emit(TaskAbandoned{k.at(), lost.Name, lost.Since, lost.Stack})
	}
}

// merge adds the account of a supervisor's next actor: the children's of the
// former are one row.
func merge(before, now []ChildReport) []ChildReport {
	if before == nil {
		return now
	}
	past := ChildReport{Name: "(gone before)", Kind: KindPast, Counted: true}
	for _, r := range before {
		past.add(r)
	}
	if len(now) > 0 && now[0].Kind == KindPast {
		past.add(now[0])
		now = now[1:]
	}
	return append([]ChildReport{past}, now...)
}

// add puts a child's account into a row of several.
func (r *ChildReport) add(o ChildReport) {
	if o.Counted {
		r.Counts = r.Counts.plus(o.Counts)
	}
	r.Restarts += o.Restarts
	walk("", []ChildReport{o}, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			a.Name = path + ": " + a.Name
			r.Abandoned = append(r.Abandoned, a)
		}
	})
}

// maybeGone is the end of the child's actor, once all has been heard of it.
func (k *child) maybeGone(t *actors.Task) {
	if !k.hasAccount || !k.isForgotten || k.state == gone {
		return
	}
	was := k.state
	k.become(gone)
	if was == up && !k.core.stopping { // nobody had asked
		k.core.run(t, "restart "+k.spec.Name, func(t *actors.Task) error { return k.core.recover(t, k) })
	}
}
