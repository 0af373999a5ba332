// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/supervision"
)

// messageQueue is a FIFO queue of what has to be done on the supervisor's loop.
type messageQueue struct {
	mu          sync.Mutex
	first, last *messagePage // that have something in them
	spare       *messagePage // those that have been read, linked
	nSpare      int
	arrived     condition.Condition
}

// loopMessage is one of these, by the field that is set.
type loopMessage struct {
	run       func(t *actors.Task)           // call it
	tell      func(t *actors.Task, k *child) // call it for the child with this process
	child     childProcess
	failed    *supervision.Failure // what the child with this process has failed of
	forgotten *actor.PID           // the engine has forgotten this actor
}

// messagePage is a part of the queue. There can be one of each of 10,000 children at a time:
// a slice that grows copies them again and again, and leaves the smaller ones as garbage.
type messagePage struct {
	messages [32]loopMessage
	n        int
	next     *messagePage
}

// maxSpare is how many pages are kept: one is read while the other one is filled. With one
// less a page was allocated for most starts of a child (bench: start/dynamic).
const maxSpare = 2

// postFunc queues f. Any goroutine.
func (b *messageQueue) postFunc(f func(t *actors.Task)) { b.postMessage(loopMessage{run: f}) }

// postMessage queues m. Any goroutine.
func (b *messageQueue) postMessage(m loopMessage) {
	b.mu.Lock()
	p := b.last
	if p == nil || p.n == len(p.messages) {
		p = b.addPage()
	}
	p.messages[p.n] = m
	p.n++
	arrived := b.arrived
	b.arrived = condition.Condition{}
	b.mu.Unlock()
	arrived.Broadcast()
}

// addPage adds an empty page. With mu held.
func (b *messageQueue) addPage() *messagePage {
	p := b.spare
	if p == nil {
		p = new(messagePage)
	} else {
		b.spare, p.next = p.next, nil
		b.nSpare--
	}
	if b.last == nil {
		b.first = p
	} else {
		b.last.next = p
	}
	b.last = p
	return p
}

// ifEmpty returns what to wait for; nil: nothing, there are messages.
func (b *messageQueue) ifEmpty() *actors.Future[actors.None] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first != nil {
		return nil
	}
	return b.arrived.NextChange()
}

// takeAll returns the pages there are, linked.
func (b *messageQueue) takeAll() *messagePage {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.first
	b.first, b.last = nil, nil
	return p
}

// releasePage keeps a page that has been read, and returns the next one.
func (b *messageQueue) releasePage(p *messagePage) *messagePage {
	next := p.next
	clear(p.messages[:p.n])
	p.n, p.next = 0, nil
	b.mu.Lock()
	if b.nSpare < maxSpare {
		b.spare, p.next = p, b.spare
		b.nSpare++
	}
	b.mu.Unlock()
	return next
}
