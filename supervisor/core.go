package supervisor

import (
	"cmp"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
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
	made   time.Time // the readings of now are since then
	spec   Spec
	ctx    actor.Context
	inbox  inbox
	out    *outlet
	dead   serial // calls OnCrash.DeadLetter
	budget intensity

	kids     map[string]*child // by name; written with the node's mu held, for everybody
	due      set               // those that are due
	held     set               // those that are held
	decisive set               // Significant ones that have not ended: see AutoShutdown
	added    uint64            // how many there have been
	spawning *child            // whose Spawn is running
	looped   *actor.Props      // gave an event loop: another child of theirs needs no plain, 700 bytes with a copy of the props
	starting *child            // of a group that starts: who has to hear of a failure in it
	notUp    string            // the child at which the first start came to its end
	all      []*child          // that there are at the stop, in order
	past     ChildReport       // those that are gone and forgotten
	sheet    sheet             // of the report, from the stop on

	looks *time.Timer   // see lookAt
	look  time.Duration // when it fires; 0: it is not set

	lock    lock            // of all children, unless they are independent
	leaving int             // children that are stopping
	gone    bell            // it rings when there are none any more
	life    life.Supervisor // written by happen alone
	cause   error           // why it ends by itself; nil: it was told to stop
	stopped time.Time
	took    time.Duration
	over    *actors.Promise[struct{}]
	ended   chan struct{} // closed with over, for callers from outside
}

func newCore(ctx actor.Context, spec Spec) *core {
	return &core{
		made: time.Now(), spec: spec, ctx: ctx, kids: map[string]*child{}, due: set{}, held: set{}, decisive: set{},
		budget: newIntensity(spec.MaxRestarts, spec.Within),
		over:   actors.NewPromise[struct{}](), ended: make(chan struct{}),
		past: newPast(),
	}
}

// setup is that of the supervisor's worker.
func setup(w *actors.Worker, spec Spec, made chan<- *node) error {
	c := newCore(w.Context, spec)
	link.Attach(w.Context, func(before link.Supervisor) link.Supervisor {
		n, ok := before.(*node)
		if !ok {
			n = newNode(w.Context)
		}
		n.begin(c)
		return n
	})
	if made != nil {
		select {
		case made <- c.node:
		default:
		}
	}
	t := w.Task()
	c.run(t, "supervisor", c.dispatch)
	c.run(t, "stop event", c.watchStop)
	w.Main(c.main)
	w.OnStop(c.cutOff)
	err := c.startAll(t)
	if c.isStopping() {
		c.node.begun(c.startFailure(err))
	} else {
		c.node.begun(err)
	}
	return err
}

// startFailure is what a first start that has ended with err, or with a stop,
// failed of.
func (c *core) startFailure(err error) error {
	if e, ok := err.(*StartError); ok {
		return e
	}
	return &StartError{Supervisor: c.node.pid.Id, Child: c.notUp, Err: cmp.Or(err, ErrStopping)}
}

// now is for what only the loop sees: half as dear as time.Now, and a third of
// the size.
func (c *core) now() time.Duration { return time.Since(c.made) }

// many reports whether it is of a Dynamic.
func (c *core) many() bool { return c.spec.dynamic != nil }

// ordered are the children in the order of their starts. There is no list of
// them to keep in order: taking one of ten thousand out of it would cost as
// much as this, and happens more often.
func (c *core) ordered() []*child {
	all := slices.AppendSeq(make([]*child, 0, len(c.kids)), maps.Values(c.kids))
	slices.SortFunc(all, func(a, b *child) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// failure is what the supervisor's own actor fails of, if it does.
func (c *core) failure() error {
	if c.cause == ErrShutdown {
		return nil
	}
	return c.cause
}

// dispatch handles what comes.
func (c *core) dispatch(t *actors.Task) error {
	return c.serve(t, func() bool { return c.life.State() == life.SupervisorOver })
}

func (c *core) serve(t *actors.Task, done func() bool) error {
	for !done() {
		p, more := c.inbox.take()
		if more != nil {
			if _, err := actors.Await(t, more); err != nil {
				return err
			}
		}
		for p != nil {
			for i := range p.n {
				c.guarded(t, &p.notes[i])
			}
			p = c.inbox.reuse(p)
		}
	}
	return nil
}

func (c *core) guarded(t *actors.Task, n *note) {
	defer c.caught(t)
	switch {
	case n.do != nil:
		n.do(t)
	case n.gone != nil:
		if k := c.kids[c.node.nameOf(n.gone)]; k != nil && k.pid == n.gone { // not a former actor of that name
			k.terminated(t)
		}
	default:
		if k := c.of(n.of); k != nil {
			n.news(t, k)
		}
	}
}

// run starts a task of the supervisor's own. What it returns is why it ended
// early: because the supervisor's actor does.
func (c *core) run(t *actors.Task, name string, f func(t *actors.Task) error) {
	actors.Start(t, func(t *actors.Task) (error, error) {
		defer c.caught(t)
		return f(t), nil
	}, actors.Name(name))
}

// caught ends a supervisor whose own code has panicked: it would live on and
// supervise nothing.
func (c *core) caught(t *actors.Task) {
	if v := recover(); v != nil {
		err := &actors.PanicError{Value: v, Stack: debug.Stack()}
		c.out.error("supervisor: panic in the supervisor", "supervisor", c.node.pid.Id, "panic", v, "stack", string(err.Stack))
		c.beginStop(t, err)
	}
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
		return err // it is cut off: see cutOff
	}
	return c.failure()
}

// after runs f on the loop in d.
func (c *core) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(max(d, 1), func() { c.inbox.post(func(*actors.Task) { f() }) })
}
