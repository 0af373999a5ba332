// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// The RequestId of the PIDs for answers has 32 bits. When it wraps, an answer
// reaches its own request only: not one with the same id from before or after.
func TestReplyIDsWrap(t *testing.T) {
	bubble(t, func(w *world) {
		var askers []*actor.PID
		plain := w.plain(func(c actor.Context) {
			if _, ok := c.Message().(int); ok {
				askers = append(askers, c.Sender())
			}
		})
		ask := func() *actors.Future[string] {
			f := actors.RequestFuture[string](w.root, plain, 1, actors.Timeout(time.Hour))
			synctest.Wait()
			return f
		}
		fs := []*actors.Future[string]{ask(), ask()} // 1 and 2
		actors.LastRequest(w.sys, 1<<32-2)
		for range 4 {
			fs = append(fs, ask()) // 1<<32 - 1, and then 1 to 3 again
		}
		for i, want := range []struct {
			id      string
			request uint32
		}{
			{"protoloop-reply", 1}, {"protoloop-reply", 2}, {"protoloop-reply", 1<<32 - 1},
			{"protoloop-reply-1", 1}, {"protoloop-reply-1", 2}, {"protoloop-reply-1", 3},
		} {
			if got := askers[i]; got.Id != want.id || got.RequestId != want.request {
				w.Errorf("request %d is answered to %v, want %+v", i, got, want)
			}
		}
		// Over the network a PID comes without the process that ours have in them.
		answer := func(to *actor.PID, text string) {
			w.root.Send(&actor.PID{Address: to.Address, Id: to.Id, RequestId: to.RequestId}, text)
			synctest.Wait()
		}
		pending := func(want ...int) {
			var got []int
			for i, f := range fs {
				if _, err := f.TryResult(); errors.Is(err, actors.ErrPending) {
					got = append(got, i)
				}
			}
			if len(got) != len(want) {
				w.Errorf("%v are pending, want %v", got, want)
			}
		}
		answer(&actor.PID{Address: askers[0].Address, Id: "protoloop-reply-7", RequestId: 1}, "of an epoch that there is not")
		answer(&actor.PID{Address: askers[0].Address, Id: "protoloop-reply-1", RequestId: 0}, "to none")
		pending(0, 1, 2, 3, 4, 5)
		answer(askers[3], "new 1")
		pending(0, 1, 2, 4, 5)
		answer(askers[1], "old 2")
		pending(0, 2, 4, 5)
		fs[0].Cancel()
		answer(askers[0], "late")
		pending(2, 4, 5)
		answer(askers[2], "the last")
		answer(askers[4], "new 2")
		answer(askers[5], "new 3")
		for i, v := range []string{1: "old 2", 2: "the last", 3: "new 1", 4: "new 2", 5: "new 3"} {
			if i > 0 {
				want(w, fs[i], v)
			}
		}
		wantErr(w, fs[0], actors.ErrCanceled)
	})
}

// Requests from many goroutines at the moment of the wrap: those of both
// epochs begin at a time.
func TestReplyIDsWrapRace(t *testing.T) {
	bubble(t, func(w *world) {
		plain := w.plain(func(c actor.Context) {
			if n, ok := c.Message().(int); ok {
				c.Respond(n + 1)
			}
		})
		for epoch := range uint64(3) {
			actors.LastRequest(w.sys, (epoch+1)<<32-500)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					for n := range 50 {
						want(w, actors.RequestFuture[int](w.root, plain, 1000*i+n), 1000*i+n+1)
					}
				})
			}
			wg.Wait()
		}
	})
}

// TestForwardedRequestCloses: a worker that answers a request which a plain actor
// has passed on completes its future itself. Nothing of the request stays, also if
// it has no bound.
func TestForwardedRequestCloses(t *testing.T) {
	bubble(t, func(w *world) {
		worker := w.worker("w", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, n int) (int, error) {
				if n == 0 {
					return 0, errTold
				}
				return n + 1, nil
			})
			return nil
		})
		plain := w.plain(func(c actor.Context) {
			if _, ok := c.Message().(int); ok {
				c.Forward(worker)
			}
		})
		want(w, actors.RequestFuture[int](w.root, plain, 1, actors.Timeout(actors.Forever)), 2)
		wantErr(w, actors.RequestFuture[int](w.root, plain, 0, actors.Timeout(actors.Forever)), errTold)
		synctest.Wait()
		if n := actors.Requests(w.sys); n != 0 {
			t.Errorf("%d requests wait for an answer", n)
		}
	})
}
