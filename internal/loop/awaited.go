// SPDX-License-Identifier: Apache-2.0

package loop

import "time"

// EachLive calls f for each live task that has awaited, and for those whose
// turn it is. f must not end tasks. On the loop.
func (l *Loop) EachLive(f func(*Task)) {
	for c := l.awaited; c != nil; c = c.next {
		if c.task != nil { // else it is the place of a Suspended
			f(c.task)
		}
	}
	for t := l.Current(); t != nil; t = t.co.outer {
		if !t.co.listed {
			f(t)
		}
	}
}

// listAwaited notes that c's task has awaited: only such tasks outlive their turn.
func (l *Loop) listAwaited(c *coroutine) {
	if c.listed {
		return
	}
	c.listed = true
	c.id = c.line // most are the only ones of it
	if c.outer != nil {
		l.lines++
		c.id = l.lines
	}
	c.since = 0
	if l.blockedTurn > 0 { // else nobody looks while it alone runs
		c.since = time.Duration(l.pool.looked.Load())
	}
	l.listFirst(c)
}

func (l *Loop) listFirst(c *coroutine) {
	c.next = l.awaited
	if l.awaited != nil {
		l.awaited.prevC = c
	}
	l.awaited = c
}

func (l *Loop) unlistAwaited(c *coroutine) {
	if !c.listed {
		return
	}
	c.listed = false
	if c.prevC != nil {
		c.prevC.next = c.next
	} else {
		l.awaited = c.next
	}
	if c.next != nil {
		c.next.prevC = c.prevC
	}
	c.prevC, c.next = nil, nil
}
