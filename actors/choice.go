// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"time"

	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// choice is a spot that is woken, too, by the first of some futures that is done:
// what a Select of package loopsync waits for. It is in their lists for no longer than
// its task waits.
type choice struct {
	spot
	anybody bool // no part of a ring, because somebody else may wake it
	nodes   []node
}

// NewChoice is package taskwait's, and so is what follows.
func (p *suspendable) NewChoice(what string, futures []any, anybody bool) taskwait.Spot {
	t := (*Task)(p)
	c := &choice{anybody: anybody || len(futures) == 0, nodes: make([]node, len(futures))}
	c.waits.cores = make([]*core, len(futures))
	for i, f := range futures {
		m := f.(AnyFuture).base()
		if own := t.future(); own != nil && own.base() == m {
			t.panicAwaitsItself(what)
		}
		c.waits.cores[i] = m
	}
	c.waits.by, c.waits.follower = combine.OneEnd, c
	return c
}

func (p *suspendable) WaitForChoice(what string, s taskwait.Spot, d time.Duration) error {
	return s.(*choice).awaitChoice((*Task)(p), what, d)
}

func (p *suspendable) IsDone(future any) bool { return future.(AnyFuture).base().done.Load() }

func (c *choice) awaitChoice(t *Task, what string, d time.Duration) error {
	t.checkCurrent(what)
	if err := t.endCause(); err != nil {
		return err
	}
	if !c.anybody {
		c.more().deps = &c.waits
		c.waits.out.Store(&c.core)
	}
	defer c.leaveFutures()
	for i := range c.nodes {
		c.waits.follow(&c.nodes[i], i)
	}
	target := &c.core
	var late *lateAwait
	if !c.anybody && c.waits.late {
		late = t.coroutineTask().awaitLate(target)
		target = &late.core
	}
	var until time.Duration
	if d > 0 {
		until = t.mb.sys.in(d)
	}
	err := t.noteAwaited(target)
	if err == nil {
		err = t.suspend(target, until)
	}
	t.forgetAwaited() // it has the futures, which the task does not wait for any more
	if late != nil {
		err = late.endAwait(err)
	}
	return err
}

func (c *choice) memberEnded(*core, int) callbacks { return c.completeLater() }

func (c *choice) leaveFutures() {
	for i, m := range c.waits.cores {
		m.stopFollowing(&c.nodes[i], false)
	}
}
