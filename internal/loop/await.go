// SPDX-License-Identifier: Apache-2.0

package loop

// Awaiting takes three steps, so that no wake-up is lost and none is late:
//
//	seq, ok := t.Arm()      // from here on Wake(seq) counts
//	…                       // tell whoever will wake it
//	t.Suspend()             // give the loop back until woken
//
// or, if there turns out to be nothing to wait for:
//
//	if !t.Disarm(seq) { t.Suspend() }
//
// Every await of the project goes through here; this is the one place that
// yields.

// Arm leaves user code and prepares to be woken. It reports false if the turn
// has been taken away: the task has no loop any more, and must not wait.
func (t *Task) Arm() (seq uint32, ok bool) {
	if t.Lost() || !t.co.r.leaveUser() {
		return 0, false
	}
	yieldAt(atArm)
	seq = t.state.Load()>>2 + 1
	if isEndState(seq<<2 | stateMask) {
		seq = 1
	}
	t.co.interrupted = false
	t.state.Store(seq<<2 | stateAsleep)
	return seq, true
}

// Enter begins the user code of a task. Body.Run calls it, once.
func (t *Task) Enter() { t.co.r.enterUser() }

// Disarm undoes Arm. It reports false if the task has been woken already:
// its resumption is on its way, and it has to Suspend for it.
func (t *Task) Disarm(seq uint32) bool {
	if !t.state.CompareAndSwap(seq<<2|stateAsleep, seq<<2|stateRunning) {
		return false
	}
	t.co.r.enterUser()
	return true
}

// Suspend gives the loop back until the task is woken.
func (t *Task) Suspend() {
	c := t.co
	c.pump = false // whoever resumed it as the pump goes on with another one
	c.loop.listAwaited(c)
	c.co.Yield()
}

// Wake queues the resumption of await seq and reports whether this call did:
// a stale or second one does nothing. Any goroutine.
func (t *Task) Wake(seq uint32) bool {
	yieldAt(atWake)
	if !t.state.CompareAndSwap(seq<<2|stateAsleep, seq<<2|stateWoken) {
		return false
	}
	yieldAt(atWakePush)
	t.co.loop.pushEntry(t)
	return true
}

// WakeLast is Wake for a task that only lets others go first: all that are
// ready now, or wait in the lane.
func (t *Task) WakeLast(seq uint32) bool {
	t.co.yields = true
	return t.Wake(seq)
}

// WakeNow wakes the task from whatever it awaits. Any goroutine.
func (t *Task) WakeNow() bool {
	for {
		s := t.state.Load()
		if isEndState(s) || s&stateMask != stateAsleep {
			return false
		}
		if t.state.CompareAndSwap(s, s&^stateMask|stateWoken) {
			t.co.interrupted = true
			t.co.loop.pushEntry(t)
			return true
		}
	}
}

// Interrupted reports whether the await that is over was ended by WakeNow: then
// whoever was to wake the task may still be about to. It can be so without a
// reason, where what a WakeNow was for is over by then.
func (t *Task) Interrupted() bool { return t.co.interrupted }

// Yield lets everything that is ready run first. It reports false if the turn
// has been taken away.
func (t *Task) Yield() bool {
	seq, ok := t.Arm()
	if !ok {
		return false
	}
	t.WakeLast(seq)
	t.Suspend()
	return true
}

// Start runs child at once, nested in the turn of t, up to its first await.
// It reports false if the turn was taken away before or meanwhile.
func (t *Task) Start(child *Task) bool {
	c := t.co
	l := c.loop
	r := c.r
	if t.Lost() || !r.leaveUser() {
		return false
	}
	x := r.getCoroutine()
	x.r, x.loop, x.task, x.outer = r, l, child, t
	c.nesting = true
	x.co.Resume()
	c.nesting = false
	if r.hasLostTurn() {
		if x.dead {
			x.reapDead()
		}
		return false
	}
	x.outer = nil
	r.reuseCoroutine(x)
	l.cur = c
	r.enterUser()
	return true
}

// OnLoop runs f in the loop's own state, in the middle of t's turn. It
// reports false, and does not run f, if the turn has been taken away.
func (t *Task) OnLoop(f func()) bool {
	if t.Lost() || !t.co.r.leaveUser() {
		return false
	}
	f()
	t.co.r.enterUser()
	return true
}

// HoldLoop makes t exclusive from within its turn: until it ends, only it and
// what it starts runs. It calls held in the loop's own state, unless the turn
// has been taken away.
func (t *Task) HoldLoop(held func()) {
	t.OnLoop(func() {
		l := t.co.loop
		l.exclusive, l.needFew().exclusiveLine = t, t.co.line
		held()
	})
}
