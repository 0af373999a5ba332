// SPDX-License-Identifier: Apache-2.0

// Package persystem keeps what several packages share in each actor system: one value
// of a type. A package that users call finds there what another one does, and neither
// has to import the other, nor to show it more than it shows everybody.
package persystem

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"
)

// values is an extension of an actor system, and so lives as long.
type values struct{ byType sync.Map }

var (
	valuesID = extensions.NextExtensionID()
	// mu guards the place of values in all actor systems: to read an extension races
	// with its registration. Nobody else looks there.
	mu sync.RWMutex
)

// ExtensionID is the engine's.
func (*values) ExtensionID() extensions.ExtensionID { return valuesID }

// Of returns the T of the actor system, the same at each call. The first call makes it.
// Any goroutine.
func Of[T any](sys *actor.ActorSystem) *T {
	byType := &valuesOf(sys).byType
	key := (*T)(nil)
	if v, ok := byType.Load(key); ok {
		return v.(*T)
	}
	v, _ := byType.LoadOrStore(key, new(T))
	return v.(*T)
}

// RemoteLimit is what messages.SetLimit has set, in bytes; 0: nothing.
type RemoteLimit struct{ atomic.Int64 }

func valuesOf(sys *actor.ActorSystem) *values {
	mu.RLock()
	v, ok := sys.Extensions.Get(valuesID).(*values)
	mu.RUnlock()
	if ok {
		return v
	}
	mu.Lock()
	defer mu.Unlock()
	if v, ok := sys.Extensions.Get(valuesID).(*values); ok {
		return v
	}
	v = new(values)
	sys.Extensions.Register(v)
	return v
}
