// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync"
	"time"
	"unsafe"
)

// idlers watches the workers of a system that have an IdleAfter, and ends those that
// have had nothing to do for so long.
//
// Nothing is noted for a message: what comes and goes between two looks at a worker
// shows in its account, which is kept anyway. What does not show there, a task that goes
// on when its handler has returned, or an offloaded function, only the loop knows. It is
// asked when a worker is found idle for the first time, and at the end.
//
// A worker is an entry in a map, without a timer of its own and without a word in its
// mailbox: one timer looks at all that have the same IdleAfter. There are some maps, as
// somebody may have one's lock and no processor.
type idlers [16]idleShard

type idleShard struct {
	mu     sync.Mutex
	rounds map[time.Duration]*idleRound // by IdleAfter
}

// idleRound is the workers that one timer looks at.
type idleRound struct {
	workers map[*mailbox]idleState
	looks   uint32 // so many there have been
	timer   *time.Timer
}

// idleState is what the last look at a worker has found.
type idleState struct {
	accepted int64  // by its account
	since    uint32 // the look after which its loop has said that it is idle
	idle     bool   // … if it has
	asked    bool   // it has been asked, and has not answered
}

// idleLooks is how many looks there are in an IdleAfter. A worker ends up to two of them
// late. A look at one of half a million is a fetch from memory (BenchmarkIdleLook): for that
// many, with an IdleAfter of two minutes, they take about a hundredth of a processor.
const idleLooks = 16

// idleQuestion is a control message: is there nothing to do?
type idleQuestion struct{}

func (s *idlers) shardOf(mb *mailbox) *idleShard {
	return &s[uintptr(unsafe.Pointer(mb))>>9%uintptr(len(s))]
}

// watchIdle begins to watch a worker whose setup has succeeded, if it has an IdleAfter. It
// does not end one that lives for its Main, nor one that would be restarted at once.
func (s *idlers) watchIdle(mb *mailbox) {
	after := mb.opts.IdleAfter
	if after <= 0 || mb.policy.Restart {
		return
	}
	for _, p := range mb.backgroundParts() {
		if p.main {
			return
		}
	}
	h := s.shardOf(mb)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rounds[after]
	if r == nil {
		r = &idleRound{workers: map[*mailbox]idleState{}}
		r.timer = time.AfterFunc(idlePeriod(after), func() { h.lookForIdle(after) })
		if h.rounds == nil {
			h.rounds = map[time.Duration]*idleRound{}
		}
		h.rounds[after] = r
	}
	r.workers[mb] = idleState{accepted: mb.accepted.Load()}
}

// idlePeriod is the time between two looks.
func idlePeriod(after time.Duration) time.Duration { return max(after/idleLooks, time.Millisecond) }

// forgetIdle ends that.
func (s *idlers) forgetIdle(mb *mailbox) {
	after := mb.opts.IdleAfter
	if after <= 0 {
		return
	}
	h := s.shardOf(mb)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rounds[after]
	if r == nil {
		return
	}
	if delete(r.workers, mb); len(r.workers) == 0 {
		r.timer.Stop()
		delete(h.rounds, after)
	}
}

// lookForIdle is the timer's.
func (h *idleShard) lookForIdle(after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rounds[after]
	if r == nil { // the last one has left
		return
	}
	r.looks++
	for mb, is := range r.workers {
		if next := is.nextState(mb, r.looks); next != is {
			r.workers[mb] = next
		}
	}
	r.timer.Reset(idlePeriod(after))
}

// nextState is the state after one more look. Of a worker that is idle it only reads how much
// has been accepted: there are many, and nearly all are that.
func (is idleState) nextState(mb *mailbox, look uint32) idleState {
	switch accepted := mb.accepted.Load(); {
	case is.asked:
	case accepted != is.accepted:
		is.accepted, is.idle = accepted, false
	case is.idle && look-is.since < idleLooks, !is.idle && mb.pending() > 0, mb.gate.Load() != gateOpen:
	default:
		is.asked = true
		mb.loop.PostControl(idleQuestion{})
	}
	return is
}

// answerIdle is the loop's, and reports whether the worker has been idle for all of its
// IdleAfter.
func (s *idlers) answerIdle(mb *mailbox, idle bool) (over bool) {
	h := s.shardOf(mb)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rounds[mb.opts.IdleAfter]
	if r == nil {
		return false
	}
	is, watched := r.workers[mb]
	switch {
	case !watched:
		return false
	case !idle, mb.accepted.Load() != is.accepted:
		is.idle = false
	case !is.idle:
		is.idle, is.since = true, r.looks
	default:
		over = r.looks-is.since >= idleLooks
	}
	is.asked = false
	r.workers[mb] = is
	return over
}

// answerIdle answers an idleQuestion, and ends a worker that has been idle for long
// enough. A message that comes in this moment either is there before the gate is closed,
// and is handled, or is refused. On the loop.
func (mb *mailbox) answerIdle() {
	if mb.sys.idlers.answerIdle(mb, mb.isIdle()) {
		mb.requestStop(mb.ownGrace())
	}
}

// isIdle reports whether nothing is queued, nothing is to begin later, and nothing is in
// flight but Backgrounds. On the loop.
func (mb *mailbox) isIdle() bool {
	if !mb.life.Serves() || mb.loop.Queued() > 0 || mb.offloaded.countFunctions() > 0 {
		return false
	}
	if s := mb.rare.Load(); s != nil && !s.delays.isEmpty() {
		return false
	}
	live := mb.loop.Live()
	for _, p := range mb.backgroundParts() {
		if p.running {
			live--
		}
	}
	return live == 0
}
