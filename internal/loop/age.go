// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// ages tells how long the oldest queued task has waited, without a clock
// reading for each: it notes now and then how many have been posted by when.
// That is at each look of the watchdog, so while anything runs, and when the
// lane is held.
//
// A loop that has had no queue when somebody looked has none: most that are idle.
type ages struct{ made atomic.Pointer[ageMarks] }

// ageMarks are the marks of one loop.
type ageMarks struct {
	mu    sync.Mutex
	marks []age // of tasks that are still queued, oldest first; at most maxAges
}

type age struct {
	posted int64
	at     time.Duration
}

const maxAges = 16

// noteDepth adds a mark.
func (s *ages) noteDepth(l *Loop) {
	posted, taken := l.host.Depth()
	a := s.made.Load()
	if a == nil {
		if posted <= taken {
			return
		}
		s.made.CompareAndSwap(nil, new(ageMarks))
		a = s.made.Load()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trimMarks(taken)
	n := len(a.marks)
	if posted <= taken || n > 0 && a.marks[n-1].posted >= posted {
		return
	}
	if n == maxAges { // it grows for long: every other mark will do
		for i := range maxAges / 2 {
			a.marks[i] = a.marks[2*i]
		}
		a.marks = a.marks[:maxAges/2]
	}
	a.marks = append(a.marks, age{posted, l.pool.Now()})
}

// trimMarks drops the marks of what has left the queue.
func (a *ageMarks) trimMarks(taken int64) {
	i := 0
	for i < len(a.marks) && a.marks[i].posted <= taken {
		i++
	}
	a.marks = append(a.marks[:0], a.marks[i:]...)
}

// OldestWait is how long the oldest queued task is known to have waited: from
// the first look that found it. Any goroutine.
func (l *Loop) OldestWait() time.Duration {
	_, taken := l.host.Depth()
	a := l.ages.made.Load()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trimMarks(taken)
	if len(a.marks) == 0 {
		return 0
	}
	return l.pool.Now() - a.marks[0].at
}
