package supervisor

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// inbox is what others want done on the supervisor's loop.
type inbox struct {
	mu          sync.Mutex
	first, last *page // that have something in them
	spare       *page // that has been read
	more        *actors.Promise[struct{}]
}

// note is one of the things.
type note struct {
	do   func(t *actors.Task)           // this …
	news func(t *actors.Task, k *child) // … or this, for the child with that process …
	of   process
	gone *actor.PID // … or that of an actor the engine has forgotten
}

// page has some notes. There can be one of each of 10,000 children at a time:
// a slice that grows copies them again and again, and leaves three times as
// much behind.
type page struct {
	notes [32]note
	n     int
	next  *page
}

// post queues f. Any goroutine.
func (b *inbox) post(f func(t *actors.Task)) { b.put(note{do: f}) }

func (b *inbox) put(n note) {
	b.mu.Lock()
	p := b.last
	if p == nil || p.n == len(p.notes) {
		p = b.grow()
	}
	p.notes[p.n] = n
	p.n++
	more := b.more
	b.more = nil
	b.mu.Unlock()
	if more != nil {
		more.Resolve(struct{}{})
	}
}

// grow adds an empty page. With mu held.
func (b *inbox) grow() *page {
	p := b.spare
	b.spare = nil
	if p == nil {
		p = new(page)
	}
	if b.last == nil {
		b.first = p
	} else {
		b.last.next = p
	}
	b.last = p
	return p
}

// take returns the pages there are, linked, or what to wait for.
func (b *inbox) take() (*page, *actors.Future[struct{}]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.first; p != nil {
		b.first, b.last = nil, nil
		return p, nil
	}
	b.more = actors.NewPromise[struct{}]()
	return nil, b.more.Future()
}

// reuse keeps a page that has been read, and returns the next one.
func (b *inbox) reuse(p *page) *page {
	next := p.next
	clear(p.notes[:p.n])
	p.n, p.next = 0, nil
	b.mu.Lock()
	b.spare = p
	b.mu.Unlock()
	return next
}
