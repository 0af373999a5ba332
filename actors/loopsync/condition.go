// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"fmt"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// relockGrace is how long a task that was ended in a [Condition.Wait] waits for the
// Mutex. It could wait for a task that waits for its return, and nobody looks for a ring
// through a task that has been ended.
const relockGrace = 10 * time.Second

// Condition lets tasks wait until others have changed the state that they look at
// (asyncio.Condition).
//
// The zero value has no Mutex. That is enough where a task looks at the state and
// changes it within one turn. [NewCondition] makes one for state that a [Mutex] guards
// over awaits. It must not be copied after its first use.
type Condition struct {
	owner ownerLoop
	mutex *Mutex // constant; nil: it has none
	mu    sync.Mutex
	line  line
}

// NewCondition returns a Condition over m. Several may share a Mutex.
func NewCondition(m *Mutex) *Condition {
	if m == nil {
		panic(&actors.OptionError{Of: "loopsync: NewCondition", Field: "m", Why: "is nil"})
	}
	return &Condition{mutex: m}
}

// Wait unlocks the Mutex, waits until it is notified, and locks the Mutex again. The
// state may have changed again by then, so call it in a loop that checks what is waited
// for, or use [Condition.WaitFor]. Wait panics if the task does not hold the Mutex.
//
// The error is the reason why the task was ended, or why the Mutex could not be locked
// again. Whatever Wait returns, the task has to call Unlock once afterwards, as if it
// had not waited; a deferred Unlock does. A task that has been ended gets the Mutex
// back, too, so that its deferred code has it (asyncio, trio). This is the one wait that
// does not end at once then: it lasts until the Mutex is free, ten seconds at most. If
// the Mutex could not be locked, the error says so, and the task's Unlock does nothing.
func (c *Condition) Wait(t *actors.Task) error { return c.waitNotified(t, "Condition.Wait") }

// WaitFor is Wait until ready returns true. It calls ready in the task's turn, with the
// Mutex locked, first at once.
func (c *Condition) WaitFor(t *actors.Task, ready func() bool) error {
	const what = "Condition.WaitFor"
	if ready == nil {
		panic("loopsync: " + what + " called with a nil function")
	}
	me := c.checkCaller(t, what)
	for me.Ended == nil && !ready() {
		if err := c.waitNotified(t, what); err != nil {
			return err
		}
	}
	return me.Ended
}

// Notify lets n of the tasks go on that wait, those that have waited longest; all of
// them if they are fewer. It does not need the Mutex.
func (c *Condition) Notify(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; n > 0 && c.line.serveNext() != nil; n-- {
	}
}

// NotifyAll lets all tasks go on that wait.
func (c *Condition) NotifyAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.line.serveNext() != nil {
	}
}

// checkCaller says who t is, and panics if it does not hold the Mutex.
func (c *Condition) checkCaller(t *actors.Task, what string) taskwait.Visit {
	me := c.owner.checkCaller(t, what)
	if c.mutex != nil && me.Ended == nil && !c.mutex.isHeldBy(me) {
		panic("loopsync: " + what + " called by task " + me.Task.TaskName() + ", which does not hold the Mutex")
	}
	return me
}

func (c *Condition) waitNotified(t *actors.Task, what string) error {
	me := c.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	c.mu.Lock()
	w := c.line.joinLine(me, me.Task.NewSpot(nil))
	c.mu.Unlock()
	if c.mutex != nil {
		c.mutex.releaseHeld()
	}
	err := me.Caller.Wait(what, w.spot)
	c.mu.Lock()
	notified := c.line.leaveLine(w)
	c.mu.Unlock()
	if notified && err != nil {
		c.Notify(1) // the next one, in its place
		notified = false
	}
	if c.mutex != nil {
		err = c.mutex.lockAgain(t, what, err)
	}
	if notified && err != nil {
		c.Notify(1)
	}
	return err
}

// isHeldBy reports whether a task holds the Mutex.
func (m *Mutex) isHeldBy(me taskwait.Visit) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held && m.by.Task == me.Task
}

// releaseHeld unlocks the Mutex for a task that holds it.
func (m *Mutex) releaseHeld() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passOn()
}

// lockAgain locks the Mutex for a task whose wait has ended with err, and returns that
// error, or why it could not lock it. Then the task's Unlock is taken off its hands.
func (m *Mutex) lockAgain(t *actors.Task, what string, err error) error {
	if err == nil {
		if err = m.Lock(t); err == nil {
			return nil
		}
	}
	me := taskwait.TaskOf(t).Enter(what)
	if me.Ended != nil {
		failure := t.Cleanup(relockGrace, m.Lock)
		if failure == nil {
			return err
		}
		err = fmt.Errorf("%w; the Mutex: %w", err, failure)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.without = append(m.without, me.Task)
	return fmt.Errorf("loopsync: %s could not lock the Mutex again: %w", what, err)
}
