// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"errors"
	"slices"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
	"github.com/protoloop/protoloop/messages"
)

// ErrBroken is the failure of a Wait at a Barrier that was broken, by Abort, or by Reset
// while it waited.
var ErrBroken = errors.New("loopsync: the barrier is broken")

func init() { messages.RegisterError("loopsync.barrier_broken", ErrBroken) }

// Barrier lets tasks go on when a number of them has come, and begins anew then
// (asyncio.Barrier). The zero value is for one task, which never waits; [NewBarrier]
// makes others. It must not be copied after its first use.
//
// A task that is ended while it waits has not come: the others wait for one more in its
// place. Only Abort and Reset break a Barrier. So whoever knows that a task will not
// come has to call Abort, or end the others, as a Group does when a member fails.
type Barrier struct {
	owner   ownerLoop
	mu      sync.Mutex
	others  int // that one task waits for
	waiting []*arrival
	broken  bool
}

// arrival is a task that waits. The Barrier says how that ends before it wakes it.
type arrival struct {
	spot  taskwait.Spot
	index int
	err   error
}

// NewBarrier returns a Barrier for that many tasks. It panics with an
// [*actors.OptionError] if there is not even one.
func NewBarrier(parties int) *Barrier {
	if parties < 1 {
		panic(&actors.OptionError{Of: "loopsync: NewBarrier", Field: "parties", Value: parties, Why: "is less than 1"})
	}
	return &Barrier{others: parties - 1}
}

// Wait waits until as many tasks have called it as the Barrier is for; the last one
// does not wait. The index says in which order they have come: 0 for the first, and no
// two have the same. So one of them can do what is to be done once.
//
// The error is the reason why the task was ended, or [ErrBroken]; the index is -1 then.
func (b *Barrier) Wait(t *actors.Task) (index int, err error) {
	const what = "Barrier.Wait"
	me := b.owner.checkCaller(t, what)
	if me.Ended != nil {
		return -1, me.Ended
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.broken:
		return -1, ErrBroken
	case len(b.waiting) == b.others:
		b.releaseAll(nil)
		return b.others, nil
	}
	a := &arrival{spot: me.Task.NewSpot(nil)}
	b.waiting = append(b.waiting, a)
	b.mu.Unlock()
	err = me.Caller.Wait(what, a.spot)
	b.mu.Lock()
	if err == nil {
		err = a.err
	} else if i := slices.Index(b.waiting, a); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	if err != nil {
		return -1, err
	}
	return a.index, nil
}

// Abort breaks the Barrier: each Wait fails with [ErrBroken], also those that wait, until
// Reset.
func (b *Barrier) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
	b.releaseAll(ErrBroken)
}

// Reset makes the Barrier as it was made. The tasks that wait fail with [ErrBroken].
func (b *Barrier) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = false
	b.releaseAll(ErrBroken)
}

// Waiting is the number of tasks that wait.
func (b *Barrier) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// Broken reports whether the Barrier is broken.
func (b *Barrier) Broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// releaseAll lets all go on that wait, with err or an index. With mu held.
func (b *Barrier) releaseAll(err error) {
	for i, a := range b.waiting {
		a.index, a.err = i, err
		a.spot.Wake()
	}
	b.waiting = nil
}
