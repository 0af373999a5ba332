// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// leastTask is a task of a leastLoop. It is as small as it can be, because there is one for each message: what few have is
// behind pointers, in the same piece of memory where it is known that it is needed.
type leastTask struct {
	next *leastTask // in the queue
	loop *leastLoop
	pump *leastPump // what it runs on, from its first turn to its end
	// state is the number of the await, and whether the task sleeps in it, or that it has ended. So it is
	// woken once, and by nobody who is late.
	state      atomic.Uint32
	counted    bool // it is in the account
	panicked   bool
	isFunction bool // its message is one
	hadKids    bool
	awaits     atomic.Pointer[leastCore] // what it awaits, or awaited last: for a search for rings, and for a look
	msg        any                       // or the function that it runs
	fut        leastCompleter            // whom it answers
	inherits   *leastInherited           // what its work has of it; nil: nothing
	kin        *leastKin                 // nil: nobody has created it
	mu         sync.Mutex                // of the kids
	kids       *leastTask
	ending     atomic.Pointer[leastEnding] // nil: nobody has ended it
}

// leastInherited goes along with asks: the budget, and the values of a context.
type leastInherited struct {
	values context.Context
	until  time.Duration
}

// leastKin is a task's place in the tree.
type leastKin struct {
	parent       atomic.Pointer[leastTask] // who has created it
	older, newer *leastTask                // its siblings, by mu of the parent
}

// leastEnding is why a task has been ended, and what may end it from outside.
type leastEnding struct {
	cause   atomic.Pointer[error]
	context atomic.Pointer[chan struct{}] // of its Context, if somebody has asked for that

	stop           func() bool // nil: the task is not bound to a context and a deadline of its own
	stays          bool        // it has ended, and has kids which these end; with mu of the task
	task           *leastTask  // nil: it is not in the list of deadlines
	earlier, later *leastEnding
}

const (
	// leastSleeps is the lowest bit of a state.
	leastSleeps = 1
	// leastEnded is the state of a task that has ended.
	leastEnded = ^uint32(leastSleeps)
)

// why is why the task was ended, or nil.
func (t *leastTask) why() error {
	if x := t.ending.Load(); x != nil {
		if p := x.cause.Load(); p != nil {
			return *p
		}
	}
	return nil
}

// makeEnding is for writing.
func (t *leastTask) makeEnding() *leastEnding {
	if t.ending.Load() == nil {
		t.ending.CompareAndSwap(nil, new(leastEnding))
	}
	return t.ending.Load()
}

// isBound reports whether something ends it from outside.
func (t *leastTask) isBound() bool {
	x := t.ending.Load()
	return x != nil && x.stop != nil
}

// leastHandle has a worker handle messages of a type.
func leastHandle[M, R any](l *leastLoop, fn func(t *leastTask, m M) (R, error)) {
	l.handlers = append(l.handlers, leastHandler{leastTypeOf(*new(M)), func(t *leastTask) {
		v, err := fn(t, t.msg.(M))
		leastAnswer(t, v, err)
	}})
}

// leastOn is the same for what answers nothing itself.
func leastOn[M any](l *leastLoop, fn func(t *leastTask, m M)) {
	l.handlers = append(l.handlers, leastHandler{leastTypeOf(*new(M)), func(t *leastTask) { fn(t, t.msg.(M)) }})
}

func leastAnswer[R any](t *leastTask, v R, err error) {
	if f, ok := t.fut.(*leastFuture[R]); ok {
		f.complete(v, err)
	} else if t.fut != nil {
		t.fut.fail(fmt.Errorf("the answer is a %T", v), true)
	}
}

func (t *leastTask) run() {
	defer t.recoverPanic()
	if t.isFunction {
		t.fut.runFunction(t)
		return
	}
	of := leastTypeOf(t.msg)
	for i := range t.loop.handlers {
		if h := &t.loop.handlers[i]; h.of == of {
			h.call(t)
			return
		}
	}
	t.refuse(errLeastUnhandled)
}

func (t *leastTask) recoverPanic() {
	if p := recover(); p != nil {
		t.panicked = true
		t.refuse(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

func (t *leastTask) refuse(err error) {
	if t.fut != nil {
		t.fut.fail(err, true)
	}
	if t.pump == nil { // it never begins
		t.leaveTree()
	}
}

// conclude is for a task of the loop that has ended or never begins.
func (t *leastTask) conclude(l *leastLoop) {
	t.pump = nil // whoever keeps the task keeps no coroutine
	t.state.Store(leastEnded)
	if x := t.ending.Load(); x != nil {
		x.endContext()
	}
	switch {
	case !t.counted:
	case t.panicked:
		l.failed.Add(1)
	case t.why() != nil:
		l.canceled.Add(1)
	default:
		l.finished.Add(1)
	}
	t.leaveTree()
}

// adopt gives a task, which nobody else knows, its place below t: it ends with t, and by its budget, and has its values.
func (t *leastTask) adopt(kid *leastTask) {
	*(**leastTask)(unsafe.Pointer(&kid.kin.parent)) = t // a plain store: nobody knows kid
	kid.inherits = t.inherits
	t.hadKids = true
	t.mu.Lock()
	t.addKid(kid)
	t.mu.Unlock()
	if why := t.why(); why != nil { // after: whoever has ended t before has not seen the kid
		kid.end(why)
	}
}

func (t *leastTask) addKid(kid *leastTask) {
	if kid.kin.older = t.kids; t.kids != nil {
		t.kids.kin.newer = kid
	}
	kid.kin.newer, t.kids = nil, kid
}

func (t *leastTask) removeKid(kid *leastTask) {
	k := kid.kin
	if k.newer != nil {
		k.newer.kin.older = k.older
	} else {
		t.kids = k.older
	}
	if k.older != nil {
		k.older.kin.newer = k.newer
	}
	k.older, k.newer = nil, nil
}

// end ends the task, with all that it has created: their futures fail, and what awaits is woken. Anybody, at any moment.
func (t *leastTask) end(why error) {
	var few [4]*leastTask
	all := append(few[:0], t)
	for i := 0; i < len(all); i++ {
		t := all[i]
		x := t.makeEnding()
		if !x.cause.CompareAndSwap(nil, &why) {
			continue
		}
		if t.fut != nil {
			t.fut.fail(why, false)
		}
		x.endContext()
		t.mu.Lock()
		for k := t.kids; k != nil; k = k.kin.older {
			all = append(all, k)
		}
		t.mu.Unlock()
	}
	for i := len(all) - 1; i >= 0; i-- { // kids first: who goes on finds that they have ended
		t := all[i]
		if s := t.state.Load(); s&leastSleeps != 0 {
			t.wake(s)
		}
	}
}

// leaveTree lets go of a task that has ended, and leaves its kids to its parent, unless they
// end by what it is bound to. Then it stays until the last of them has left.
func (t *leastTask) leaveTree() {
	for {
		var p *leastTask
		if t.kin != nil {
			p = t.kin.parent.Load()
		}
		if p != nil {
			p.mu.Lock()
			if t.kin.parent.Load() != p { // its parent has left meanwhile
				p.mu.Unlock()
				continue
			}
		}
		var moved []*leastTask
		stays := false
		if t.hadKids {
			t.mu.Lock()
			if stays = t.kids != nil && t.isBound(); stays {
				t.ending.Load().stays = true
			}
			for t.kids != nil && !stays {
				k := t.kids
				t.removeKid(k)
				k.kin.parent.Store(p)
				if moved = append(moved, k); p != nil {
					p.addKid(k)
				}
			}
			t.mu.Unlock()
		}
		last := false
		if p != nil {
			if !stays {
				p.removeKid(t)
				t.kin.parent.Store(nil)
			}
			last = p.kids == nil && p.isBound() && p.ending.Load().stays
			p.mu.Unlock()
			if why := p.why(); why != nil {
				for _, k := range moved {
					k.end(why)
				}
			}
		}
		if !stays && t.isBound() {
			t.loop.sys.deadline.release(t.ending.Load())
		}
		if !last {
			return
		}
		t = p
	}
}

// wake lets the task go on from the await that has this state. Anybody.
func (t *leastTask) wake(state uint32) {
	if t.state.CompareAndSwap(state, state&^leastSleeps) {
		t.loop.push(t)
	}
}

// await gives the loop back until f is complete, or returns why the task was ended.
func (t *leastTask) await(f *leastCore) error {
	if why := t.why(); why != nil {
		return why
	}
	if f.done.Load() {
		return nil
	}
	t.awaits.Store(f)
	c := t.pump
	if !c.r.leaveTurn() {
		return errLeastAbandoned
	}
	state := (t.state.Load() | leastSleeps) + 2
	t.state.Store(state)
	w := &c.wait
	w.state = state
	if f.addWaiter(w) && t.why() == nil || !t.state.CompareAndSwap(state, state&^leastSleeps) {
		t.loop.listSuspended(c)
		c.nested = true
		c.co.Yield()
	} else {
		c.r.enterTurn()
	}
	if why := t.why(); why != nil {
		f.removeWaiter(w)
		t.awaits.Store(nil)
		return why
	}
	return nil
}

// leastAwait is await with the result.
func leastAwait[T any](t *leastTask, f *leastFuture[T]) (v T, err error) {
	if err := t.await(&f.leastCore); err != nil {
		return v, err
	}
	return f.val, f.look()
}

// leastStart runs fn as a task, at once, in the turn of t. Whoever keeps its future keeps nothing else of it.
func leastStart[T any](t *leastTask, fn func(t *leastTask) (T, error)) *leastFuture[T] {
	f := &leastFuture[T]{}
	kid := newLeastKid(t.loop, fn, f)
	kid.isFunction = true
	f.task.Store(kid)
	f.apart = true
	t.adopt(kid)
	c := t.pump
	r := c.r
	if !r.leaveTurn() { // so that who takes the next turn away sees whose it is
		kid.refuse(errLeastAbandoned)
		return f
	}
	x := r.takePump()
	x.r, x.task, x.outer, kid.pump = r, kid, c, x
	t.loop.current = x
	r.enterTurn()
	x.co.Resume()
	if r.hasLostTurn() {
		return f
	}
	if x.outer = nil; x.idle {
		r.keepPump(x)
	}
	t.loop.current = c
	r.enterTurn()
	return f
}

// leastRequest is a request: its task and its future, in one piece of memory.
type leastRequest[R any] struct {
	task leastTask
	fut  leastFuture[R]
}

func (q *leastRequest[R]) init(s *leastSystem, to *leastPID, msg any) bool {
	q.task.msg, q.task.fut = msg, &q.fut
	*(**leastTask)(unsafe.Pointer(&q.fut.task)) = &q.task // a plain store: nobody knows it
	if q.task.loop = s.find(to); q.task.loop == nil {
		q.fut.fail(errLeastGone, true)
		return false
	}
	return true
}

// leastAsk is a request by a task, or by nobody.
func leastAsk[R any](s *leastSystem, from *leastTask, to *leastPID, msg any) *leastFuture[R] {
	var q *leastRequest[R]
	if from != nil {
		x := &struct {
			q   leastRequest[R]
			kin leastKin
		}{}
		q, x.q.task.kin = &x.q, &x.kin
	} else {
		q = &leastRequest[R]{}
	}
	if q.init(s, to, msg) {
		if from != nil {
			from.adopt(&q.task)
		}
		q.task.loop.offer(&q.task)
	}
	return &q.fut
}

// leastAskWithin is a request that ends with the context, or after the timeout.
func leastAskWithin[R any](s *leastSystem, ctx context.Context, timeout time.Duration, to *leastPID, msg any) *leastFuture[R] {
	x := &struct {
		q      leastRequest[R]
		ending leastEnding
	}{}
	t := &x.q.task
	if x.q.init(s, to, msg) {
		t.inherits = &leastInherited{ctx, time.Since(bareBegan) + timeout}
		t.ending.Store(&x.ending)
		x.ending.stop = context.AfterFunc(ctx, func() { t.end(context.Cause(ctx)) })
		s.deadline.add(t, timeout)
		t.loop.offer(t)
	}
	return &x.q.fut
}

// newLeastKid makes a task that is to be another's kid.
func newLeastKid(l *leastLoop, msg any, fut leastCompleter) *leastTask {
	x := &struct {
		task leastTask
		kin  leastKin
	}{task: leastTask{loop: l, msg: msg, fut: fut}}
	x.task.kin = &x.kin
	return &x.task
}

// forward gives another worker the task's message, which then answers.
func (t *leastTask) forward(to *leastPID) {
	l := t.loop.sys.find(to)
	if l == nil {
		t.refuse(errLeastGone)
		return
	}
	kid := newLeastKid(l, t.msg, t.fut)
	t.adopt(kid)
	l.offer(kid)
}

// leastContext is a task's context. It ends with the task.
type leastContext leastTask

func (t *leastTask) context() context.Context { return (*leastContext)(t) }

func (x *leastContext) Deadline() (when time.Time, ok bool) {
	if x.inherits == nil {
		return when, false
	}
	return bareBegan.Add(x.inherits.until), true
}

func (x *leastContext) Value(key any) any {
	if x.inherits == nil {
		return nil
	}
	return x.inherits.values.Value(key)
}

func (x *leastContext) Err() error {
	if t := (*leastTask)(x); t.state.Load() == leastEnded || t.why() != nil {
		return context.Canceled
	}
	return nil
}

func (x *leastContext) Done() <-chan struct{} {
	e := (*leastTask)(x).makeEnding()
	if e.context.Load() == nil {
		c := make(chan struct{})
		e.context.CompareAndSwap(nil, &c)
	}
	c := *e.context.Load()
	if x.Err() != nil { // it has ended meanwhile, and whoever has ended it may have seen no channel
		e.endContext()
	}
	return c
}

// endContext closes the channel of the task's context, once, if there is one.
func (x *leastEnding) endContext() {
	if c := x.context.Load(); c != nil && c != &leastClosed && x.context.CompareAndSwap(c, &leastClosed) {
		close(*c)
	}
}

// leastClosed is closed.
var leastClosed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// release lets the clock and the context forget a task.
func (d *leastDeadlines) release(x *leastEnding) {
	x.stop()
	d.mu.Lock()
	d.removeHeld(x)
	d.mu.Unlock()
}

// leastDeadlines are all deadlines, in order. Most often a new one comes last. One timer serves all.
type leastDeadlines struct {
	mu          sync.Mutex
	first, last *leastEnding
	timer       *time.Timer
}

// add ends t after the timeout.
func (d *leastDeadlines) add(t *leastTask, timeout time.Duration) {
	b := t.ending.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	b.task = t
	at := d.last
	for at != nil && at.task.inherits.until > t.inherits.until {
		at = at.earlier
	}
	if b.earlier = at; at != nil {
		b.later, at.later = at.later, b
	} else {
		b.later, d.first = d.first, b
	}
	if b.later != nil {
		b.later.earlier = b
	} else {
		d.last = b
	}
	switch {
	case d.first != b:
	case d.timer == nil:
		d.timer = time.AfterFunc(timeout, d.endDue)
	default:
		d.timer.Reset(timeout)
	}
}

func (d *leastDeadlines) removeHeld(b *leastEnding) {
	if b.task == nil {
		return
	}
	if b.earlier != nil {
		b.earlier.later = b.later
	} else {
		d.first = b.later
	}
	if b.later != nil {
		b.later.earlier = b.earlier
	} else {
		d.last = b.earlier
	}
	b.task, b.earlier, b.later = nil, nil, nil
}

// endDue is the timer's, which may come early: the one that it was set for may be done.
func (d *leastDeadlines) endDue() {
	now := time.Since(bareBegan)
	var due []*leastTask
	d.mu.Lock()
	for d.first != nil && d.first.task.inherits.until <= now {
		due = append(due, d.first.task)
		d.removeHeld(d.first)
	}
	if d.first != nil {
		d.timer.Reset(d.first.task.inherits.until - now)
	}
	d.mu.Unlock()
	for _, t := range due {
		t.end(errLeastLate)
	}
}

func (d *leastDeadlines) stopTimer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// leastFuture is a result.
type leastFuture[T any] struct {
	leastCore
	val T
}

// leastCore is a future without its type.
type leastCore struct {
	mu     sync.Mutex
	done   atomic.Bool
	apart  bool          // it is no part of its task's memory
	waits  *leastWaiting // all who wait
	task   atomic.Pointer[leastTask]
	failed *leastFailure
}

// leastFailure is why a future has failed, and whether somebody has looked at that.
type leastFailure struct {
	err    error
	looked atomic.Bool
	sys    *leastSystem // that is to know if nobody has
}

// leastCompleter is a future of any type.
type leastCompleter interface {
	// fail completes it with an error, which is news unless it says that somebody has ended the task.
	fail(err error, news bool) bool
	// runFunction runs the function that is the task's message, and completes it by what that returns.
	runFunction(t *leastTask)
}

// leastWaiting is one who waits: a task in an await, or a goroutine.
type leastWaiting struct {
	next   *leastWaiting
	pump   *leastPump // whose task it is; nil: a goroutine. Constant: a task would be kept by it
	state  uint32     // of the await
	signal chan struct{}
}

func (f *leastFuture[T]) complete(v T, err error) bool { return f.completeAs(v, err, true) }

func (f *leastFuture[T]) completeAs(v T, err error, news bool) bool {
	f.mu.Lock()
	if f.done.Load() {
		f.mu.Unlock()
		return false
	}
	f.val = v
	f.publish(err, news)
	return true
}

func (f *leastFuture[T]) runFunction(t *leastTask) {
	v, err := t.msg.(func(t *leastTask) (T, error))(t)
	t.msg = nil // whoever keeps the task keeps nothing that the function has
	f.complete(v, err)
}

func (f *leastFuture[T]) fail(err error, news bool) bool {
	var zero T
	return f.completeAs(zero, err, news)
}

// publish is called with mu, which it gives up. Those who wait are called before: one who
// gives up takes mu, and so finds out whether it is being called.
func (f *leastCore) publish(err error, news bool) {
	if err != nil {
		f.failed = &leastFailure{err: err}
		if t := f.task.Load(); news && t != nil && t.loop != nil {
			f.failed.sys = t.loop.sys
			runtime.AddCleanup(f, (*leastFailure).noteUnseen, f.failed)
		}
	}
	if f.apart {
		f.task.Store(nil)
	}
	f.done.Store(true)
	for w := f.waits; w != nil; {
		next := w.next // before: whoever is called may use w again
		if w.pump != nil {
			w.pump.task.wake(w.state)
		} else {
			w.signal <- struct{}{}
		}
		w = next
	}
	f.waits = nil
	f.mu.Unlock()
}

func (n *leastFailure) noteUnseen() {
	if !n.looked.Load() {
		n.sys.unseen.Add(1)
	}
}

// look is for whoever sees the result.
func (f *leastCore) look() error {
	if f.failed == nil {
		return nil
	}
	f.failed.looked.Store(true)
	return f.failed.err
}

// addWaiter reports false if the future is done.
func (f *leastCore) addWaiter(w *leastWaiting) bool {
	f.mu.Lock()
	pending := !f.done.Load()
	if pending {
		w.next, f.waits = f.waits, w
	}
	f.mu.Unlock()
	return pending
}

// removeWaiter reports false if w has been called.
func (f *leastCore) removeWaiter(w *leastWaiting) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at := &f.waits; *at != nil; at = &(*at).next {
		if *at == w {
			*at = w.next
			return true
		}
	}
	return false
}

// cancel ends the work.
func (f *leastFuture[T]) cancel() {
	t := f.task.Load()
	if f.fail(context.Canceled, false) && t != nil {
		t.end(context.Canceled)
	}
}

// wait waits in a goroutine, until the context ends.
func (f *leastFuture[T]) wait(ctx context.Context) (v T, err error) {
	if !f.done.Load() {
		if err := f.leastCore.wait(ctx); err != nil {
			return v, err
		}
	}
	return f.val, f.look()
}

func (f *leastCore) wait(ctx context.Context) error {
	var w *leastWaiting
	t := f.task.Load()
	if t != nil {
		w, _ = t.loop.sys.waiters.Get().(*leastWaiting)
	}
	if w == nil {
		w = &leastWaiting{signal: make(chan struct{}, 1)}
	}
	if t != nil {
		defer t.loop.sys.waiters.Put(w)
	}
	if !f.addWaiter(w) {
		return nil
	}
	if ctx.Done() == nil {
		<-w.signal
		return nil
	}
	select {
	case <-w.signal:
		return nil
	case <-ctx.Done():
	}
	if f.removeWaiter(w) {
		return context.Cause(ctx)
	}
	<-w.signal
	return nil
}
