// SPDX-License-Identifier: Apache-2.0

// Package callqueue calls functions of users for those who must not be held up,
// and must not be taken down by what the functions do.
package callqueue

import (
	"sync"

	"github.com/protoloop/protoloop/internal/fifo"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/panicstack"
)

// Queue calls functions in the order in which they come, one at a time, on a
// goroutine that lives only while there are some. It has no bound: whoever adds to
// it can neither wait nor do without the call. The zero value is empty. Any
// goroutine.
type Queue struct {
	mu      sync.Mutex
	calls   fifo.Queue[call]
	running bool
}

type call struct {
	f      func()
	failed func(v any, stack []byte)
}

// Call queues f. If f panics, failed is called with the value; if f calls
// runtime.Goexit, with a text that says so.
func (q *Queue) Call(f func(), failed func(v any, stack []byte)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls.Push(call{f, failed})
	if !q.running {
		q.running = true
		go q.callAll()
	}
}

// Idle reports whether all functions have been called, and have returned.
func (q *Queue) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.running
}

func (q *Queue) callAll() {
	loop.ForgetLabels()
	empty := false
	defer func() {
		if !empty { // a Goexit takes this goroutine with it
			go q.callAll()
		}
	}()
	for next, ok := q.take(); ok; next, ok = q.take() {
		next.do()
	}
	empty = true
}

// take takes the first call, or notes that there is none.
func (q *Queue) take() (next call, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calls.Len() == 0 {
		q.running = false
		return call{}, false
	}
	return q.calls.Pop(), true
}

func (c call) do() {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "runtime.Goexit was called"
		}
		c.failed(v, panicstack.Take(0))
	}()
	c.f()
	returned = true
}
