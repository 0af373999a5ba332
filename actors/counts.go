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
	taken        atomic.Int64 // has left the mailbox: started, or dropped
	finished     atomic.Int64
	failed       atomic.Int64
	refused      atomic.Int64
	canceled     atomic.Int64
	abandoned    atomic.Int64
	deadLettered atomic.Int64
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
	c := &mb.counts
	ended := c.finished.Load() + c.failed.Load() + c.canceled.Load() + c.abandoned.Load() + c.deadLettered.Load()
	return mb.accepted.Load() - ended
}

// readCounts reads them so that their sums agree: what has ended is read
// first, so Pending is never negative.
func (mb *mailbox) readCounts() Counts {
	c := &mb.counts
	s := Counts{
		Finished:     c.finished.Load(),
		Failed:       c.failed.Load(),
		Canceled:     c.canceled.Load(),
		Abandoned:    c.abandoned.Load(),
		DeadLettered: c.deadLettered.Load(),
		Refused:      c.refused.Load(),
	}
	s.Accepted = mb.accepted.Load()
	s.Offered = s.Accepted + s.Refused
	s.Pending = s.Accepted - s.Finished - s.Failed - s.Canceled - s.Abandoned - s.DeadLettered
	return s
}
