// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// TestLoggerNamesTheWorker: what handlers, setup and hooks log says whose it is.
func TestLoggerNamesTheWorker(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "a", func(w *actors.Worker) error {
			w.Logger().Info("from setup")
			w.OnStop(func(t *actors.Task) error { t.Logger().Info("from a hook"); return nil })
			return nil
		}, actors.Options{})
		did(sys.Root, pid, func(t *actors.Task) error { t.Logger().Info("from a task"); return nil })
		actortest.Stop(t, sys.Root, pid, time.Second)

		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if c.Message() == "log" {
				actors.TaskOf(c).Logger().Info("from a plain actor")
			}
		}, actors.EventLoop(actors.Options{})))
		sys.Root.Send(plain, "log")
		synctest.Wait()

		records := actortest.LogOf(sys).Find(slog.LevelInfo, "from ")
		if len(records) != 4 {
			t.Fatalf("got %v", records)
		}
		for _, r := range records {
			want := "a"
			if r.Message == "from a plain actor" {
				want = plain.Id
			}
			if got := r.Attr("worker"); got != want {
				t.Errorf("%s: worker is %v, want %s", r.Message, got, want)
			}
		}
	})
}

// badLog is a handler that panics, from when it is told to.
type badLog struct {
	slog.Handler
	on     atomic.Bool
	called atomic.Int32
}

func (b *badLog) Handle(context.Context, slog.Record) error {
	if b.on.Load() {
		b.called.Add(1)
		panic("a log handler")
	}
	return nil
}

func (b *badLog) WithAttrs([]slog.Attr) slog.Handler { return b }

// TestLogHandlerThatPanics: wherever it is called, its worker goes on, or ends,
// as it would have.
func TestLogHandlerThatPanics(t *testing.T) {
	errNo := errors.New("no")
	type at struct {
		*world
		pid *actor.PID
	}
	for name, do := range map[string]func(w at){
		"a one-way message fails":   func(w at) { w.root.Send(w.pid, &jobError{errNo}) },
		"a message without handler": func(w at) { w.root.Send(w.pid, 1.5) },
		"a handler panics":          func(w at) { w.root.Send(w.pid, "panic") },
		"a strange Stop":            func(w at) { w.root.Send(w.pid, &messages.Stop{Token: "guessed"}) },
		"the hooks fail":            func(w at) { w.root.Send(w.pid, "fail the hooks") },
		"an OnDone callback panics": func(w at) {
			f := did(w.root, w.pid, func(t *actors.Task) error { return t.Sleep(1) })
			f.OnDone(func(struct{}, error) { panic("a callback") })
		},
		"a failure is never looked at": func(w at) {
			did(w.root, w.pid, func(*actors.Task) error { return errNo })
			synctest.Wait()
			runtime.GC()
			runtime.GC()
		},
		"a turn blocks": func(w at) {
			did(w.root, w.pid, func(*actors.Task) error { time.Sleep(time.Minute); return nil })
			time.Sleep(2 * time.Minute)
		},
		"a task is abandoned": func(w at) {
			did(w.root, w.pid, func(*actors.Task) error { time.Sleep(time.Minute); return nil })
			synctest.Wait()
			w.root.Send(w.pid, "queued") // a dead letter
			w.root.Stop(w.pid)
			time.Sleep(2 * time.Minute)
		},
		"an answer for nobody": func(w at) {
			w.root.RequestWithCustomSender(w.pid, 1, actor.NewPID("nonhost", "nobody"))
		},
		"a status for nobody": func(w at) {
			w.root.RequestWithCustomSender(w.pid, &messages.StatusRequest{}, actor.NewPID("nonhost", "nobody"))
		},
		"an end that is told to nobody": func(w at) {
			w.root.RequestWithCustomSender(w.pid, "hang", actor.NewPID("nonhost", "nobody"))
			synctest.Wait()
			w.root.Stop(w.pid)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := &badLog{Handler: discard().Handler()}
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				w := &world{T: t, sys: sys, root: sys.Root}
				var hooks bool
				pid := w.worker("w", actors.Options{StopGrace: time.Second}, func(wk *actors.Worker) error {
					actors.On(wk, func(_ *actors.Task, err *jobError) error { return err })
					actors.Handle(wk, func(_ *actors.Task, n int) (int, error) { return n, nil })
					actors.On(wk, func(t *actors.Task, what string) error {
						if what == "hang" {
							return t.Sleep(time.Hour)
						}
						hooks = what == "fail the hooks"
						panic(what)
					})
					wk.OnStop(func(*actors.Task) error {
						if hooks {
							return errNo
						}
						return nil
					})
					wk.OnStop(func(*actors.Task) error {
						if hooks {
							panic("a hook")
						}
						return nil
					})
					return nil
				})
				bad.on.Store(true)
				do(at{w, pid})
				time.Sleep(time.Second)
				synctest.Wait()
				f := did(w.root, pid, func(*actors.Task) error { return nil })
				if _, err := result(f); err != nil && !errors.Is(err, actors.ErrDeadLetter) {
					w.Error(err)
				}
				if bad.called.Load() == 0 && name != "a failure is never looked at" {
					w.Error("nothing was logged")
				}
				bad.on.Store(false) // the engine logs in the goroutine of who sends to nobody
			}, actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(bad) }))
		})
	}
}

// A handler that asks for its logger each time pays for it once.
func TestLoggerOfATaskIsKept(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		if n := testtools.Allocs(100, func() { _ = t.Logger() }); n != 0 {
			w.Errorf("%v allocations", n)
		}
		return nil
	})
}
