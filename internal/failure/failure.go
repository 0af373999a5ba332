// SPDX-License-Identifier: Apache-2.0

// Package failure tells the hooks of inspect.OnFailure what else is only logged. It
// stands apart so that all packages can tell, and none has to import inspect.
package failure

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/callqueue"
	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/safelog"
)

// The kinds of failures. What they mean is in package inspect.
const (
	Unobserved    = "unobserved failure"
	WorkerFailure = "worker failure"
	WorkerRestart = "worker restart"
	CallbackPanic = "callback panic"
	BlockedTurn   = "blocked turn"
	StalledWork   = "stalled work"
	AbandonedTask = "abandoned task"
	DeadLetter    = "dead letter"
)

// Failure is an inspect.Failure.
type Failure struct {
	Kind    string
	Worker  *actor.PID
	Task    string
	Err     error
	Stack   []byte
	At      time.Time
	Dropped int
}

// Bound is how many failures wait for a hook at most.
const Bound = 1000

// Hooks are those of one actor system. The zero value has none. Any goroutine.
type Hooks struct {
	mu  sync.Mutex // of changes
	all atomic.Pointer[[]*hook]
}

// Of is the hooks of an actor system.
func Of(sys *actor.ActorSystem) *Hooks { return persystem.Of[Hooks](sys) }

// Wanted reports whether there is a hook. Ask before you make up a Failure.
func (h *Hooks) Wanted() bool { return h.all.Load() != nil }

// Add has call told of failures from now on, until remove is called. The panics of call
// go to log.
func (h *Hooks) Add(log *slog.Logger, call func(Failure)) (remove func()) {
	k := &hook{log: safelog.Contain(log), call: call}
	h.change(func(all []*hook) []*hook { return append(all, k) })
	return func() {
		k.remove()
		h.change(func(all []*hook) []*hook {
			return slices.DeleteFunc(all, func(o *hook) bool { return o == k })
		})
	}
}

// change replaces the list, which others may be reading.
func (h *Hooks) change(f func(all []*hook) []*hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*hook
	if p := h.all.Load(); p != nil {
		all = slices.Clone(*p)
	}
	if all = f(all); len(all) == 0 {
		h.all.Store(nil)
		return
	}
	h.all.Store(&all)
}

// Tell tells each hook, in its own time. It calls no code of users, and waits for none.
func (h *Hooks) Tell(f Failure) {
	all := h.all.Load()
	if all == nil {
		return
	}
	f.At = time.Now()
	for _, k := range *all {
		k.tell(f)
	}
}

// hook is a function of users', and the failures that wait for it.
type hook struct {
	log   *slog.Logger
	call  func(Failure)
	calls callqueue.Queue

	mu      sync.Mutex
	waiting int
	dropped int // since the last one that it took
	removed bool
}

func (k *hook) tell(f Failure) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.removed:
		return
	case k.waiting == Bound:
		k.dropped++
		return
	}
	k.waiting++
	f.Dropped, k.dropped = k.dropped, 0
	k.calls.Call(func() {
		if k.begin() {
			k.call(f)
		}
	}, func(v any, stack []byte) {
		k.log.Error("inspect: a hook of OnFailure panicked", "panic", v, "stack", string(stack))
	})
}

// begin takes the first out of those that wait, and reports whether the hook is still
// to be called.
func (k *hook) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	return !k.removed
}

func (k *hook) remove() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed = true
}
