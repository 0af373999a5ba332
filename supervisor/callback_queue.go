// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"runtime/debug"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/loop"
)

// callbackQueue calls functions of users in order, one at a time, on a goroutine
// that lives only while there are some. Any goroutine.
type callbackQueue struct {
	mu      sync.Mutex
	queue   []callback
	running bool
	idle    *actors.Promise[actors.None] // what whenIdle has returned
}

type callback struct {
	f        func()
	panicked func(v any, stack []byte)
}

// callInOrder queues f. If it panics, or calls runtime.Goexit, panicked is called with that.
func (s *callbackQueue) callInOrder(f func(), panicked func(v any, stack []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, callback{f, panicked})
	if !s.running {
		s.running = true
		go s.callQueued()
	}
}

func (s *callbackQueue) callQueued() {
	loop.ForgetLabels()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.queue, s.running = nil, false
			idle := s.idle
			s.idle = nil
			s.mu.Unlock()
			if idle != nil {
				idle.Resolve(struct{}{})
			}
			return
		}
		next := s.queue[0]
		s.queue[0] = callback{}
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.callOne(next)
	}
}

func (s *callbackQueue) callOne(j callback) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil { // a Goexit goes on, and takes the goroutine with it
			v = "runtime.Goexit was called"
			defer func() { go s.callQueued() }()
		}
		j.panicked(v, debug.Stack())
	}()
	j.f()
	returned = true
}

// whenIdle is done when everything so far has been called.
func (s *callbackQueue) whenIdle() *actors.Future[actors.None] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return actors.Resolved(struct{}{})
	}
	if s.idle == nil {
		s.idle = new(actors.Promise[actors.None])
	}
	return s.idle.Future()
}
