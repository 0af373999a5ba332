// SPDX-License-Identifier: Apache-2.0

package loop

// PoolSize is how much a pool has of what its loops share.
type PoolSize struct {
	Loops      int // that have begun and not ended
	Waiting    int // loops that wait for a runner
	Runners    int // goroutines that run loops
	Idle       int // … of them, that have nothing to do
	Held       int // … that are in a turn which lasts, so that another one has their place
	Coroutines int // idle ones, for tasks that will await
}

// Size reads it. Any goroutine.
func (p *Pool) Size() PoolSize {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolSize{
		Loops: p.loops, Waiting: p.queue.len(), Runners: len(p.runners), Idle: p.nIdle,
		Held: int(p.queue.held.Load()), Coroutines: int(p.nFree.Load()),
	}
}

// EachRunning calls f for each turn that is in user code now, with its task, which may
// have ended by then. It keeps each turn from ending for no longer than it takes to read whose it is.
// Any goroutine.
func (p *Pool) EachRunning(f func(l *Loop, t *Task)) {
	type turn struct {
		l *Loop
		t *Task
	}
	var few [16]turn
	all := few[:0]
	p.mu.Lock()
	for r := range p.runners {
		l := r.serving.Load()
		if l == nil {
			continue
		}
		if w := r.word.loadWord(); r.pinTurn(l, w) {
			all = append(all, turn{l, l.cur.task})
			r.word.unpinWord(w, w.undoPin())
		}
	}
	p.mu.Unlock()
	for _, t := range all {
		f(t.l, t.t)
	}
}
