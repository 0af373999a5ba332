// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/consumer"
)

// batches does in few calls what many tasks want: while a call is under way,
// what is wanted next gathers for the one after it. Nobody waits for a batch to
// fill up: with little to do each call is about one thing. It belongs to no
// worker, so that a task that is cut off does not take with it what others want.
type batches[T any] struct {
	// call does it, within that time. Its error is nil, a
	// *consumer.BatchError about some of all, or any other error about each.
	call   func(ctx context.Context, all []T) error
	within time.Duration
	atOnce int // calls that there may be at a time

	mu      sync.Mutex
	waiting []wanted[T]
	calls   int // that are under way
}

// wanted is one thing to do.
type wanted[T any] struct {
	what T
	done *actors.Promise[actors.None]
	last time.Time // from then on it is not begun
}

const (
	maxBatch   = 512    // of one call
	maxWaiting = 10_000 // for a call
)

var (
	errBusy = errors.New("too much is waiting to be written")
	errLate = errors.New("it was not written in time")
)

// do has it done. The future completes when the call about it has returned.
func (b *batches[T]) do(what T) *actors.Future[actors.None] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxWaiting {
		return futures.Failed[struct{}](errBusy)
	}
	one := wanted[T]{what, new(actors.Promise[actors.None]), time.Now().Add(b.within)}
	b.waiting = append(b.waiting, one)
	if b.calls < b.atOnce {
		b.calls++
		go b.run()
	}
	return one.done.Future()
}

// run calls until nothing is waiting.
func (b *batches[T]) run() {
	for {
		batch := b.next()
		if len(batch) == 0 {
			return
		}
		all := make([]T, len(batch))
		for i, one := range batch {
			all[i] = one.what
		}
		ctx, cancel := context.WithTimeout(context.Background(), b.within)
		err := b.call(ctx, all)
		cancel()
		some, _ := errors.AsType[*consumer.BatchError](err)
		for i, one := range batch {
			switch {
			case some != nil && some.Errs[i] == nil, err == nil:
				one.done.Resolve(struct{}{})
			case some != nil:
				one.done.Reject(some.Errs[i])
			default:
				one.done.Reject(err)
			}
		}
	}
}

// next takes what is to be done in one call. Nothing: the caller ends.
func (b *batches[T]) next() []wanted[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	for now := time.Now(); len(b.waiting) > 0 && !b.waiting[0].last.After(now); b.waiting = b.waiting[1:] {
		b.waiting[0].done.Reject(errLate)
	}
	n := min(len(b.waiting), maxBatch)
	batch := b.waiting[:n:n]
	if b.waiting = b.waiting[n:]; len(b.waiting) == 0 {
		b.waiting = nil
	}
	if n == 0 {
		b.calls--
	}
	return batch
}
