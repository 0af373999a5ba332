// SPDX-License-Identifier: Apache-2.0

package loop

import "runtime"

// Turn names one turn of a loop. The zero value names none.
type Turn struct {
	r    *runner
	word word // without its place
}

// InUser returns the turn that is in user code now, if one is. Any goroutine.
func (l *Loop) InUser() (Turn, bool) {
	r := l.lastRunner()
	if r == nil {
		return Turn{}, false
	}
	w := r.word.loadWord()
	if r.serving.Load() != l {
		return Turn{}, false
	}
	switch w.placeOf() {
	case inUser, inReported, isPinned:
		return Turn{r, w.withPlace(0)}, true
	}
	return Turn{}, false
}

// lastRunner is who runs the loop, or ran it last; nil before the first. It waits
// for whoever looks at a loop that no runner runs, which takes as long as a pin.
func (l *Loop) lastRunner() *runner {
	for {
		r := l.runner.Load()
		if r != looker {
			return r
		}
		runtime.Gosched()
	}
}

// pin is runner.pinTurn, but it waits while somebody else looks. It reports false if the
// turn of l is over, or lost.
func (t Turn) pin(l *Loop) (w word, ok bool) {
	for {
		w = t.r.word.loadWord()
		switch {
		case !w.sameTurn(t.word):
			return 0, false
		case t.r.pinTurn(l, w):
			return w, true
		case w.placeOf() == isPinned:
			runtime.Gosched()
		case w.placeOf() == inUser, w.placeOf() == inReported:
			if t.r.serving.Load() != l {
				return 0, false
			}
		default:
			return 0, false
		}
	}
}

// Takeover takes the loop away from a turn that is stuck in user code: its
// task, and the tasks whose Start is waiting for it, end as Lost, and a new
// runner goes on with the loop. It reports false if that turn is over.
//
// Only a turn that the caller has seen at two successive deadlines should be
// taken: one that has just begun is innocent. Any goroutine.
func (l *Loop) Takeover(turn Turn) bool {
	r := turn.r
	if r == nil {
		return false
	}
	w, ok := turn.pin(l)
	if !ok {
		return false
	}
	free, n := r.leaveCoroutines()
	// All while it is pinned, although the turn may be nested deep: whoever comes back
	// from it is to find that it is lost, and lets go of what is read here. The wait is
	// that of a turn which has had all its time.
	var chain []*Task
	for t := l.cur.task; t != nil; t = t.co.outer {
		t.state.Store(lostState)
		chain = append(chain, t)
	}
	r.word.unpinWord(w, unpinTakeOver)
	yieldAt(atTakeover)
	l.pool.keepCoroutines(free, n)
	// The loop is ours now, as if we ran it.
	for _, t := range chain {
		l.endTask(t, Lost)
	}
	l.cur = nil
	l.forgetRunner(r)
	l.pool.wakeLoop(l)
	return true
}

// forgetRunner gives up a loop that r has lost. It leaves a looker in its place until
// he is gone: he may have begun before r came back to the loop. If he did not find
// himself there he would take whoever he finds for a runner that waits for him.
func (l *Loop) forgetRunner(r *runner) {
	yieldAt(atForget)
	for !l.runner.CompareAndSwap(r, nobody) {
		runtime.Gosched()
	}
}

// Look calls f with the task whose turn it is, if there is one in user code,
// and keeps the turn from ending meanwhile. It waits while somebody else looks. f must
// be quick and must not touch the loop. Any goroutine.
func (l *Loop) Look(f func(t *Task)) bool {
	turn, ok := l.InUser()
	if !ok {
		return false
	}
	w, ok := turn.pin(l)
	if !ok {
		return false
	}
	f(l.cur.task)
	turn.r.word.unpinWord(w, w.undoPin())
	return true
}
