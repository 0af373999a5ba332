// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// counts is a worker's account of the work that was offered to it, but for what
// was accepted, which is in entrance. The cells are written where things happen,
// nearly always on the loop, and read by anybody.
type counts struct {
	taken    atomic.Int64 // has left the mailbox: started, or dropped
	finished atomic.Int64
	failed   atomic.Int64
	made     atomic.Pointer[seldomCounts] // see needSeldom
}

// seldomCounts are those that are zero for most workers.
type seldomCounts struct{ refused, canceled, abandoned, deadLettered atomic.Int64 }

// needSeldom is for writing. Any goroutine.
func (c *counts) needSeldom() *seldomCounts {
	if s := c.made.Load(); s != nil {
		return s
	}
	c.made.CompareAndSwap(nil, new(seldomCounts))
	return c.made.Load()
}

var noCounts seldomCounts // nobody's to write

// readSeldom is for reading.
func (c *counts) readSeldom() *seldomCounts {
	if s := c.made.Load(); s != nil {
		return s
	}
	return &noCounts
}

// entrance is what senders need of a worker. Together with the head of the
// inbox, the next word of the mailbox, it is one cache line: where each of
// thousands of workers gets a message, the time goes into fetching lines. Nothing
// that the loop is busy with is to be there.
type entrance struct {
	process  actor.Process // its own; see keepProcess
	sys      *system
	gate     atomic.Int32
	spawned  atomic.Int32 // how far its spawn has come; messages may come before
	limit    int64        // Options.MailboxSize
	accepted atomic.Int64 // written just before the inbox
}

// What a spawn has done for a mailbox. One word for both: see TestSendersLine.
const (
	isNamed      = iota + 1 // it knows its system and its PID; early if somebody told it: see introduce
	isRegistered            // the engine has spawned the actor
)

func (mb *mailbox) named() bool      { return mb.spawned.Load() >= isNamed }
func (mb *mailbox) registered() bool { return mb.spawned.Load() == isRegistered }

// queued is the number of accepted messages and submissions that have not
// started.
func (mb *mailbox) queued() int64 { return max(0, mb.accepted.Load()-mb.counts.taken.Load()) }

// pending is the Pending of readCounts.
func (mb *mailbox) pending() int64 {
	c, few := &mb.counts, mb.counts.readSeldom()
	ended := c.finished.Load() + c.failed.Load() + few.canceled.Load() + few.abandoned.Load() + few.deadLettered.Load()
	return mb.accepted.Load() - ended
}

// readCounts reads them so that their sums agree: what has ended is read
// first, so Pending is never negative.
func (mb *mailbox) readCounts() Counts {
	c, few := &mb.counts, mb.counts.readSeldom()
	s := Counts{
		Finished:     c.finished.Load(),
		Failed:       c.failed.Load(),
		Canceled:     few.canceled.Load(),
		Abandoned:    few.abandoned.Load(),
		DeadLettered: few.deadLettered.Load(),
		Refused:      few.refused.Load(),
	}
	s.Accepted = mb.accepted.Load()
	s.Offered = s.Accepted + s.Refused
	s.Pending = s.Accepted - s.Finished - s.Failed - s.Canceled - s.Abandoned - s.DeadLettered
	return s
}
