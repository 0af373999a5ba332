package actors

import (
	"sync/atomic"
)

// counts is a worker's account of the work that was offered to it. The cells
// are written where things happen and read by anybody.
type counts struct {
	taken    atomic.Int64 // has left the mailbox: started, or dropped
	finished atomic.Int64
	failed   atomic.Int64

	// Written by senders, just before they write the head of the inbox, which
	// is the next word of the mailbox: the two share a cache line, which is not
	// to be that of anything that the loop is busy with. So the rare ones are
	// next to it.
	_            [16]byte
	refused      atomic.Int64
	canceled     atomic.Int64
	abandoned    atomic.Int64
	deadLettered atomic.Int64
	blockedTurns atomic.Int64 // those that were reported
	accepted     atomic.Int64
}

// queued is the number of accepted messages and submissions that have not
// started.
func (c *counts) queued() int64 { return max(0, c.accepted.Load()-c.taken.Load()) }

// pending is read's Pending.
func (c *counts) pending() int64 {
	ended := c.finished.Load() + c.failed.Load() + c.canceled.Load() + c.abandoned.Load() + c.deadLettered.Load()
	return c.accepted.Load() - ended
}

// read reads the account so that its sums agree: what has ended is read first,
// so Pending is never negative.
func (c *counts) read() Counts {
	s := Counts{
		Finished:     c.finished.Load(),
		Failed:       c.failed.Load(),
		Canceled:     c.canceled.Load(),
		Abandoned:    c.abandoned.Load(),
		DeadLettered: c.deadLettered.Load(),
		Refused:      c.refused.Load(),
	}
	s.Accepted = c.accepted.Load()
	s.Offered = s.Accepted + s.Refused
	s.Pending = s.Accepted - s.Finished - s.Failed - s.Canceled - s.Abandoned - s.DeadLettered
	return s
}
