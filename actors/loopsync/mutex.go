// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
	"github.com/protoloop/protoloop/messages"
)

// ErrAbandoned is the failure of a Lock whose Mutex is held by a task that was
// abandoned: one of an earlier incarnation that did not return. That goes on
// without its loop, and nobody knows when it will be done.
var ErrAbandoned = errors.New("loopsync: the Mutex is held by a task that was abandoned")

func init() { messages.RegisterError("loopsync.abandoned", ErrAbandoned) }

// Mutex lets one task at a time pass (asyncio.Lock). It is not reentrant. The
// zero value is an unlocked Mutex. It must not be copied after its first use.
type Mutex struct {
	owner ownerLoop
	mu    sync.Mutex // for what is left of abandoned tasks, and for other workers that look for a ring
	held  bool
	by    taskwait.Visit
	line  line

	without []taskwait.Task // they do not hold it, but will unlock it: see Condition.Wait
}

// Lock waits until the Mutex is unlocked and locks it. On an error it has not
// locked it: the reason why the task was ended, an [*actors.DeadlockError] if
// its holder waits for this task (or is it), or [ErrAbandoned].
func (m *Mutex) Lock(t *actors.Task) error {
	const what = "Mutex.Lock"
	me := m.owner.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	m.mu.Lock()
	m.reclaimStale(me)
	if !m.held {
		m.held, m.by = true, me
		m.mu.Unlock()
		return nil
	}
	if _, lost := m.by.Task.HasEnded(); lost {
		defer m.mu.Unlock()
		return fmt.Errorf("%w: %s, of incarnation %d of worker %s", ErrAbandoned, m.by.Task.TaskName(), m.by.Incarnation, m.by.Worker)
	}
	var w *waiter
	w = m.line.joinLine(me, me.Task.NewSpot(func() (holder, next taskwait.Task) { return m.tasksAhead(w) }))
	m.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	m.mu.Lock()
	defer m.mu.Unlock()
	if served := m.line.leaveLine(w); served && err != nil {
		m.passOn()
	}
	return err
}

// TryLock locks the Mutex if it is unlocked, and reports whether it did. It
// does nothing for a task that has been ended.
func (m *Mutex) TryLock(t *actors.Task) bool {
	me := m.owner.checkCaller(t, "Mutex.TryLock")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reclaimStale(me)
	if m.held || me.Ended != nil {
		return false
	}
	m.held, m.by = true, me
	return true
}

// Unlock unlocks the Mutex: the next task in line has it from now on. It need
// not be called by the task that has locked it. It panics if the Mutex is not
// locked.
func (m *Mutex) Unlock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.without) > 0 && m.unlockWithout() {
		return
	}
	if !m.held {
		panic("loopsync: Unlock of a Mutex that is not locked")
	}
	m.passOn()
}

// unlockWithout reports whether an Unlock is one of a task that does not hold the Mutex,
// which it has to call once. In the holder's turn it is the holder's. Else it is taken
// for one of these; if it is none, the Mutex is passed on by the one that is to come.
func (m *Mutex) unlockWithout() bool {
	if m.held && m.by.Task.IsRunning() {
		return false
	}
	m.without = slices.DeleteFunc(m.without, func(t taskwait.Task) bool { ended, lost := t.HasEnded(); return ended && !lost })
	if len(m.without) == 0 {
		m.without = nil
		return false
	}
	m.without = slices.Delete(m.without, 0, 1)
	return true
}

// Locked reports whether a task holds the Mutex.
func (m *Mutex) Locked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// passOn gives the Mutex to the next in line.
func (m *Mutex) passOn() {
	if w := m.line.serveNext(); w != nil {
		m.by = w.who
	} else {
		m.held, m.by = false, taskwait.Visit{}
	}
}

// reclaimStale unlocks the Mutex if it was locked in an earlier incarnation by a
// task that has ended: all of its time have, and nobody will unlock it.
func (m *Mutex) reclaimStale(me taskwait.Visit) {
	if m.held && m.by.Incarnation < me.Incarnation {
		if ended, lost := m.by.Task.HasEnded(); ended && !lost {
			m.passOn()
		}
	}
}

// tasksAhead is who has to go on before w does: the holder, and the one before it in
// line.
func (m *Mutex) tasksAhead(w *waiter) (holder, next taskwait.Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.prev != nil {
		next = w.prev.who.Task
	}
	return m.by.Task, next
}
