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
//
// It is small, because a combination has one for each member: with 56 bytes, in which each of what may be told had a field, an
// All took 1.03 of the time (bench: gather/all-100).
type node struct {
	loop.Waiter     // the first field, see nodeOf; its Seq is which member's it is, in follow
	to          any // what is told: one of those below, or the follower of a *deps, whose member it is
}

type (
	signal         chan struct{} // is sent to: it has room for one
	callback       func()        // is called, and calls nothing of a user's
	promptCallback func()        // … and what has to wait longer stays in memory
	userCallback   func()        // is called, and may block
)

// isMember reports whether w is of a member of a combination.
func (w *node) isMember() bool { _, is := w.to.(*deps); return is }

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
	case w.isMember(): // no code of a user's: whoever combines needs to know at once
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
