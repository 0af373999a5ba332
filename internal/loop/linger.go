// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
	"time"
)

// linger tracks whether loops may linger: before a loop goes to sleep its runner
// goes to the end of Go's run queue once. Whoever has been answered posts the next
// message meanwhile, and need not call a runner for it: of 64 who ask one worker
// nearly all do. That saves a quarter of the processor time (bench: askers/submit).
//
// It pays for one asker, too (bench: seq/submit). The alternative is a runner that waits for its
// own loop, so that whoever posts need only send to its channel, past the pool and its lock. That
// takes longer: to park a goroutine and to ready it costs more than all of the pool's accounts.
//
// It is for processors that nobody keeps. Beside goroutines that compute, the end
// of the queue is up to 10 ms away for each of them; the loop is marked busy all
// that time, and what is posted to it calls nobody. So it is judged by what it
// cost: the time for each message that came meanwhile. Where that has been too
// long for a while, no loop of the pool lingers for many times as long.
type linger struct {
	until atomic.Int64 // no loop lingers before this reading of Pool.Now; 0: all may
	slow  atomic.Int64 // what it took where that was too long, in a row
	// To yield is to go to the end of the run queue that all processors share, which takes the scheduler's lock three times; to
	// yield near, to the end of this processor's. See lingerYield.
	yield     func() // runtime.Gosched, but in tests
	yieldNear func() // goyield, but in tests
}

// lingering is what a loop knows of it, in few bytes.
type lingering struct {
	read    time.Duration // the last reading of the clock
	from    uint32        // what had come by then, see countCollected
	left    uint8         // how often it lingers until the next one
	sleeps  uint8         // so far; it wraps
	pays    bool          // the last time something came
	single  bool          // … one message
	suspect bool          // when judged last it seems to have taken too long
}

const (
	// lingerCost is how long it may take for each message. It is a few times what
	// is saved, because those who ask have other things to do, too.
	lingerCost = 5 * time.Microsecond
	// lingerMost is what those may take together, in a row, that are too long. The
	// collector makes a few of them last longer, and a rest would cost more than these.
	lingerMost = time.Millisecond
	// lingerRest is how many times as long as it took no loop lingers then: that
	// part of the time is lost at most.
	lingerRest = 100
	// lingerLook is once in how many times the clock is read where it does not take
	// long. A reading each time was a twentieth of a message that is asked when the
	// one before has been answered (bench: seq/submit).
	lingerLook = 16
	// lingerProbe is how often, in sleeps, it is tried where it has not paid. For
	// one of many workers that get a message each it would be in vain.
	lingerProbe = 16
)

// wantsLinger reports whether the loop is to linger before it sleeps.
func (l *Loop) wantsLinger() bool {
	g := &l.lingering
	g.sleeps++
	probe := g.sleeps%lingerProbe == 0
	if !g.pays && !probe || l.pool.othersWait() || !l.pool.mayLinger(probe) {
		return false
	}
	if g.read == 0 { // the first time
		g.suspect = true
	}
	if g.suspect {
		g.read, g.from = l.pool.Now(), l.countCollected()
	}
	return true
}

// lingerYield is how the loop lingers. One asker waits where he was answered, on this processor as a rule: then it need go no further,
// which saves a tenth of a message (bench: seq/submit). To many it goes as far as they may be, or less is asked
// meanwhile: with goyield alone askers/request took 1.16 as long, and workers/burst-10000 1.13. So it does to find out what it costs:
// goroutines that compute are in the queue of all.
func (l *Loop) lingerYield() func() {
	if l.lingering.single && !l.lingering.suspect {
		return l.pool.linger.yieldNear
	}
	return l.pool.linger.yield
}

// noteLingered looks at what has come meanwhile, and now and then at what it has cost.
func (l *Loop) noteLingered() {
	g := &l.lingering
	if g.pays = !l.inbox.empty(); g.pays {
		l.collectInbox()
		g.single = l.lane.head == l.lane.tail
	}
	if g.left == 0 {
		l.judgeLinger()
	} else {
		g.left--
	}
}

// judgeLinger finds out how long the loop has lingered: exactly, where that is in
// doubt; otherwise it took no longer than all that has been done since the clock
// was read last.
func (l *Loop) judgeLinger() {
	g, p := &l.lingering, l.pool
	exact, now := g.suspect, p.Now()
	took, came := now-g.read, l.countCollected()-g.from
	g.read, g.from = now, l.countCollected()
	g.suspect = took > lingerCost*time.Duration(max(came, 1))
	switch {
	case !g.suspect:
		g.left = lingerLook - 1
		if p.linger.slow.Load() > 0 {
			p.linger.slow.Store(0)
		}
	case exact:
		if slow := p.linger.slow.Add(int64(took)); slow >= int64(lingerMost) {
			p.linger.until.Store(int64(now) + lingerRest*slow)
			p.linger.slow.Store(0)
		}
	}
}

// mayLinger looks at the clock only if it is told to, where no loop may.
func (p *Pool) mayLinger(look bool) bool {
	if p.isCrowded() {
		return false
	}
	until := p.linger.until.Load()
	if until == 0 {
		return true
	}
	return look && int64(p.Now()) >= until && p.linger.until.CompareAndSwap(until, 0)
}

// isCrowded reports whether more turns last long than there are processors, so that
// one need not find out what they cost. Some of them may block instead.
func (p *Pool) isCrowded() bool { return p.queue.held.Load() > p.queue.limit.Load() }

// othersWait reports whether loops wait for a runner. One that has nothing to do
// can take them.
func (p *Pool) othersWait() bool { return p.coming.Load() > 0 || p.queue.mayHaveLoops() }

// countCollected counts what has come out of the inbox. It wraps.
func (l *Loop) countCollected() uint32 {
	n := l.lane.in + l.ready.in + l.control.in
	if l.few != nil {
		n += l.few.yielded.in
	}
	return n
}
