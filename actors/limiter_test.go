// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// hanging offloads n functions of a worker that return when free is closed.
func hanging(w *world, pid *actor.PID, n int, free chan struct{}, opts ...actors.CallOption) {
	w.Helper()
	want(w, did(w.root, pid, func(t *actors.Task) error {
		for range n {
			actors.Offload(t, func(context.Context) (int, error) { <-free; return 0, nil }, opts...)
		}
		return nil
	}), struct{}{})
}

// offloads has a worker offload something, and returns its future.
func offloads(w *world, pid *actor.PID, fn func() int, opts ...actors.CallOption) (f *actors.Future[int]) {
	w.Helper()
	want(w, did(w.root, pid, func(t *actors.Task) error {
		f = actors.Offload(t, func(context.Context) (int, error) { return fn(), nil }, opts...)
		return nil
	}), struct{}{})
	return f
}

// TestOffloadsOfOneWorkerHoldUpNoOther: whatever a worker's functions wait for.
func TestOffloadsOfOneWorkerHoldUpNoOther(t *testing.T) {
	t.Run("functions that hang", func(t *testing.T) {
		bubble(t, func(w *world) {
			free := make(chan struct{})
			busy := w.worker("busy", actors.Options{}, none)
			hanging(w, busy, 200, free)
			begin := time.Now()
			want(w, offloads(w, w.worker("other", actors.Options{}, none), func() int { return 7 }), 7)
			if waited := time.Since(begin); waited != 0 {
				w.Errorf("the other worker's function waited %v", waited)
			}
			close(free)
		})
	})
	t.Run("functions that wait for another worker's", func(t *testing.T) {
		bubble(t, func(w *world) {
			back := w.worker("back", actors.Options{}, func(wk *actors.Worker) error {
				actors.Handle(wk, func(t *actors.Task, n int) (int, error) {
					return actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { return n, nil }))
				})
				return nil
			})
			front := w.worker("front", actors.Options{}, none)
			var fs []*actors.Future[int]
			want(w, did(w.root, front, func(t *actors.Task) error {
				for i := range 1000 {
					fs = append(fs, actors.Offload(t, func(ctx context.Context) (int, error) {
						return actors.RequestFuture[int](w.root, back, i).Wait(ctx)
					}))
				}
				return nil
			}), struct{}{})
			for i, f := range fs {
				want(w, f, i)
			}
		})
	})
}

// TestMaxOffloads: as many run at a time, and in the order they were offloaded.
func TestMaxOffloads(t *testing.T) {
	for _, c := range []struct{ option, offloaded, run int }{{0, 300, 128}, {3, 10, 3}, {-1, 1000, 1000}} {
		t.Run(fmt.Sprint(c.option), func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("w", actors.Options{MaxOffloads: c.option}, none)
				var mu sync.Mutex
				var order []int
				running, most := 0, 0
				want(w, did(w.root, pid, func(t *actors.Task) error {
					for i := range c.offloaded {
						actors.Offload(t, func(context.Context) (int, error) {
							mu.Lock()
							running++
							most = max(most, running)
							order = append(order, i)
							mu.Unlock()
							time.Sleep(time.Second)
							mu.Lock()
							running--
							mu.Unlock()
							return 0, nil
						})
					}
					return nil
				}), struct{}{})
				time.Sleep(time.Duration(c.offloaded) * time.Second)
				mu.Lock()
				defer mu.Unlock()
				if most != c.run || len(order) != c.offloaded {
					w.Errorf("%d of %d ran at a time, and %d at all; want %d at a time", most, c.offloaded, len(order), c.run)
				}
				for from := 0; from < len(order); from += c.run { // which of one round is first is not ours to say
					slices.Sort(order[from:min(from+c.run, len(order))])
				}
				if !slices.IsSorted(order) {
					w.Errorf("they began in the order %v", order)
				}
			})
		})
	}
}

// TestMaxOffloadsIsOfAnIncarnation: what an earlier one has left hanging takes
// no places.
func TestMaxOffloadsIsOfAnIncarnation(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{MaxOffloads: 1, StopGrace: -1}, func(wk *actors.Worker) error {
			actors.On(wk, func(*actors.Task, string) error { panic("restart") })
			return nil
		})
		free := make(chan struct{})
		defer close(free)
		hanging(w, pid, 2, free)
		w.root.Send(pid, "restart")
		want(w, offloads(w, pid, func() int { return 7 }), 7)
	})
}

// TestLimiterIsFairBetweenWorkers: the one that waits for one function is served
// before the hundred that another one has waiting.
func TestLimiterIsFairBetweenWorkers(t *testing.T) {
	bubble(t, func(w *world) {
		db := actors.NewLimiter("db", 1)
		var mu sync.Mutex
		var order []string
		note := func(what string) func() int {
			return func() int {
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, what)
				return 0
			}
		}
		var last *actors.Future[int]
		for _, c := range []struct {
			name string
			n    int
		}{{"a", 4}, {"b", 2}, {"c", 1}} {
			pid := w.worker(c.name, actors.Options{MaxOffloads: 1}, none)
			for i := range c.n {
				f := offloads(w, pid, note(fmt.Sprint(c.name, i)), actors.Through(db))
				if c.name == "a" {
					last = f
				}
			}
		}
		want(w, last, 0)
		if got, want := strings.Join(order, " "), "a0 a1 b0 c0 a2 b1 a3"; got != want {
			w.Errorf("they ran in the order %s, want %s", got, want)
		}
	})
}

// TestOffloadTakesOptions: the function's context has the call's bound and values.
func TestOffloadTakesOptions(t *testing.T) {
	bubble(t, func(w *world) {
		type key struct{}
		pid := w.worker("w", actors.Options{}, none)
		ctx := context.WithValue(context.Background(), key{}, 5)
		var f *actors.Future[int]
		seen := make(chan any, 1)
		want(w, did(w.root, pid, func(t *actors.Task) error {
			f = actors.Offload(t, func(ctx context.Context) (int, error) {
				seen <- ctx.Value(key{})
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}, actors.Timeout(time.Second), actors.WithContext(ctx))
			return nil
		}), struct{}{})
		begin := time.Now()
		wantErr(w, f, actors.ErrTimeout)
		if took, v := time.Since(begin), <-seen; took != time.Second || v != 5 {
			w.Errorf("it ended after %v, and saw the value %v", took, v)
		}
		testtools.WantPanic(w, func() {
			actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 0, nil }, actors.Through(actors.NewLimiter("x", 1)))
		}, "Through is an option of Offload only")
		testtools.WantPanic(w, func() { actors.Through(nil) }, "actors: Through: limiter is nil")
		testtools.WantPanic(w, func() { actors.Through(new(actors.Limiter)) }, "actors: Through: limiter is one that NewLimiter has not made")
	})
}

// TestOffloadThatDoesNotMoveIsTold: in the log, and to whoever looks.
func TestOffloadThatDoesNotMoveIsTold(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{MaxOffloads: 2}, none)
		free := make(chan struct{})
		hanging(w, pid, 2, free)
		var f *actors.Future[int]
		waiting := did(w.root, pid, func(t *actors.Task) error {
			f = actors.Offload(t, func(context.Context) (int, error) { return 0, nil })
			_, err := actors.Await(t, f)
			return err
		})
		synctest.Wait()
		info := inspect.System(w.sys).Workers[0]
		if info.Offloads != 2 || info.OffloadsWaiting != 1 {
			w.Errorf("inspect.System shows %d that run and %d that wait, want 2 and 1", info.Offloads, info.OffloadsWaiting)
		}
		if awaits := info.Tasks[0].Awaits; !strings.HasSuffix(awaits, ", which waits for a place") {
			w.Errorf("inspect.System shows a task that awaits %q", awaits)
		}
		told := func() int {
			return len(actortest.LogOf(w.sys).Find(slog.LevelWarn, "no offloaded function returns"))
		}
		time.Sleep(9 * time.Second)
		if n := told(); n != 0 {
			w.Errorf("told %d times after 9 s", n)
		}
		time.Sleep(2 * time.Second)
		if n := told(); n != 1 {
			w.Errorf("told %d times after 11 s", n)
		}
		time.Sleep(50 * time.Second)
		if n := told(); n != 1 {
			w.Errorf("told %d times within a minute", n)
		}
		time.Sleep(time.Minute)
		if n := told(); n != 2 {
			w.Errorf("told %d times within two minutes", n)
		}
		if log := actortest.LogOf(w.sys).String(); !strings.Contains(log, "for=1m10s") {
			w.Errorf("not told that nothing has returned for 1m10s:\n%s", log)
		}
		close(free)
		want(w, waiting, struct{}{})
		time.Sleep(time.Hour)
		if n := told(); n != 2 {
			w.Errorf("told %d times once nothing waited", n)
		}
	})
}

// A function that waits for one behind it in the same limiter: nobody can know, as what
// a goroutine waits for cannot be seen. It is told as any other that does not move, and a
// Timeout ends it.
func TestOffloadThatWaitsForItsOwnPlace(t *testing.T) {
	bubble(t, func(w *world) {
		one := actors.NewLimiter("one", 1)
		inner := w.worker("inner", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (int, error) {
				return actors.AwaitOffload(t, func(context.Context) (int, error) { return 7, nil }, actors.Through(one))
			})
			return nil
		})
		outer := w.worker("outer", actors.Options{}, none)
		ask := func(opts ...actors.CallOption) *actors.Future[actors.None] {
			return did(w.root, outer, func(t *actors.Task) error {
				return t.AwaitOffload(func(ctx context.Context) error {
					_, err := actors.Call[int](ctx, w.root, inner, "", opts...)
					return err
				}, actors.Through(one))
			})
		}
		wantErr(w, ask(actors.Timeout(5*time.Second)), actors.ErrTimeout)
		stuck := ask()
		time.Sleep(15 * time.Second)
		wantPending(w, "without a Timeout", stuck)
		if told := actortest.LogOf(w.sys).Find(slog.LevelWarn, "no offloaded function returns"); len(told) != 1 {
			w.Errorf("told %d times", len(told))
		}
		stuck.Cancel()
	})
}

// TestOffloadThatEndsFirstLeavesTheLine: what it would have run is not kept by
// those before it.
func TestOffloadThatEndsFirstLeavesTheLine(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{MaxOffloads: 1}, none)
		free := make(chan struct{})
		defer close(free)
		hanging(w, pid, 1, free)
		var big weak.Pointer[[1 << 20]byte]
		func() {
			held := new([1 << 20]byte)
			big = weak.Make(held)
			f := offloads(w, pid, func() int { return int(held[0]) })
			f.Cancel()
			wantErr(w, f, actors.ErrCanceled)
		}()
		synctest.Wait()
		if n := inspect.System(w.sys).Workers[0].OffloadsWaiting; n != 0 {
			w.Errorf("%d wait", n)
		}
		runtime.GC()
		if big.Value() != nil {
			w.Error("the function is still in memory")
		}
	})
}

// TestLimiterOfAPackage: it serves one test in virtual time after the other, and
// then a program. A timer of one must not turn up in another.
func TestLimiterOfAPackage(t *testing.T) {
	db := actors.NewLimiter("db", 1)
	use := func(w *world, meanwhile func()) {
		pid := w.worker("w", actors.Options{}, none)
		free := make(chan struct{})
		hanging(w, pid, 1, free, actors.Through(db))
		f := offloads(w, pid, func() int { return 7 }, actors.Through(db))
		meanwhile()
		close(free)
		want(w, f, 7)
	}
	for range 2 {
		bubble(t, func(w *world) {
			use(w, func() { time.Sleep(2 * time.Minute) })
			if n := len(actortest.LogOf(w.sys).Find(slog.LevelWarn, "no offloaded function returns")); n != 2 {
				w.Errorf("told %d times within two minutes", n)
			}
		})
	}
	sys := actortest.NewSystem(t)
	use(&world{T: t, sys: sys, root: sys.Root}, func() {})
	bubble(t, func(w *world) { use(w, func() {}) })
}

// TestLimiterKeepsNoWorker whose functions have left the line.
func TestLimiterKeepsNoWorker(t *testing.T) {
	bubble(t, func(w *world) {
		db := actors.NewLimiter("db", 1)
		free := make(chan struct{})
		defer close(free)
		hanging(w, w.worker("busy", actors.Options{}, none), 1, free, actors.Through(db))
		var left []weak.Pointer[[1 << 10]byte]
		for i := range 10 {
			state := new([1 << 10]byte)
			left = append(left, weak.Make(state))
			pid := w.worker(fmt.Sprint("gone", i), actors.Options{}, func(*actors.Worker) error { state[0]++; return nil })
			offloads(w, pid, func() int { return 0 }, actors.Through(db))
		}
		for i := range 10 { // the last one leaves first
			w.stopped(actor.NewPID(w.sys.Address(), fmt.Sprint("gone", 9-i)), -1)
		}
		time.Sleep(time.Minute) // coroutines that nothing needs end
		runtime.GC()
		runtime.GC()
		kept := 0
		for _, p := range left {
			if p.Value() != nil {
				kept++
			}
		}
		if kept > 2 { // a pool or a register may have one
			w.Errorf("%d of 10 workers that are gone are still in memory", kept)
		}
	})
}
