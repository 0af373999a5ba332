// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"
)

// contexts are those of WithContext that calls in flight are bound to. All calls
// whose contexts share a Done channel share one watch: a context.AfterFunc of each
// would be a goroutine of each at the end, all at once.
//
// They are spread by their channel, because whoever has a context for each call would
// otherwise meet all others at one lock.
//
// A call that has a context to itself pays for what package context makes of the first
// AfterFunc of a context, 4 allocations and the channel, and for an object with its values, which
// the call's work inherits (bench: burst/request-own-context). To register later, once the
// call has lasted, would spare most calls that; but whoever cancels a context and looks at
// the future would find it pending.
type contexts struct {
	tables [16]contextTable
}

// contextTable is a part of them, of a cache line.
type contextTable struct {
	mu    sync.Mutex
	one   *contextWatch // most often the only one: a map would be 5 % of a call (BenchmarkWithContext)
	more  map[<-chan struct{}]*contextWatch
	spare sync.Pool // of watches of this table that know no context
}

// tableOf is the table for that channel.
func (cs *contexts) tableOf(done <-chan struct{}) *contextTable {
	return &cs.tables[*(*uintptr)(unsafe.Pointer(&done))>>6%uintptr(len(cs.tables))]
}

// findWatch returns the watch for done, or nil. With mu held, as the next two.
func (c *contextTable) findWatch(done <-chan struct{}) *contextWatch {
	if c.one != nil && c.one.done == done {
		return c.one
	}
	return c.more[done]
}

func (c *contextTable) addWatch(w *contextWatch) {
	switch {
	case c.one == nil:
		c.one = w
	case c.more == nil:
		c.more = map[<-chan struct{}]*contextWatch{w.done: w}
	default:
		c.more[w.done] = w
	}
}

// removeWatch is for a watch that may have been removed.
func (c *contextTable) removeWatch(w *contextWatch) {
	switch {
	case c.one == w:
		c.one = nil
	case c.more[w.done] == w:
		delete(c.more, w.done)
	}
}

// contextWatch waits for the end of the context that its first call came with; the
// others may carry other values. It is in the table while it has calls. Guarded by
// the mu of its table.
type contextWatch struct {
	of          *contextTable // constant, as the next one
	end         func()        // its own endCalls
	done        <-chan struct{}
	stop        func() bool // constant while it is in the table
	values      *values     // of its first call, and of all that come with the same context; likewise
	ended       bool        // endCalls has been called
	first, last *boundCall
}

// boundCall is a call that ends when its context does. It is a part of what the call has
// made: see contextRoom.
type boundCall struct {
	watch      atomic.Pointer[contextWatch] // the one that it was bound by, although it may be no more
	task       *Task                        // nil: it is bound no more; guarded by the mu of the table, as the others are
	prev, next *boundCall
}

// presetWatch is for a call that nobody else knows yet: a plain store, see presetScope.
func (b *boundCall) presetWatch(w *contextWatch) { *(**contextWatch)(unsafe.Pointer(&b.watch)) = w }

// bindCall lets t, which has a contextRoom, end with ctx, whose Done is not nil. alone: nobody
// else knows t yet, and it gets the values of ctx here, which others may have already.
//
// Of what it calls of ctx's methods nothing is in the table yet: where one panics, no
// other call waits for a watch that nobody keeps.
func (cs *contexts) bindCall(t *Task, ctx context.Context, done <-chan struct{}, alone bool) {
	c := cs.tableOf(done)
	b := &t.roomForContext().bound
	c.mu.Lock()
	w := c.findWatch(done)
	var superfluous *contextWatch
	var stopSuperfluous func() bool
	if w == nil {
		c.mu.Unlock()
		if alone {
			t.ext.Load().setValues(valuesOf(ctx))
		}
		values := t.boundValues()
		made := c.takeSpare()
		stop := context.AfterFunc(ctx, made.end)
		c.mu.Lock()
		switch w = c.findWatch(done); {
		case w != nil: // another call's has come meanwhile
			superfluous, stopSuperfluous = made, stop
		case made.ended: // of this one nobody will hear again
			c.mu.Unlock()
			t.cancel(contextCause(ctx))
			return
		default:
			w = made
			w.done, w.stop, w.values = done, stop, values
			c.addWatch(w)
		}
	} else if alone {
		v := w.values
		if v == nil || !same(v.base, ctx) { // one that is derived from it, with other values
			v = valuesOf(ctx)
		}
		t.ext.Load().setValues(v)
	}
	if alone { // whoever learns of the task by the table finds it
		b.presetWatch(w)
	}
	b.task = t
	if b.prev = w.last; b.prev != nil {
		b.prev.next = b
	} else {
		w.first = b
	}
	w.last = b
	c.mu.Unlock()
	if !alone {
		b.watch.Store(w)
		if t.has(hasLeftTree) { // a carrier that has been ended by who has created it
			b.releaseCall(t)
		}
	}
	if superfluous != nil {
		superfluous.stopWatch(stopSuperfluous, t.system())
	}
}

// takeSpare returns a watch for c that is not in the table.
func (c *contextTable) takeSpare() *contextWatch {
	w, _ := c.spare.Get().(*contextWatch)
	if w == nil {
		w = &contextWatch{of: c}
		w.end = w.endCalls
	}
	return w
}

// stopWatch is for a watch that is in the table no more. To stop it calls methods of the
// context's, on a loop in its own state.
func (w *contextWatch) stopWatch(stop func() bool, s *system) {
	defer s.survive("a context of WithContext")
	if !stop() {
		return // endCalls has been called, or will be
	}
	w.forgetContext()
	w.of.spare.Put(w)
}

// forgetContext is for a watch that waits no more: whoever keeps the future of a call keeps
// it, most often with many others.
func (w *contextWatch) forgetContext() { w.done, w.stop, w.values = nil, nil, nil }

// releaseCall takes t's call out, if it is in. Any goroutine.
func (b *boundCall) releaseCall(t *Task) {
	w := b.watch.Load()
	if w == nil {
		return
	}
	c := w.of
	c.mu.Lock()
	if b.task == nil { // w may be of another context by now
		c.mu.Unlock()
		return
	}
	w.takeCall(b)
	if w.first != nil {
		c.mu.Unlock()
		return
	}
	c.removeWatch(w)
	stop := w.stop
	c.mu.Unlock()
	w.stopWatch(stop, t.system())
}

// takeCall takes a call out of the list. With the table's mu held.
func (w *contextWatch) takeCall(b *boundCall) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		w.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		w.last = b.prev
	}
	b.task, b.prev, b.next = nil, nil, nil // whoever keeps the future keeps b
}

// endBatch is how many calls are taken from a watch at a time: others can begin and
// end calls meanwhile.
const endBatch = 256

// endCalls cancels them, on one goroutine, in the order in which they came.
func (w *contextWatch) endCalls() {
	type ended struct {
		task *Task
		ctx  context.Context
	}
	var batch []ended
	var last context.Context
	var cause error
	for {
		batch = batch[:0]
		w.of.mu.Lock()
		for len(batch) < endBatch && w.first != nil {
			t := w.first.task
			batch = append(batch, ended{t, t.boundValues().base}) // here: it is not through as long as it is bound
			w.takeCall(w.first)
		}
		w.ended = true
		if w.first == nil {
			w.of.removeWatch(w)
			w.forgetContext()
		}
		w.of.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		var later callbacks
		for _, e := range batch {
			if last == nil || !same(last, e.ctx) {
				last, cause = e.ctx, contextCause(e.ctx)
			}
			e.task.endTree(cause, true, &later)
		}
		later.callElsewhere()
	}
}
