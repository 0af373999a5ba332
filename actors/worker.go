// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// Worker is what setup registers handlers and background work with. It
// is the actor's context, too, for instance to spawn children. Every
// incarnation of the worker has its own, and setup runs for each: that is
// where the state lives that a restart has to throw away.
type Worker struct {
	ctx        actor.Context
	own        loopContext // what ctx is, unless there is a decorator of the user's
	mb         *mailbox
	task       *Task // setup
	handlers   handlers
	background []*part
	onStop     []func(t *Task) error
	hasMain    bool
	sealed     bool // setup has returned
}

// Sibling is [Task.Sibling].
func (w *Worker) Sibling(name string) *actor.PID {
	return siblingOf(w.ctx, name)
}

// Task is the task that setup runs in: setup may await, for instance the
// answer of another actor. Messages to this worker wait meanwhile: an await
// that would end only after one of them returns a [*DeadlockError]. It must
// not be used after setup has returned.
func (w *Worker) Task() *Task {
	w.open("Task")
	w.task.holdLoop() // what it watches may end meanwhile, which is to be handled afterwards
	return w.task
}

// handler is what runs for messages of one type.
type handler struct {
	typ       reflect.Type
	call      func(t *Task)
	exclusive bool
	plain     bool // to call it is all: it is not exclusive, and its messages have no answer of their own
}

var autoRespond = reflect.TypeFor[actor.AutoRespond]()

// handlers are a worker's. Most have a few, and looking through those is
// faster than a map, and a sixth of its size.
type handlers struct {
	few  []handler
	many map[reflect.Type]int // all of them, by their index, when they are more than fewHandlers
}

const fewHandlers = 8

func (h *handlers) find(typ reflect.Type) *handler {
	if h.many != nil {
		if i, ok := h.many[typ]; ok {
			return &h.few[i]
		}
		return nil
	}
	for i := range h.few {
		if h.few[i].typ == typ {
			return &h.few[i]
		}
	}
	return nil
}

// findFor is find for the type of *msg. It compares the types where they are in memory, as the
// comparison of a reflect.Type does after two calls.
func (h *handlers) findFor(msg *any) *handler {
	if h.many != nil {
		return h.find(reflect.TypeOf(*msg))
	}
	typ := *(*unsafe.Pointer)(unsafe.Pointer(msg))
	for i := range h.few {
		if one := &h.few[i]; *dataOf((*any)(unsafe.Pointer(&one.typ))) == typ {
			return one
		}
	}
	return nil
}

// nextTo says that there is a handler of a pointer to typ, or of what it points to: a
// mistake that is easy to make, and hard to see.
func (h *handlers) nextTo(typ reflect.Type) string {
	other := reflect.PointerTo(typ)
	if h.find(other) == nil {
		if typ.Kind() != reflect.Pointer || h.find(typ.Elem()) == nil {
			return ""
		}
		other = typ.Elem()
	}
	return fmt.Sprintf(" (it has one for %s)", other)
}

func (h *handlers) add(one handler) {
	h.few = append(h.few, one)
	switch n := len(h.few); {
	case h.many != nil:
		h.many[one.typ] = n - 1
	case n > fewHandlers:
		h.many = map[reflect.Type]int{}
		for i := range h.few {
			h.many[h.few[i].typ] = i
		}
	}
}

// HandlerOption changes a handler.
type HandlerOption struct{ exclusive bool }

// Exclusive lets nothing else run while the handler awaits: no other message
// of the worker starts and no other task goes on until it returns, but for
// what it starts itself with [Start]. Use it where state must not change
// across an await.
//
// Workers that wait for each other in a ring, because each is held by an
// Exclusive handler, are found when the ring closes: that await returns a
// [*DeadlockError].
func Exclusive() HandlerOption { return HandlerOption{exclusive: true} }

func (w *Worker) open(what string) {
	if w.sealed {
		panic("actors: " + what + " called after setup has returned: register everything in setup")
	}
}

func (w *Worker) register(what string, h handler, opts []HandlerOption) {
	w.open(what)
	if w.handlers.find(h.typ) != nil {
		panic(fmt.Sprintf("actors: %s: a second handler for %s", what, h.typ))
	}
	for _, o := range opts {
		h.exclusive = h.exclusive || o.exclusive
	}
	h.plain = !h.exclusive && !h.typ.Implements(autoRespond)
	w.handlers.add(h)
}

// Handle registers the handler of requests of type Req. What it returns is
// the answer: a value, or an error, which is no failure of the worker. A
// panic fails the asker and the worker.
//
// Req is matched against the exact dynamic type of the message; an interface
// type panics, as does a second handler for the same type. A [Method] lets the compiler
// see that askers send a Req and wait for a Resp.
func Handle[Req, Resp any](w *Worker, h func(t *Task, req Req) (Resp, error), opts ...HandlerOption) {
	if h == nil {
		panic("actors: Handle called with a nil function")
	}
	w.register("Handle", handler{typ: messageType[Req]("Handle"), call: func(t *Task) {
		v, err := h(t, t.msg.(Req))
		if err != nil {
			t.endIfExpired(err)
			err = returned(err)
		}
		if f := futureOf[Resp](t); f != nil { // no boxing
			t.concludeFuture(f.completeHandled(v, err), err)
			return
		}
		t.replyAtEnd(v, err)
	}}, opts)
}

// futureOf is the future of the task if that is of type Resp, or nil. Most often the task is such
// a request itself, which is found without an assertion to an interface.
func futureOf[Resp any](t *Task) *Future[Resp] {
	once := t.once.Load()
	if u, is := t.lt.Body.(*request[Resp]); is && once&(isStashed|isCopied) == 0 {
		return &u.fut
	}
	if once&isCopied != 0 { // by replyAtEnd
		return nil
	}
	f, _ := t.future().(*Future[Resp])
	return f
}

// On registers the handler of messages of type Req that are answered without a value:
// one-way messages, requests that succeed or fail, and *actor.Terminated.
//
// If it returns an error the asker gets that; of a message that nobody waits for it is
// logged. If it returns nil the asker gets a [None] when the handler, and all that it
// has started, have returned; to a plain actor, or one on another machine, it goes as an
// *emptypb.Empty. But a handler may also answer by [Task.Respond], pass the request on
// by [Task.Forward], or keep the PID of [Task.Sender] for somebody who answers later:
// then that counts.
//
// Req is matched as [Handle] does. An *actor.Terminated comes before all messages that
// wait, and at MaxInFlight too: it does not count.
func On[Req any](w *Worker, h func(t *Task, msg Req) error, opts ...HandlerOption) {
	if h == nil {
		panic("actors: On called with a nil function")
	}
	w.register("On", handler{typ: messageType[Req]("On"), call: func(t *Task) {
		if err := h(t, t.msg.(Req)); err != nil {
			t.endIfExpired(err)
			t.replyAtEnd(nil, returned(err))
		} else {
			t.turn |= hasNoValue
			t.concludeOneWay(nil)
		}
	}}, opts)
}

func messageType[Req any](what string) reflect.Type {
	typ := reflect.TypeFor[Req]()
	if typ.Kind() == reflect.Interface {
		panic(fmt.Sprintf("actors: %s: %s is an interface; handlers are found by the exact type of the message", what, typ))
	}
	return typ
}

// Background runs a task beside the handlers, from the end of setup on. A
// nil return ends that part only; an error or a panic fails the worker. When
// the worker is told to stop it should return: see [Task.SleepOrStop]. An error
// after that is told and logged, and what was accepted goes on. One that it
// returns when it has been cut off is logged, if it says more than that.
//
// If a plain parent's strategy resumes a worker that has failed, those that
// were cut off by that begin anew; one that has failed itself does not.
func (w *Worker) Background(name string, run func(t *Task) error) {
	if run == nil {
		panic("actors: Background called with a nil function")
	}
	w.open("Background")
	w.background = append(w.background, &part{name: name, run: run})
}

// Main runs the task that the worker lives for: when it returns nil the
// worker stops gracefully, an error or a panic fails it (asyncio.run). There
// is at most one.
func (w *Worker) Main(run func(t *Task) error) {
	if run == nil {
		panic("actors: Main called with a nil function")
	}
	w.open("Main")
	if w.hasMain {
		panic("actors: Main called twice")
	}
	w.hasMain = true
	w.background = append(w.background, &part{name: "main", run: run, main: true})
}

// OnStop runs f when this incarnation ends, however it does, after all its
// tasks have ended: the last registered first, each once. Its task can await;
// its context lives for what is left of the stop's grace or of StopGrace,
// whichever is more. [Task.StopReason] says why
// the worker ends, ErrRestarted or ErrStopped with what led to it, and so does
// [context.Cause] when that time is over. An error or a panic is logged, the other hooks run all
// the same, and whoever stops the worker is not told. If setup fails
// none runs, as OTP's terminate does not after an init that has failed: a setup
// closes itself what it has opened by then.
func (w *Worker) OnStop(f func(t *Task) error) {
	if f == nil {
		panic("actors: OnStop called with a nil function")
	}
	w.open("OnStop")
	w.onStop = append(w.onStop, f)
}

// part is a Background or the Main.
type part struct {
	name string
	run  func(t *Task) error
	main bool
	// running: it has begun and not ended. On the loop.
	running bool
	cut     bool // it was told to end, by the failure of another task
}

// begin runs it, in a task of its own.
func (p *part) begin(mb *mailbox) {
	p.cut, p.running = false, true
	u := mb.newInternal(p.name, func(t *Task) {
		err := p.run(t)
		switch {
		case err != nil && t.saysItsEnd(err), // told to end, and did
			endedByStopEvent(err): // … as its UntilStop says
		case err != nil:
			t.failWorkerAtEnd(fmt.Errorf("actors: %s: %w", p.name, err))
		case t.endCause() != nil:
		case p.main:
			mb.returned(t)
		}
	})
	u.isPart = true
	u.done = func(t *Task, how loop.How) {
		p.cut, p.running = how == loop.Lost || t.endCause() != nil, false
	}
	mb.loop.Go(&u.lt)
}

// workerActor is the engine's actor of a worker, and what is needed of the
// Worker that its setup has made.
type workerActor struct {
	setup    func(w *Worker) error
	handlers handlers
	rest     *lasting // nil: its setup has not succeeded yet
}

// lasting is what few workers have beside handlers.
type lasting struct {
	background []*part
	onStop     []func(t *Task) error
}

var nothingLasting lasting // nobody's to write

// keep takes over what w is needed for.
func (a *workerActor) keep(w *Worker) {
	a.handlers, a.rest = w.handlers, &nothingLasting
	if n := int32(min(len(w.handlers.few), fewHandlers)); w.mb.kind.handlers.Load() != n {
		w.mb.kind.handlers.Store(n) // for the next worker, and the next incarnation of this one
	}
	if len(w.background) > 0 || len(w.onStop) > 0 {
		a.rest = &lasting{w.background, w.onStop}
	}
}

// Receive is the engine's. Where it has idleProps, it tells the worker here that it stops, and
// else the shield; only an engine without our mailbox calls it with anything more.
func (a *workerActor) Receive(c actor.Context) {
	m := c.Message()
	if mb := systemOf(c.ActorSystem()).ownMailbox(c.Self()); mb != nil { // its props are idleProps
		if mb.life.frame.Load() != frameNone && isLifecycle(m) {
			mb.framed(c, m)
		}
		return
	}
	if _, ok := m.(*actor.Started); ok {
		panic(&OptionError{"actors: Props", "WithMailbox", nil, "replaces the event loop of the worker: leave it out"})
	}
}

// receive handles a message of the worker.
func (a *workerActor) receive(t *Task) {
	if a.rest == nil { // setup is yet to run: the user's middleware sees Started
		return
	}
	h := a.handlers.findFor(&t.msg)
	if h == nil {
		a.unhandled(t)
		return
	}
	if h.exclusive {
		t.holdLoop()
	}
	h.call(t)
}

// unhandled is for a message without a handler.
func (a *workerActor) unhandled(t *Task) {
	switch t.msg.(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting,
		*actor.Terminated, *actor.ReceiveTimeout, actor.AutoRespond:
		return
	case *emptypb.Empty: // what a Request of the engine's that nobody waits for is answered with
		if !t.isAsked() {
			return
		}
	}
	err := fmt.Errorf("%w: worker %s has no handler for %T%s", ErrUnhandled, t.mb.pid.Id, t.msg, a.handlers.nextTo(reflect.TypeOf(t.msg)))
	if t.future() != nil || t.asker() != nil {
		t.turn &^= isHandling // for the asker: it did not run
		t.replyAtEnd(nil, err)
		return
	}
	t.how = life.HowUnhandled
	t.mb.logger().WarnContext(t.logContext(), "actors: dead letter: "+err.Error())
	t.mb.tellTaskFailure(failure.DeadLetter, t, err)
	t.mb.sys.deadLetterNow(t.mb.pid, t.msg)
}

// runSetup makes the worker of a new incarnation. The loop takes it over when
// setup has returned: one that was abandoned goes on with a worker that
// nobody knows.
func (a *workerActor) runSetup(t *Task) (*Worker, error) {
	if a.setup == nil {
		return nil, errors.New("actors: a worker without setup")
	}
	w := &Worker{ctx: t.mb.view.actorContext, mb: t.mb, task: t}
	if n := t.mb.kind.handlers.Load(); n > 0 {
		w.handlers.few = make([]handler, 0, n)
	}
	if !t.mb.decorated() {
		w.own = loopContext{Context: t.mb.raw(), mb: t.mb, inc: t.inc}
		w.ctx = &w.own
	}
	defer func() { w.sealed, w.task = true, nil }()
	return w, a.setup(w)
}
