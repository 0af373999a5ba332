// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestNothingBeginsAfterTheCut: a request behind a turn that is stuck until the
// end of the grace has not begun, beside tasks that are to be resumed.
func TestNothingBeginsAfterTheCut(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
		actors.RequestFuture[int](sys.Root, pid, nap(2*time.Second))
		actors.RequestFuture[int](sys.Root, pid, nap(time.Hour))
		until := make(chan struct{})
		stuck := actors.RequestFuture[int](sys.Root, pid, stick{until})
		queued := actors.RequestFuture[int](sys.Root, pid, nap(1))
		synctest.Wait()
		stopped := actors.RequestStop(sys.Root, pid, 3*time.Second)
		time.Sleep(10 * time.Second)
		if _, err := queued.TryResult(); !errors.Is(err, actors.ErrStopping) {
			t.Errorf("what has not begun: %v, want ErrStopping", err)
		}
		if _, err := stuck.TryResult(); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("what is stuck: %v, want ErrStopped", err)
		}
		if m, err := stopped.Wait(t.Context()); err != nil || m.Abandoned != 1 || m.Pending != 0 {
			t.Error(m, err)
		}
		close(until)
	})
}

// TestOffloadThatEndsWithItsHook: what returns when its context ends is not
// abandoned, although the hook's time is over at that moment.
func TestOffloadThatEndsWithItsHook(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			w.OnStop(func(t *actors.Task) error {
				_, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					return 0, context.Cause(ctx)
				}))
				return err
			})
			return nil
		}, actors.Options{StopGrace: time.Second})
		began := time.Now()
		actortest.Stop(t, sys.Root, pid, time.Second)
		if took := time.Since(began); took < time.Second || took > time.Second+100*time.Millisecond {
			t.Errorf("the stop took %v", took)
		}
		for _, r := range actortest.LogOf(sys).Find(slog.LevelError, "abandoned") {
			t.Error(r)
		}
	})
}
