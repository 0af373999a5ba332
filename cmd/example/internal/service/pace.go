// SPDX-License-Identifier: Apache-2.0

package service

import (
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// pace has what was begun finished before more is begun, where both take the
// same processors: so many items are on their way at a time, from the add until
// the handler has returned, and adds beyond that wait. Without it clients that
// add as fast as they are answered build a line between the queue and the list,
// in which each item then waits: the answer comes when the queue has the item,
// and takes half of the way.
//
// It is no bound on what the queue holds. Where an item takes longer than a
// load explains, because the list cannot be written, say, or the consumer has
// much to catch up with, adds pass until one is handled in time again.
//
// A nil pace lets all pass. It is no loopsync.Semaphore, which belongs to one
// loop: each session is a worker of its own, and the consumer another.
type pace struct {
	mu      sync.Mutex
	room    int                            // for so many more; less than 0 while, or since, all pass
	all     bool                           // all pass
	waiting []*actors.Promise[actors.None] // for room
	onWay   map[string]*time.Timer         // by key
}

const (
	maxOnWay = 64
	// wayLasts is several times what the slowest of a hundred items takes under a
	// full load.
	wayLasts = 50 * time.Millisecond
)

func newPace(room int) *pace { return &pace{room: room, onWay: map[string]*time.Timer{}} }

// begin returns when there is room for the item with that key.
func (p *pace) begin(t *actors.Task, key string) error {
	if p == nil {
		return nil
	}
	if err := p.enter(t); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.onWay[key] != nil { // the same item again
		p.leave()
		return nil
	}
	p.onWay[key] = time.AfterFunc(wayLasts, func() { p.late(key) })
	return nil
}

// end is told when the item has been handled, or was not added.
func (p *pace) end(key string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := p.onWay[key]; late != nil {
		late.Stop()
		delete(p.onWay, key)
		p.all = false
		p.leave()
	}
}

// late is told when the item should have been handled.
func (p *pace) late(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.onWay[key] == nil {
		return
	}
	delete(p.onWay, key)
	p.all = true
	p.room += 1 - len(p.waiting)
	for _, turn := range p.waiting {
		turn.Resolve(struct{}{})
	}
	p.waiting = nil
}

func (p *pace) enter(t *actors.Task) error {
	p.mu.Lock()
	if p.room > 0 || p.all {
		p.room--
		p.mu.Unlock()
		return nil
	}
	turn := new(actors.Promise[actors.None])
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	_, err := actors.Await(t, turn.Future())
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.waiting, turn); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	} else {
		p.leave() // its turn has come together with its end
	}
	return err
}

// leave makes room for the next one. With mu held.
func (p *pace) leave() {
	if p.room++; p.room < 1 || len(p.waiting) == 0 {
		return
	}
	p.room--
	p.waiting[0].Resolve(struct{}{})
	p.waiting = slices.Delete(p.waiting, 0, 1)
}
