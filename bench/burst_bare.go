// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
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

func (c *bareRequest) hasEnded() bool { return c.fut.done.Load() }
func (c *bareRequest) end(err error)  { c.fut.complete(receipt{}, err) }

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
	of.deadlines.add(&x.call, requestTimeout)
	return &x.call
}

// bareContext ends calls with their context, and by their deadlines.
type bareContext struct {
	ctx         context.Context
	mu          sync.Mutex
	stop        func() bool
	first, last *bareEnding

	deadlines bareDeadlines[*bareRequest]
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
