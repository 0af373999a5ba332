// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"sync"

	"github.com/protoloop/protoloop/actors"
)

// Semaphore lets as many tasks pass at a time as it has permits
// (asyncio.Semaphore). The zero value has one; [NewSemaphore] makes others. It
// must not be copied after its first use.
type Semaphore struct {
	owner ownerLoop
	mu    sync.Mutex
	more  int // permits that are free, less one
	line  line
}

// NewSemaphore returns a Semaphore with n permits. It panics with an
// [*actors.OptionError] if n is negative.
func NewSemaphore(n int) *Semaphore {
	if n < 0 {
		panic(&actors.OptionError{Of: "loopsync: NewSemaphore", Field: "n", Value: n, Why: "is negative"})
	}
	return &Semaphore{more: n - 1}
}

// Acquire waits for a permit and takes it. On an error, the reason why the
// task was ended, it has taken none.
func (s *Semaphore) Acquire(t *actors.Task) error {
	const what = "Semaphore.Acquire"
	me := s.owner.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	s.mu.Lock()
	if s.line.isEmpty() && s.more >= 0 {
		s.more--
		s.mu.Unlock()
		return nil
	}
	w := s.line.joinLine(me, me.Task.NewSpot(nil))
	s.serveLine() // those before it may all have been served
	s.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	s.mu.Lock()
	defer s.mu.Unlock()
	if served := s.line.leaveLine(w); served && err != nil {
		s.more++
		s.serveLine()
	}
	return err
}

// TryAcquire takes a permit if one is free and nobody is in line for it, and
// reports whether it did. It does nothing for a task that has been ended.
func (s *Semaphore) TryAcquire(t *actors.Task) bool {
	me := s.owner.checkCaller(t, "Semaphore.TryAcquire")
	s.mu.Lock()
	defer s.mu.Unlock()
	if me.Ended != nil || !s.line.isEmpty() || s.more < 0 {
		return false
	}
	s.more--
	return true
}

// Release gives a permit back: to the next in line, if there is one. It need
// not be one that was acquired; then the Semaphore has one more.
func (s *Semaphore) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more++
	s.serveLine()
}

// Free is the number of permits that nobody has.
func (s *Semaphore) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more + 1
}

// serveLine gives free permits to those in line.
func (s *Semaphore) serveLine() {
	for s.more >= 0 && s.line.serveNext() != nil {
		s.more--
	}
}
