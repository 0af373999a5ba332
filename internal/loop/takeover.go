package loop

// Turn names one turn of a loop. The zero value names none.
type Turn struct {
	r    *runner
	word uint64 // turn number, without where
}

// InUser returns the turn that is in user code now, if one is. Any goroutine.
func (l *Loop) InUser() (Turn, bool) {
	r := l.runner.Load()
	if r == nil {
		return Turn{}, false
	}
	w := r.word.Load()
	if r.serving.Load() != l {
		return Turn{}, false
	}
	switch w & whereMask {
	case inUser, inReported, isPinned:
		return Turn{r, w &^ whereMask}, true
	}
	return Turn{}, false
}

// Takeover takes the loop away from a turn that is stuck in user code: its
// task, and the tasks whose Start is waiting for it, end as Lost, and a new
// runner goes on with the loop. It reports false if that turn is over.
//
// Only a turn that the caller has seen at two successive deadlines should be
// taken: one that has just begun is innocent. Any goroutine.
func (l *Loop) Takeover(turn Turn) bool {
	r := turn.r
	if r == nil || !(r.pin(l, turn.word|inUser) || r.pin(l, turn.word|inReported)) {
		return false
	}
	var chain []*Task
	for t := l.cur.task; t != nil; t = t.co.outer {
		t.state.Store(lostState)
		chain = append(chain, t)
	}
	free, n := r.leaveBehind()
	r.unpin(turn.word | isLost)
	l.pool.keep(free, n)
	// The loop is ours now, as if we ran it.
	for _, t := range chain {
		l.finish(t, Lost)
	}
	l.cur = nil
	l.runner.Store(nobody)
	l.pool.wake(l)
	return true
}

// Look calls f with the task whose turn it is, if there is one in user code,
// and keeps the turn from ending meanwhile. f must be quick and must not
// touch the loop. Any goroutine.
func (l *Loop) Look(f func(t *Task)) bool {
	r := l.runner.Load()
	if r == nil {
		return false
	}
	w := r.word.Load()
	if !r.pin(l, w) {
		return false
	}
	f(l.cur.task)
	r.unpin(w)
	return true
}
