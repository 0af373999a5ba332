// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// BenchmarkAll combines n futures that complete afterwards, and waits. Beside
// it is what one writes without futures: a goroutine for each value, a
// WaitGroup and the first error (errgroup's way). The allocations per member
// are what All adds: the members are made outside.
func BenchmarkAll(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("All/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			ps, fs := make([]*actors.Promise[int], n), make([]*actors.Future[int], n)
			for b.Loop() {
				b.StopTimer()
				for i := range ps {
					ps[i] = new(actors.Promise[int])
					fs[i] = ps[i].Future()
				}
				b.StartTimer()
				all := futures.All(fs...)
				for i, p := range ps {
					p.Resolve(i)
				}
				if v, err := all.Wait(context.Background()); err != nil || len(v) != n {
					b.Fatal(len(v), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
		})
		b.Run(fmt.Sprintf("goroutines/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				vals := make([]int, n)
				var wg sync.WaitGroup
				var once sync.Once
				var first error
				work := func(i int) (int, error) { return i, nil }
				for i := range n {
					wg.Go(func() {
						v, err := work(i)
						if err != nil {
							once.Do(func() { first = err })
						}
						vals[i] = v
					})
				}
				if wg.Wait(); first != nil || len(vals) != n {
					b.Fatal(first)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
		})
	}
}
