// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// TestStashKeepsTheAccount: of whatever is stashed, and when. A stop ends when
// all that was accepted is accounted for.
func TestStashKeepsTheAccount(t *testing.T) {
	later := make(chan any, 1)
	for name, receive := range map[string]actor.ReceiveFunc{
		"twice": func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				c.Stash()
				c.Stash()
			}
		},
		"lifecycle messages": func(c actor.Context) {
			if _, ok := c.Message().(string); !ok {
				c.Stash()
			}
		},
		"after the handler has returned": func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				actors.Start(actors.TaskOf(c), func(t *actors.Task) (struct{}, error) {
					err := t.Sleep(time.Second)
					later <- testtools.PanicOf(t.Stash)
					return struct{}{}, err
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.dropIn(actors.Options{StopGrace: time.Second}, receive)
				w.root.Send(pid, "x")
				time.Sleep(time.Minute)
				w.stopped(pid, time.Second)
			})
		})
	}
	testtools.WantText(t, <-later, "Stash", "returned")
}

// TestStashOfAnAbandonedHandler: a child that goes on has nothing to stash.
func TestStashOfAnAbandonedHandler(t *testing.T) {
	bubble(t, func(w *world) {
		goOn := make(chan struct{})
		defer close(goOn)
		lives := 0
		sup, pid := w.supervised(supervisor.Child{Props: actors.Props(func(wk *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(wk, func(t *actors.Task, _ string) error {
				if first {
					actors.Start(t, func(t *actors.Task) (int, error) {
						err := t.Sleep(time.Hour)
						t.Stash()
						return 0, err
					})
					<-goOn
				}
				return nil
			})
			return nil
		}, actors.EventLoop(actors.Options{StopGrace: time.Second}))})
		w.root.Send(pid, "x")
		synctest.Wait()
		if err := sup.Restart(context.Background(), "child"); err != nil {
			w.Fatal(err)
		}
		if c := w.stopped(pid, time.Second); c.Accepted != 1 || c.Abandoned != 1 {
			w.Errorf("the account: %v", c)
		}
		_, _ = sup.Stop(context.Background())
	})
}

// TestStashedRequestEndsWithItsAsker: who has the message anew is told what
// the first would have been.
func TestStashedRequestEndsWithItsAsker(t *testing.T) {
	type call struct {
		w     *world
		pid   *actor.PID
		other *actor.PID
	}
	for name, ask := range map[string]func(c call) (end func()){
		"a cancel": func(c call) func() {
			f := actors.RequestFuture[string](c.w.root, c.pid, "x")
			return func() { f.Cancel() }
		},
		"its context": func(c call) func() {
			ctx, cancel := context.WithCancel(context.Background())
			actors.RequestFuture[string](c.w.root, c.pid, "x", actors.WithContext(ctx))
			return cancel
		},
		"its budget": func(c call) func() {
			actors.RequestFuture[string](c.w.root, c.pid, "x", actors.Timeout(time.Minute))
			return func() { time.Sleep(time.Minute) }
		},
		"the cancel of its creator": func(c call) func() {
			f := did(c.w.root, c.other, func(t *actors.Task) error {
				_, err := actors.Ask[string](t, c.pid, "x")
				return err
			})
			return func() { f.Cancel() }
		},
	} {
		for first, how := range map[string]func(t *actors.Task){
			"stashed":               func(t *actors.Task) { t.Stash(); panic("first") },
			"stashed, then cut off": func(t *actors.Task) { t.Stash(); _ = t.Sleep(time.Hour) },
			"retried":               func(*actors.Task) { panic("first") },
		} {
			t.Run(name+"/"+first, func(t *testing.T) {
				bubble(t, func(w *world) {
					runs := 0
					ended := make(chan error, 1)
					sup, pid := w.supervised(supervisor.Child{
						OnCrash: supervisor.CrashPolicy{Retries: 1},
						Props: actors.Props(func(wk *actors.Worker) error {
							actors.Handle(wk, func(t *actors.Task, m string) (string, error) {
								if runs++; runs == 1 {
									how(t)
									return m, nil
								}
								err := t.Sleep(time.Hour)
								ended <- err
								return m, err
							})
							return nil
						})})
					end := ask(call{w, pid, w.worker("other", actors.Options{}, none)})
					synctest.Wait()
					if first == "stashed, then cut off" {
						if err := sup.Restart(context.Background(), "child"); err != nil {
							w.Fatal(err)
						}
					}
					time.Sleep(time.Second)
					synctest.Wait()
					if runs != 2 || len(ended) > 0 {
						w.Fatalf("%d runs, %d ended", runs, len(ended))
					}
					end()
					synctest.Wait()
					select {
					case err := <-ended:
						if err == nil {
							w.Error("it slept on")
						}
					default:
						w.Error("its work goes on")
					}
					_, _ = sup.Stop(context.Background())
				})
			})
		}
	}
}

// TestStashedAndNeverHandled: a message whose handler has run, in however many
// incarnations, and which the last of them leaves in the stash.
func TestStashedAndNeverHandled(t *testing.T) {
	for name, test := range map[string]struct {
		panics int // times, after it has stashed the message
		want   actors.Counts
		told   error
	}{
		"stashed":              {0, actors.Counts{Offered: 3, Accepted: 3, Canceled: 2, DeadLettered: 1}, actors.ErrStopped},
		"stashed and panicked": {3, actors.Counts{Offered: 3, Accepted: 3, Failed: 3}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				dead := testtools.DeadLetters(w.sys)
				runs := map[string]int{}
				pid := w.worker("worker", actors.Options{Logger: discard()}, func(wk *actors.Worker) error {
					actors.On(wk, func(t *actors.Task, m string) error {
						t.Stash()
						if runs[m]++; runs[m] <= test.panics {
							panic("after it was stashed")
						}
						return nil
					})
					return nil
				})
				f := actors.RequestFuture[int](w.root, pid, "a future's")
				engine := w.root.RequestFuture(pid, "an actor's", time.Hour)
				w.root.Send(pid, "nobody's")
				synctest.Wait()
				c := w.stopped(pid, time.Second)
				if c != test.want {
					w.Errorf("the account is %+v, want %+v", c, test.want)
				}
				synctest.Wait() // dead letters are told on a goroutine of their own
				_, err := f.TryResult()
				failure := wantFailure(w, engine, test.told)
				var p *actors.PanicError
				if test.panics > 0 && !errors.As(err, &p) || errors.Is(err, actors.ErrStopping) || test.told != nil && !errors.Is(err, test.told) {
					w.Errorf("the asker was told %v", err)
				}
				if !failure.GetRan() || failure.GetRetrySafe() || errors.Is(failure, actors.ErrStopping) {
					w.Errorf("the plain asker was told %v", failure)
				}
				if n := len(dead.Take()); n != int(c.DeadLettered) {
					w.Errorf("%d dead letters", n)
				}
			})
		})
	}
}

// TestStashedRequestIsAnsweredOnce: a plain asker does not hear of the first
// incarnation's end.
func TestStashedRequestIsAnsweredOnce(t *testing.T) {
	bubble(t, func(w *world) {
		runs := 0
		pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
			actors.On(wk, func(t *actors.Task, _ string) error {
				if runs++; runs == 1 {
					t.Stash()
					panic("first")
				}
				t.Respond("answer")
				return nil
			})
			return nil
		})
		if r, err := w.root.RequestFuture(pid, "x", time.Minute).Result(); r != "answer" || err != nil {
			w.Errorf("got %v, %v", r, err)
		}
	})
}
