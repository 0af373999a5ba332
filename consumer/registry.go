// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"cmp"
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// All returns the consumers that workers of an actor system consume with now, in the order
// in which their first workers began to.
func All(sys *actor.ActorSystem) []*Consumer {
	if sys == nil {
		panic("consumer: All called with a nil actor system")
	}
	r := persystem.Of[registry](sys)
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Consumer, 0, len(r.entries))
	for c := range r.entries {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Consumer) int { return cmp.Compare(r.entries[a].seq, r.entries[b].seq) })
	return all
}

// registry tracks the consumers that have workers in one actor system.
type registry struct {
	mu      sync.Mutex
	last    uint64
	entries map[*Consumer]registryEntry
}

// registryEntry is one of them.
type registryEntry struct {
	seq  uint64
	runs int // incarnations of its workers
}

func (r *registry) addRun(c *Consumer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = map[*Consumer]registryEntry{}
	}
	e := r.entries[c]
	if e.runs++; e.seq == 0 {
		r.last++
		e.seq = r.last
	}
	r.entries[c] = e
}

func (r *registry) removeRun(c *Consumer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[c]
	if e.runs--; e.runs > 0 {
		r.entries[c] = e
		return
	}
	delete(r.entries, c)
}
