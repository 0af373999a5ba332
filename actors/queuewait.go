// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// How long messages wait is measured of one in 64: a sender that is given a number which 64 divides notes the time, and the
// turn that is given the same number of those taken looks how long ago that was. Where both have a number anyway,
// that is a test for most, and no memory of a worker's own.

// sampleMask is for the numbers whose low bits are 0.
const sampleMask = 64 - 1

// stamp is where and when a message was queued.
type stamp struct {
	of atomic.Uintptr // the mailbox's address: a pointer would keep one that has ended; 0: it is free
	n  atomic.Int64   // the message's number; 0: not yet
	at atomic.Int64   // a reading of the clock
	_  [40]byte       // of a cache line
}

// maxStamps is of how many workers of a kind a message is being timed at a time.
const maxStamps = 8

// staleStamp is after how long another worker may have the place of one: it may have ended, or be stuck.
const staleStamp = 10 * time.Second

func (mb *mailbox) address() uintptr { return uintptr(unsafe.Pointer(mb)) }

func (mb *mailbox) stamp() *stamp {
	h := uint64(mb.address()) * 0x9E3779B97F4A7C15
	return &mb.kind.stamps[h>>61]
}

// noteQueued is called by a sender whose message has number n.
func (mb *mailbox) noteQueued(n int64) {
	if !mb.registered() {
		return
	}
	s, now := mb.stamp(), mb.sys.pool.Now()
	was := s.of.Load()
	if was != 0 && now-time.Duration(s.at.Load()) < staleStamp || !s.of.CompareAndSwap(was, mb.address()) {
		return
	}
	s.n.Store(0)
	s.at.Store(int64(now))
	s.n.Store(n)
}

// noteTaken is called by the turn that takes message n. Numbers differ by a few where senders race, or one was
// refused: then it is not counted.
func (mb *mailbox) noteTaken(n int64) {
	if mb.kind == nil {
		return
	}
	s := mb.stamp()
	if s.of.Load() != mb.address() {
		return
	}
	switch of := s.n.Load(); {
	case of == 0 || of > n:
		return
	case of == n:
		mb.kind.queueWait.add(mb.sys.pool.Now() - time.Duration(s.at.Load()))
	}
	s.n.Store(0)
	s.of.Store(0)
}

// TurnTook is the loop's: a turn, of one in 64, has ended.
func (mb *mailbox) TurnTook(d time.Duration) { mb.kind.turnTime.add(d) }
