// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"errors"
	"log/slog"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/observe"
)

// What is done with a task for the observer of inspect.Observe. A task that is not observed has nothing of it: whoever
// makes one looks whether anybody observes, which is one load, and the rest is in the scope of those that are.

// watched is what a task has that is observed.
type watched struct {
	by     *observe.Observer
	at     time.Time     // when it was offered
	begins bool          // see observe.Work
	state  atomic.Uint32 // what the observer has been told

	mu  sync.Mutex      // guards the next two
	ctx context.Context // of Offered, and then of Began
	err error           // how it has ended, where its future does not tell

	kept any // the observer's
}

// What an observer has been told. Who abandons a turn may end its task while the observer is told that it begins: then
// whoever tells it that tells it of the end, too.
const (
	toldBeginning uint32 = 1 << iota
	toldBegun
	toldEnded
)

// context is that of the work; nil: the task has been spent.
func (w *watched) context() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ctx
}

// rebase has the work carry the values of ctx from here on, unless the task is spent. What it inherits takes them from here, so no
// values need be made of a context that nothing inherits: they were an allocation for each span that begins with its work.
func (w *watched) rebase(m *more, ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil {
		return
	}
	w.ctx = ctx
	if m.values.Load() != nil { // somebody has asked before it began
		m.values.Store(valuesOf(ctx))
	}
}

// note says how the work has ended.
func (w *watched) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// end is what the observer is told of the end. No context: the task is spent.
func (w *watched) end() (ctx context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ctx, w.err
}

// valuesIn gives m, which has none yet, the values of the task's context. It returns nil if the task is spent.
func (w *watched) valuesIn(m *more) *values {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil {
		return nil
	}
	m.values.CompareAndSwap(nil, valuesOf(w.ctx))
	return m.values.Load()
}

// spend lets go of what it has. It may be a part of what a future keeps.
func (w *watched) spend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.err, w.kept = nil, nil, nil
}

// watch has the task be observed, with ctx as the context whose values it has. What it needs for that is one allocation,
// which a future keeps, without the context. The task may be ended meanwhile by whoever has created it, so each part is
// complete before the task has it.
func (t *Task) watch(by *observe.Observer, ctx context.Context) {
	at, begins := time.Now(), t.begins()
	if t.ext.Load() == nil {
		x := &struct {
			scope   scope
			more    more
			rare    rare
			watched watched // has the values, until work inherits them; so it is in the other cases
		}{watched: watched{by: by, ctx: ctx, at: at, begins: begins}}
		x.more.presetRare(&x.rare)
		x.rare.presetWatched(&x.watched)
		x.scope.presetMore(&x.more)
		if t.ext.CompareAndSwap(nil, &x.scope) {
			return
		}
	}
	s := t.scope()
	var bound *values
	if t.roomForContext() != nil {
		bound = t.boundValues()
	}
	if m := s.more.Load(); m == nil || m.isInherited() {
		x := &struct {
			more    more
			rare    rare
			watched watched
		}{watched: watched{by: by, ctx: ctx, at: at, begins: begins}}
		x.more.presetRare(&x.rare)
		x.rare.presetWatched(&x.watched)
		x.rare.presetBound(bound)
		if s.more.CompareAndSwap(m, &x.more) {
			return
		}
	}
	m := s.with()
	x := &struct {
		rare    rare
		watched watched
	}{watched: watched{by: by, ctx: ctx, at: at, begins: begins}}
	x.rare.presetWatched(&x.watched)
	x.rare.presetBound(bound)
	if !m.rare.CompareAndSwap(nil, &x.rare) {
		r := m.rare.Load()
		r.bound.CompareAndSwap(nil, bound)
		r.watched.Store(&x.watched)
	}
	m.values.Store(nil) // last: see keepBoundValues
}

// begins is observe.Work's, of a task that nobody else knows yet.
func (t *Task) begins() bool {
	s := t.ext.Load()
	return t.lifetime <= child && (s == nil || s.replyTo() == nil)
}

// observedTask is a task as the observer sees it.
type observedTask Task

var _ observe.Work = (*observedTask)(nil)

// Is is package observe's, and so are the others here.
func (w *observedTask) Is() string {
	switch t := (*Task)(w); t.lifetime {
	case carrier:
		if whom := t.whom(); whom != nil && !t.system().local(whom) {
			return "remote"
		}
		return "ask"
	case aside:
		return "offload"
	case offered:
		switch {
		case t.has(isFunction):
			return "submit"
		case t.isAsked():
			return "ask"
		}
		return "send"
	}
	return "start"
}

func (w *observedTask) Name() string { return (*Task)(w).name() }

func (w *observedTask) MessageType() string {
	if m := (*Task)(w).message(); m != nil {
		return typeOf(m)
	}
	return ""
}

func (w *observedTask) Worker() *actor.PID {
	if t := (*Task)(w); t.lifetime == carrier {
		return t.whom()
	}
	return w.mb.pid
}

func (w *observedTask) Kind() string {
	if t := (*Task)(w); t.attached != nil {
		return t.mb.kindName()
	}
	return ""
}

func (w *observedTask) Incarnation() uint64 {
	if t := (*Task)(w); t.inc != nil {
		return t.inc.n
	}
	return 0
}

func (w *observedTask) Offered() time.Time {
	if w := (*Task)(w).watchedBy(); w != nil {
		return w.at
	}
	return time.Time{}
}

func (w *observedTask) Begins() bool {
	if w := (*Task)(w).watchedBy(); w != nil {
		return w.begins
	}
	return (*Task)(w).begins()
}

func (w *observedTask) Called() unsafe.Pointer { return (*Task)(w).calledBy() }

func (w *observedTask) Keep(what any) { (*Task)(w).watchedBy().kept = what }

func (w *observedTask) Kept() any { return (*Task)(w).watchedBy().kept }

// observer is that of the task's system, or nil.
func (t *Task) observer() *observe.Observer {
	if s := t.system(); s != nil {
		return s.watch.Observer.Load()
	}
	return nil
}

// base is the context whose values the task has, or nil.
func (t *Task) base() context.Context {
	if s := t.ext.Load(); s != nil {
		return s.base()
	}
	return nil
}

// watchedBy is what the task has that is observed, or nil.
func (t *Task) watchedBy() *watched {
	if s := t.ext.Load(); s != nil {
		return s.seldom().watched.Load()
	}
	return nil
}

// offerToObserver lets the observer decide whether a task is observed, which nobody else knows yet. Most have no context,
// and are not sampled: these need one look at each of the things here, which with the rest is 65 instructions in place of 150, by a
// count of callgrind (bench: trace/none).
func (t *Task) offerToObserver() {
	if at := t.attached; at != nil && at.mb.named() && t.ext.Load() == nil && t.lifetime <= child {
		if _, is := t.lt.Body.(*message); !is { // it has no header either
			if o := at.mb.sys.watch.Observer.Load(); o != nil && o.Sample != nil && o.Sample((*observedTask)(t)) {
				t.offerSampled(o, context.Background())
			}
			return
		}
	}
	t.offerInContext()
}

// offerInContext is offerToObserver for a task that may have a context.
func (t *Task) offerInContext() {
	o := t.observer()
	if o == nil || t.lifetime == cleanup || t.lifetime == grouping {
		return
	}
	parent := t.base()
	values, came := parent.(*carriedContext)
	if parent == nil || came {
		if u, ok := t.lt.Body.(*message); ok && u.env != nil && len(u.env.Header) > 0 {
			parent = o.Extract(u.env.GetHeader)
			if came && parent != nil {
				parent = &carriedContext{parent, values.sys, values.values}
			}
		}
	}
	if parent == nil {
		if o.Sample == nil || !o.Sample((*observedTask)(t)) {
			return
		}
		parent = context.Background()
	}
	t.offerSampled(o, parent)
}

// offerSampled is the rest, for one that has a context or was sampled.
func (t *Task) offerSampled(o *observe.Observer, parent context.Context) {
	ctx := o.Offered(parent, (*observedTask)(t))
	if ctx == nil {
		return
	}
	t.watch(o, ctx)
	if (t.lifetime == carrier || t.lifetime == aside) && t.endCause() != nil { // ended in between by who has created it: see endTogether
		t.endWatched(t.ext.Load())
	}
}

// beginWatched is for a task that begins while anything is watched: see observe.On.
func (t *Task) beginWatched(s *scope) {
	if observe.On.Load() >= observe.Labelled {
		t.setLabels()
	}
	if s != nil {
		t.beginObserved()
	}
}

// beginObserved tells the observer that the task begins.
func (t *Task) beginObserved() {
	w := t.watchedBy()
	if w == nil {
		return
	}
	offered := w.context()
	if offered == nil || w.state.Or(toldBeginning)&toldEnded != 0 {
		return
	}
	defer t.noteBegun(w) // even if it panics
	if ctx := w.by.Began(offered, (*observedTask)(t)); ctx != nil && !same(ctx, offered) {
		w.rebase(t.ext.Load().with(), ctx)
	}
}

// noteBegun is called when the observer has been told that the task begins.
func (t *Task) noteBegun(w *watched) {
	if w.state.Or(toldBegun)&toldEnded != 0 {
		t.tellEnded(w)
	}
}

// beginOffloadWatched is beginWatched for a function that begins on a goroutine of its own. It returns its context.
func (t *Task) beginOffloadWatched(ctx context.Context) context.Context {
	if s := t.mb.sys.watch; s.Labels.Load() {
		pprof.SetGoroutineLabels(t.mb.kind.labelsOf(t.name()))
	}
	if t.watchedBy() == nil {
		return ctx
	}
	t.beginObserved()
	return callerctx.With(t.Context(), (*callingOffload)(t.mb))
}

// endWatched tells the observer that a task has ended, once.
func (t *Task) endWatched(s *scope) {
	w := s.seldom().watched.Load()
	if w == nil {
		return
	}
	if was := w.state.Or(toldEnded); was&toldEnded == 0 && was&(toldBeginning|toldBegun) != toldBeginning {
		t.tellEnded(w)
	}
}

func (t *Task) tellEnded(w *watched) {
	if ctx, err := w.end(); ctx != nil {
		if err == nil {
			err = t.outcome()
		}
		w.by.Ended(ctx, (*observedTask)(t), err)
	}
}

// errNoAnswer is the outcome of work of which nothing is known but that it has failed.
var errNoAnswer = errors.New("actors: the work has failed")

// outcome is what the work of an observed task has come to.
func (t *Task) outcome() error {
	if f := t.future(); f != nil {
		if c := f.base(); c.done.Load() {
			return c.failedWith()
		}
	}
	if err := t.workerFailure(); err != nil {
		return err
	}
	switch {
	case t.endCause() != nil && t.how != life.HowFinished && t.how != life.HowReturned:
		return t.endCause()
	case t.how == life.HowFailed, t.how == life.HowUnhandled, t.how == life.HowGivenUp:
		return errNoAnswer
	}
	return nil
}

// noteOneWayError is for the error of a message that nobody waits for.
func (t *Task) noteOneWayError(err error) {
	if w := t.watchedBy(); w != nil {
		w.note(err)
	}
}

// injectInto has the context of the work go with a message to another machine, or to a worker as a plain Send.
func (t *Task) injectInto(env *actor.MessageEnvelope) {
	o, ctx := t.observer(), t.base()
	if w := t.watchedBy(); w != nil {
		ctx = w.context()
	}
	if o != nil && ctx != nil {
		o.Inject(ctx, env.SetHeader)
	}
}

// withTrace is a message with what Inject adds, for a Send by the task.
func (t *Task) withTrace(message any) any {
	if !observe.Observed() || t.observer() == nil || t.base() == nil || forMailbox(message) {
		return message
	}
	if _, is := message.(*actor.MessageEnvelope); is {
		return message
	}
	env := &actor.MessageEnvelope{Message: message}
	t.injectInto(env)
	if len(env.Header) == 0 {
		return message
	}
	return env
}

// SetContext has what the task does from here on carry the values of ctx, in place of those of [WithContext]: the
// work that it begins, the records of its [Task.Logger], and [Task.Context]. It is for a span that what the task
// asks belongs to. Only the values of ctx count: its end and its deadline change nothing.
func (t *Task) SetContext(ctx context.Context) {
	if ctx == nil {
		panic("actors: SetContext called with a nil context")
	}
	t.checkCurrent("SetContext")
	t.setContext(ctx)
}

func (t *Task) setContext(ctx context.Context) {
	t.keepBoundValues()
	t.scope().with().values.Store(valuesOf(ctx))
}

// rebasedContext is a task's context after SetContext: another one has the values.
type rebasedContext struct {
	*taskContext
	base context.Context
}

// Value is that of base, but for what makes it the task's context.
func (c *rebasedContext) Value(key any) any {
	if callerctx.IsKey(key) || standardKey != nil && key == standardKey {
		return c.taskContext.Value(key)
	}
	if standardKey == nil {
		if v := c.standard().Value(key); v != nil {
			return v
		}
	}
	return c.base.Value(key)
}

// logContext is the context of what is logged about the task. Handlers of logs find a trace in it.
func (t *Task) logContext() context.Context {
	if t != nil {
		if w := t.watchedBy(); w != nil {
			if ctx := w.context(); ctx != nil {
				return ctx
			}
		}
		if ctx := t.base(); ctx != nil {
			return ctx
		}
	}
	return context.Background()
}

// withContext adds a context to the records of a logger that are made without one.
type withContext struct {
	slog.Handler
	ctx context.Context
}

// Enabled is slog's, and so are the others here.
func (h withContext) Enabled(ctx context.Context, l slog.Level) bool {
	return h.Handler.Enabled(h.or(ctx), l)
}

func (h withContext) Handle(ctx context.Context, r slog.Record) error {
	return h.Handler.Handle(h.or(ctx), r)
}

func (h withContext) or(ctx context.Context) context.Context {
	if ctx == nil || ctx == context.Background() {
		return h.ctx
	}
	return ctx
}

func (h withContext) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withContext{h.Handler.WithAttrs(attrs), h.ctx}
}

func (h withContext) WithGroup(name string) slog.Handler {
	return withContext{h.Handler.WithGroup(name), h.ctx}
}

// Names of the labels of tasks in profiles.
const (
	labelKind = "protoloop.kind"
	labelTask = "protoloop.task"
)

// setLabels gives the coroutine the labels of the task that begins on it, or takes off those of the one before.
func (t *Task) setLabels() {
	if !t.mb.registered() {
		return
	}
	if !t.mb.sys.watch.Labels.Load() {
		if t.lt.HasLabels() {
			t.lt.DropLabels()
		}
		return
	}
	t.lt.SetLabels(t.labels())
}

// taskLabels is a context with the labels of all tasks that are called by one type of messages, or by the code of one function.
type taskLabels struct {
	of  unsafe.Pointer
	ctx context.Context
}

const labelBits = 5

// labels is a context with the labels of the task, whose turn has just begun. That what most tasks are called by is looked up by its
// address, and not by a name that has to be made first, is 190 instructions in place of 730, by a count of callgrind (bench: labels/on).
func (t *Task) labels() context.Context {
	k, of := t.mb.kind, t.calledBy()
	if of == nil {
		return k.labelsOf(t.name())
	}
	place := &k.labelled[uint64(uintptr(of))*0x9e3779b97f4a7c15>>(64-labelBits)]
	found := place.Load()
	if found != nil && found.of == of {
		return found.ctx
	}
	ctx := k.labelsOf(t.name())
	if found == nil { // else another one has the place, and keeps it: they would take it from each other
		place.CompareAndSwap(nil, &taskLabels{of, ctx})
	}
	return ctx
}

// calledBy is the type of the message that the task is called by, or the code of its function; nil: by something else. In its
// turn, before its function is called: later that may be spent.
func (t *Task) calledBy() unsafe.Pointer {
	switch s := t.ext.Load(); {
	case t.lifetime > child, s != nil && s.seldom().name != "":
		return nil
	case t.once.Load()&isFunction != 0:
		return *(*unsafe.Pointer)(*dataOf(&t.msg))
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&t.msg))
}

// maxLabels is how many names of tasks of a kind have labels of their own.
const maxLabels = 1000

// labelsOf is a context with the labels of a task of that name.
func (k *kind) labelsOf(task string) context.Context {
	if ctx, ok := k.labels.Load(task); ok { // only what can be shown is in there
		return ctx.(context.Context)
	}
	task = label.Of(task, maxName)
	if ctx, ok := k.labels.Load(task); ok {
		return ctx.(context.Context)
	}
	if k.nLabels.Add(1) > maxLabels {
		k.nLabels.Add(-1)
		if task = otherKind; k.isLabelled(task) {
			return k.labelsOf(task)
		}
	}
	ctx, _ := k.labels.LoadOrStore(task, pprof.WithLabels(context.Background(), pprof.Labels(labelKind, k.name, labelTask, task)))
	return ctx.(context.Context)
}

func (k *kind) isLabelled(task string) bool {
	_, ok := k.labels.Load(task)
	return ok
}
