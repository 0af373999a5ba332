// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// EventStats is what has become of the events of one name that have a handler, since that
// was registered.
type EventStats struct {
	Namespace, Event string
	Count            int64 // whose handler has begun
	Failed           int64 // of these: with an error or a panic
	// Timed is how many of Count were timed, 1 of 64 and the first, and Time how long their handlers took in
	// all, with what they have awaited.
	Timed int64
	Time  time.Duration
}

// timedEvery is how many events one is timed of: to read the clock costs more than to count.
const timedEvery = 64

// handlerCounts tracks the runs of one handler. Any goroutine.
type handlerCounts struct {
	count, failed, timed, took atomic.Int64
}

func (c *handlerCounts) noteTime(d time.Duration) {
	c.timed.Add(1)
	c.took.Add(int64(d))
}

// EventStats returns those of each event with a handler, by namespace and name; the numbers are
// read one by one.
func (srv *Server) EventStats() []EventStats {
	var all []EventStats
	for _, n := range srv.Namespaces() {
		n.handlersMu.RLock()
		for name, h := range n.events {
			all = append(all, EventStats{
				Namespace: n.name, Event: name, Count: h.count.Load(), Failed: h.failed.Load(),
				Timed: h.timed.Load(), Time: time.Duration(h.took.Load()),
			})
		}
		n.handlersMu.RUnlock()
	}
	slices.SortFunc(all, func(a, b EventStats) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Event, b.Event))
	})
	return all
}
