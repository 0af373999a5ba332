// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// BenchmarkLook is what one look costs, with the overview made of it as JSON, beside so many workers with ten tasks each that await
// a promise, where nothing changes: allocations and bytes are the same on any machine.
func BenchmarkLook(b *testing.B) {
	for _, workers := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			sys := actortest.NewSystem(b)
			c := newConsoleOf(b, sys, Options{})
			never := new(actors.Promise[int])
			b.Cleanup(func() { never.Resolve(0) })
			const each = 10
			for i := range workers {
				pid := actortest.Spawn(b, sys.Root, fmt.Sprintf("worker-%d", i), func(*actors.Worker) error { return nil }, actors.Options{Kind: "bench"})
				for range each {
					actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return actors.Await(t, never.Future()) })
				}
			}
			tasks := func() int { return c.look.look().Totals().Tasks }
			actortest.Eventually(b, "all tasks await", func() bool { c.look.expire(); return tasks() == each*workers })
			r, err := http.NewRequest("GET", "/api/overview", nil)
			if err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			b.ReportAllocs()
			for b.Loop() {
				c.look.expire()
				if _, err := c.answer(r, "overview", url.Values{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
