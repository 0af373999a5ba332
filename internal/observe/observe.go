// SPDX-License-Identifier: Apache-2.0

// Package observe is what package inspect has package actors tell of work while it goes on, and how tasks are
// labelled in profiles. It stands apart because neither can import the other's types.
package observe

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// On is not 0 while any system of the process is watched, or has had labels. It is all that a call looks at when
// nothing is attached: one load of what nobody writes.
var On atomic.Int64

// Labelled is what On counts for each system that has had labels, and 1 for each that is observed. Whoever creates work where there
// are but labels has nothing else to look at, nor has work that begins where nobody observes it and there have been no labels.
const Labelled = 1 << 32

// Observed reports whether any system of the process is observed.
func Observed() bool { return On.Load()&(Labelled-1) != 0 }

// Work is an inspect.Work.
type Work interface {
	Is() string
	Name() string
	MessageType() string
	Worker() *actor.PID
	Kind() string
	Incarnation() uint64
	Offered() time.Time

	// Begins reports whether it begins, or else ends, in this process, and nothing asks for its context before. Constant.
	Begins() bool
	// Called is what work of a Name has in common, by its address: it is for Began. nil: nothing is known of that.
	Called() unsafe.Pointer
	// Keep keeps something of the observer's from Began on, and Kept is that.
	Keep(what any)
	Kept() any
}

// SampledBy is package inspect's: what a function of it, a func(inspect.Work) bool, chooses.
var SampledBy func(f any) func(Work) bool

// Observer is an inspect.Observer. Each function is there, but perhaps Sample.
type Observer struct {
	Sample  func(w Work) bool // nil: it chooses nothing
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
		On.Add(Labelled)
	}
}
