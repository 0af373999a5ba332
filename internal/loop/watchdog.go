// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
	"time"
)

// BlockedTurn describes a turn that has lasted too long.
type BlockedTurn struct {
	Task  *Task     // whose turn it is
	Since time.Time // when it was first seen; it began at most a tick before
	Stack []byte    // of the goroutine it runs on; nil if the turn ended before it was looked at
}

// watchdog finds blocked turns. It samples the runners' turn numbers, so that
// a turn pays nothing for it, and ticks only while something runs: an idle
// system, or one whose stuck turns have all been reported, has no timer.
type watchdog struct {
	period time.Duration // between two looks: half of the smallest BlockedTurn
	timer  *time.Timer
	armed  atomic.Bool

	waiting []blocked     // to be reported, with their stacks
	passing bool          // that is being done
	passed  time.Duration // when it was last done; 0: never
}

// blocked is a turn that lasts too long.
type blocked struct {
	r     *runner
	l     *Loop
	word  word
	since time.Duration

	task *Task
	co   *coroutine
}

// sample is what the watchdog saw of a runner when it last looked.
type sample struct {
	turn  word
	since time.Duration
}

// passEvery is how long after one search for stacks the next may begin: it takes
// the time of a processor, a second of it with 100,000 suspended tasks (BenchmarkStacks). What is
// found meanwhile waits for the next, which serves all.
const passEvery = time.Second

// armTimer makes the watchdog look, soon and then again. With p.mu held.
func (w *watchdog) armTimer(p *Pool, limit time.Duration) {
	if half := max(limit/2, time.Millisecond); w.period == 0 || half < w.period {
		w.period = half
	}
	if w.armed.Load() {
		return
	}
	w.armed.Store(true)
	p.looked.Store(int64(p.Now()))
	if w.timer == nil {
		w.timer = time.AfterFunc(w.period, p.watchTurns)
	} else {
		w.timer.Reset(w.period)
	}
}

// rearmWatchdog is for the end of a turn that was reported.
func (p *Pool) rearmWatchdog(r *runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := r.serving.Load(); l != nil && l.blockedTurn > 0 {
		p.watchdog.armTimer(p, l.blockedTurn)
	}
}

// watchTurns is one look at all runners.
func (p *Pool) watchTurns() {
	var found []blocked
	now := p.Now()
	p.looked.Store(int64(now))

	p.mu.Lock()
	p.followProcessors()
	w := &p.watchdog
	w.armed.Store(false) // before: whoever adds a loop from here on arms it again
	// A loop that waits for a runner, or a runner that is on its way to one, is
	// about to begin a turn.
	again := !p.queue.empty() || len(w.waiting) > 0
	for r := range p.runners {
		word := r.word.loadWord()
		l := r.serving.Load()
		if l == nil {
			again = again || r.isBusy()
			continue
		}
		if l.blockedTurn <= 0 {
			continue
		}
		switch word.placeOf() {
		case inReported, isLost:
			continue // known; rearmWatchdog comes when it ends
		case isPinned, isAwaited: // somebody looks
			word = word.withPlace(inUser)
		}
		again = true
		l.ages.noteDepth(l)
		if word.placeOf() != inUser || r.seen.turn != word {
			r.seen = sample{word, now}
			continue
		}
		if now-r.seen.since >= l.blockedTurn {
			found = append(found, blocked{r: r, l: l, word: word, since: r.seen.since})
		}
	}
	if again {
		w.armed.Store(true)
		period := w.period
		if len(found)+len(w.waiting) > 0 {
			period = min(period, passEvery)
		}
		w.timer.Reset(period)
	}
	p.mu.Unlock()

	marked := found[:0]
	for _, b := range found {
		if b.markReported() {
			marked = append(marked, b)
		}
	}
	p.reportBlocked(marked)
}

// markReported notes that the turn is known, and learns whose it is. false: it is over, or
// somebody else looks; then the next look of the watchdog finds it.
func (b *blocked) markReported() bool {
	if !b.r.pinTurn(b.l, b.word) {
		return false
	}
	b.task = b.l.cur.task
	b.co = b.task.co
	free, n := b.r.leaveCoroutines()
	b.r.word.unpinWord(b.word, unpinReport)
	b.l.pool.keepCoroutines(free, n)
	return true
}

// stillLasts reports whether the turn has not ended. It may have been taken away.
func (b *blocked) stillLasts() bool {
	w := b.r.word.loadWord()
	return w.sameTurn(b.word) && w.placeOf() != inLoop
}

// reportBlocked reports these turns and those that wait for it, or lets them wait, too.
func (p *Pool) reportBlocked(found []blocked) {
	w := &p.watchdog
	p.mu.Lock()
	w.waiting = append(w.waiting, found...)
	if len(w.waiting) == 0 || w.passing || w.passed > 0 && p.Now()-w.passed < passEvery {
		p.mu.Unlock()
		return
	}
	found, w.waiting, w.passing = w.waiting, nil, true
	p.mu.Unlock()

	stacks := p.passes.stacks()
	for _, b := range found {
		report := BlockedTurn{Task: b.task, Since: p.Time(b.since)}
		if b.stillLasts() { // else the coroutine may be in another one
			report.Stack = stacks.stackOf(b.co)
		}
		b.l.host.Blocked(report)
	}

	p.mu.Lock()
	w.passing, w.passed = false, p.Now()
	p.mu.Unlock()
}
