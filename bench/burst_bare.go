// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"
)

// bareBurst is a burst of requests with the least that one takes: a queue, a future, and a
// goroutine that runs the handler; see bareShop. With ends they have a timeout and end with a
// context, by the least that these two take: each reads the clock for its deadline, which goes
// behind the others in a list for all, and has a place in the list of all that share the
// context, from where it goes when it is done. One context.AfterFunc and one timer serve all.
func bareBurst(ends bool) func(*env) (run, error) {
	return func(e *env) (run, error) {
		sys := &bareSystem{}
		l := &bareLoop{sys: sys}
		e.onClose(func() error { sys.close(); return nil })
		ctx, cancel := context.WithCancel(e.ctx)
		e.onClose(func() error { cancel(); return nil })
		ended := &bareContext{ctx: ctx}
		signal := make(chan struct{}, 1)
		calls := make([]*bareRequest, burst)
		return func(n int) (sum int, err error) {
			for range n / burst {
				for i := range calls {
					if ends {
						calls[i] = newBareEnding(ended, i)
					} else {
						calls[i] = &bareRequest{q: question{i}}
					}
					l.post(bareEntry{work: calls[i]})
				}
				for _, c := range calls {
					c.fut.wait(signal)
					if err := c.fut.err; err != nil {
						return 0, err
					}
					sum += c.fut.receipt.n
				}
			}
			return sum, nil
		}, nil
	}
}

// bareRequest is a request.
type bareRequest struct {
	q    question
	fut  bareFuture
	ends *bareEnding // nil: it has neither a timeout nor a context
}

func (*bareRequest) awaits() bool { return false }
func (c *bareRequest) turn(*bareCoroutine) {
	if c.ends != nil && c.fut.done.Load() {
		return
	}
	c.fut.complete(receipt{n: c.q.n}, nil)
	if c.ends != nil {
		c.ends.of.release(c.ends)
	}
}

// bareEnding is what ends a call early.
type bareEnding struct {
	of         *bareContext
	call       *bareRequest
	prev, next *bareEnding
}

// newBareEnding makes a call that ends with the context, or by requestTimeout.
func newBareEnding(of *bareContext, i int) *bareRequest {
	x := &struct {
		call bareRequest
		ends bareEnding
	}{call: bareRequest{q: question{i}}}
	x.call.ends, x.ends.of, x.ends.call = &x.ends, of, &x.call
	of.bind(&x.ends)
	of.endAt(time.Since(bareBegan)+requestTimeout, &x.call)
	return &x.call
}

var bareBegan = time.Now()

// bareContext ends calls with their context, and by their deadlines.
type bareContext struct {
	ctx         context.Context
	mu          sync.Mutex
	stop        func() bool
	first, last *bareEnding

	deadlines struct {
		sync.Mutex
		inOrder []bareRequestDeadline
		timer   *time.Timer
	}
}

type bareRequestDeadline struct {
	when time.Duration
	call *bareRequest
}

func (b *bareContext) bind(x *bareEnding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == nil {
		b.stop = context.AfterFunc(b.ctx, b.endAll)
	} else {
		x.prev, b.last.next = b.last, x
	}
	if b.last = x; b.first == nil {
		b.first = x
	}
}

func (b *bareContext) release(x *bareEnding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == nil {
		return
	}
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		b.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		b.last = x.prev
	}
	x.prev, x.next = nil, nil
	if b.first == nil {
		b.stop()
	}
}

func (b *bareContext) endAll() {
	b.mu.Lock()
	x := b.first
	b.first, b.last = nil, nil
	b.mu.Unlock()
	for ; x != nil; x = x.next {
		x.call.fut.complete(receipt{}, context.Cause(b.ctx))
	}
}

// endAt is bareSystem's: all calls have the same timeout.
func (b *bareContext) endAt(when time.Duration, c *bareRequest) {
	d := &b.deadlines
	d.Lock()
	defer d.Unlock()
	for len(d.inOrder) > 0 && d.inOrder[0].call.fut.done.Load() {
		d.inOrder = d.inOrder[1:]
	}
	d.inOrder = append(d.inOrder, bareRequestDeadline{when, c})
	if d.timer == nil {
		d.timer = time.AfterFunc(requestTimeout, b.endDue)
	}
}

// endDue is the timer's.
func (b *bareContext) endDue() {
	d := &b.deadlines
	d.Lock()
	var due []*bareRequest
	now := time.Since(bareBegan)
	for len(d.inOrder) > 0 && (now >= d.inOrder[0].when || d.inOrder[0].call.fut.done.Load()) {
		due = append(due, d.inOrder[0].call)
		d.inOrder = d.inOrder[1:]
	}
	if len(d.inOrder) > 0 {
		d.timer.Reset(d.inOrder[0].when - now)
	} else {
		d.timer = nil
	}
	d.Unlock()
	for _, c := range due {
		c.fut.complete(receipt{}, context.DeadlineExceeded)
	}
}
