// SPDX-License-Identifier: Apache-2.0

package loop

import "slices"

// few is what few loops need. The others, of which a million may be idle, have no memory for it.
type few struct {
	timers *timers     // nil until one is set
	drop   func(*Task) // nothing starts from the lane: what is posted goes here

	yielded fifo // tasks to resume after what was there before them
	marks   yieldMarks

	deferred      fifo   // of ready and yielded, those that an exclusive task holds back
	exclusiveLine uint64 // that of Loop.exclusive, see coroutine.line
}

// needFew is for writing. On the loop.
func (l *Loop) needFew() *few {
	if l.few == nil {
		l.few = new(few)
	}
	return l.few
}

func (l *Loop) dropsAll() bool { return l.few != nil && l.few.drop != nil }

func (l *Loop) hasYielded() bool { return l.few != nil && l.few.yielded.head != nil }

// addYielded adds a task that goes on when what m says has run.
func (f *few) addYielded(t *Task, m yieldMark) {
	f.yielded.push(t)
	f.marks.push(m)
}

// takeYielded takes the first of them.
func (f *few) takeYielded() *Task {
	f.marks.pop()
	return f.yielded.pop()
}

// yieldMark is how far ready and lane have to come until a task that has yielded goes on.
type yieldMark struct{ ready, lane uint32 }

// yieldMarks are those of the tasks that have yielded, in order. They are beside these, because
// of all suspended tasks few have yielded.
type yieldMarks struct {
	all []yieldMark
	out int // so many of all are done with
}

func (m *yieldMarks) push(one yieldMark) { m.all = append(m.all, one) }

func (m *yieldMarks) first() yieldMark { return m.all[m.out] }

func (m *yieldMarks) pop() {
	m.out++
	if m.out > len(m.all)/2 { // so each is moved once, whether or not it ever gets empty
		m.all, m.out = slices.Delete(m.all, 0, m.out), 0
	}
}
