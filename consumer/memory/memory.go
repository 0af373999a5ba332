// SPDX-License-Identifier: Apache-2.0

// Package memory has a queue in memory, for tests and examples of consumers:
// with leases, delays, redelivery, delivery counts, dead letters, and faults
// that a test injects. It uses the standard library's clock alone, so that it
// works in a testing/synctest bubble.
//
// It is no queue for production: nothing survives its process.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/consumer"
)

// Options of a queue. The zero value is usable.
type Options struct {
	// Lease is for how long a received message is hidden from others. 0: 30 s.
	Lease time.Duration
	// Wait is the long poll of Receive. 0: 20 s.
	Wait time.Duration
	// MaxBatch is the most messages that one Receive returns. 0: what is asked
	// for.
	MaxBatch int
	// NoDeadLetters: there is no place for them.
	NoDeadLetters bool
	// Fault, if not nil, is called first in each call of a source, with the IDs
	// of the messages it is about. An error makes the call fail, without
	// effect; a *consumer.BatchError for the messages in it. It may block, for a
	// slow source, until ctx ends. It runs on the caller's goroutine.
	Fault func(ctx context.Context, call Call, ids []string) error
}

// Call is a call of a source, for Options.Fault.
type Call string

// The calls.
const (
	Open       Call = "open"
	Receive    Call = "receive"
	Ack        Call = "ack"
	Nack       Call = "nack"
	Extend     Call = "extend"
	DeadLetter Call = "dead letter"
	Close      Call = "close"
)

// Queue is a queue of messages. Its methods may be called on any goroutine.
type Queue struct {
	o Options

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	seq     int
	byID    map[string]*item
	ready   entries // visible, by seq
	hidden  entries // by visibleAt
	dead    []consumer.Dead
	sources map[*source]struct{}
}

// item is a message in the queue.
type item struct {
	consumer.Message
	seq       int
	visibleAt time.Time
	entries   int  // in the queue's heaps: the last one counts
	inFlight  bool // received, and neither nacked nor expired
	gone      bool
}

// New returns an empty queue.
func New(o Options) *Queue {
	o.Lease = cmp.Or(o.Lease, 30*time.Second)
	o.Wait = cmp.Or(o.Wait, 20*time.Second)
	q := &Queue{o: o, changed: make(chan struct{}), byID: map[string]*item{}, sources: map[*source]struct{}{}}
	q.ready.h.less = func(a, b entry) bool { return a.it.seq < b.it.seq }
	q.hidden.h.less = func(a, b entry) bool { return a.at.Before(b.at) }
	return q
}

// Send puts messages into the queue, in this order. Of each, the queue sets
// what it has to; the ID is kept if there is one. A message whose ID is in
// the queue replaces nothing and is dropped, as a queue with deduplication
// does it.
func (q *Queue) Send(ms ...consumer.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range ms {
		q.seq++
		if m.ID == "" {
			m.ID = fmt.Sprint(q.seq)
		}
		if q.byID[m.ID] != nil {
			continue
		}
		m.Key = cmp.Or(m.Key, m.ID)
		m.SentAt, m.Deliveries = time.Now(), 0
		it := &item{Message: m, seq: q.seq}
		q.byID[m.ID] = it
		q.ready.push(it)
	}
	q.change()
}

// SendBody is Send of messages that are nothing but these bodies.
func (q *Queue) SendBody(bodies ...string) {
	ms := make([]consumer.Message, len(bodies))
	for i, b := range bodies {
		ms[i].Body = []byte(b)
	}
	q.Send(ms...)
}

// Len is how many messages are in the queue, hidden ones included.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.byID)
}

// InFlight is how many messages somebody has received and has a lease of.
func (q *Queue) InFlight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake(time.Now())
	n := 0
	for _, it := range q.byID {
		if it.inFlight {
			n++
		}
	}
	return n
}

// Dead returns the dead letters, in the order in which they came.
func (q *Queue) Dead() []consumer.Dead {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.dead)
}

// Break closes all open sources, as a connection that is lost: their calls
// fail with consumer.ErrClosed.
func (q *Queue) Break() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.sources {
		s.closed = true
	}
	clear(q.sources)
	q.change()
}

// Sources is how many sources are open.
func (q *Queue) Sources() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.sources)
}

// change wakes those that wait for a message.
func (q *Queue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// wake moves the hidden messages whose time has come to the ready ones.
func (q *Queue) wake(now time.Time) {
	for {
		it := q.hidden.first()
		if it == nil || it.visibleAt.After(now) {
			return
		}
		q.hidden.pop()
		it.inFlight = false
		q.ready.push(it)
	}
}
