// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/seeded"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

func nothing(*actors.Task) error { return nil }

// It begins when it is due, what is due at the same time in the order of the calls, also
// where the worker takes no more messages, and is in no account.
func TestAfterBeginsInOrder(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{MaxInFlight: 1}, none)
		start := time.Now()
		var tr testtools.Trace
		did(w.root, pid, func(t *actors.Task) error {
			for i, d := range []time.Duration{3 * time.Second, time.Second, time.Second, 0, -1, 2 * time.Second} {
				t.After(d, func(t *actors.Task) error {
					tr.Add("%d after %v", i, time.Since(start))
					return t.Yield()
				})
			}
			tr.Add("the caller goes on")
			return t.Sleep(time.Minute)
		})
		time.Sleep(10 * time.Second)
		tr.Want(w, "the caller goes on", "3 after 0s", "4 after 0s", "1 after 1s", "2 after 1s", "5 after 2s", "0 after 3s")
		time.Sleep(time.Hour)
		if c := w.stopped(pid, 0); c.Accepted != 1 || c.Finished != 1 {
			w.Error(c)
		}
	})
}

// A worker that is blocked when they are due begins them afterwards, in the same order.
func TestAfterOfABlockedWorker(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		var tr testtools.Trace
		want(w, did(w.root, pid, func(t *actors.Task) error {
			for i := range 4 {
				t.After(time.Duration(4-i)*time.Second, func(*actors.Task) error { tr.Add("%d", i); return nil })
			}
			time.Sleep(10 * time.Second)
			return nil
		}), actors.None{})
		synctest.Wait()
		tr.Want(w, "3", "2", "1", "0")
	})
}

// It is the worker's work: neither the return of its creator, nor a cancel, nor its
// budget ends it; it has the values of the creator's context, but not its message.
func TestAfterOutlivesItsCreator(t *testing.T) {
	type key struct{}
	for name, end := range map[string]func(t *actors.Task) error{
		"returns":        nothing,
		"is cancelled":   func(t *actors.Task) error { return t.Sleep(time.Hour) },
		"is out of time": func(t *actors.Task) error { return t.Sleep(time.Hour) },
	} {
		t.Run("that "+name, func(t *testing.T) {
			bubble(t, func(w *world) {
				got := make(chan *actors.Future[actors.None], 1)
				pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
					actors.On(w, func(t *actors.Task, _ string) error {
						got <- t.After(10*time.Second, func(t *actors.Task) error {
							if t.Message() != nil || t.Sender() != nil {
								return errors.New("it has its creator's message")
							}
							if v := t.Context().Value(key{}); v != "value" {
								return fmt.Errorf("the value is %v", v)
							}
							return t.Sleep(20 * time.Second)
						})
						return end(t)
					})
					return nil
				})
				f := actors.RequestFuture[actors.None](w.root, pid, "", actors.Timeout(5*time.Second),
					actors.WithContext(context.WithValue(context.Background(), key{}, "value")))
				synctest.Wait()
				if name == "is cancelled" {
					f.Cancel()
				}
				if name == "returns" {
					wantNow(w, "the handler, which does not wait for it", f, actors.None{})
				}
				want(w, <-got, actors.None{})
			})
		})
	}
}

// Its future tells how it has ended, and the worker goes on.
func TestAfterTellsHowItHasEnded(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		for what, c := range map[string]struct {
			fn   func(t *actors.Task) error
			opts []actors.CallOption
			want error
			took time.Duration
		}{
			"a return":                       {fn: nothing, took: time.Second},
			"an error":                       {fn: func(*actors.Task) error { return errLeft }, want: errLeft, took: time.Second},
			"a panic":                        {fn: func(*actors.Task) error { panic(errRight) }, want: errRight, took: time.Second},
			"a Goexit":                       {fn: func(*actors.Task) error { runtime.Goexit(); return nil }, want: actors.ErrGoexit, took: time.Second},
			"a Timeout, from when it is due": {fn: func(t *actors.Task) error { return t.Sleep(time.Hour) }, opts: []actors.CallOption{actors.Timeout(5 * time.Second)}, want: actors.ErrTimeout, took: 6 * time.Second},
			"a Timeout that is kept":         {fn: func(t *actors.Task) error { return t.Sleep(4 * time.Second) }, opts: []actors.CallOption{actors.Timeout(5 * time.Second)}, took: 5 * time.Second},
			"the longest Timeout":            {fn: nothing, opts: []actors.CallOption{actors.Timeout(math.MaxInt64)}, took: time.Second},
			"no time":                        {fn: func(*actors.Task) error { w.Error("it ran"); return nil }, opts: []actors.CallOption{actors.Timeout(0)}, want: actors.ErrTimeout, took: time.Second},
		} {
			start := time.Now()
			err := t.Await(t.After(time.Second, c.fn, c.opts...))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || time.Since(start) != c.took {
				w.Errorf("%s: got %v after %v", what, err, time.Since(start))
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		err := t.Await(t.After(time.Hour, nothing, actors.WithContext(ctx)))
		if !errors.Is(err, actors.ErrTimeout) || time.Since(start) != time.Second {
			w.Errorf("a context that ends before: %v after %v", err, time.Since(start))
		}
		return t.Yield()
	})
}

// A cancel takes it back, at no price: nothing is left of it, and there was no goroutine.
func TestAfterCanceledBeforeItIsDue(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		var had belongings
		fs := make([]*actors.Future[actors.None], 1000)
		want(w, did(w.root, pid, func(t *actors.Task) error {
			for i := range fs {
				kept := had.make("function")
				fs[i] = t.After(time.Duration(1+i%7)*time.Hour, func(t *actors.Task) error {
					w.Error("it ran")
					runtime.KeepAlive(kept)
					return nil
				})
			}
			return nil
		}), actors.None{})
		synctest.Wait()
		if n := goroutines.InBubble(); n > 100 {
			w.Errorf("there are %d goroutines", n)
		}
		if n := actors.Delayed(w.root, pid); n != len(fs) {
			w.Errorf("%d are there", n)
		}
		errWhy := errors.New("why")
		for i, f := range fs {
			if i%2 == 0 {
				f.Cancel()
				wantFailed(w, "a cancelled one", f, actors.ErrCanceled)
			} else {
				f.CancelCause(errWhy)
				wantFailed(w, "one cancelled with a reason", f, errWhy)
			}
		}
		if n := actors.Delayed(w.root, pid); n != 0 {
			w.Errorf("%d are left", n)
		}
		if held := had.held(); len(held) > 0 {
			w.Error("the functions are held")
		}
		time.Sleep(10 * time.Hour)
		runtime.KeepAlive(fs)
	})
}

// A stop does not wait for what has not begun, and hears what has. Nothing is put off
// while it goes on.
func TestAfterAtTheStop(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		var begun, due, late *actors.Future[actors.None]
		did(w.root, pid, func(t *actors.Task) error {
			begun = t.After(time.Second, func(t *actors.Task) error {
				<-t.Stopping()
				late = t.After(0, func(*actors.Task) error { w.Error("it ran"); return nil })
				return t.Sleep(time.Second)
			})
			due = t.After(time.Hour, func(*actors.Task) error { w.Error("it ran"); return nil }, actors.UntilStop())
			return nil
		})
		time.Sleep(time.Second - 1)
		synctest.Wait()
		told := make(chan error, 1)
		due.OnDone(func(_ actors.None, err error) { told <- err })
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		stop := actors.RequestStop(w.root, pid, 2*time.Hour)
		if err := <-told; !errors.Is(err, actors.ErrStopping) || !actors.RetrySafe(err) {
			w.Error("what is not due:", err)
		}
		start := time.Now()
		if c, err := result(stop); err != nil || time.Since(start) != time.Second {
			w.Errorf("the stop took %v: %v, %v", time.Since(start), c, err)
		}
		wantNow(w, "what had begun", begun, actors.None{})
		wantFailed(w, "what was put off while it stopped", late, actors.ErrStopping)
	})
}

// With its incarnation it ends, and the next one knows nothing of it.
func TestAfterAtARestart(t *testing.T) {
	bubble(t, func(w *world) {
		var fs []*actors.Future[actors.None]
		put := func(t *actors.Task) {
			fs = append(fs, t.After(time.Second, func(*actors.Task) error {
				if n := len(fs); n != 3 {
					w.Errorf("it ran in an incarnation of %d", n)
				}
				return nil
			}))
		}
		sup, _ := w.supervised(supervisor.Child{Props: actors.Props(func(wk *actors.Worker) error {
			put(wk.Task())
			wk.OnStop(func(t *actors.Task) error {
				err := t.Await(t.After(0, nothing))
				if !errors.Is(err, t.StopReason()) && !errors.Is(err, actors.ErrStopping) {
					w.Errorf("in a hook: %v", err)
				}
				return nil
			})
			actors.On(wk, func(*actors.Task, string) error { panic(errLeft) })
			return nil
		}, actors.EventLoop(actors.Options{Logger: discard()}))})
		for i := range 2 {
			time.Sleep(time.Second / 2)
			if i == 0 {
				w.root.Send(sup.Child("child"), "crash")
			} else if err := sup.Restart(w.Context(), "child"); err != nil {
				w.Error(err)
			}
			synctest.Wait()
			wantFailed(w, "that of an incarnation that is over", fs[i], actors.ErrRestarted)
		}
		wantPending(w, "that of the last one", fs[2])
		want(w, fs[2], actors.None{})
		if _, err := sup.Stop(w.Context()); err != nil {
			w.Error(err)
		}
	})
}

// An Exclusive handler is let end before. If it waits for it, that is a ring.
func TestAfterAndAnExclusiveHandler(t *testing.T) {
	bubble(t, func(w *world) {
		var f *actors.Future[actors.None]
		ended := false
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, await bool) error {
				ended = false
				f = t.After(time.Second, func(*actors.Task) error {
					if !ended {
						return errors.New("it ran within the handler")
					}
					return nil
				})
				defer func() { ended = true }()
				if await {
					return t.Await(f)
				}
				return t.Sleep(10 * time.Second)
			}, actors.Exclusive())
			return nil
		})
		_, err := result(actors.RequestFuture[actors.None](w.root, pid, true))
		wantRing(w, "a handler that waits for it", err, "worker")
		want(w, f, actors.None{})
		start := time.Now()
		want(w, actors.RequestFuture[actors.None](w.root, pid, false), actors.None{})
		want(w, f, actors.None{})
		if time.Since(start) != 10*time.Second {
			w.Errorf("after %v", time.Since(start))
		}
	})
}

// It needs no place of MaxInFlight: there is no ring with who has the last one.
func TestAfterOnAFullWorker(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{MaxInFlight: 1}, none)
		want(w, did(w.root, pid, func(t *actors.Task) error { return t.Await(t.After(time.Second, nothing)) }), actors.None{})
	})
}

func TestAfterForEver(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		var f *actors.Future[actors.None]
		want(w, did(w.root, pid, func(t *actors.Task) error { f = t.After(math.MaxInt64, nothing); return nil }), actors.None{})
		time.Sleep(1000 * time.Hour)
		wantPending(w, "for ever", f)
		w.stopped(pid, time.Hour)
		wantFailed(w, "for ever", f, actors.ErrStopping)
	})
}

// An abandoned task can put nothing off.
func TestAfterOfAnAbandonedTask(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, none)
		release, got := make(chan struct{}), make(chan *actors.Future[actors.None], 1)
		did(w.root, pid, func(t *actors.Task) error {
			<-release
			got <- t.After(0, func(*actors.Task) error { w.Error("it ran"); return nil })
			return nil
		})
		w.stopped(pid, time.Second)
		close(release)
		if _, err := result(<-got); !errors.Is(err, actors.ErrStopped) && !errors.Is(err, actors.ErrStopping) {
			w.Error(err)
		}
	})
}

func TestAfterMisuse(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		for what, f := range map[string]func(){
			"nil function":              func() { t.After(0, nil) },
			"an option of Start only":   func() { t.After(0, nothing, g.Member()) },
			"an option of Offload only": func() { t.After(0, nothing, actors.Through(actors.NewLimiter("l", 1))) },
		} {
			testtools.WantPanic(w, f, "actors: ", what)
		}
		return g.Wait()
	})
}

var afterDice = seeded.Flag("after.seed", "TestAfterRaces")

// TestAfterRaces cancels what is due in the same moment, from other goroutines, while the
// worker restarts or stops. What was cancelled in time never runs; each future completes,
// and nothing is left. The same seed makes the same choices.
func TestAfterRaces(t *testing.T) {
	for _, dice := range afterDice.Rounds(t, 300) {
		bubble(t, func(w *world) { raceAfter(w, dice) })
	}
}

func raceAfter(w *world, dice *rand.Rand) {
	pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, string) error { panic(errLeft) })
		return nil
	})
	var ran [20]atomic.Bool
	fs := make([]*actors.Future[actors.None], len(ran))
	const moment = time.Millisecond
	ds := make([]time.Duration, len(fs))
	for i := range ds {
		ds[i] = moment + time.Duration(dice.IntN(3)-1)
	}
	want(w, did(w.root, pid, func(t *actors.Task) error {
		for i := range fs {
			fs[i] = t.After(ds[i], func(t *actors.Task) error { ran[i].Store(true); return nil })
		}
		return nil
	}), actors.None{})
	inTime := make([]bool, len(fs))
	for i, f := range fs {
		if dice.IntN(3) == 0 {
			before := time.Duration(dice.IntN(3) - 1)
			inTime[i] = before > 0
			time.AfterFunc(ds[i]-before, func() { f.Cancel() })
		}
	}
	end := time.Duration(dice.IntN(3) - 1)
	switch dice.IntN(3) {
	case 0:
		time.AfterFunc(moment+end, func() { actors.RequestStop(w.root, pid, time.Hour) })
	case 1:
		time.AfterFunc(moment+end, func() { w.root.Send(pid, "crash") })
	}
	time.Sleep(time.Second)
	for i, f := range fs {
		switch _, err := f.TryResult(); {
		case inTime[i] && ran[i].Load():
			w.Errorf("%d ran, which was cancelled before", i)
		case err == nil && ran[i].Load():
		case errors.Is(err, actors.ErrCanceled), errors.Is(err, actors.ErrStopping), errors.Is(err, actors.ErrRestarted):
		default:
			w.Errorf("%d: %v; it ran: %v", i, err, ran[i].Load())
		}
	}
	if n := actors.Delayed(w.root, pid); n != 0 {
		w.Errorf("%d are left", n)
	}
}
