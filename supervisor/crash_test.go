// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

// letters collects dead letters.
type letters struct {
	mu  sync.Mutex
	all []supervisor.Crash
}

func (l *letters) add(c supervisor.Crash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
}

func (l *letters) take() []supervisor.Crash {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

type numbered struct {
	n     int
	fails int // incarnations that panic at it
}

// recorder is a part that notes which incarnation has handled what.
type handled struct{ incarnation, n int }

func recording(w *world, into *[]handled) func(int, *actors.Worker) error {
	return func(me int, aw *actors.Worker) error {
		dead := false
		actors.Handle(aw, func(_ *actors.Task, m numbered) (int, error) {
			if dead {
				w.Errorf("incarnation %d got message %d after its crash", me, m.n)
			}
			*into = append(*into, handled{me, m.n})
			if me <= m.fails {
				dead = true
				panic(m.n)
			}
			return me, nil
		})
		return nil
	}
}

// The default: the asker gets the panic, and nobody handles the message again.
func TestCrashFails(t *testing.T) {
	bubble(t, func(w *world) {
		var got []handled
		var l letters
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{
			{Name: "a", Props: w.part("a", recording(w, &got)), OnCrash: supervisor.CrashPolicy{DeadLetter: l.add}}}})
		_, err := w.ask(s.Child("a"), numbered{1, 1})
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != 1 || len(p.Stack) == 0 {
			t.Error(err)
		}
		w.root.Send(s.Child("a"), numbered{2, 2})
		synctest.Wait()
		if want := []handled{{1, 1}, {2, 2}}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		all := l.take()
		if len(all) != 2 || all[1].Message != (numbered{2, 2}) || all[1].Child != "a" || all[1].Supervisor != "app" || all[1].Sender != nil || !errors.As(all[1].Err, &p) {
			t.Errorf("%+v", all)
		}
		// What fails without a message is no letter.
		w.ask(s.Child("a"), exit{errSleep})
		if all := l.take(); len(all) != 1 {
			t.Errorf("%+v", all)
		}
	})
}

// Retries: first of all by the next incarnation, in its place, up to n times.
func TestCrashRetries(t *testing.T) {
	bubble(t, func(w *world) {
		var got []handled
		var l letters
		s := w.start(supervisor.Spec{MaxRestarts: 50, Children: []supervisor.Child{
			{Name: "a", Props: w.part("a", recording(w, &got)), OnCrash: supervisor.CrashPolicy{Retries: 2, DeadLetter: l.add}}}})
		var fs []*actors.Future[int]
		for n := 1; n <= 3; n++ {
			fs = append(fs, w.tell(s.Child("a"), numbered{n, map[int]int{2: 2, 3: 100}[n]}))
		}
		fs = append(fs, w.tell(s.Child("a"), numbered{4, 0}))
		for i, want := range []int{1, 3, 0, 6} {
			n, err := fs[i].Wait(w.Context())
			if n != want || (err != nil) != (i == 2) {
				t.Errorf("message %d: %d, %v", i+1, n, err)
			}
		}
		if want := []handled{{1, 1}, {1, 2}, {2, 2}, {3, 2}, {3, 3}, {4, 3}, {5, 3}, {6, 4}}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if all := l.take(); len(all) != 1 || all[0].Message != (numbered{3, 100}) {
			t.Errorf("%+v", all)
		}
		retried := 0
		for _, e := range eventsOf[supervisor.ChildFailed](w) {
			if e.Retried {
				retried++
			}
		}
		if retried != 4 {
			t.Errorf("%d events say that the message will be handled anew", retried)
		}
		if r := row(w.stop(s).Children, "a"); r.Counts.Finished != 3 || r.Counts.Failed != 1 || r.Restarts != 5 {
			t.Errorf("%+v", r)
		}
	})
}

// All tries of a message are one restart of the intensity: with defaults one
// poison message ends nothing, whatever its Retries. A second one does.
func TestCrashRetriesAreOneRestart(t *testing.T) {
	bubble(t, func(w *world) {
		var l letters
		var got []handled
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: w.part("a", recording(w, &got)),
			OnCrash: supervisor.CrashPolicy{Retries: 3, DeadLetter: l.add}}, w.child("b")}})
		if _, err := w.ask(s.Child("a"), numbered{1, 100}); !isPanic(err) {
			t.Error(err)
		}
		if n, err := w.ask(s.Child("a"), life{}); n != 5 || err != nil {
			t.Fatalf("after one poison message: incarnation %d, %v", n, err)
		}
		if all := l.take(); len(all) != 1 {
			t.Errorf("%d dead letters", len(all))
		}
		w.ask(s.Child("a"), numbered{2, 100})
		var e *supervisor.IntensityError
		if err := ended(s); !errors.As(err, &e) || e.MaxRestarts != 1 {
			t.Errorf("after two within five seconds: %v", err)
		}
		if all := l.take(); len(all) != 1 {
			t.Errorf("%d more dead letters", len(all))
		}
	})
}

func isPanic(err error) bool {
	var p *actors.PanicError
	return errors.As(err, &p)
}

// A message that was to be handled anew, and whose next incarnation never comes,
// has run: its asker gets the panic, and so does the dead letter function.
func TestCrashRetriesEndEarly(t *testing.T) {
	waits := func(c *supervisor.Child) { c.Backoff.Initial = time.Minute }
	for name, test := range map[string]struct {
		child func(c *supervisor.Child)
		end   func(w *world, s *supervisor.Supervisor)
		runs  int
	}{
		"a stop while it waits for its restart": {waits, func(w *world, s *supervisor.Supervisor) { w.stop(s) }, 1},
		"the engine's Stop while it waits":      {waits, func(w *world, s *supervisor.Supervisor) { w.root.Stop(s.Child("bank")) }, 1},
		"Remove while it waits": {waits, func(w *world, s *supervisor.Supervisor) {
			if err := s.Remove(context.Background(), "bank"); err != nil {
				w.Error(err)
			}
		}, 1},
		"the supervisor gives up while it waits": {waits, func(w *world, s *supervisor.Supervisor) {
			w.crash(s.Child("other"))
			var e *supervisor.IntensityError
			if err := ended(s); !errors.As(err, &e) {
				w.Errorf("the supervisor ended with %v", err)
			}
		}, 1},
		"it is not restarted":  {func(c *supervisor.Child) { c.Restart = supervisor.Temporary }, func(*world, *supervisor.Supervisor) {}, 1},
		"the next setup fails": {func(*supervisor.Child) {}, func(_ *world, s *supervisor.Supervisor) { _ = ended(s) }, 1},
	} {
		for _, from := range []string{"future", "actor", "nobody"} {
			t.Run(name+"/"+from, func(t *testing.T) {
				bubble(t, func(w *world) {
					lives, runs := 0, 0
					var l letters
					c := supervisor.Child{Name: "bank", OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: l.add},
						Props: actors.Props(func(aw *actors.Worker) error {
							if lives++; lives > 1 && name == "the next setup fails" {
								return errSleep
							}
							actors.On(aw, func(*actors.Task, string) error { runs++; panic("after the transfer") })
							return nil
						})}
					test.child(&c)
					s := w.start(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{c, w.child("other")}})
					var failures []*messages.Failure
					asker := w.root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
						if f, ok := c.Message().(*messages.Failure); ok {
							failures = append(failures, f)
						}
					}))
					var f *actors.Future[int]
					switch from {
					case "future":
						f = w.tell(s.Child("bank"), "transfer")
					case "actor":
						w.root.RequestWithCustomSender(s.Child("bank"), "transfer", asker)
					default:
						w.root.Send(s.Child("bank"), "transfer")
					}
					time.Sleep(time.Second)
					test.end(w, s)
					synctest.Wait()
					var p *actors.PanicError
					if from == "future" {
						if _, err := f.TryResult(); !errors.As(err, &p) || errors.Is(err, actors.ErrStopping) {
							w.Errorf("the asker was told %v", err)
						}
					}
					if from == "actor" && (len(failures) != 1 || !failures[0].Ran || failures[0].RetrySafe) {
						w.Errorf("the asker was told %v", failures)
					}
					if runs != test.runs {
						w.Errorf("it ran %d times, want %d", runs, test.runs)
					}
					if all := l.take(); len(all) != 1 || all[0].Message != "transfer" || !errors.As(all[0].Err, &p) {
						w.Errorf("dead letters: %+v", all)
					}
					r := w.stop(s)
					counts := row(r.Children, "bank").Counts.Plus(row(r.Children, "(gone before)").Counts)
					if counts != (actors.Counts{Offered: 1, Accepted: 1, Failed: 1}) {
						w.Errorf("the account: %+v", counts)
					}
				})
			})
		}
	}
}

// One that its handler stashes before each panic is no retry, and has no limit
// but the intensity. Then its asker gets the panic, too.
func TestCrashAfterStash(t *testing.T) {
	bubble(t, func(w *world) {
		var l letters
		runs := 0
		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{{Name: "a", OnCrash: supervisor.CrashPolicy{DeadLetter: l.add},
			Props: actors.Props(func(aw *actors.Worker) error {
				actors.On(aw, func(t *actors.Task, _ string) error { runs++; t.Stash(); panic("poison") })
				return nil
			})}}})
		if _, err := w.ask(s.Child("a"), "x"); !isPanic(err) {
			w.Error(err)
		}
		var e *supervisor.IntensityError
		if err := ended(s); !errors.As(err, &e) || runs != 4 {
			w.Errorf("%d runs, ended with %v", runs, err)
		}
		if all := l.take(); len(all) != 1 || !isPanic(all[0].Err) {
			w.Errorf("dead letters: %+v", all)
		}
	})
}

// So does one whose next try was cut off.
func TestCrashRetryIsCutOff(t *testing.T) {
	bubble(t, func(w *world) {
		var l letters
		runs := 0
		s := w.start(supervisor.Spec{Children: []supervisor.Child{
			{Name: "bank", Shutdown: time.Second, OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: l.add},
				Props: actors.Props(func(aw *actors.Worker) error {
					actors.On(aw, func(t *actors.Task, _ string) error {
						if runs++; runs == 1 {
							panic("after the transfer")
						}
						return t.Sleep(time.Hour)
					})
					return nil
				})}}})
		f := w.tell(s.Child("bank"), "transfer")
		synctest.Wait()
		c := w.stop(s).Total
		_, err := f.TryResult()
		w.wants(err, actors.ErrStopped)
		if c != (actors.Counts{Offered: 1, Accepted: 1, Canceled: 1}) {
			w.Errorf("the account: %+v", c)
		}
		if all := l.take(); len(all) != 1 || runs != 2 {
			w.Errorf("%d runs, dead letters: %+v", runs, all)
		}
	})
}

// A dead letter function that panics, blocks, or calls Goexit.
func TestDeadLetterFunction(t *testing.T) {
	bubble(t, func(w *world) {
		var l letters
		n := 0
		s := w.start(supervisor.Spec{MaxRestarts: 50, Children: []supervisor.Child{
			{Name: "a", Props: w.part("a", nil), OnCrash: supervisor.CrashPolicy{DeadLetter: func(c supervisor.Crash) {
				switch n++; n {
				case 1:
					panic("letter")
				case 2:
					runtime.Goexit()
				case 4:
					<-w.hold
				}
				l.add(c)
			}}}}})
		for range 3 {
			w.crash(s.Child("a"))
		}
		if all := l.take(); len(all) != 1 {
			t.Errorf("%d letters", len(all))
		}
		w.crash(s.Child("a"))
		if n, err := w.ask(s.Child("a"), life{}); n != 5 || err != nil { // nobody waits for it …
			t.Error(n, err)
		}
		begin := time.Now()
		w.stop(s) // … but the end, a second
		w.took(begin, time.Second)
	})
}

// Per sender the order stays, across restarts, with and without backoff, for
// one worker and for a group.
func TestOrderAcrossRestarts(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
		for _, backoff := range []time.Duration{0, time.Millisecond} {
			bubble(t, func(w *world) {
				var a, b []handled
				policy := supervisor.CrashPolicy{Retries: 1}
				kids := []supervisor.Child{
					{Name: "a", Props: w.part("a", recording(w, &a)), OnCrash: policy, Backoff: actors.Backoff{Initial: backoff}},
					{Name: "b", Props: w.part("b", recording(w, &b)), OnCrash: policy},
				}
				s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 1000, Children: kids})
				last := w.tell(s.Child("b"), numbered{})
				for n := 1; n <= 300; n++ {
					m := numbered{n: n}
					if n%10 == 0 {
						m.fails = n / 10
					}
					w.root.Send(s.Child("a"), m)
					last = w.tell(s.Child("b"), numbered{n: n})
					if n%50 == 0 {
						synctest.Wait()
					}
				}
				time.Sleep(time.Hour)
				if _, err := last.Wait(w.Context()); err != nil {
					t.Error(err)
				}
				r := w.stop(s)
				inOrder(w, "a", a, 300)
				inOrder(w, "b", b, 300)
				if r.Total.Pending != 0 || row(r.Children, "b").Counts.Finished != 301 {
					t.Errorf("%v", r)
				}
			})
		}
	}
}

// inOrder checks that each was handled, none before a former one was through.
func inOrder(w *world, who string, got []handled, n int) {
	w.Helper()
	seen := 0
	for i, h := range got {
		switch {
		case h.n == seen+1:
			seen++
		case h.n != seen: // a retry
			w.Errorf("%s: message %d after %d", who, h.n, seen)
		}
		if i > 0 && h.incarnation < got[i-1].incarnation {
			w.Errorf("%s: incarnation %d after %d", who, h.incarnation, got[i-1].incarnation)
		}
	}
	if seen != n {
		w.Errorf("%s has handled %d of %d", who, seen, n)
	}
}

// TestProducerPanicsInRestart: a plain actor that its siblings' restart takes along,
// and that cannot be made anew at once, takes them along in turn.
func TestProducerPanicsInRestart(t *testing.T) {
	bubble(t, func(w *world) {
		var made atomic.Int32
		plain := actor.PropsFromProducer(func() actor.Actor {
			if made.Add(1) == 2 {
				panic("no second one")
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				if _, ok := c.Message().(life); ok {
					c.Respond(int(made.Load()))
				}
			})
		}, actors.EventLoop(actors.Options{}))
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 5, Children: []supervisor.Child{w.child("a"), {Name: "p", Props: plain}}})
		w.crash(s.Child("a"))
		if n, err := w.ask(s.Child("p"), life{}); n != 3 || err != nil {
			w.Errorf("the plain actor is the one number %d, %v; want 3", n, err)
		}
		if n, err := w.ask(s.Child("a"), life{}); n != 3 || err != nil {
			w.Errorf("its sibling is in incarnation %d, %v; want 3", n, err)
		}
		w.stop(s)
	})
}
