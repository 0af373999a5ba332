package loop

import (
	"time"
)

// BlockedTurn describes a turn that has lasted too long.
type BlockedTurn struct {
	Task  *Task     // whose turn it is
	Since time.Time // when it was first seen; it began at most a tick before
	Stack []byte    // of the goroutine it runs on; nil if none was taken
}

// watchdog finds blocked turns. It samples the runners' turn numbers, so that
// a turn pays nothing for it, and ticks only while something runs: an idle
// system, or one whose stuck turns have all been reported, has no timer.
type watchdog struct {
	period time.Duration // between two looks: half of the smallest BlockedTurn
	timer  *time.Timer
	armed  bool

	dumped   time.Duration // when the last stack dump was taken
	hasDumps bool
}

// sample is what the watchdog saw of a runner when it last looked.
type sample struct {
	turn  uint64
	since time.Duration
}

// dumpEvery is how often a stack dump may be taken: it stops the world for
// as long as it takes to walk all goroutines.
const dumpEvery = time.Minute

// arm makes the watchdog look, soon and then again. With p.mu held.
func (w *watchdog) arm(p *Pool, limit time.Duration) {
	if half := max(limit/2, time.Millisecond); w.period == 0 || half < w.period {
		w.period = half
	}
	if w.armed {
		return
	}
	w.armed = true
	p.looked.Store(int64(p.Now()))
	if w.timer == nil {
		w.timer = time.AfterFunc(w.period, p.watch)
	} else {
		w.timer.Reset(w.period)
	}
}

// rearm is for the end of a turn that was reported.
func (p *Pool) rearm(r *runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := r.serving.Load(); l != nil && l.cfg.BlockedTurn > 0 {
		p.watchdog.arm(p, l.cfg.BlockedTurn)
	}
}

// watch is one look at all runners.
func (p *Pool) watch() {
	type found struct {
		r     *runner
		l     *Loop
		word  uint64
		since time.Duration
	}
	var blocked []found
	now := p.Now()
	p.looked.Store(int64(now))

	p.mu.Lock()
	// A loop that waits for a runner, or a runner that is on its way to one, is
	// about to begin a turn.
	again := p.queue.length.Load() > 0
	for r := range p.runners {
		word := r.word.Load()
		l := r.serving.Load()
		if l == nil {
			again = again || r.busy()
			continue
		}
		if l.cfg.BlockedTurn <= 0 {
			continue
		}
		switch word & whereMask {
		case inReported, isLost:
			continue // known; rearm comes when it ends
		case isPinned, isAwaited: // somebody looks
			word = word&^whereMask | inUser
		}
		again = true
		l.ages.note(l)
		if word&whereMask != inUser || r.seen.turn != word {
			r.seen = sample{word, now}
			continue
		}
		if now-r.seen.since >= l.cfg.BlockedTurn {
			blocked = append(blocked, found{r, l, word, r.seen.since})
		}
	}
	w := &p.watchdog
	w.armed = again
	if again {
		w.timer.Reset(w.period)
	}
	p.mu.Unlock()

	for _, b := range blocked {
		if !b.r.pin(b.l, b.word) {
			continue
		}
		t := b.l.cur.task
		c := t.co
		free, n := b.r.leaveBehind()
		b.r.unpin(b.word&^whereMask | inReported)
		p.keep(free, n)
		report := BlockedTurn{Task: t, Since: p.Time(b.since)}
		if p.mayDump() {
			report.Stack = stackOf(c)
		}
		b.l.host.Blocked(report)
	}
}

func (p *Pool) mayDump() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &p.watchdog
	now := p.Now()
	if w.hasDumps && now-w.dumped < dumpEvery {
		return false
	}
	w.hasDumps, w.dumped = true, now
	return true
}
