// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"unsafe"

	"github.com/protoloop/protoloop/internal/loop"
)

// What waits for a future is in its list by a loop.Waiter: that of a task which awaits it, or that of a
// node. The first one's Prev is the last. Linked is guarded by the future's mu: while it is set
// others may touch the Waiter.

// node is something that waits for a future and is no await: there may be 100,000 awaits at a time,
// which need nothing else than their Waiter.
type node struct {
	loop.Waiter               // the first field, see nodeOf; its Seq is which member's it is, in follow
	signal      chan struct{} // send to it: it has room for one …
	f           func()        // … or call this
	of          *deps         // … or tell the follower of these, whose member it is
	prompt      bool          // f calls nothing of a user's, and what has to wait longer stays in memory
	user        bool          // f is a user's: it may block
}

// nodeOf is the node that a waiter is the first field of, which is not a task's.
func nodeOf(w *loop.Waiter) *node { return (*node)(unsafe.Pointer(w)) }

func (c *core) linkWaiter(w *loop.Waiter) {
	w.Linked = true
	w.Next = nil
	if c.waits == nil {
		c.waits, w.Prev = w, w
		return
	}
	last := c.waits.Prev
	last.Next, w.Prev = w, last
	c.waits.Prev = w
}

func (c *core) unlinkWaiter(w *loop.Waiter) {
	first, last := c.waits, c.waits.Prev
	switch {
	case w == first:
		if c.waits = w.Next; c.waits != nil {
			c.waits.Prev = last
		}
	default:
		w.Prev.Next = w.Next
		if w == last {
			first.Prev = w.Prev
		} else {
			w.Next.Prev = w.Prev
		}
	}
	w.Prev, w.Next = nil, nil
	w.Linked = false
}

// addWaiter adds an await or a callback; false: the future is done.
func (c *core) addWaiter(w *loop.Waiter) bool {
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
	case c.addWaiter(&w.Waiter):
	case w.of != nil: // no code of a user's: whoever combines needs to know at once
		w.call().call()
	default:
		callbacks{w, w}.call()
	}
}

// removeWaiter takes a node out, if it is in.
func (c *core) removeWaiter(w *loop.Waiter) {
	c.mu.Lock()
	if w.Linked {
		c.unlinkWaiter(w)
	}
	c.mu.Unlock()
}
