package actors

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
)

// budgetHeader carries what is left of a request's budget to another
// machine, in nanoseconds: a remaining time, because clocks differ.
const budgetHeader = "protoloop-budget"

// message is a task that works on a message which arrived through the
// engine: a plain Send or Request, or a request from elsewhere.
type message struct {
	work
	env   *actor.MessageEnvelope // what it came in, or nil
	fut   completer              // of a request of this process; else nil
	early bool                   // it came before the mailbox knew its system
	late  bool                   // … and yet after the stop event
	again bool                   // another task has had it before: stashed, or to be retried
	tries int                    // how often its handler has panicked
}

func (u *message) future() completer { return u.fut }

// incoming makes a task of a message that the engine has posted. Any
// goroutine; the engine may not have registered the actor yet.
func (mb *mailbox) incoming(m any, env *actor.MessageEnvelope) *Task {
	u := &message{early: !mb.registered.Load()}
	u.init(mb, m, env)
	if env == nil || u.early {
		return &u.Task
	}
	asker := mb.sys.asker(env.Sender)
	if asker != nil && asker.lifetime == offered && asker.mb == mb && asker.first(isPosted) {
		// A RequestFuture to us that has come the long way, by middleware.
		asker.msg = m
		asker.setEnvelope(env)
		return asker
	}
	u.know(asker)
	return &u.Task
}

func (u *message) init(mb *mailbox, m any, env *actor.MessageEnvelope) {
	u.attached, u.msg, u.env = &mb.view, m, env
	u.lt.Body = u
}

// know binds the message to whom it comes from: to the task of a request of
// this process, so that an error, a panic and its stack reach the asker as
// they are, or to the budget that it brings from another machine.
func (u *message) know(asker *Task) {
	if asker != nil {
		u.fut = asker.future()
		asker.adopt(&u.Task)
		return
	}
	h := u.env.GetHeader(budgetHeader)
	if h == "" {
		return
	}
	left, err := strconv.ParseInt(h, 10, 64)
	if err != nil || left < 0 {
		return // not ours, or from a peer that counts otherwise
	}
	s := u.scope()
	s.deadline = u.mb.sys.in(time.Duration(left))
	u.mb.sys.clock.add(s.deadline, &u.Task)
}

func (u *message) label() string { return typeOf(u.msg) }

func (u *message) Run(*loop.Task) {
	t := &u.Task
	over := u.again && u.fut != nil && u.fut.base().done.Load()
	if u.early && u.env != nil {
		asker := u.mb.sys.asker(u.env.Sender)
		over = asker == nil && u.mb.sys.isReply(u.env.Sender) // it was cancelled, or has expired
		u.know(asker)
	}
	if over || u.late {
		t.outcome = outcomeNeverRan
		t.mb.counts.taken.Add(1)
		if !over {
			t.outcome = t.neverRuns(ErrStopping)
		}
		return
	}
	if t.begin() {
		t.mb.receive(t)
	}
}

// handBack puts the task's message into the stash: the next incarnation gets
// it before all else, as if this task had not. by is the task whose turn it
// is; it reports false, and does nothing, if that turn has been taken over.
func (t *Task) handBack(by *Task, tries int) bool {
	again := &message{again: true}
	again.init(t.mb, t.msg, t.envelope())
	again.fut = t.future()
	again.tries = tries
	return by.coroutine().OnLoop(func() {
		t.bequeath(&again.Task)
		t.first(isStashed) // its answer is left to the next incarnation
		t.mb.keepStashed(&again.Task, t)
		if s := t.ext.Load(); s != nil && s.deadline > 0 {
			again.scope().deadline = s.deadline
			t.system().clock.add(s.deadline, &again.Task)
		}
	})
}

// tries is how often the handler of the task's message has panicked.
func (t *Task) tries() int {
	if u, ok := t.lt.Body.(*message); ok {
		return u.tries
	}
	return 0
}

// retry hands back the message whose handler has panicked if the supervisor
// wants that.
func (t *Task) retry() bool {
	f, tries := t.future(), t.tries()
	if t.lifetime != offered || t.message() == nil || tries >= t.mb.policy.Retries || t.mb.gate.Load() != gateOpen ||
		f != nil && f.base().done.Load() || t.once.Load()&(isAnswered|isStashed) != 0 || t.ended() != nil {
		return false
	}
	return t.handBack(t, tries+1)
}

// receive hands the message to the actor, through the engine if the user has
// middleware or decorators there. A panic fails the asker and the actor.
func (mb *mailbox) receive(t *Task) {
	defer t.caughtHandler()
	if s := mb.rare.Load(); s != nil && s.idle.on.Load() {
		s.idle.touch(t.msg)
	}
	if !mb.hooked {
		mb.handle(t)
		return
	}
	env := t.envelope()
	if env == nil {
		env = actor.WrapEnvelope(t.msg)
	}
	mb.invoker().InvokeUserMessage(env)
	if t.turn&isHandling == 0 && t.outcome == outcomeNone {
		t.reply(nil, fmt.Errorf("%w: a receiver middleware kept the %T", ErrUnhandled, t.msg))
	}
}

// handle is the end of the engine's path, and all of ours.
func (mb *mailbox) handle(t *Task) {
	t.turn |= isHandling
	inc := t.inc
	if inc == nil { // Stopped, which is no turn
		inc = mb.inc.Load()
	}
	if a, ok := inc.actor.(*workerActor); ok {
		a.receive(t)
	} else {
		inc.actor.Receive(mb.view.actorContext)
	}
	if auto, ok := t.msg.(actor.AutoRespond); ok {
		t.Respond(auto.GetAutoResponse(mb.view.actorContext))
	}
}

func (t *Task) caughtHandler() {
	if p := recover(); p != nil {
		err := newPanicError(p)
		t.fails(err)
		if t.mb.policy.Retries == 0 || !t.retry() {
			t.reply(nil, err)
		}
	}
}

// done is called on the loop when the task has ended.
func (t *Task) done(how loop.How) {
	mb := t.mb
	switch how {
	case loop.Exited:
		// A panic in a deferred function may have been first: a Goexit goes on.
		if t.outcome == outcomeNone {
			t.reply(nil, ErrGoexit)
		}
	case loop.Lost:
		mb.abandoned(t)
	}
	t.released()
	if t.lifetime == offered {
		mb.count(t, how)
	}
	t.over()
	if how == loop.Lost {
		return // what it wrote in its turn is not ours to read
	}
	if err := t.failure(); err != nil {
		mb.fail(t, err)
	}
}

// count puts a task that has left the mailbox into its bucket.
func (mb *mailbox) count(t *Task, how loop.How) {
	c := &mb.counts
	switch {
	case t.once.Load()&isStashed != 0: // it is back in the mailbox
		c.taken.Add(-1)
	case how == loop.Lost:
		// Its turn may have been taken over when it had answered, and even on
		// its way back from the handler: its asker knows of no end then.
		switch t.told() {
		case outcomeFinished:
			c.finished.Add(1)
		case outcomeFailed:
			c.failed.Add(1)
		default:
			c.abandoned.Add(1)
		}
	case t.outcome == outcomeCanceled || t.outcome == outcomeNeverRan:
		c.canceled.Add(1)
	case t.outcome == outcomeDeadLetter:
		c.deadLettered.Add(1)
	case t.outcome == outcomeFailed:
		c.failed.Add(1)
	default:
		c.finished.Add(1)
	}
}

// drop ends a task that was accepted and will not start. On the loop.
func (mb *mailbox) drop(t *Task, err error) {
	mb.counts.taken.Add(1)
	if t.neverRuns(err) == outcomeDeadLetter {
		mb.counts.deadLettered.Add(1)
	} else {
		mb.counts.canceled.Add(1)
	}
	t.over()
}
