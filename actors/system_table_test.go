// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// Systems come and go, as in the tests of a program: each that is in the table
// is found there, after a look at a few slots, and none that is not.
func TestSystemTable(t *testing.T) {
	const most = 3000
	var table systemTable
	var in, out []*system
	for range most {
		out = append(out, &system{as: new(actor.ActorSystem)})
	}
	put := func(s *system, is bool) {
		table.mu.Lock()
		defer table.mu.Unlock()
		table.put(s, is)
		table.put(s, is) // again changes nothing
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	first := out[0]
	put(first, true)
	out = out[1:]
	reader.Go(func() { // finds what stays, or nothing while the table is made anew
		for {
			select {
			case <-stop:
				return
			default:
				if s := table.find(first.as); s != nil && s != first {
					t.Error("another system was found")
				}
			}
		}
	})
	move := func(from, to *[]*system, is bool) {
		i := rand.IntN(len(*from))
		s := (*from)[i]
		(*from)[i] = (*from)[len(*from)-1]
		*from, *to = (*from)[:len(*from)-1], append(*to, s)
		put(s, is)
	}
	for _, share := range []int{9, 1, 5, 9, 1} { // of ten steps that add
		for range 2 * most {
			if rand.IntN(10) < share && len(out) > 0 {
				move(&out, &in, true)
			} else if len(in) > 0 {
				move(&in, &out, false)
			}
		}
		if f := table.first.Load(); f == nil || table.find(f.as) != f {
			t.Error("the first is not in the table")
		}
		for _, s := range in {
			if table.find(s.as) != s {
				t.Fatal("a system is not found")
			}
		}
		for _, s := range out {
			if table.find(s.as) != nil {
				t.Fatal("a system is found that was removed")
			}
		}
		slots := *table.slots.Load()
		if table.n != len(in)+1 || len(slots) > 16*(len(in)+2) {
			t.Errorf("%d slots and %d systems for %d", len(slots), table.n, len(in)+1)
		}
		longest, run := 0, 0
		for i := range 2 * len(slots) { // around the end
			if run++; slots[i%len(slots)].Load() == nil {
				run = 0
			}
			longest = max(longest, run)
		}
		t.Logf("%d systems, %d slots, at most %d to look at", table.n, len(slots), longest)
		if longest > 200 {
			t.Errorf("%d slots to look at, of %d", longest, len(slots))
		}
	}
	close(stop)
	reader.Wait()
}
