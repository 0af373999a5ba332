// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"context"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// A combinator allocates the same few times, however many members it has.
func TestAllocationsOfCombinators(t *testing.T) {
	all := func(f func(fs ...*actors.Future[int])) func(fs []*actors.Future[int]) {
		return func(fs []*actors.Future[int]) { f(fs...) }
	}
	asCompleted := 10.0 // three of them are the context
	if !testtools.Inlines() {
		asCompleted += 3 // and these its closures
	}
	for name, test := range map[string]struct {
		combine func(fs []*actors.Future[int])
		most    float64
	}{
		"All":            {all(func(fs ...*actors.Future[int]) { futures.All(fs...) }), 8},
		"Settled":        {all(func(fs ...*actors.Future[int]) { futures.Settled(fs...) }), 8},
		"Any":            {all(func(fs ...*actors.Future[int]) { futures.Any(fs...) }), 8},
		"Race":           {all(func(fs ...*actors.Future[int]) { futures.Race(fs...) }), 8},
		"FirstCompleted": {all(func(fs ...*actors.Future[int]) { futures.FirstCompleted(fs...) }), 8},
		"FirstException": {all(func(fs ...*actors.Future[int]) { futures.FirstException(fs...) }), 8},
		"Shield":         {func(fs []*actors.Future[int]) { futures.Shield(fs[0]) }, 7},
		"WithTimeout":    {func(fs []*actors.Future[int]) { futures.WithTimeout(fs[0], time.Hour) }, 12},
		"AsCompleted": {func(fs []*actors.Future[int]) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			for range futures.AsCompleted(ctx, fs...) {
			}
		}, asCompleted},
	} {
		for _, n := range []int{2, 10_000} {
			_, fs := futuretest.Promises(n) // pending all the while
			if allocs := testtools.Allocs(20, func() { test.combine(fs) }); allocs > test.most {
				t.Errorf("%s of %d members: %v allocations, at most %v", name, n, allocs, test.most)
			}
		}
	}
}
