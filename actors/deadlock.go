// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"slices"

	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/ring"
)

// holdLoop makes the task the only one of its worker until it ends.
func (t *Task) holdLoop() {
	t.lt.HoldLoop(func() {
		if t.exclusive {
			return
		}
		t.exclusive = true
		t.mb.holder.Store(t)
		(*waiter)(t).Probe() // it is a holder
	})
}

// holdsAny reports whether the task has anything that releaseHolds would release.
func (t *Task) holdsAny() bool {
	return t.exclusive || t.mb.opts.MaxInFlight > 0 || t.lifetime == child && t.kin.origin.Load() != nil
}

// releaseHolds is called when a task has ended.
func (t *Task) releaseHolds() {
	if t.exclusive {
		t.exclusive = false
		t.mb.holder.Store(nil)
	}
	if t.mb.opts.MaxInFlight > 0 {
		t.mb.sparse().inFlight.remove(t)
	}
	if t.lifetime == child {
		t.noteEndInGroups()
	}
}

// lateAwait is an await of a combination that an Any is part of. It stands
// between the two: the Any finds it by way of the futures that wait for it,
// and can end it when the task is about to suspend, too.
type lateAwait struct {
	core
	task   *Task
	waits  deps
	member [1]*core
	node   node
}

// awaitLate has to come before a look for a ring: either the failure of a
// member finds the await, or that look finds the failure.
func (t *Task) awaitLate(c *core) *lateAwait {
	a := &lateAwait{task: t, member: [1]*core{c}}
	a.known = true // its failure is the task's to tell
	a.more().deps = &a.waits
	a.waits.cores, a.waits.by, a.waits.follower = a.member[:], combine.OneEnd, a
	a.waits.follow(&a.node, 0)
	return a
}

func (a *lateAwait) label() string {
	if d := a.member[0].deps(); d != nil {
		return d.name()
	}
	return "combination" // it is done
}

func (a *lateAwait) memberEnded(*core, int) callbacks { return a.wakeTask(nil) }

// endAwait is the end of the await, which is err, or what has ended it.
func (a *lateAwait) endAwait(err error) error {
	a.member[0].stopFollowing(&a.node, false)
	if err == nil {
		err = a.failedWith()
	}
	return err
}

// wakeTask wakes the task. Nobody else knows of the await, so there are no
// callbacks.
func (a *lateAwait) wakeTask(err error) callbacks {
	a.mu.Lock()
	if a.done.Load() {
		a.mu.Unlock()
		return callbacks{}
	}
	return a.publishResult(err)
}

// endsInRing ends the await if its task is in a ring. That waits for it already.
func (a *lateAwait) endsInRing() {
	if a.task.awaits.Load() == &a.core && ring.Stuck((*waiter)(a.task), &a.waits) {
		_ = a.task.breakRing(&a.core, &a.waits, func(err error) { a.wakeTask(err) })
	}
}

// lateAwaits are the awaits that c is waited for by, directly or through
// combinations.
func (c *core) lateAwaits() (all []*lateAwait) {
	seen := map[*core]bool{}
	var left []*deps // the next one is the last
	for c != nil {
		if !seen[c] {
			seen[c] = true
			at := len(left)
			c.mu.Lock()
			for w := c.waits; w != nil; w = w.Next {
				if w.IsTask {
					continue
				}
				if d, is := nodeOf(w).to.(*deps); is {
					left = append(left, d)
				}
			}
			c.mu.Unlock()
			slices.Reverse(left[at:])
		}
		for c = nil; c == nil && len(left) > 0; left = left[:len(left)-1] {
			d := left[len(left)-1]
			if a, ok := d.follower.(*lateAwait); ok {
				all = append(all, a)
			} else {
				c = d.out.Load()
			}
		}
	}
	return all
}
