// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// The stop event, the grace, the cut: what was accepted runs on, new work is
// refused, and the report accounts for all of it.
func TestStopAccount(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), with(w.child("b"), func(c *supervisor.Child) {
			c.Props, c.Shutdown = w.part("b", nil, actors.Options{StopGrace: time.Second}), 3*time.Second
		}), w.child("c")}})
		b := s.Child("b")
		c := s.Child("c")
		quick, slow, never := w.tell(c, sleep{2 * time.Second}), w.tell(c, sleep{time.Hour}), w.tell(b, stuck{})
		queued := w.tell(b, life{}) // behind the turn that blocks
		synctest.Wait()
		op := actortest.Go(t, func() (supervisor.Report, error) { return s.Stop(context.Background()) })
		if !op.Blocked() {
			t.Error("it does not wait")
		}
		refused := w.tell(c, life{})
		_, err := refused.Wait(w.Context())
		w.wants(err, actors.ErrStopping)
		if n, err := w.ask(s.Child("a"), life{}); n != 1 || err != nil { // its turn has not come
			t.Error(n, err)
		}
		time.Sleep(10 * time.Second)
		r, err := op.Result()
		if err != nil {
			t.Fatal(err)
		}
		w.agrees(r)
		for f, want := range map[*actors.Future[int]]error{quick: nil, slow: actors.ErrStopped, never: actors.ErrStopped, queued: actors.ErrStopping} {
			_, err := f.TryResult()
			w.wants(err, want)
		}
		got := row(r.Children, "b")
		want := actors.Counts{Offered: 2, Accepted: 2, Canceled: 1, Abandoned: 1}
		if got.Counts != want || len(got.Abandoned) != 1 || got.Abandoned[0].Name != "supervisor_test.stuck" || !strings.Contains(string(got.Abandoned[0].Stack), "helpers_test.go") {
			t.Errorf("%+v", got)
		}
		if c, want := row(r.Children, "c").Counts, (actors.Counts{Offered: 3, Accepted: 2, Refused: 1, Finished: 1, Canceled: 1}); c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
		if e := eventsOf[supervisor.TaskAbandoned](w); len(e) != 1 || e[0].Child != "b" || len(e[0].Stack) == 0 {
			t.Errorf("%+v", e)
		}
	})
}

// Stop may be called again, by many, with contexts that end.
func TestStopRepeated(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: w.stubborn("a", 3*time.Second)}}})
		for range 3 {
			ctx, cancel := context.WithTimeoutCause(w.Context(), time.Second/2, errSleep)
			r, err := s.Stop(ctx)
			cancel()
			if err != errSleep || r.Supervisor != "app" {
				t.Errorf("%v, %v", r, err)
			}
		}
		var ops []*actortest.Op[supervisor.Report]
		for range 10 {
			ops = append(ops, actortest.Go(t, func() (supervisor.Report, error) { return s.Stop(context.Background()) }))
		}
		begin := time.Now()
		r := w.stop(s)
		w.took(begin, 1500*time.Millisecond)
		for _, op := range ops {
			if got, err := op.Result(); err != nil || got.String() != r.String() {
				t.Errorf("%v, %v", got, err)
			}
		}
		over, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := s.Stop(over); err != nil { // ready wins
			t.Error(err)
		}
		if got, err := s.RequestStop().Wait(over); err != nil || got.String() != r.String() {
			t.Error(err)
		}
	})
}

// EndGrace, before a stop and in it, through a tree.
func TestEndGrace(t *testing.T) {
	bubble(t, func(w *world) {
		for _, before := range []bool{true, false} {
			inner := w.props(supervisor.Spec{Children: []supervisor.Child{
				{Name: "x", Props: w.stubborn("x", time.Hour), Shutdown: actors.Forever}, {Name: "y", Props: w.stubborn("y", time.Hour), Shutdown: actors.Forever}}})
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: w.stubborn("a", time.Hour), Shutdown: time.Hour}, {Name: "inner", Props: inner}}})
			w.noted("+a +x +y")
			if before {
				s.EndGrace()
				synctest.Wait()
			}
			begin := time.Now()
			f := s.RequestStop()
			synctest.Wait()
			if !before {
				s.EndGrace()
			}
			_, err := f.Wait(w.Context())
			w.wants(err, nil)
			w.took(begin, 0)
			w.noted("-y -x -a")
		}
	})
}

// A supervisor as a child with a limited Shutdown: it ends the grace of all
// its children.
func TestNestedLimit(t *testing.T) {
	bubble(t, func(w *world) {
		inner := w.props(supervisor.Spec{Children: []supervisor.Child{
			{Name: "x", Props: w.stubborn("x", time.Hour), Shutdown: actors.Forever}, {Name: "y", Props: w.stubborn("y", time.Hour), Shutdown: actors.Forever}}})
		for limit, want := range map[time.Duration]time.Duration{2 * time.Second: 2 * time.Second, actors.NoGrace: 0} {
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "inner", Props: inner, Shutdown: limit}}})
			begin := time.Now()
			r := w.stop(s)
			w.took(begin, want)
			w.noted("+x +y -y -x")
			if len(row(r.Children, "inner").Children) != 2 || r.Err() != nil {
				t.Errorf("%v", r)
			}
		}
	})
}

// A worker whose StopGrace is Forever is never left behind, however long it unwinds.
func TestUnwindForever(t *testing.T) {
	bubble(t, func(w *world) {
		props := actors.Props(func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ sleep) error {
				err := t.Sleep(time.Hour)
				_ = t.Cleanup(actors.Forever, func(t *actors.Task) error { return t.Sleep(1000 * time.Hour) })
				return err
			})
			return nil
		}, actors.EventLoop(actors.Options{StopGrace: actors.Forever}))
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: props, Shutdown: actors.NoGrace}}})
		w.tell(s.Child("a"), sleep{})
		synctest.Wait()
		begin := time.Now()
		r := w.stop(s)
		if took := time.Since(begin); took < 1000*time.Hour || r.Err() != nil || r.Total.Canceled != 1 {
			t.Errorf("after %v: %v", took, r)
		}
	})
}

// A daemon: nobody waits for it. What it had done until then is in the report.
func TestAbandon(t *testing.T) {
	bubble(t, func(w *world) {
		inner := w.props(supervisor.Spec{Children: []supervisor.Child{{Name: "x", Props: w.stubborn("x", time.Second)}}})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{
			{Name: "a", Props: w.stubborn("a", time.Second), Abandon: true},
			{Name: "b", Props: w.plain("b", nil), Abandon: true},
			{Name: "c", Props: inner, Abandon: true},
		}})
		w.ask(s.Child("a"), life{})
		w.tell(s.Child("a"), sleep{time.Hour})
		synctest.Wait()
		begin := time.Now()
		r := w.stop(s)
		w.took(begin, 0)
		if a := row(r.Children, "a"); a.Counts != (actors.Counts{Offered: 2, Accepted: 2, Finished: 1, Pending: 1}) || row(r.Children, "c").Counted || r.Err() != nil {
			t.Errorf("%v", r)
		}
		w.noted("+a +b +x -b")
		time.Sleep(time.Minute)
		w.lives.Sort() // at the same moment
		w.noted("-a -x")
	})
}

// Third parties: a child that somebody else stops has ended by itself.
func TestStoppedBySomebody(t *testing.T) {
	for name, stop := range map[string]func(w *world, pid *actor.PID){
		"stop":   func(w *world, pid *actor.PID) { w.root.Stop(pid) },
		"poison": func(w *world, pid *actor.PID) { w.root.Poison(pid) },
		"soft":   func(w *world, pid *actor.PID) { actors.RequestStop(w.root, pid, time.Minute) },
	} {
		bubble(t, func(w *world) {
			kids := append(w.children("a"), w.plainly("p", nil), with(w.child("t"), func(c *supervisor.Child) { c.Restart = supervisor.Transient }))
			s := w.start(supervisor.Spec{MaxRestarts: 2, Children: kids})
			w.noted("+a +p +t")
			for _, c := range []string{"a", "p", "t"} {
				if c == "p" && name == "soft" { // no worker, so it would be a message like others
					w.root.Stop(s.Child("p"))
					synctest.Wait()
					continue
				}
				pid := s.Child(c)
				w.ask(pid, life{})
				stop(w, pid)
				synctest.Wait()
				if again := s.Child(c); c != "t" && !again.Equal(pid) || c == "t" && again != nil {
					t.Errorf("%s: %s is now %v", name, c, again)
				}
			}
			w.noted("-a +a -p +p -t")
			if r := w.stop(s); row(r.Children, "a").Counts.Accepted != 1 || row(r.Children, "a").Restarts != 1 {
				t.Errorf("%v", r)
			}
		})
	}
}

// One that somebody stops with a long grace must not hold up its group.
func TestStoppedSlowlyInGroup(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{w.child("a"), {Name: "b", Props: w.stubborn("b", 100*time.Hour)}}})
		actors.RequestStop(w.root, s.Child("b"), 50*time.Hour)
		synctest.Wait()
		begin := time.Now()
		w.crash(s.Child("a"))
		if n, err := w.ask(s.Child("a"), life{}); n != 2 || err != nil {
			t.Error(n, err)
		}
		w.took(begin, 3*time.Second) // twice b's StopGrace, and one
	})
}

// The engine's Stop and Poison on the supervisor itself.
func TestCutOff(t *testing.T) {
	bubble(t, func(w *world) {
		for name, stop := range map[string]func(pid *actor.PID){"stop": w.root.Stop, "poison": w.root.Poison} {
			inner := w.props(supervisor.Spec{Children: []supervisor.Child{w.child("x"), {Name: "p", Props: w.plain("p", nil)}}})
			s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), {Name: "inner", Props: inner}, {Name: "s", Props: w.stubborn("s", 2*time.Second)}}})
			w.noted("+a +x +p +s")
			f := w.tell(s.Child("a"), sleep{time.Second})
			synctest.Wait()
			begin := time.Now()
			stop(s.PID())
			if err := ended(s); err != nil {
				t.Error(err)
			}
			r := w.stop(s)
			want, end := time.Duration(0), error(actors.ErrStopped)
			if name == "poison" {
				want, end = 2*time.Second, nil
			}
			w.took(begin, want)
			_, err := f.TryResult()
			w.wants(err, end)
			if r.Total.Accepted != 1 || r.Total.Pending != 0 || r.Err() != nil {
				t.Errorf("%s: %v", name, r)
			}
			w.lives.Sort()
			w.noted("-a -p -s -x")
		}
	})
}

// Cut off while a child is being spawned: it is there, and so are its account
// and its end.
func TestCutOffInSpawn(t *testing.T) {
	bubble(t, func(w *world) {
		spawned := 0
		var f *actors.Future[int]
		b := actors.Props(func(aw *actors.Worker) error {
			actors.Handle(aw, func(t *actors.Task, m sleep) (int, error) { return 1, t.Sleep(m.d) })
			return nil
		}, actor.WithOnInit(func(c actor.Context) {
			if spawned++; spawned == 2 {
				f = w.tell(c.Self(), sleep{time.Hour})
				w.root.Stop(w.sys.NewLocalPID("app"))
			}
		}))
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), {Name: "b", Props: b}}})
		w.root.Stop(s.Child("b"))
		if err := ended(s); err != nil {
			t.Error(err)
		}
		if r := w.stop(s); r.Total.Accepted != 1 || r.Total.Canceled != 1 || r.Err() != nil {
			t.Errorf("%v", r)
		}
		if _, err := f.TryResult(); !errors.Is(err, actors.ErrStopping) && !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
		if phases := eventsOf[supervisor.StopPhase](w); !slices.ContainsFunc(phases, func(e supervisor.StopPhase) bool { return e.Child == "b" && e.Phase == "stopped" }) {
			t.Errorf("the end of b was not told: %v", phases)
		}
	})
}

// Cut off with children that do not return: they are left behind, named.
func TestCutOffStuck(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"), w.plainly("p", nil)}})
		w.tell(s.Child("a"), stuck{})
		w.root.Send(s.Child("p"), "stuck")
		synctest.Wait()
		begin := time.Now()
		w.root.Stop(s.PID())
		ended(s)
		w.took(begin, 11*time.Second) // twice the worker's StopGrace, and one
		var e *supervisor.AbandonedError
		if r := w.stop(s); !errors.As(r.Err(), &e) || len(e.Tasks) != 2 {
			t.Errorf("%v", r)
		}
	})
}

// slowLog blocks for as long when a child begins to stop, on the supervisor's loop.
type slowLog struct {
	slog.Handler
	d time.Duration
}

func (h slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (h slowLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "supervisor: stopping" {
		time.Sleep(h.d)
	}
	return nil
}

// A supervisor that comes late to its queue finds the ends of its children there, and
// leaves nobody behind who has ended.
func TestCutOffLate(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Logger: slog.New(slowLog{slog.DiscardHandler, 6 * time.Second}),
			Children: []supervisor.Child{w.child("a"), w.child("b"), w.plainly("c", nil)}})
		w.root.Stop(s.PID())
		ended(s)
		if r := w.stop(s); r.Err() != nil {
			t.Errorf("%v", r)
		}
		if left := eventsOf[supervisor.TaskAbandoned](w); len(left) > 0 {
			t.Errorf("%v", left)
		}
	})
}

// Stop, or cut off, in the middle of a start, a restart, a backoff.
func TestStopDuring(t *testing.T) {
	for name, stop := range map[string]func(w *world, pid *actor.PID){
		"stop event": func(w *world, pid *actor.PID) { actors.RequestStop(w.root, pid, time.Hour) },
		"cut":        func(w *world, pid *actor.PID) { w.root.Stop(pid) },
	} {
		for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
			slow := func(w *world, from int) *actor.Props {
				return w.part("b", func(n int, aw *actors.Worker) error {
					if n >= from {
						return aw.Task().Sleep(10 * time.Second)
					}
					return nil
				})
			}
			t.Run(fmt.Sprintf("start, %s, %v", name, strategy), func(t *testing.T) {
				bubble(t, func(w *world) {
					op := actortest.Go(t, func() (*supervisor.Supervisor, error) {
						return w.tryStart(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{w.child("a"), {Name: "b", Props: slow(w, 1)}, w.child("c")}})
					})
					if !op.Blocked() {
						t.Fatal("it has started")
					}
					stop(w, w.sys.NewLocalPID("app"))
					time.Sleep(time.Minute)
					if s, err := op.Result(); s != nil || err == nil {
						t.Errorf("%v", err)
					}
					w.noted("+a -a")
				})
			})
			t.Run(fmt.Sprintf("restart, %s, %v", name, strategy), func(t *testing.T) {
				bubble(t, func(w *world) {
					s := w.start(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{w.child("a"), {Name: "b", Props: slow(w, 2)}, w.child("c")}})
					w.crash(s.Child("b"))
					if got := state(s, "b"); got != "starting" {
						t.Fatal(got)
					}
					queued := w.tell(s.Child("b"), life{})
					stop(w, s.PID())
					w.wants(ended(s), nil)
					_, err := queued.Wait(w.Context())
					w.wants(err, actors.ErrStopping)
					w.agrees(w.stop(s))
				})
			})
			t.Run(fmt.Sprintf("backoff, %s, %v", name, strategy), func(t *testing.T) {
				bubble(t, func(w *world) {
					inner := w.props(supervisor.Spec{MaxRestarts: -1, Children: w.children("x")})
					s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 5, Children: []supervisor.Child{w.child("a"),
						{Name: "b", Props: inner, Backoff: actors.Backoff{Initial: time.Hour, Max: time.Hour}}, w.child("c"),
						with(w.plainly("p", nil), func(c *supervisor.Child) { c.Backoff.Initial = time.Minute })}})
					w.crash(s.Child("b/x"))
					w.tell(s.Child("p"), "crash")
					synctest.Wait()
					if got := state(s, "b"); got != "quiesced" {
						t.Fatal(got)
					}
					begin := time.Now()
					stop(w, s.PID())
					w.wants(ended(s), nil)
					w.took(begin, 0)
					w.agrees(w.stop(s))
				})
			})
		}
	}
}

// The stop event comes before the supervisor's actor has even begun.
func TestStopBeforeStart(t *testing.T) {
	bubble(t, func(w *world) {
		s, err := w.tryStart(supervisor.Spec{Logger: nil, Children: []supervisor.Child{w.child("a")}})
		if err != nil {
			t.Fatal(err)
		}
		w.stop(s)
		// Its name is free again, at once, and again.
		for range 20 {
			stop := make(chan struct{})
			go func() { defer close(stop); w.root.Stop(w.sys.NewLocalPID("app")) }()
			s, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a")}})
			<-stop
			if err == nil {
				w.stop(s)
			}
		}
	})
}

// OnStop hooks have what is left of their child's Shutdown: an HTTP server's
// shutdown may need it. EndGrace leaves them StopGrace.
func TestHooksHaveShutdown(t *testing.T) {
	bubble(t, func(w *world) {
		var failed error
		hook := func(_ int, aw *actors.Worker) error {
			aw.OnStop(func(t *actors.Task) error { failed = t.Sleep(20 * time.Second); return failed })
			return nil
		}
		spec := supervisor.Spec{Children: []supervisor.Child{{Name: "http", Props: w.part("http", hook), Shutdown: time.Minute}}}
		s := w.start(spec)
		begin := time.Now()
		if r := w.stop(s); failed != nil || r.Err() != nil {
			t.Errorf("the hook: %v; %v", failed, r)
		}
		w.took(begin, 20*time.Second)

		s = w.start(spec)
		begin = time.Now()
		stopped := s.RequestStop()
		time.Sleep(time.Second)
		s.EndGrace()
		if _, err := stopped.Wait(w.Context()); err != nil || failed == nil {
			t.Errorf("the hook: %v; %v", failed, err)
		}
		w.took(begin, 6*time.Second)
	})
}

// A child that fails at its stop goes on with what it has accepted: one that has
// failed just before the stop event is restarted for it, as is a plain actor in any
// case; a worker that has failed after it goes on with its state.
func TestStopAndFailure(t *testing.T) {
	type n int
	plain := func(handle func(c actor.Context, m n), opts ...actor.PropsOption) *actor.Props {
		return actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(n); ok {
				handle(c, m)
			}
		}, opts...)
	}
	one := actors.EventLoop(actors.Options{MaxInFlight: 1, StopGrace: time.Second})
	for kind, props := range map[string]func(turn func(c actor.Context, m n)) *actor.Props{
		"worker": func(turn func(c actor.Context, m n)) *actor.Props {
			return actors.Props(func(aw *actors.Worker) error {
				actors.On(aw, func(t *actors.Task, m n) error { turn(t, m); return nil })
				return nil
			}, one)
		},
		"plain actor on an event loop": func(turn func(c actor.Context, m n)) *actor.Props { return plain(turn, one) },
		"plain actor":                  func(turn func(c actor.Context, m n)) *actor.Props { return plain(turn) },
	} {
		for _, when := range []string{"before it", "after it"} {
			for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Temporary} {
				t.Run(fmt.Sprint(kind, "/", when, "/", restart), func(t *testing.T) {
					bubble(t, func(w *world) {
						var l letters
						var got []n
						begun, goOn := make(chan struct{}, 20), make(chan struct{})
						s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{{
							Name: "a", Restart: restart, Shutdown: 20 * time.Second, OnCrash: supervisor.CrashPolicy{DeadLetter: l.add},
							Props: props(func(c actor.Context, m n) {
								begun <- struct{}{}
								<-goOn
								if m == 1 || m == 5 {
									panic(m)
								}
								got = append(got, m)
							}),
						}}})
						for m := range n(10) {
							w.root.Send(s.Child("a"), m+1)
						}
						<-begun
						if when == "before it" {
							close(goOn)
						}
						begin, end := time.Now(), s.RequestStop()
						if when == "after it" {
							synctest.Wait()
							close(goOn)
						}
						if _, err := end.Wait(w.Context()); err != nil {
							w.Fatal(err)
						}
						if took := time.Since(begin); took >= 20*time.Second {
							w.Errorf("its stop has taken %v, all of its grace", took)
						}
						want, letters := []n{2, 3, 4, 6, 7, 8, 9, 10}, 2
						if restart == supervisor.Temporary && (kind == "plain actor" || when == "before it" && len(got) == 0) {
							want, letters = nil, 1 // it is not restarted: the first failure was the end
						}
						if !slices.Equal(got, want) {
							w.Errorf("it has handled %v", got)
						}
						if all := l.take(); len(all) != letters {
							w.Errorf("dead letters: %+v", all)
						}
					})
				})
			}
		}
	}
}

// TestCallbackOfAStopThatBlocks: it holds up nobody else who waits for the same end.
func TestCallbackOfAStopThatBlocks(t *testing.T) {
	bubble(t, func(w *world) {
		slow := supervisor.Child{Name: "a", Props: w.stubborn("a", time.Second), Shutdown: time.Minute}
		s := w.start(supervisor.Spec{Name: "top", Children: []supervisor.Child{slow}})
		first, second := s.RequestStop(), s.RequestStop()
		release := make(chan struct{})
		first.OnDone(func(supervisor.Report, error) { <-release })
		time.Sleep(time.Minute)
		if !first.Done() || !second.Done() {
			w.Errorf("of two that wait for the end, the first has heard of it: %v, the second: %v", first.Done(), second.Done())
		}
		close(release)
	})
}
