// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
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

// An abandoned function is named with the stack of where it hangs, also among many
// goroutines.
func TestOffloadAbandonedShowsWhereItHangs(t *testing.T) {
	for _, others := range []int{0, 1000} {
		bubble(t, func(w *world) {
			release := make(chan struct{})
			defer synctest.Wait()
			defer close(release)
			for range others {
				go func() { <-release }()
			}
			pid := w.worker("w", actors.Options{StopGrace: time.Second}, none)
			for range 2 {
				did(w.root, pid, func(t *actors.Task) error {
					return t.AwaitOffload(func(context.Context) error { return hangInDriver(release) }, actors.Name("save"))
				})
				did(w.root, pid, func(t *actors.Task) error {
					_, err := actors.AwaitOffload(t, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
					return err
				})
			}
			synctest.Wait()
			w.stopped(pid, time.Second)
			records := actortest.LogOf(w.sys).Find(slog.LevelError, "an offloaded function did not return")
			if len(records) != 2 {
				w.Errorf("%d records, want 2", len(records))
			}
			for _, r := range records {
				if stack, _ := r.Attr("stack").(string); r.Attr("function") != "save" || !strings.Contains(stack, "hangInDriver") {
					w.Errorf("among %d goroutines: %v, %s", others, r, stack)
				}
			}
		})
	}
}

//go:noinline
func hangInDriver(release chan struct{}) error { <-release; return nil }

// A function that waits for its turn, because others take up all places of its
// limiter, has not begun: nothing is left of it when its task has ended.
func TestOffloadThatHasNotBegun(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		busy := w.worker("busy", actors.Options{StopGrace: time.Second}, none)
		places := actors.NewLimiter("places", 2)
		did(w.root, busy, func(t *actors.Task) error {
			for range 2 {
				actors.Offload(t, func(context.Context) (int, error) { <-release; return 0, nil }, actors.Through(places))
			}
			return t.Sleep(time.Hour)
		})
		synctest.Wait()
		pid := w.worker("w", actors.Options{}, none)
		var f *actors.Future[int]
		did(w.root, pid, func(t *actors.Task) error {
			f = actors.Offload(t, func(context.Context) (int, error) { w.Error("it ran"); return 0, nil }, actors.Through(places))
			_, err := actors.Await(t, f)
			return err
		})
		synctest.Wait()
		begin := time.Now()
		w.stopped(pid, -1)
		if took := time.Since(begin); took != 0 {
			w.Errorf("the stop took %v", took)
		}
		wantErr(w, f, actors.ErrStopped)
		if log := actortest.LogOf(w.sys).Find(slog.LevelWarn, "abandoned"); len(log) != 0 {
			w.Errorf("logged: %v", log)
		}
	})
}

// TestOffloadEndsWithItsIncarnation: also when the task that has offloaded it
// has returned, and if it has not begun by then it never does.
func TestOffloadEndsWithItsIncarnation(t *testing.T) {
	for name, end := range map[string]func(w *world, pid *actor.PID){
		"restart": func(w *world, pid *actor.PID) { w.root.Send(pid, "restart") },
		"stop":    func(w *world, pid *actor.PID) { w.root.Stop(pid) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				free := make(chan struct{})
				places := actors.NewLimiter("places", 3)
				offload := func(pid *actor.PID, fn func() int) (f *actors.Future[int]) {
					want(w, did(w.root, pid, func(t *actors.Task) error {
						f = actors.Offload(t, func(context.Context) (int, error) { return fn(), nil }, actors.Through(places))
						return nil
					}), struct{}{})
					return f
				}
				block := func() int { <-free; return 1 }
				setup := func(wk *actors.Worker) error {
					actors.On(wk, func(*actors.Task, string) error { panic("restart") })
					return nil
				}
				pid := w.worker("worker", actors.Options{StopGrace: time.Minute}, setup)
				runs := offload(pid, block)
				other := w.worker("other", actors.Options{StopGrace: time.Second}, none)
				for range 2 {
					offload(other, block)
				}
				began := false
				waits := offload(pid, func() int { began = true; return 1 })
				start := time.Now()
				end(w, pid)
				for _, f := range []*actors.Future[int]{runs, waits} {
					if _, err := result(f); !errors.Is(err, actors.ErrRestarted) && !errors.Is(err, actors.ErrStopped) || time.Since(start) != 0 {
						w.Errorf("its future: %v, after %v", err, time.Since(start))
					}
				}
				close(free)
				synctest.Wait()
				if began {
					w.Error("what had not begun has begun after the end")
				}
			})
		})
	}
}

// TestOffloadThatWaitsHoldsUpNoStop: what has no place of its limiter yet never
// begins.
func TestOffloadThatWaitsHoldsUpNoStop(t *testing.T) {
	bubble(t, func(w *world) {
		free := make(chan struct{})
		defer close(free)
		places := actors.NewLimiter("places", 2)
		fill := func(pid *actor.PID, n int) {
			want(w, did(w.root, pid, func(t *actors.Task) error {
				for range n {
					actors.Offload(t, func(context.Context) (int, error) { <-free; return 1, nil }, actors.Through(places))
				}
				return nil
			}), struct{}{})
		}
		fill(w.worker("other", actors.Options{StopGrace: time.Second}, none), 2)
		pid := w.worker("worker", actors.Options{StopGrace: time.Minute}, none)
		fill(pid, 1)
		start := time.Now()
		w.stopped(pid, -1)
		if took := time.Since(start); took != 0 {
			w.Errorf("the forced stop took %v", took)
		}
	})
}

// TestOffloadEndsWithItsDeadline: the context of what is offloaded ends by its own
// timer, which may come before the clock has ended the task that waits for it. The task
// has run out of time all the same: it counts as canceled, and its future says so.
func TestOffloadEndsWithItsDeadline(t *testing.T) {
	said := map[string]func(ctx context.Context) error{
		"its Err":    func(ctx context.Context) error { return fmt.Errorf("query: %w", ctx.Err()) },
		"its cause":  context.Cause,
		"ErrTimeout": func(context.Context) error { return actors.ErrTimeout },
	}
	for name, say := range said {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				limiter := actors.NewLimiter("places", 2)
				blocked := func(t *actors.Task) (int, error) {
					return actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) {
						<-ctx.Done()
						return 0, say(ctx)
					}, actors.Through(limiter)))
				}
				pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
					actors.Handle(wk, func(t *actors.Task, _ int) (int, error) { return blocked(t) })
					actors.On(wk, func(t *actors.Task, _ string) error { _, err := blocked(t); return err })
					return nil
				})
				const rounds = 50 // which timer is first is random in a bubble
				for range rounds {
					limit := actors.Timeout(50 * time.Millisecond)
					for _, err := range []error{
						func() error { _, err := result(actors.RequestFuture[int](w.root, pid, 1, limit)); return err }(),
						func() error { _, err := result(actors.RequestFuture[actors.None](w.root, pid, "x", limit)); return err }(),
						func() error { _, err := result(actors.Submit(w.root, pid, blocked, limit)); return err }(),
					} {
						if !errors.Is(err, actors.ErrTimeout) {
							w.Fatalf("the asker was told %v", err)
						}
					}
					time.Sleep(time.Second)
				}
				c := w.stopped(pid, 0)
				if c.Canceled != 3*rounds || c.Failed != 0 {
					w.Errorf("the account: %v; want all of them canceled", c)
				}
			})
		})
	}
}
