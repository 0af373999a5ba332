// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/messages"
)

var errFull = errors.New("disk full")

// TestLateFailureIsLogged: what a task that has been ended fails of is told to
// nobody but the log; that it was ended is no news.
func TestLateFailureIsLogged(t *testing.T) {
	type ends struct{}
	for name, setup := range map[string]func(w *actors.Worker, how func(t *actors.Task) error){
		"Background": func(w *actors.Worker, how func(t *actors.Task) error) { w.Background("flush", how) },
		"Main":       func(w *actors.Worker, how func(t *actors.Task) error) { w.Main(how) },
		"one-way message": func(w *actors.Worker, how func(t *actors.Task) error) {
			actors.On(w, func(t *actors.Task, _ ends) error { return how(t) })
			w.Send(w.Self(), ends{})
		},
		"request": func(w *actors.Worker, how func(t *actors.Task) error) {
			actors.Handle(w, func(t *actors.Task, _ ends) (int, error) { return 0, how(t) })
			actors.RequestFuture[int](w.ActorSystem().Root, w.Self(), ends{})
		},
		"plain request": func(w *actors.Worker, how func(t *actors.Task) error) {
			actors.Handle(w, func(t *actors.Task, _ ends) (int, error) { return 0, how(t) })
			w.ActorSystem().Root.RequestFuture(w.Self(), ends{}, time.Hour)
		},
		"submission": func(w *actors.Worker, how func(t *actors.Task) error) {
			did(w.ActorSystem().Root, w.Self(), how)
		},
		"child": func(w *actors.Worker, how func(t *actors.Task) error) {
			w.Background("parent", func(t *actors.Task) error {
				actors.Start(t, func(t *actors.Task) (int, error) { return 0, how(t) })
				return nil
			})
		},
		"offloaded function": func(w *actors.Worker, how func(t *actors.Task) error) {
			w.Background("parent", func(t *actors.Task) error {
				actors.Offload(t, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					return 0, how(nil)
				})
				return nil
			})
		},
	} {
		for how, f := range map[string]struct {
			f     func(t *actors.Task, ended error) error
			level slog.Level
		}{
			"fails":                  {func(_ *actors.Task, ended error) error { return errors.Join(ended, errFull) }, slog.LevelWarn},
			"panics":                 {func(_ *actors.Task, ended error) error { panic(errFull) }, slog.LevelError},
			"says that it was ended": {func(_ *actors.Task, ended error) error { return ended }, slog.LevelError + 1},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, func(w *world) {
					pid := w.worker("w", actors.Options{StopGrace: time.Second}, func(wk *actors.Worker) error {
						setup(wk, func(t *actors.Task) error {
							ended := context.Canceled
							if t != nil {
								ended = t.Sleep(time.Hour)
							}
							return f.f(t, ended)
						})
						return nil
					})
					synctest.Wait()
					if n := len(actortest.LogOf(w.sys).Find(slog.LevelWarn, "")); n != 0 {
						w.Errorf("%d lines in the log before the end", n)
					}
					w.stopped(pid, -1)
					synctest.Wait()
					lines := actortest.LogOf(w.sys).Find(slog.LevelWarn, "")
					if f.level > slog.LevelError {
						if len(lines) != 0 {
							w.Errorf("logged: %v", lines)
						}
						return
					}
					if len(lines) != 1 || lines[0].Level < f.level {
						w.Fatalf("logged: %v", lines)
					}
					err, _ := lines[0].Attr("error").(error)
					if p, _ := lines[0].Attr("panic").(error); p != nil {
						err = p
					}
					if !errors.Is(err, errFull) {
						w.Errorf("logged: %v", lines)
					}
				})
			})
		}
	}
}

// TestAnsweredAndFailed: a failure after the answer changes nothing for the asker,
// nor in the account; it is logged.
func TestAnsweredAndFailed(t *testing.T) {
	for name, plain := range map[string]bool{"future": false, "plain asker": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("w", actors.Options{}, func(wk *actors.Worker) error {
					actors.Handle(wk, func(t *actors.Task, m string) (any, error) {
						if m == "fails" {
							t.Respond(messages.NewFailure(errTold, true, false))
							return nil, nil
						}
						t.Respond(1)
						return nil, errFull
					})
					return nil
				})
				want := any(1)
				for _, m := range []string{"answers", "fails"} {
					var got any
					var err error
					if plain {
						got, err = w.root.RequestFuture(pid, m, time.Hour).Result()
						if f, ok := got.(*messages.Failure); ok {
							got, err = nil, f
						}
					} else {
						got, err = result(actors.RequestFuture[any](w.root, pid, m))
					}
					if got != want || (err != nil) != (want == nil) {
						w.Errorf("%s: got %v, %v", m, got, err)
					}
					want = nil
				}
				if c := w.stopped(pid, time.Second); c != (actors.Counts{Offered: 2, Accepted: 2, Finished: 1, Failed: 1}) {
					w.Errorf("%+v", c)
				}
				if lines := actortest.LogOf(w.sys).Find(slog.LevelWarn, "told already"); len(lines) != 1 || !errors.Is(lines[0].Attr("error").(error), errFull) {
					w.Errorf("logged: %v", lines)
				}
			})
		})
	}
}
