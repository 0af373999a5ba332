// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"sync"

	"github.com/protoloop/protoloop/actors"
)

// Event is a flag that tasks wait for (asyncio.Event). The zero value is not
// set. It must not be copied after its first use.
type Event struct {
	owner ownerLoop
	mu    sync.Mutex
	set   bool
	line  line
}

// Set sets the flag and lets all go on that wait for it. If it is set already,
// Set does nothing.
func (e *Event) Set() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set = true
	e.line.dismissUnserved()
}

// Clear takes the flag back: who waits from now on waits for the next Set.
// Those that a Set has let go on do so.
func (e *Event) Clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set = false
}

// IsSet reports whether the flag is set.
func (e *Event) IsSet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.set
}

// Wait waits until the flag is set. The error is the reason why the task was
// ended.
func (e *Event) Wait(t *actors.Task) error {
	const what = "Event.Wait"
	me := e.owner.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	e.mu.Lock()
	if e.set {
		e.mu.Unlock()
		return nil
	}
	w := e.line.joinLine(me, me.Task.NewSpot(nil))
	e.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line.leaveLine(w)
	return err
}
