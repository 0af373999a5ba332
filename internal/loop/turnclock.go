// SPDX-License-Identifier: Apache-2.0

package loop

import "time"

// turnClock is the pool's clock as a runner reads it between turns. A reading
// takes a tenth of a short turn or more (BenchmarkNow), so it serves for as many
// turns as have lately taken freshFor, and is taken anew where the question is
// a close one. The runner's own.
type turnClock struct {
	now   time.Duration // the reading, of Pool.Now
	turn  uint64        // when it was taken
	turns uint64        // it serves for so many from there
}

const (
	// freshFor is how long a reading serves, as far as the turns before it tell.
	freshFor = 100 * time.Microsecond
	// maxFresh is how many turns it serves for at most.
	maxFresh = 64
	// closeBy is from how short before the time in question a new reading is
	// taken. Turns would have to grow to a hundred times their length, from one
	// to the next, for the answer to be late.
	closeBy = 100 * freshFor
)

// Past reports whether the time has come, a reading of Pool.Now. For the task
// itself, before it enters user code.
func (t *Task) Past(when time.Duration) bool {
	r := t.co.r
	c := &r.clock
	if r.turn-c.turn >= c.turns || when-c.now < closeBy {
		c.readClock(r)
	}
	return when <= c.now
}

func (c *turnClock) readClock(r *runner) {
	now := r.pool.Now()
	turns, spent := r.turn-c.turn, now-c.now
	c.now, c.turn = now, r.turn
	if spent <= 0 { // time stands still, and may jump in the next turn: we are in a synctest bubble
		c.turns = 0
		return
	}
	c.turns = min(turns*uint64(freshFor)/uint64(spent), maxFresh)
}

// forgetReading is for when the runner gives up its processor.
func (c *turnClock) forgetReading() { c.turns = 0 }

// betweenTurnsEvery is how often what is to be done at times is looked at between turns.
const betweenTurnsEvery = 500 * time.Microsecond

// CallBetweenTurns calls Pool.BetweenTurns if it is time to. For a task that has called Past, when it
// has entered user code.
func (t *Task) CallBetweenTurns() {
	r := t.co.r
	if r.clock.turn+1 != r.turn {
		return // nobody has looked at the clock
	}
	p, now := r.pool, r.clock.now
	last := p.calledBetween.Load()
	if now-time.Duration(last) >= betweenTurnsEvery && p.BetweenTurns != nil && p.calledBetween.CompareAndSwap(last, int64(now)) && p.BetweenTurns(now) {
		p.calledBetween.Store(0)
	}
}
