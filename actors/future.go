// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/messages"
)

// Future is the result of work that has begun, or soon will: of Submit,
// RequestFuture, Start, Offload, a Promise or a combinator of package
// [github.com/protoloop/protoloop/actors/futures]. It completes
// exactly once, with a value or an error, and shows all that look the same.
//
// A future that is done keeps its result, and nothing else of the work. That of a
// [Submit], of a request to a worker, or of a [Start] in a task without a budget leads
// to its worker, though, which stays in memory for as long as the future does, also when
// it has stopped.
//
// A Future is used by pointer, from any goroutine. In a task, wait for it
// with [Await]; elsewhere with [Future.Wait].
type Future[T any] struct{ unlisted[T] }

// unlisted is typedCore by another name. What a struct embeds by an alias is no part of
// its documentation: [typedCore.Inside] is for package futures alone.
type unlisted[T any] = typedCore[T]

// typedCore is all that there is of a future.
type typedCore[T any] struct {
	core
	val T
}

// core is the part of a future that does not depend on its type. It is small,
// because there is one for every call.
type core struct {
	mu    sync.Mutex
	done  atomic.Bool          // set under mu, after the result
	known bool                 // somebody has seen enough of it: its failure is no news
	apart bool                 // it is no part of its task: see ownApart; constant
	fresh bool                 // … which had not begun when it was completed, see hasRun; constant once done
	waits *loop.Waiter         // the first of those that wait
	owner atomic.Pointer[Task] // the work; nil: there is none to cancel or wait for
	extra atomic.Pointer[extra]
}

// ownWithin makes c, which nobody else knows yet, the future of the work t, in
// whose memory it is: see spendData. A plain store, see presetScope.
func (c *core) ownWithin(t *Task) {
	*(**Task)(unsafe.Pointer(&c.owner)) = t
}

// ownApart is ownWithin for a future with memory of its own. It lets go of its work
// when it is done: whoever keeps the result keeps nothing else. That is one
// allocation more, of which Submit, Start and a plain request have none to spare.
func (c *core) ownApart(t *Task) {
	c.ownWithin(t)
	c.apart = true
}

// extra is what few futures have. Written under the core's mu, or before
// others know the future.
type extra struct {
	deps  *deps         // what it waits for, if that is no work; nil once done
	err   error         // of a failed one; constant once done
	ready chan struct{} // made when first asked for
	note  *failureNote  // of a failed one that nobody has looked at; constant once done
	noted *core         // whose note that is, if it is another's: see failAs
}

var (
	noExtra extra
	// stopped is that of all which a stop cuts off and that have nothing else:
	// there may be a hundred thousand at a time. It is nobody's to write.
	stopped = extra{err: ErrStopped}
)

// seldom is for reading.
func (c *core) seldom() *extra {
	if x := c.extra.Load(); x != nil {
		return x
	}
	return &noExtra
}

// more is for writing.
func (c *core) more() *extra {
	x := c.extra.Load()
	if x == nil {
		x = new(extra)
		c.extra.Store(x)
	}
	return x
}

// failedWith is why a completed future has failed, or nil. Unlike look it does not
// count as having seen it.
func (c *core) failedWith() error { return c.seldom().err }

// deps is what the future waits for, if that is no work, or nil.
func (c *core) deps() *deps { return c.seldom().deps }

// forgetDeps is called when the future is about to be done: it would keep its
// members, who keep theirs, and so all that a loop has ever combined whose
// rounds combine their predecessor's future. A new extra, because others read
// the old one without the lock. With mu held.
func (c *core) forgetDeps() {
	switch x := c.extra.Load(); {
	case x == nil || x.deps == nil:
	case x.ready == nil && x.note == nil:
		c.extra.Store(nil)
	default:
		c.extra.Store(&extra{ready: x.ready, note: x.note, noted: x.noted})
	}
}

// completer is a Future[T] without its T.
type completer interface {
	base() *core
	// failLater completes the future with err, and leaves the callbacks to the caller;
	// false: it was complete.
	failLater(err error) (calls callbacks, ok bool)
	// deliverAnswerLater is the same with an answer of unknown type.
	deliverAnswerLater(v any) (calls callbacks, ok bool)
}

func (c *core) base() *core { return c }

// base is that of core, but nil of a nil future, which an [AnyFuture] may be.
func (f *Future[T]) base() *core {
	if f == nil {
		return nil
	}
	return &f.core
}

// resolve completes the future.
func (f *Future[T]) resolve(v T, err error) bool {
	f.mu.Lock()
	if f.done.Load() {
		f.mu.Unlock()
		return false
	}
	f.val = v
	f.publishResult(err).call()
	return true
}

// resolveLater is resolve, but leaves the callbacks to the caller.
func (f *typedCore[T]) resolveLater(v T, err error) (calls callbacks, ok bool) {
	f.mu.Lock()
	if f.done.Load() {
		f.mu.Unlock()
		return callbacks{}, false
	}
	f.val = v
	return f.publishResult(err), true
}

// resolveMember is resolve for a member of a combination that completes it: the
// callbacks are called by whoever has completed the member.
func (f *typedCore[T]) resolveMember(v T, err error) callbacks {
	calls, _ := f.resolveLater(v, err)
	return calls
}

func (f *Future[T]) fail(err error) bool {
	var zero T
	return f.resolve(zero, err)
}

func (f *Future[T]) failLater(err error) (calls callbacks, ok bool) {
	var zero T
	return f.resolveLater(zero, err)
}

func (f *Future[T]) deliverAnswerLater(v any) (calls callbacks, ok bool) {
	return f.resolveLater(answerOf[T](v))
}

// answerOf is v, an answer of unknown type, as a T.
func answerOf[T any](v any) (T, error) {
	x, ok := v.(T)
	if !ok {
		x, ok = noneOf[T](v)
	}
	switch {
	case ok || v == nil && nilable[T]():
		return x, nil
	case v == nil:
		return x, &ReplyTypeError{Want: typeName[T](), Got: "nil"}
	}
	if convertAnswer(v, &x) {
		return x, nil
	}
	return x, &ReplyTypeError{Want: typeName[T](), Got: fmt.Sprintf("%T", v)}
}

// convertAnswer stores an answer that has another form on its way than for the asker
// in *to, a pointer to the type of the future, and reports whether it is one.
func convertAnswer(v, to any) bool {
	switch to := to.(type) {
	case *Counts:
		if m, ok := v.(*messages.Stopped); ok {
			*to = countsOf(m.GetCounts())
			return true
		}
	}
	return false
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

func nilable[T any]() bool {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan, reflect.Func:
		return true
	}
	return false
}

// publishResult publishes the result. It is called with mu held, and unlocks it. The
// caller has to call the callbacks, outside of any lock.
func (c *core) publishResult(err error) (calls callbacks) {
	var ready chan struct{}
	if err != nil || c.apart || c.extra.Load() != nil {
		ready = c.keepResult(err)
	}
	c.done.Store(true)
	if c.waits != nil {
		calls = c.wakeWaiters()
	}
	c.mu.Unlock()
	if ready != nil {
		close(ready)
	}
	return calls
}

// keepResult is the part of publishResult for what most futures have not. It returns the
// channel that is to be closed, if there is one.
func (c *core) keepResult(err error) (ready chan struct{}) {
	var d *deps
	if x := c.extra.Load(); x != nil {
		d = x.deps
		c.forgetDeps()
	}
	switch {
	case err == nil:
	case err == ErrStopped && c.extra.Load() == nil:
		c.extra.Store(&stopped)
	default:
		x := c.more()
		x.err = err
		if x.note == nil && !c.known {
			x.note = watchFailure(c, d, err)
		}
	}
	if c.apart {
		c.letGoOfWork(err)
	}
	return c.seldom().ready
}

// wakeWaiters tells who waits, and returns the callbacks. With mu held: to wake a task
// never blocks.
func (c *core) wakeWaiters() (calls callbacks) {
	for w := c.waits; w != nil; {
		next := w.Next
		w.Prev, w.Next = nil, nil
		if w.IsTask {
			task, seq := w.Task(), w.Seq
			w.Linked = false // from here on its task may use it again
			task.Wake(seq)
		} else {
			n := nodeOf(w)
			s, is := n.to.(signal)
			if !is {
				calls.append(callbacks{n, n})
			}
			w.Linked = false // … and another goroutine
			if is {
				s <- struct{}{}
			}
		}
		w = next
	}
	c.waits = nil
	return calls
}

// letGoOfWork is for a future that is apart from its work, which is done now. With mu held.
func (c *core) letGoOfWork(err error) {
	o := c.owner.Load()
	if o == nil {
		return
	}
	c.fresh = err != nil && !c.hasRun(err)
	c.owner.Store(nil)
}

// lookAtResult is called when somebody sees the result of a completed future.
func (c *core) lookAtResult() error {
	x := c.extra.Load()
	if x == nil {
		return nil
	}
	if x.note != nil {
		x.note.seen.Store(true)
	}
	return x.err
}

// Done reports whether the future is complete.
func (f *Future[T]) Done() bool { return f.done.Load() }

// TryResult returns the result of a completed future, and ErrPending before.
// It never blocks.
func (f *Future[T]) TryResult() (T, error) {
	if !f.done.Load() {
		var zero T
		return zero, ErrPending
	}
	return f.val, f.lookAtResult()
}

// Ready returns a channel that is closed when the future is complete.
func (f *Future[T]) Ready() <-chan struct{} { return f.readyChan() }

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *core) readyChan() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ready := c.seldom().ready; ready != nil {
		return ready
	}
	if c.done.Load() {
		return closedChan
	}
	x := c.more()
	x.ready = make(chan struct{})
	return x.ready
}

// Wait blocks until the future is complete and returns its result, or until
// ctx ends and returns the reason, [context.Cause] of ctx. A completed
// future wins over an ended ctx. The end of ctx ends the waiting, not the
// work: for that there is [Future.Cancel]. But if ctx is that of the call, by
// [WithContext], it ends both, and Wait returns how the work has ended:
// [ErrTimeout] or [ErrCanceled], with the cause. See [Call].
//
// Wait is for plain goroutines. In a task it would block the worker; called
// with a task's own context it panics, and says to use [Await].
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if f == nil {
		panicNilFuture("Wait")
	}
	if !f.done.Load() {
		nodes := f.signalNodes() // now: once done the future may not know its system
		w := f.beginWait(ctx, nodes)
		switch {
		case w == nil:
		case ctx.Done() == nil:
			<-w.to.(signal) // here: a return after a goroutine was switched costs more than others
			keepSignalNode(nodes, w)
		default:
			if err := f.waitOrEnd(ctx, w, nodes); err != nil {
				var zero T
				return zero, err
			}
		}
	}
	return f.val, f.lookAtResult()
}

// waitBlocking is Wait without the result, by one of some nodes; nil: there are none.
func (c *core) waitBlocking(ctx context.Context, nodes *sync.Pool) error {
	if w := c.beginWait(ctx, nodes); w != nil {
		return c.waitOrEnd(ctx, w, nodes)
	}
	return nil
}

// beginWait returns the node by which the goroutine waits, or nil if the future is complete.
func (c *core) beginWait(ctx context.Context, nodes *sync.Pool) *node {
	notInTask(ctx, "Wait", "use actors.Await")
	w := takeSignalNode(nodes)
	if !c.addWaiter(&w.Waiter) {
		keepSignalNode(nodes, w)
		return nil
	}
	return w
}

// waitOrEnd waits until w is signalled, or ctx ends.
func (c *core) waitOrEnd(ctx context.Context, w *node, nodes *sync.Pool) error {
	select {
	case <-w.to.(signal):
		keepSignalNode(nodes, w)
		return nil
	case <-ctx.Done():
		if o := c.owner.Load(); o != nil && !c.done.Load() && o.isBoundTo(ctx) {
			o.cancel(contextCause(ctx)) // which has begun already, or would at once
			<-w.to.(signal)
			keepSignalNode(nodes, w)
			return nil
		}
		c.removeWaiter(&w.Waiter)
		if c.done.Load() {
			return nil
		}
		return context.Cause(ctx)
	}
}

// notInTask panics if ctx is nil, or that of a task: to wait there would block its worker.
func notInTask(ctx context.Context, what, instead string) {
	if ctx == nil {
		panic("actors: " + what + " called with a nil context")
	}
	if t := taskIn(ctx); t != nil {
		panic("actors: " + what + " called with the context of task " + t.name() + ": it would block the worker; " + instead)
	}
}

// takeSignalNode returns a node with a channel, for one wait. They are used again, to
// save a channel a wait. One that may still be sent to is not.
func takeSignalNode(nodes *sync.Pool) *node {
	if nodes != nil {
		if w, ok := nodes.Get().(*node); ok {
			return w
		}
	}
	return &node{to: make(signal, 1)}
}

func keepSignalNode(nodes *sync.Pool, w *node) {
	if nodes != nil {
		nodes.Put(w)
	}
}

// signalNodes is the pool of the future's actor system, if it has one.
func (c *core) signalNodes() *sync.Pool {
	o := c.owner.Load()
	if o == nil {
		return nil
	}
	if s := o.system(); s != nil {
		return &s.signalNodes
	}
	return nil
}

// Cancel completes the future with ErrCanceled and cancels its work: work
// that has not started never starts, running work sees its context and its
// awaits end, also on another node of a grid. Work on another machine that is asked by
// the engine's remote does not hear of it: it goes on until it ends, or until the
// [Timeout] of the request has run out there, and its answer is dropped. It reports whether this call decided it; false: the future was
// complete.
func (f *Future[T]) Cancel() bool { return f.cancel(ErrCanceled) }

// CancelCause is Cancel with a reason, which the errors of the future and of its work
// wrap beside [ErrCanceled] (context.WithCancelCause). A nil err is none.
func (f *Future[T]) CancelCause(err error) bool { return f.cancel(because(ErrCanceled, err)) }

// cancel goes along a list, and not from member to member: see endTree.
func (c *core) cancel(cause error) bool {
	members, ok := c.cancelOne(cause)
	var left []*core // the next one is the last
	for {
		for _, m := range slices.Backward(members) {
			left = append(left, m)
		}
		if len(left) == 0 {
			return ok
		}
		members, _ = left[len(left)-1].cancelOne(cause)
		left = left[:len(left)-1]
	}
}

// cancelOne cancels the future alone, and returns what else is to be cancelled
// with it.
func (c *core) cancelOne(cause error) (members []*core, ok bool) {
	c.mu.Lock()
	if c.done.Load() {
		c.mu.Unlock()
		return nil, false
	}
	d, o := c.deps(), c.owner.Load() // before they are let go of
	c.publishResult(cause).call()
	if o != nil {
		o.cancel(cause)
	}
	if d != nil && !d.kept {
		members = d.cores
	}
	return members, true
}
