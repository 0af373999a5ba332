package actors_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// A function that was abandoned when its incarnation ended returns in the
// next one: it must not be taken for one that this one waits for.
func TestOffloadAbandonedReturnsLater(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{StopGrace: time.Second, BlockedTurn: -1}, func(w *actors.Worker) error {
			actors.On(w, func(_ *actors.Task, s string) error { panic(s) })
			return nil
		})
		offload := func(f func(ctx context.Context)) {
			did(w.root, pid, func(t *actors.Task) error {
				_, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) { f(ctx); return 0, nil }))
				return err
			})
			synctest.Wait()
		}
		release := make(chan struct{})
		offload(func(context.Context) { <-release })
		w.root.Send(pid, "boom")
		want(w, did(w.root, pid, func(*actors.Task) error { return nil }), struct{}{}) // of the next incarnation
		close(release)
		synctest.Wait()

		ended := false
		offload(func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(500 * time.Millisecond)
			ended = true
		})
		w.stopped(pid, -1)
		if !ended {
			w.Error("the stop did not wait for an offloaded function that ended within StopGrace")
		}
	})
}
