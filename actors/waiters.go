// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/protoloop/protoloop/internal/loop"
)

// node is something that waits for a future: a task's await, or a callback.
type node struct {
	prev, next *node         // the first one's prev is the last
	task       *loop.Task    // wake it from await seq …
	signal     chan struct{} // … or send to it: it has room for one
	f          func()        // … or call this
	of         *deps         // … or tell the follower of these, whose member it is
	seq        uint32        // of the await; or which member's the node is
	prompt     bool          // f calls nothing of a user's, and what has to wait longer stays in memory
	user       bool          // f is a user's: it may block
	linked     bool          // it is in a future's list: others may touch it; guarded by its mu
}

func (c *core) linkWaiter(w *node) {
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

func (c *core) unlinkWaiter(w *node) {
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

// addWaiter adds an await or a callback; false: the future is done.
func (c *core) addWaiter(w *node) bool {
	c.mu.Lock()
	pending := !c.done.Load()
	if pending {
		c.linkWaiter(w)
	}
	c.mu.Unlock()
	return pending
}

// addCallback adds a callback; if the future is done it is called at once.
func (c *core) addCallback(w *node) {
	switch {
	case c.addWaiter(w):
	case w.of != nil: // no code of a user's: whoever combines needs to know at once
		w.call().call()
	default:
		callbacks{w, w}.call()
	}
}

// removeWaiter takes a node out, if it is in.
func (c *core) removeWaiter(w *node) {
	c.mu.Lock()
	if w.linked {
		c.unlinkWaiter(w)
	}
	c.mu.Unlock()
}
