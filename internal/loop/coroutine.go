// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/protoloop/protoloop/internal/coro"
)

// coroutine is a coroutine that serves as a pump or holds a task.
//
// It is two cache lines: what whoever wakes its task needs comes first. There is one for each
// suspended task (bench: memory/task).
type coroutine struct {
	co coro.Coro
	r  *runner // who has resumed it

	loop *Loop  // of task; nil while it is idle
	task *Task  // whose frames it holds, while inTask, or held last; of one that was idle what it is to start, nil: be the pump
	wait Waiter // see Task.Waiter

	// line is a number that task has in common with those that it descends from by
	// Start, and with no others: a pointer to the first of them would keep that.
	line uint64
	// outer is the parent that is waiting for the first step of task, while
	// it is: the two are one turn.
	outer *Task

	id uint64 // see Loop.ID; known while listed

	prevC, next *coroutine    // in the loop's list; next: or in a free list
	since       time.Duration // when task first awaited, as of the watchdog's last look; 0: not known

	nth         uint32 // see Task.Nth
	yields      bool
	interrupted bool // see Task.Interrupted

	inTask   bool // user code of task runs or is suspended on it
	nesting  bool // a child that task has started runs its first step
	pump     bool // it runs r's loop
	idle     bool // it has yielded at its base: can be used again
	dead     bool // user code ended it by Goexit: to be reaped
	returned bool // main returns in the ordinary way
	listed   bool // it is in the loop's list of tasks that have awaited
	labelled bool // its goroutine has pprof labels
}

// newCoroutine makes one that r is to resume at once, or to stop.
func (r *runner) newCoroutine() *coroutine {
	c := &coroutine{wait: Waiter{IsTask: true}}
	if r.body == nil {
		r.first = new(tagged)
		r.body = tagFrames(r.first)
	}
	if *r.first != nil {
		panic("loop: internal error: a coroutine is made before the last one has begun")
	}
	*r.first = c
	c.co.Init(r.body)
	return c
}

func (c *coroutine) begin(yield func(struct{}) bool) (n uint32, ok bool) {
	return c.tagNumber(), c.co.Begin(yield)
}

// main is the base of every coroutine. A stack dump shows its receiver's
// address, and a profile the tag, by which the goroutine is found.
//
//go:noinline
func (c *coroutine) main() {
	defer c.exitTask()
	ForgetLabels() // of who has made it
	for {
		if t := c.task; t != nil {
			c.loop.startTask(c, t)
		} else {
			c.runLoops()
		}
		// One whose task was resumed ends right here if there are enough: being
		// kept and then stopped would be two switches more.
		if c.r.hasLostTurn() || !c.pump && c.r.hasEnoughCoroutines() {
			break
		}
		// It may be idle for ever, and would keep the loop, and so the worker.
		c.idle, c.task, c.loop = true, nil, nil
		if !c.co.Yield() {
			break
		}
	}
	c.task, c.loop = nil, nil
	c.returned = true
}

// runLoops is the life of a pump: one loop after the other. Between two it
// waits right here, in the coroutine, so that a loop that is woken again and
// again costs no switch at all.
func (c *coroutine) runLoops() {
	for {
		c.r.loop.runTurns(c)
		if !c.pump {
			return
		}
		c.task = nil // it may be long until the next one
		r := c.r     // it may have been resumed by another one
		if r.nested > 0 {
			r.letGoOfLoop()
			return
		}
		if !r.nextLoop(false) {
			return
		}
	}
}

const (
	// maxNested is how many pumps may be nested. Where many tasks begin and then many are
	// resumed, each that is nested saves a switch twice: with 32 a task of a thousand took 3.0 of them, and takes 2.4, which
	// is 5 % of its time (bench: burst/await).
	maxNested = 1024
	// fewNested may stay. Each keeps the coroutine that waits for it from other runners, and from being let
	// go of. So one of those beyond switches back every timeEvery turns: what a peak has left is gone after a few
	// milliseconds, also where the loop is never left.
	fewNested = maxFree / 2
)

// goOnAsPump lets c, whose task has been resumed and has ended, go on as the pump of its loop, nested in
// the one that has resumed it. That saves half the switches of tasks that await (bench: burst/await): c
// need not switch back, and when the next task awaits that it runs, the one below goes on, and no
// new one. When the loop is left, all of them switch back. A loop that is held runs no new ones: what ends there is to
// give its memory back, one by one (bench: stop/suspended).
func (c *coroutine) goOnAsPump() bool {
	r := c.r
	if r.nested >= maxNested || r.hasLostTurn() || r.loop.hold { // in this order: a lost loop is not ours to read
		return false
	}
	r.nested++
	c.pump = true
	return true
}

// finishTask is called on the way back from a task's user code.
func (c *coroutine) finishTask(how How) {
	if !c.r.leaveUser() { // taken away: the loop is not ours any more
		c.pump = false
		c.task.Body.CameBack(c.task)
		return
	}
	c.inTask = false
	c.loop.endTask(c.task, how)
}

// exitTask is the outermost deferred function. User code that calls
// runtime.Goexit (t.FailNow does) gets here; a check beside the recover of a
// panic would not do, because a deferred panic followed by Goexit is
// recovered and exits all the same. The coroutine stays here, for good, and
// the loop goes on with another one. So it does where the turn was taken away: the
// Goexit would go on in whoever resumed it, the user code of the parent that
// started its task, or the runner, which would end without giving anything back.
func (c *coroutine) exitTask() {
	if c.returned {
		return
	}
	if p := recover(); p != nil {
		panic(fmt.Sprintf("loop: internal error: %v\n%s", p, debug.Stack()))
	}
	c.dead = true
	if c.inTask {
		c.finishTask(Exited)
	}
	c.task, c.loop = nil, nil // others know c for longer, the loop until it runs another task
	c.pump = false
	c.co.Yield()
}

// reapDead ends a coroutine that is dead. Its Goexit goes on in the goroutine that stops
// it, so that has to be one to throw away.
func (c *coroutine) reapDead() { go c.co.Stop() }
