package actors

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/loop"
)

// Future is the result of work that has begun, or soon will: of Submit,
// RequestFuture, Start, Offload, a Promise or a combinator. It completes
// exactly once, with a value or an error, and shows all that look the same.
//
// A Future is used by pointer, from any goroutine. In a task, wait for it
// with [Await]; elsewhere with [Future.Wait].
type Future[T any] struct {
	core
	val T
}

// core is the part of a future that does not depend on its type.
type core struct {
	mu    sync.Mutex
	done  atomic.Bool // set under mu, after val and err
	err   error
	ready chan struct{} // made when first asked for
	// waiters are suspended tasks, callbacks are everything else.
	waiters, callbacks list
	owner              *Task // the work; nil: there is none to cancel or wait for
	deps               []*core
	note               *failureNote // of a failed future nobody has looked at
}

// completer is a Future[T] without its T.
type completer interface {
	base() *core
	// fail completes the future with err; false: it was complete.
	fail(err error) bool
	// deliver completes it with an answer of unknown type.
	deliver(v any) bool
}

func (c *core) base() *core { return c }

// resolve completes the future.
func (f *Future[T]) resolve(v T, err error) bool {
	f.mu.Lock()
	if f.done.Load() {
		f.mu.Unlock()
		return false
	}
	f.val = v
	f.settle(err)
	return true
}

func (f *Future[T]) fail(err error) bool {
	var zero T
	return f.resolve(zero, err)
}

func (f *Future[T]) deliver(v any) bool {
	x, ok := v.(T)
	if !ok && v != nil {
		return f.fail(&ReplyTypeError{Want: typeName[T](), Got: fmt.Sprintf("%T", v)})
	}
	if !ok && !nilable[T]() {
		return f.fail(&ReplyTypeError{Want: typeName[T](), Got: "nil"})
	}
	return f.resolve(x, nil)
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

func nilable[T any]() bool {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan, reflect.Func:
		return true
	}
	return false
}

// settle publishes the result; the caller holds mu, and settle unlocks it.
func (c *core) settle(err error) {
	if c.err = err; err != nil {
		c.note = watchFailure(c, err)
	}
	c.done.Store(true)
	// Tasks are woken under the lock: their nodes are used again as soon as
	// they run, and waking one never blocks. Callbacks run outside of it.
	for w := c.waiters.pop(); w != nil; w = c.waiters.pop() {
		w.task.Wake(w.seq)
	}
	callbacks, ready := c.callbacks, c.ready
	c.callbacks = list{}
	c.mu.Unlock()
	if ready != nil {
		close(ready)
	}
	for w := callbacks.pop(); w != nil; w = callbacks.pop() {
		w.f()
	}
}

// node is something that waits for a future: a task's await, or a callback.
type node struct {
	prev, next *node
	in         *list
	task       *loop.Task // wake it from await seq …
	seq        uint32
	f          func() // … or call this
}

// list is a list of nodes, in order of arrival.
type list struct{ head, tail *node }

func (l *list) push(w *node) {
	w.prev, w.next, w.in = l.tail, nil, l
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
}

func (l *list) remove(w *node) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.in = nil, nil, nil
}

func (l *list) pop() *node {
	w := l.head
	if w != nil {
		l.remove(w)
	}
	return w
}

// wait adds a task's await; false: the future is done.
func (c *core) wait(w *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done.Load() {
		return false
	}
	c.waiters.push(w)
	return true
}

// call adds a callback; if the future is done it runs at once.
func (c *core) call(w *node) {
	c.mu.Lock()
	if !c.done.Load() {
		c.callbacks.push(w)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	w.f()
}

// forget takes a node out, if it is in.
func (c *core) forget(w *node) {
	c.mu.Lock()
	if !c.done.Load() && w.in != nil {
		w.in.remove(w)
	}
	c.mu.Unlock()
}

// look is called when somebody sees the result of a completed future.
func (c *core) look() error {
	if c.note != nil {
		c.note.seen.Store(true)
	}
	return c.err
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
	return f.val, f.look()
}

// Ready returns a channel that is closed when the future is complete.
func (f *Future[T]) Ready() <-chan struct{} { return f.readyChan() }

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *core) readyChan() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil {
		if c.done.Load() {
			return closedChan
		}
		c.ready = make(chan struct{})
	}
	return c.ready
}

// Wait blocks until the future is complete and returns its result, or until
// ctx ends and returns the reason, [context.Cause] of ctx. A completed
// future wins over an ended ctx. The end of ctx ends the waiting, not the
// work: for that there is [Future.Cancel].
//
// Wait is for plain goroutines. In a task it would block the worker; called
// with a task's own context it panics, and says to use [Await].
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if !f.done.Load() {
		if err := f.block(ctx); err != nil {
			var zero T
			return zero, err
		}
	}
	return f.val, f.look()
}

func (c *core) block(ctx context.Context) error {
	if t := taskIn(ctx); t != nil {
		panic("actors: Wait called with the context of task " + t.name() + ": it would block the worker; use actors.Await")
	}
	select {
	case <-c.readyChan():
		return nil
	case <-ctx.Done():
		if c.done.Load() {
			return nil
		}
		return context.Cause(ctx)
	}
}

// Cancel completes the future with ErrCanceled and cancels its work: work
// that has not started never starts, running work sees its context and its
// awaits end. It reports whether this call decided it; false: the future was
// complete.
func (f *Future[T]) Cancel() bool {
	if !f.fail(ErrCanceled) {
		return false
	}
	if f.owner != nil {
		f.owner.cancel(ErrCanceled)
	}
	for _, d := range f.deps {
		d.cancelDep()
	}
	return true
}

// Promise is a future that is completed by hand. The zero value is not
// usable; make one with [NewPromise].
type Promise[T any] struct{ f *Future[T] }

// NewPromise returns a promise whose future is pending.
func NewPromise[T any]() *Promise[T] { return &Promise[T]{&Future[T]{}} }

// Future returns the promise's future, the same at every call.
func (p *Promise[T]) Future() *Future[T] { return p.f }

// Resolve completes the future with v; false: it was complete.
func (p *Promise[T]) Resolve(v T) bool { return p.f.resolve(v, nil) }

// Reject completes the future with err; false: it was complete. A nil err
// panics.
func (p *Promise[T]) Reject(err error) bool {
	if err == nil {
		panic("actors: Promise.Reject called with a nil error: use Resolve")
	}
	return p.f.fail(err)
}
