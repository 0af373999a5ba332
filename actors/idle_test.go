// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// idles spawns a worker with an IdleAfter of a minute, and returns a function that waits
// for its end and says how long that was after begin.
func (w *world) idles(name string, setup func(w *actors.Worker) error) (pid *actor.PID, endedAfter func(begin time.Time) time.Duration) {
	w.Helper()
	ended := make(chan time.Time, 1)
	pid = w.worker(name, actors.Options{IdleAfter: time.Minute}, func(wk *actors.Worker) error {
		wk.OnStop(func(*actors.Task) error { ended <- time.Now(); return nil })
		return setup(wk)
	})
	return pid, func(begin time.Time) time.Duration {
		select {
		case at := <-ended:
			return at.Sub(begin)
		case <-time.After(24 * time.Hour):
			return -1
		}
	}
}

// wantIdle checks that a worker has ended when it was idle for a minute, and no more
// than an eighth later.
func (w *world) wantIdle(what string, took time.Duration) {
	w.Helper()
	if took < time.Minute || took > time.Minute+time.Minute/8 {
		w.Errorf("%s: it has ended after %v, want a minute and at most an eighth", what, took)
	}
}

// TestIdleAfter: a worker ends when it has had nothing to do for so long, whatever that
// was, and not before.
func TestIdleAfter(t *testing.T) {
	sleeps := func(d time.Duration) func(t *actors.Task) error {
		return func(t *actors.Task) error { return t.Sleep(d) }
	}
	for _, c := range []struct {
		what string
		work func(w *world, pid *actor.PID) // returns when the last of it has ended
	}{
		{"nothing", func(*world, *actor.PID) {}},
		{"messages, with less than a minute between them", func(w *world, pid *actor.PID) {
			for i := range 100 {
				time.Sleep(time.Duration(i%59) * time.Second)
				want(w, actors.RequestFuture[int](w.root, pid, i), i)
			}
		}},
		{"one-way messages", func(w *world, pid *actor.PID) {
			for i := range 100 {
				time.Sleep(59 * time.Second)
				w.root.Send(pid, i)
			}
		}},
		{"a handler that awaits for an hour", func(w *world, pid *actor.PID) {
			if _, err := did(w.root, pid, sleeps(time.Hour)).Wait(context.Background()); err != nil {
				w.Error(err)
			}
		}},
		{"a task that outlives what has started it", func(w *world, pid *actor.PID) {
			want(w, did(w.root, pid, func(t *actors.Task) error { t.Go(sleeps(time.Hour)); return nil }), actors.None{})
			time.Sleep(time.Hour)
		}},
		{"a detached task", func(w *world, pid *actor.PID) {
			want(w, did(w.root, pid, func(t *actors.Task) error { t.Go(sleeps(time.Hour), actors.Detached()); return nil }), actors.None{})
			time.Sleep(time.Hour)
		}},
		{"a function that begins later", func(w *world, pid *actor.PID) {
			want(w, did(w.root, pid, func(t *actors.Task) error { t.After(time.Hour, sleeps(0)); return nil }), actors.None{})
			time.Sleep(time.Hour)
		}},
		{"an offloaded function", func(w *world, pid *actor.PID) {
			want(w, did(w.root, pid, func(t *actors.Task) error {
				actors.Offload(t, func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil })
				return nil
			}), actors.None{})
			time.Sleep(time.Hour)
		}},
	} {
		bubble(t, func(w *world) {
			pid, endedAfter := w.idles("w", func(wk *actors.Worker) error {
				actors.Handle(wk, func(_ *actors.Task, n int) (int, error) { return n, nil })
				return nil
			})
			c.work(w, pid)
			w.wantIdle(c.what, endedAfter(time.Now()))
			time.Sleep(time.Second)
			f := actors.RequestFuture[int](w.root, pid, 1)
			wantErr(w, f, actors.ErrDeadLetter)
			if _, err := result(f); !actors.RetrySafe(err) {
				w.Errorf("%s: a retry is not safe: %v", c.what, err)
			}
		})
	}
}

// TestIdleAfterInTheBackground: a Background does not keep a worker from ending, but what
// it starts does; a Main does.
func TestIdleAfterInTheBackground(t *testing.T) {
	bubble(t, func(w *world) {
		begin := time.Now()
		_, endedAfter := w.idles("ticks", func(wk *actors.Worker) error {
			wk.Background("tick", func(t *actors.Task) error {
				for {
					if stop, err := t.SleepOrStop(time.Second); stop || err != nil {
						return err
					}
				}
			})
			return nil
		})
		w.wantIdle("a Background", endedAfter(begin))

		begin = time.Now()
		_, endedAfter = w.idles("starts", func(wk *actors.Worker) error {
			wk.Background("start", func(t *actors.Task) error {
				t.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
				return nil
			})
			return nil
		})
		w.wantIdle("what a Background has started", endedAfter(begin)-time.Hour)

		_, endedAfter = w.idles("lives", func(wk *actors.Worker) error {
			wk.Main(func(t *actors.Task) error { _, err := t.SleepOrStop(100 * time.Hour); return err })
			return nil
		})
		if took := endedAfter(begin); took != -1 {
			w.Errorf("a worker with a Main has ended after %v", took)
		}
	})
}

// TestIdleAfterARestart: the next incarnation has all of its time.
func TestIdleAfterARestart(t *testing.T) {
	bubble(t, func(w *world) {
		ended := make(chan error, 10)
		pid := w.worker("w", actors.Options{IdleAfter: time.Minute}, func(wk *actors.Worker) error {
			wk.OnStop(func(t *actors.Task) error { ended <- t.StopReason(); return nil })
			actors.On(wk, func(*actors.Task, string) error { panic("boom") })
			return nil
		})
		for range 3 {
			time.Sleep(50 * time.Second)
			_, _ = result(actors.RequestFuture[actors.None](w.root, pid, "fail"))
			if err := <-ended; !errors.Is(err, actors.ErrRestarted) {
				w.Errorf("it ends because of %v", err)
			}
		}
		begin := time.Now()
		err := <-ended
		w.wantIdle("after three restarts", time.Since(begin))
		if !errors.Is(err, actors.ErrStopped) {
			w.Errorf("it ends because of %v", err)
		}
	})
}

// TestIdleAfterOfAPlainActor: one on an EventLoop has it, too.
func TestIdleAfterOfAPlainActor(t *testing.T) {
	bubble(t, func(w *world) {
		stopped := make(chan time.Time, 1)
		begin := time.Now()
		w.dropIn(actors.Options{IdleAfter: time.Minute}, func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopped); ok {
				stopped <- time.Now()
			}
		})
		w.wantIdle("a plain actor", (<-stopped).Sub(begin))
	})
}

// TestIdleAfterLosesNothing: a message that comes at the moment when its worker ends is
// handled, or is told that it was not. Many senders are let loose at each look.
func TestIdleAfterLosesNothing(t *testing.T) {
	bubble(t, func(w *world) {
		handled, refused := 0, 0
		for round := range 40 {
			runs := make(chan int, 100)
			pid := w.worker(fmt.Sprint("w", round), actors.Options{IdleAfter: 16 * time.Second}, func(wk *actors.Worker) error {
				actors.Handle(wk, func(t *actors.Task, n int) (int, error) { runs <- n; return n, nil })
				return nil
			})
			time.Sleep(17 * time.Second) // now is the last look
			var senders sync.WaitGroup
			var mu sync.Mutex
			answers := 0
			for i := range 8 {
				senders.Go(func() {
					n, err := result(actors.RequestFuture[int](w.root, pid, i))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil && n == i:
						answers++
					case actors.RetrySafe(err):
						refused++
					default:
						w.Errorf("a request is told %d, %v", n, err)
					}
				})
			}
			senders.Wait()
			if len(runs) != answers {
				w.Errorf("%d requests have run, and %d are told so", len(runs), answers)
			}
			handled += answers
			time.Sleep(time.Minute)
		}
		w.Logf("%d handled, %d refused", handled, refused)
	})
}
