// SPDX-License-Identifier: Apache-2.0

// Package observe is what package inspect has package actors tell of work while it goes on, and how tasks are
// labelled in profiles. It stands apart because neither can import the other's types.
package observe

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// On is not 0 while any system of the process is watched, or has had labels. It is all that a call looks at when
// nothing is attached: one load of what nobody writes.
var On atomic.Int32

// Work is an inspect.Work.
type Work interface {
	Is() string
	Name() string
	MessageType() string
	Worker() *actor.PID
	Kind() string
	Incarnation() uint64
	Offered() time.Time
}

// Observer is an inspect.Observer. Each function is there.
type Observer struct {
	Sample  func(w Work) bool
	Offered func(parent context.Context, w Work) context.Context
	Began   func(ctx context.Context, w Work) context.Context
	Ended   func(ctx context.Context, w Work, err error)
	Inject  func(ctx context.Context, set func(key, value string))
	Extract func(get func(key string) string) context.Context
}

// Slot is what an actor system is watched by.
type Slot struct {
	Observer atomic.Pointer[Observer]
	Labels   atomic.Bool
	labelled atomic.Bool // they have been on: On counts that for good
}

// Of is that of an actor system.
func Of(sys *actor.ActorSystem) *Slot { return persystem.Of[Slot](sys) }

// Observe replaces the observer; nil ends it.
func (s *Slot) Observe(o *Observer) {
	if o != nil {
		On.Add(1)
	}
	if s.Observer.Swap(o) != nil {
		On.Add(-1)
	}
}

// SetLabels turns labels on or off. Where they have been on, tasks look for good whether they are to take off
// the labels of the task before.
func (s *Slot) SetLabels(on bool) {
	s.Labels.Store(on)
	if on && s.labelled.CompareAndSwap(false, true) {
		On.Add(1)
	}
}
