package supervisor

import (
	"runtime/debug"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/loop"
)

// serial calls functions of users in order, one at a time, on a goroutine
// that lives only while there are some. Any goroutine.
type serial struct {
	mu      sync.Mutex
	queue   []job
	running bool
	idle    *actors.Promise[struct{}] // for told
}

type job struct {
	f        func()
	panicked func(v any, stack []byte)
}

// call queues f. If it panics, or calls runtime.Goexit, panicked hears of it.
func (s *serial) call(f func(), panicked func(v any, stack []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, job{f, panicked})
	if !s.running {
		s.running = true
		go s.work()
	}
}

func (s *serial) work() {
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
		s.queue[0] = job{}
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.do(next)
	}
}

func (s *serial) do(j job) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil { // a Goexit goes on, and takes the goroutine with it
			v = "runtime.Goexit was called"
			defer func() { go s.work() }()
		}
		j.panicked(v, debug.Stack())
	}()
	j.f()
	returned = true
}

// told is done when everything so far has been called.
func (s *serial) told() *actors.Future[struct{}] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return actors.Resolved(struct{}{})
	}
	if s.idle == nil {
		s.idle = actors.NewPromise[struct{}]()
	}
	return s.idle.Future()
}
