// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// A Submit that comes while the worker is being spawned runs, or is told that
// there is no such worker yet; never that it is a plain actor.
func TestEngineSendWhileSpawningSubmit(t *testing.T) {
	bubble(t, func(w *world) {
		var f *actors.Future[int]
		pid, err := w.root.SpawnNamed(actors.Props(none, actor.WithOnInit(func(c actor.Context) {
			f = actors.Submit(w.root, c.Self(), func(*actors.Task) (int, error) { return 7, nil })
		})), "known")
		if err != nil {
			w.Fatal(err)
		}
		if v, err := result(f); v != 7 && !errors.Is(err, actors.ErrDeadLetter) {
			w.Errorf("%v, %v", v, err)
		}
		w.stopped(pid, 0)
	})
}

// In the engine work that comes in while an actor stops is lost without a
// word. Here each has its end before the account of the worker is closed.
func TestEngineQueueAtStopRace(t *testing.T) {
	for range 100 {
		bubble(t, func(w *world) {
			pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(_ *actors.Task, n int) (int, error) { return n, nil })
				return nil
			})
			begin := make(chan struct{})
			var senders sync.WaitGroup
			for i := range 4 {
				senders.Go(func() {
					<-begin
					for n := range 50 {
						if i%2 == 0 {
							wantEnd(w, actors.RequestFuture[int](w.root, pid, n), n)
						} else {
							wantEnd(w, actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return n, nil }), n)
						}
					}
				})
			}
			close(begin)
			w.stopped(pid, -1)
			senders.Wait()
		})
	}
}

// wantEnd fails the test unless f ends with v, or never ran.
func wantEnd(w *world, f *actors.Future[int], v int) {
	got, err := result(f)
	switch {
	case err == nil && got == v:
	case errors.Is(err, actors.ErrStopping), errors.Is(err, actors.ErrStopped), errors.Is(err, actors.ErrDeadLetter):
	default:
		w.Errorf("got %v, %v; want %v or that the worker ends", got, err, v)
	}
}

// A restart races with requests, cancels and timeouts: what has not started
// goes to the next incarnation, in order.
func TestEnginePanicTellsNobodyRace(t *testing.T) {
	bubble(t, func(w *world) {
		last := -1
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, n int) (int, error) {
				if n < last {
					return n, errors.New("out of order")
				}
				if last = n; n%50 == 49 {
					panic("boom")
				}
				return n, nil
			})
			return nil
		})
		for round := range 5 {
			var fs []*actors.Future[int]
			for i := range 100 {
				fs = append(fs, actors.RequestFuture[int](w.root, pid, 1000*round+i, actors.Timeout(time.Hour)))
				if i%7 == 0 {
					fs[i].Cancel()
				}
			}
			for i, f := range fs {
				v, err := result(f)
				var p *actors.PanicError
				switch {
				case err == nil && v == 1000*round+i:
				case i%7 == 0 && errors.Is(err, actors.ErrCanceled):
				case i%50 == 49 && errors.As(err, &p):
				default:
					w.Errorf("request %d of round %d: %v, %v", i, round, v, err)
				}
			}
			time.Sleep(10 * time.Second) // the budget of restarts
		}
	})
}

// The engine's future races with its own timeout: completions from all sides
// at once must agree on one result.
func TestEngineOverwritesRace(t *testing.T) {
	for range 200 {
		p := new(actors.Promise[int])
		var wg sync.WaitGroup
		var mu sync.Mutex
		decided := 0
		for i := range 4 {
			wg.Go(func() {
				var won bool
				switch i {
				case 0:
					won = p.Resolve(1)
				case 1:
					won = p.Reject(errors.New("rejected"))
				case 2:
					won = p.Future().Cancel()
				case 3:
					won = p.Resolve(2)
				}
				if won {
					mu.Lock()
					decided++
					mu.Unlock()
				}
			})
		}
		var got [4]string
		for i := range got {
			wg.Go(func() {
				v, err := result(p.Future())
				got[i] = fmt.Sprint(v, err)
			})
		}
		wg.Wait()
		v, err := p.Future().TryResult()
		for _, g := range got {
			if g != fmt.Sprint(v, err) || decided != 1 {
				t.Fatalf("waiters saw %q, then it was %v, %v; %d calls decided it", got, v, err, decided)
			}
		}
	}
}

// In the engine who sends to a name while that is being spawned panics. Here
// many do, at any moment of many spawns.
func TestEngineSendWhileSpawningRace(t *testing.T) {
	bubble(t, func(w *world) {
		for i := range 200 {
			name := fmt.Sprintf("known-%d", i)
			pid := w.sys.NewLocalPID(name)
			stop := make(chan struct{})
			done := make(chan error)
			go func() {
				for {
					select {
					case <-stop:
						done <- nil
						return
					default:
					}
					_, err := result(actors.RequestFuture[string](w.root, pid, 1))
					if err != nil && !errors.Is(err, actors.ErrDeadLetter) {
						done <- err
						return
					}
				}
			}()
			spawned := w.worker(name, actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, int) (string, error) { return "ok", nil })
				return nil
			})
			want(w, actors.RequestFuture[string](w.root, spawned, 1), "ok")
			close(stop)
			if err := <-done; err != nil {
				w.Fatal(err)
			}
			w.stopped(spawned, 0)
		}
	})
}
