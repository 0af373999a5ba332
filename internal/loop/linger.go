package loop

import (
	"runtime"
	"sync/atomic"
	"time"
)

// linger tracks whether loops may linger: before a loop goes to sleep its runner
// goes to the end of Go's run queue once. Whoever has been answered posts the next
// message meanwhile, and need not call a runner for it: of 64 who ask one worker
// nearly all do. That saves a quarter of the processor time.
//
// It is for processors that nobody keeps. Beside goroutines that compute, the end
// of the queue is up to 10 ms away for each of them; the loop is marked busy all
// that time, and what is posted to it calls nobody. So it is judged by what it
// cost: the time for each message that came meanwhile. Where that was too long,
// twice in a row, no loop of the pool lingers for many times as long.
type linger struct {
	until atomic.Int64 // no loop lingers before this reading of Pool.Now; 0: all may
	yield func()       // runtime.Gosched, but in tests
}

// lingering is what a loop knows of it.
type lingering struct {
	sleeps  uint32        // so far, about
	pays    bool          // the last time something came
	suspect bool          // the last time it seems to have cost too much
	ended   time.Duration // the last time
}

const (
	// lingerCost is how long it may take for each message. It is a few times what
	// is saved, because those who ask have other things to do, too.
	lingerCost = 5 * time.Microsecond
	// lingerRest is how many times as long as it took no loop lingers then: that
	// part of the time is lost at most.
	lingerRest = 100
	// lingerProbe is how often, in sleeps, it is tried where it has not paid. For
	// one of many workers that get a message each it would be in vain.
	lingerProbe = 16
)

func (g *linger) init() { g.yield = runtime.Gosched }

// linger reports whether the loop has lingered: then something may have come.
func (l *Loop) linger(r *runner) bool {
	g, p := &l.lingering, l.pool
	g.sleeps++
	probe := g.sleeps%lingerProbe == 0
	if !g.pays && !probe || p.othersWait() || !p.mayLinger(probe) {
		return false
	}
	// The time since it has lingered last tells, without a second look at the
	// clock, that this did not take long. Where it does not, the next is exact.
	began, exact := g.ended, g.suspect
	if exact {
		began = p.Now()
	}
	r.clock.forget()
	p.linger.yield()
	g.ended = p.Now()
	came := l.collected()
	if !l.inbox.empty() {
		l.collect()
	}
	came = l.collected() - came
	g.pays = came > 0
	took := g.ended - began
	g.suspect = took > lingerCost*time.Duration(max(came, 1))
	if exact && g.suspect {
		p.linger.until.Store(int64(g.ended + lingerRest*took))
	}
	return true
}

// mayLinger looks at the clock only if it is told to, where no loop may.
func (p *Pool) mayLinger(look bool) bool {
	if p.crowded() {
		return false
	}
	until := p.linger.until.Load()
	if until == 0 {
		return true
	}
	return look && int64(p.Now()) >= until && p.linger.until.CompareAndSwap(until, 0)
}

// crowded reports whether more turns last long than there are processors, so that
// one need not find out what they cost. Some of them may block instead.
func (p *Pool) crowded() bool { return int(p.queue.held.Load()) > p.queue.limit }

// othersWait reports whether loops wait for a runner. One that has nothing to do
// can take them.
func (p *Pool) othersWait() bool { return p.coming.Load() > 0 || p.queue.length.Load() > 0 }

// collected counts what has come out of the inbox. It wraps.
func (l *Loop) collected() uint32 { return l.lane.in + l.ready.in + l.yielded.in + l.control.in }

// givingWay tracks when runners that have been busy for long, and have more to do,
// let other goroutines go first. What their messages have asked others for is
// answered sooner then, and fewer of them are suspended at a time; the runtime
// would let a goroutine that never waits go on for 10 ms.
//
// Beside goroutines that compute it is long until a runner goes on. So all of the
// pool work for a while before one gives way again, which grows with the square of
// that time: a quarter of 1 ms, which is what those take who do a little and wait,
// but 4 times 16 ms. What counts is the shorter one of the last two times, because
// now and then another process has the processor.
type givingWay struct {
	next atomic.Int64 // not before this reading of Pool.Now
	took atomic.Int64 // the last time
}

const (
	// giveWayEvery is after how many messages, of one loop or of many, a runner
	// thinks of it.
	giveWayEvery = 64
	// giveWayEven is how long it takes where the runner then works for as long.
	giveWayEven = 4 * time.Millisecond
)

// giveWay lets others go first unless nothing waits for the runner but the message
// that it is about to start, or that takes long.
func (l *Loop) giveWay(r *runner) {
	p := r.pool
	g := &p.givingWay
	r.starts = 0
	if l.lane.head == l.lane.tail && p.queue.length.Load() == 0 && r.batch.empty() || p.crowded() {
		return
	}
	began := p.Now()
	if int64(began) < g.next.Load() {
		return
	}
	r.clock.forget()
	p.linger.yield()
	now := p.Now()
	took := now - began
	short := min(took, time.Duration(g.took.Swap(int64(took))), time.Second)
	g.next.Store(int64(now + short*short/giveWayEven))
}
