// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
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
// AfterFunc of a context, 4 allocations and the channel (bench: burst/request-own-context). To
// register later, once the call has lasted, would spare most calls that; but whoever
// cancels a context and looks at the future would find it pending.
type contexts struct {
	tables [16]contextTable
	spare  sync.Pool // of watches that know no context
}

// contextTable is a part of them.
type contextTable struct {
	of   *contexts
	mu   sync.Mutex
	one  *contextWatch // most often the only one: a map would be 5 % of a call (BenchmarkWithContext)
	more map[<-chan struct{}]*contextWatch
	_    [32]byte // of a cache line
}

func (cs *contexts) initTables() {
	for i := range cs.tables {
		cs.tables[i].of = cs
	}
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
	of          *contextTable // constant while others know it
	end         func()        // its own endCalls
	done        <-chan struct{}
	stop        func() bool // constant while it is in the table
	ended       bool        // endCalls has been called
	first, last *boundCall
}

// boundCall is a call that ends when its context does, which is the base of its task. It is a
// part of what the call has made: see contextRoom.
type boundCall struct {
	table      *contextTable // constant
	watch      *contextWatch
	task       *Task // nil: it is bound no more; guarded by the mu of its table, as the others are
	prev, next *boundCall
	inUse      bool // it has been bound; guarded by the mu of more
}

// bindCall lets t, whose more is m, end with ctx, whose Done is not nil. What it returns is to be
// released when t has ended.
//
// Of what it calls of ctx's methods nothing is in the table yet: where one panics, no
// other call waits for a watch that nobody keeps.
func (cs *contexts) bindCall(t *Task, ctx context.Context, m *more) *boundCall {
	done := ctx.Done()
	c := cs.tableOf(done)
	b := m.bound
	if b == nil {
		b = new(boundCall)
	}
	b.table = c
	c.mu.Lock()
	w := c.findWatch(done)
	var superfluous *contextWatch
	if w == nil {
		c.mu.Unlock()
		made := cs.takeSpare(c)
		stop := context.AfterFunc(ctx, made.end)
		c.mu.Lock()
		switch w = c.findWatch(done); {
		case w != nil: // another call's has come meanwhile
			superfluous, made.stop = made, stop
		case made.ended: // of this one nobody will hear again
			c.mu.Unlock()
			t.cancel(contextCause(ctx))
			return b
		default:
			w = made
			w.done, w.stop = done, stop
			c.addWatch(w)
		}
	}
	b.watch, b.task = w, t
	if b.prev = w.last; b.prev != nil {
		b.prev.next = b
	} else {
		w.first = b
	}
	w.last = b
	c.mu.Unlock()
	m.mu.Lock()
	m.bound, b.inUse = b, true
	m.mu.Unlock()
	if superfluous != nil {
		superfluous.stopWatch(t.system())
	}
	return b
}

// takeSpare returns a watch for c that is not in the table.
func (cs *contexts) takeSpare(c *contextTable) *contextWatch {
	w, _ := cs.spare.Get().(*contextWatch)
	if w == nil {
		w = new(contextWatch)
		w.end = w.endCalls
	}
	w.of = c
	return w
}

// stopWatch is for a watch that is in the table no more. To stop it calls methods of the
// context's, on a loop in its own state.
func (w *contextWatch) stopWatch(s *system) {
	defer s.survive("a context of WithContext")
	if !w.stop() {
		return // endCalls has been called, or will be
	}
	w.done, w.stop = nil, nil
	w.of.of.spare.Put(w)
}

// releaseCall takes t's call out, if it is in. Any goroutine.
func (b *boundCall) releaseCall(t *Task) {
	c := b.table
	c.mu.Lock()
	if b.task != t {
		c.mu.Unlock()
		return
	}
	w := b.watch
	w.takeCall(b)
	empty := w.first == nil
	if empty {
		c.removeWatch(w)
	}
	c.mu.Unlock()
	if empty {
		w.stopWatch(t.system())
	}
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
	b.watch, b.task, b.prev, b.next = nil, nil, nil, nil // whoever keeps the future keeps b
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
			batch = append(batch, ended{t, t.ext.Load().own().base}) // here: it is not through as long as it is bound
			w.takeCall(w.first)
		}
		w.ended = true
		if w.first == nil {
			w.of.removeWatch(w)
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
