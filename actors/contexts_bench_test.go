// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
)

// BenchmarkWithContext is a call at a time that is bound to a context which can end,
// and the end of a context that 200,000 calls share.
func BenchmarkWithContext(b *testing.B) {
	system := func(b *testing.B) (*actor.ActorSystem, *actor.PID) {
		sys := actortest.NewSystem(b)
		return sys, actortest.Spawn(b, sys.Root, "worker", none, actors.Options{})
	}
	b.Run("one", func(b *testing.B) {
		sys, pid := system(b)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			f := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil }, actors.WithContext(ctx))
			_, _ = f.Wait(context.Background())
		}
	})
	b.Run("end of 200000", func(b *testing.B) {
		sys, pid := system(b)
		for range b.N {
			b.StopTimer()
			ctx, cancel := context.WithCancel(context.Background())
			fs := make([]*actors.Future[int], 200_000)
			for i := range fs {
				fs[i] = actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.WithContext(ctx))
			}
			all := futures.Settled(fs...)
			begun := actors.SubmitErr(sys.Root, pid, func(*actors.Task) error { return nil }) // behind all of them
			_, _ = begun.Wait(context.Background())
			b.StartTimer()
			cancel()
			_, _ = all.Wait(context.Background())
		}
	})
}
