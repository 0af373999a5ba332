// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/view"
)

// The bounds of a timeline.
const (
	maxRecords = 1000
	maxStack   = 8 << 10 // bytes of a stack that a record keeps …
	maxText    = 4 << 10 // … and of its text
)

// timeline tracks what has happened: the last records, and who waits for the next.
type timeline struct {
	mu      sync.Mutex
	last    uint64 // id of the last record
	ring    []view.Record
	waiting chan struct{} // closed with the next record; nil: nobody waits
}

func (l *timeline) add(r view.Record) {
	if r.At.IsZero() {
		r.At = time.Now()
	}
	if len(r.Stack) > maxStack {
		r.Stack = strings.Clone(r.Stack[:maxStack]) + "\n…"
	}
	r.Text = label.Text(r.Text, maxText)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	r.ID = l.last
	if len(l.ring) < maxRecords {
		l.ring = append(l.ring, r)
	} else {
		l.ring[(r.ID-1)%maxRecords] = r
	}
	if l.waiting != nil {
		close(l.waiting)
		l.waiting = nil
	}
}

// after is the records behind that of an id, the oldest first, n at most. If some have been
// forgotten, the first that is left says how many, as those that came too fast.
func (l *timeline) after(id uint64, n int) []view.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := max(id, l.last-uint64(len(l.ring))) // the one before the first that there is
	out := make([]view.Record, 0, min(uint64(n), l.last-min(l.last, first)))
	for i := first; i < l.last && len(out) < n; i++ {
		out = append(out, l.ring[i%maxRecords])
	}
	if len(out) > 0 {
		out[0].Missed += int(first - id)
	}
	return out
}

// newest is the last records that fit, the newest first, n at most.
func (l *timeline) newest(n int, fits func(*view.Record) bool) []view.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []view.Record{}
	for i := l.last; i > l.last-uint64(len(l.ring)) && len(out) < n; i-- {
		if r := &l.ring[(i-1)%maxRecords]; fits == nil || fits(r) {
			out = append(out, *r)
		}
	}
	return out
}

// start is the id behind which a stream begins: that of the event that a browser says it has seen
// last, or that of the query; else it begins with what comes next. One that is from before this process is all.
func (l *timeline) start(ids ...string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range ids {
		if id, err := strconv.ParseUint(text, 10, 64); err == nil {
			if id > l.last {
				return 0
			}
			return id
		}
	}
	return l.last
}

// changed is closed with the next record behind that of id; it is closed already if there is
// one.
func (l *timeline) changed(id uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last > id {
		return closed
	}
	if l.waiting == nil {
		l.waiting = make(chan struct{})
	}
	return l.waiting
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
