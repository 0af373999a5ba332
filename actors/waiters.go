package actors

import (
	"github.com/protoloop/protoloop/internal/loop"
)

// node is something that waits for a future: a task's await, or a callback.
type node struct {
	prev, next *node         // the first one's prev is the last
	task       *loop.Task    // wake it from await seq …
	bell       chan struct{} // … or ring it: it has room for one
	f          func()        // … or call this
	of         *deps         // … or the each of the combination whose member it is
	seq        uint32        // of the await; or which member's the node is
	linked     bool          // it is in a future's list: others may touch it; guarded by its mu
}

// call runs the callback that w is, of future c.
func (w *node) call(c *core) {
	if w.f != nil {
		w.f()
	} else {
		w.of.each(c, int(w.seq))
	}
}

func (c *core) link(w *node) {
	w.linked = true
	w.next = nil
	if c.waits == nil {
		c.waits, w.prev = w, w
		return
	}
	last := c.waits.prev
	last.next, w.prev = w, last
	c.waits.prev = w
}

func (c *core) unlink(w *node) {
	first, last := c.waits, c.waits.prev
	switch {
	case w == first:
		if c.waits = w.next; c.waits != nil {
			c.waits.prev = last
		}
	default:
		w.prev.next = w.next
		if w == last {
			first.prev = w.prev
		} else {
			w.next.prev = w.prev
		}
	}
	w.prev, w.next = nil, nil
	w.linked = false
}

// wait adds a task's await; false: the future is done.
func (c *core) wait(w *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done.Load() {
		return false
	}
	c.link(w)
	return true
}

// call adds a callback; if the future is done it runs at once.
func (c *core) call(w *node) {
	c.mu.Lock()
	if !c.done.Load() {
		c.link(w)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	w.call(c)
}

// forget takes a node out, if it is in.
func (c *core) forget(w *node) {
	c.mu.Lock()
	if w.linked {
		c.unlink(w)
	}
	c.mu.Unlock()
}
