// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
)

// BenchmarkPublish is a publication to so many workers of this process, until all have heard it, beside a plain Send of a message to
// each of them. The first copies it for each.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, how := range []string{"publish", "send"} {
			b.Run(fmt.Sprint(how, "/workers=", n), func(b *testing.B) {
				sys := actortest.NewSystem(b)
				g, err := grid.Start(b.Context(), sys, grid.Options{Kinds: []grid.Kind{{Name: "none", Accepts: accepts(), Setup: func(*actors.Worker, string) error { return nil }}}})
				if err != nil {
					b.Fatal(err)
				}
				defer g.Drain(b.Context())
				var left atomic.Int64
				all := make(chan struct{}, 1)
				heard := func(*actors.Task, number) error {
					if left.Add(-1) == 0 {
						all <- struct{}{}
					}
					return nil
				}
				var pids []*actor.PID
				topic := grid.TopicOf[number]("bench")
				for i := range n {
					pid, err := actors.Spawn(b.Context(), sys.Root, fmt.Sprint("w", i), func(w *actors.Worker) error {
						if how == "publish" {
							topic.On(w, heard)
						} else {
							actors.On(w, heard)
						}
						return nil
					}, actors.Options{})
					if err != nil {
						b.Fatal(err)
					}
					pids = append(pids, pid)
				}
				m := count(7)
				b.ReportAllocs()
				for b.Loop() {
					left.Store(int64(n))
					if how == "publish" {
						if err := topic.Publish(sys.Root, m); err != nil {
							b.Fatal(err)
						}
					} else {
						for _, pid := range pids {
							sys.Root.Send(pid, m)
						}
					}
					<-all
				}
			})
		}
	}
}
