// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// queue is a message queue in memory that fails now and then. There is always
// another item in it. What was taken and not acked can be restored.
type queue struct {
	faults float64

	mu    sync.Mutex
	next  int
	back  []item // given back, to be taken again first
	inUse []item // taken, not acked
	taken int
	acked int
	given int
}

func newQueue(faults float64) *queue { return &queue{faults: faults, next: 1} }

var errUnreachable = errors.New("the queue is unreachable")

// receive takes up to three items. It blocks, as the client of a real queue
// does.
func (q *queue) receive(ctx context.Context) ([]item, error) {
	select {
	case <-time.After(20 * time.Millisecond): // the network
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if rand.Float64() < q.faults {
		return nil, errUnreachable
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []item
	for range 1 + rand.N(3) {
		if len(q.back) > 0 {
			batch, q.back = append(batch, q.back[0]), q.back[1:]
		} else {
			batch = append(batch, item{q.next})
			q.next++
		}
	}
	q.taken += len(batch)
	q.inUse = append(q.inUse, batch...)
	return batch, nil
}

// fault fails now and then, too.
func (q *queue) fault(what string, n int) error {
	if rand.Float64() < q.faults {
		return fmt.Errorf("%s %d: out of luck", what, n)
	}
	return nil
}

// ack says that an item was handled.
func (q *queue) ack(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, o := range q.inUse {
		if o == it {
			q.inUse = append(q.inUse[:i], q.inUse[i+1:]...)
			q.acked++
			return
		}
	}
}

// restore gives back what was taken and not acked.
func (q *queue) restore() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.back = append(q.inUse, q.back...)
	q.given += len(q.inUse)
	q.inUse = nil
}

// sums accounts for what was taken: it was handled, or is given back.
func (q *queue) sums() (taken, acked, given int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken, q.acked, q.given
}
