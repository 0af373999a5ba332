// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// The order of what is told of a restart in a group.
func TestRestartEvents(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Strategy: supervisor.RestForOne, Children: []supervisor.Child{
			w.child("a"), with(w.child("b"), func(c *supervisor.Child) { c.Backoff.Initial = time.Second }), w.child("c"),
			with(w.child("d"), func(c *supervisor.Child) { c.Restart = supervisor.Temporary }),
		}})
		w.told("app/a started", "app/b started", "app/c started", "app/d started")
		w.crash(s.Child("b"))
		w.told("app/b failed: panic: boom", "app/b restarting in 1s, attempt 1, with [c]",
			"app/d stopping 0s: <nil>", "app/d stopped 0s: <nil>", "app/d ended: <nil>")
		for _, want := range []struct{ name, state string }{{"a", "up"}, {"b", "quiesced"}, {"c", "quiesced"}, {"d", "unknown"}} {
			if got := state(s, want.name); got != want.state {
				t.Errorf("%s is %s", want.name, got)
			}
		}
		time.Sleep(time.Second)
		w.told("app/b restarted, 1", "app/c restarted, 1")
		r := w.stop(s)
		w.told("app stopping 0s: <nil>", "app/c stopping 0s: <nil>", "app/c stopped 0s: <nil>", "app/b stopping 0s: <nil>",
			"app/b stopped 0s: <nil>", "app/a stopping 0s: <nil>", "app/a stopped 0s: <nil>", "app stopped 0s: <nil>")
		if a, b := row(r.Children, "a"), row(r.Children, "b"); a.Restarts != 0 || b.Restarts != 1 || b.Counts.Failed != 1 {
			t.Errorf("%v", r)
		}
	})
}

// A failure names task, message and stack.
func TestFailureEvent(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: w.children("a")})
		w.crash(s.Child("a"))
		e := eventsOf[supervisor.ChildFailed](w)
		if len(e) != 1 || e[0].Message != "supervisor_test.boom" || len(e[0].Stack) == 0 || e[0].Retried || e[0].Task == "" {
			t.Errorf("%+v", e)
		}
		w.ask(s.Child("a"), exit{errSleep})
		if e := eventsOf[supervisor.ChildFailed](w); len(e) != 1 || e[0].Err != errSleep || e[0].Stack != nil {
			t.Errorf("%+v", e)
		}
	})
}

// Exponential, capped, per child, and reset after a healthy period.
func TestBackoffInTime(t *testing.T) {
	bubble(t, func(w *world) {
		b := actors.Backoff{Initial: time.Second, Factor: 3, Max: 20 * time.Second}
		s := w.start(supervisor.Spec{MaxRestarts: 100, Children: []supervisor.Child{
			with(w.child("a"), func(c *supervisor.Child) { c.Backoff, c.ResetAfter = b, time.Minute }),
			with(w.child("b"), func(c *supervisor.Child) { c.Backoff, c.ResetAfter = b, time.Minute }),
		}})
		for i, want := range []time.Duration{1, 3, 9, 20, 20} {
			begin := time.Now()
			w.crash(s.Child("a"))
			if i == 1 { // one bad child does not hold up the others
				w.crash(s.Child("b"))
				if n, err := w.ask(s.Child("b"), life{}); n != 2 || err != nil {
					t.Errorf("b: %d, %v", n, err)
				}
				w.took(begin, time.Second)
			}
			if n, err := w.ask(s.Child("a"), life{}); n != i+2 || err != nil {
				t.Errorf("incarnation %d, %v", n, err)
			}
			w.took(begin, want*time.Second)
		}
		time.Sleep(time.Minute)
		begin := time.Now()
		w.crash(s.Child("a"))
		w.ask(s.Child("a"), life{})
		w.took(begin, time.Second)
	})
}

// Any number of children with a Backoff outlives an outage of hours under an intensity
// that has room for one failure of each, and each of them is there soon after its end.
// Without a Backoff the same ends the supervisor.
func TestBackoffOutlivesOutage(t *testing.T) {
	down := errors.New("the server is down")
	bubble(t, func(w *world) {
		const outage = 6 * time.Hour
		end := time.Now().Add(outage)
		poller := func(aw *actors.Worker) error {
			aw.Background("poll", func(t *actors.Task) error {
				for {
					if stop, err := t.SleepOrStop(time.Second); stop || err != nil {
						return err
					}
					if time.Now().Before(end) {
						return down
					}
				}
			})
			return nil
		}
		spec := supervisor.Spec{MaxRestarts: 3, Within: time.Minute}
		for _, name := range []string{"a", "b", "c"} {
			spec.Children = append(spec.Children, supervisor.Child{Name: name, Props: actors.Props(poller),
				Backoff: actors.Backoff{Initial: time.Second, Max: time.Minute, Jitter: 0.5}})
		}
		s := w.start(spec)
		time.Sleep(outage + 2*time.Minute)
		for _, k := range s.Children() {
			if k.State != "up" || k.Restarts < 350 {
				w.Errorf("%v", k)
			}
		}
		// What has been up for ResetAfter begins a new row: these are four.
		for range 4 {
			actors.SubmitErr(w.root, s.Child("b"), func(t *actors.Task) error { t.Exit(down); return nil })
			time.Sleep(10 * time.Second)
		}
		if err := s.Err(); err != nil {
			w.Errorf("a row of four ended it: %v", err)
		}
		w.stop(s)

		for i := range spec.Children {
			spec.Children[i].Backoff = actors.Backoff{}
		}
		end = time.Now().Add(time.Hour)
		s = w.start(spec)
		var e *supervisor.IntensityError
		if err := ended(s); !errors.As(err, &e) || !errors.Is(err, down) {
			w.Errorf("without a Backoff: %v", err)
		}
	})
}

// The Spec in the README outlives an hour in which its poller fails at each try.
func TestReadmeOutlivesOutage(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`MaxRestarts: 10, Within: time.Minute,`,
		`Backoff: actors.Backoff{Initial: time.Second, Max: time.Minute, Jitter: 0.5}`,
	} {
		if !strings.Contains(string(readme), part) {
			t.Errorf("the README has no %s any more", part)
		}
	}
	bubble(t, func(w *world) {
		down := errors.New("the server is down")
		s := w.start(supervisor.Spec{MaxRestarts: 10, Within: time.Minute, Children: []supervisor.Child{{
			Name: "poller",
			Props: actors.Props(func(aw *actors.Worker) error {
				aw.Background("poll", func(*actors.Task) error { return down })
				return nil
			}),
			Backoff: actors.Backoff{Initial: time.Second, Max: time.Minute, Jitter: 0.5},
		}}})
		time.Sleep(time.Hour)
		if err := s.Err(); err != nil {
			t.Error(err)
		}
		w.stop(s)
	})
}

// What is in flight hears so at once, with the cause, also of siblings; what
// waits keeps its order and its future.
func TestInFlightAtOnce(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
		bubble(t, func(w *world) {
			kids := w.children("a", "b")
			kids[0].Backoff.Initial = time.Minute
			s := w.start(supervisor.Spec{Strategy: strategy, Children: kids})
			mine, sibling := w.tell(s.Child("a"), sleep{time.Hour}), w.tell(s.Child("b"), sleep{time.Hour})
			synctest.Wait()
			begin := time.Now()
			crash := w.tell(s.Child("a"), boom{"why"})
			waits := w.tell(s.Child("a"), life{})
			_, err := crash.Wait(w.Context())
			var p *actors.PanicError
			if !errors.As(err, &p) || p.Value != "why" {
				t.Errorf("the crash: %v", err)
			}
			told := []*actors.Future[int]{mine}
			if strategy == supervisor.OneForAll {
				told = append(told, sibling)
			}
			for _, f := range told {
				_, err = f.Wait(w.Context())
				if p = nil; !errors.Is(err, actors.ErrRestarted) || !errors.As(err, &p) || p.Value != "why" {
					t.Errorf("in flight: %v", err)
				}
			}
			w.took(begin, 0)
			if waits.Done() || strategy == supervisor.OneForOne && sibling.Done() {
				t.Error("somebody else was told")
			}
			if n, err := waits.Wait(w.Context()); n != 2 || err != nil {
				t.Errorf("what waited: %d, %v", n, err)
			}
			w.took(begin, time.Minute)
		})
	}
}

// StartTimeout at a restart counts as a failure, and is tried again.
func TestStartTimeoutAtRestart(t *testing.T) {
	for _, backoff := range []time.Duration{0, time.Second} {
		bubble(t, func(w *world) {
			hangs := func(n int, aw *actors.Worker) error {
				switch n {
				case 2:
					return aw.Task().Sleep(time.Hour)
				case 3:
					<-w.hold // a turn that blocks
				}
				return nil
			}
			s := w.start(supervisor.Spec{MaxRestarts: 3, Within: time.Hour, Children: []supervisor.Child{{
				Name: "a", Props: w.part("a", hangs, actors.Options{StopGrace: 3 * time.Second}), StartTimeout: 10 * time.Second,
				Backoff: actors.Backoff{Initial: backoff},
			}}})
			w.crash(s.Child("a"))
			if n, err := w.ask(s.Child("a"), life{}); n != 4 || err != nil {
				t.Errorf("incarnation %d, %v", n, err)
			}
			e := eventsOf[supervisor.ChildFailed](w)
			if len(e) != 3 || !errors.Is(e[1].Err, supervisor.ErrStartTimeout) || !errors.Is(e[2].Err, supervisor.ErrStartTimeout) {
				t.Errorf("%+v", e)
			}
			if r := w.stop(s); len(row(r.Children, "a").Abandoned) != 1 || r.Err() == nil {
				t.Errorf("%v", r)
			}
		})
	}
}

// At the first start it fails the supervisor, whose children end in reverse.
func TestStartTimeoutAtStart(t *testing.T) {
	bubble(t, func(w *world) {
		begin := time.Now()
		_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a"), w.child("b"), {
			Name: "c", StartTimeout: 2 * time.Second, Props: w.part("c", func(_ int, aw *actors.Worker) error { return aw.Task().Sleep(time.Hour) })}}})
		w.wants(err, supervisor.ErrStartTimeout)
		w.took(begin, 2*time.Second)
		w.noted("+a +b -b -a")
	})
}

// What comes up and ends or fails at once has come up: its start is no
// failure.
func TestShortLives(t *testing.T) {
	bubble(t, func(w *world) {
		short := func(r supervisor.Restart, errs ...error) supervisor.Child {
			return supervisor.Child{Name: "a", Restart: r, Props: w.part("a", func(n int, aw *actors.Worker) error {
				if n <= len(errs) {
					aw.Main(func(*actors.Task) error { return errs[n-1] })
				}
				return nil
			})}
		}
		for _, child := range []supervisor.Child{short(supervisor.Transient, nil), short(supervisor.Permanent, nil), short(supervisor.Permanent, errSleep),
			short(supervisor.Temporary, nil), short(supervisor.Temporary, errSleep)} {
			for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
				s := w.start(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{child, w.child("b")}})
				synctest.Wait()
				if _, err := s.Add(w.Context(), with(child, func(c *supervisor.Child) { c.Name = "c" })); err != nil {
					t.Error(err)
				}
				w.stop(s)
			}
		}
	})
}

// A sibling that fails while another one starts is dealt with at once: the
// one that starts may wait for it.
func TestFailsWhileAnotherStarts(t *testing.T) {
	bubble(t, func(w *world) {
		var s *supervisor.Supervisor
		begin := time.Now()
		s = w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 3, Children: []supervisor.Child{
			{Name: "a", Props: w.part("a", func(n int, aw *actors.Worker) error {
				if n == 1 {
					aw.Background("fails", func(t *actors.Task) error { t.Sleep(time.Second); return errSleep })
				}
				return nil
			})},
			{Name: "b", Props: w.part("b", func(n int, aw *actors.Worker) error {
				if n > 1 {
					return nil
				}
				aw.Task().Sleep(2 * time.Second) // a has failed, and is suspended
				_, err := actors.Ask[int](aw.Task(), w.sys.NewLocalPID("app/a"), life{})
				return err
			})},
			w.child("c"),
		}})
		w.took(begin, time.Second)
		w.noted("+a -a +a +b +c")
		w.told("app/a started", "app/a failed: actors: fails: sleep failed", "app/a restarting in 0s, attempt 1, with [b c]",
			"app/a restarted, 1", "app/b started", "app/c started")
		w.stop(s)
	})
}

// One of a group fails in its setup while the group comes up: all begins
// again, and as one more restart.
func TestGroupRestartFails(t *testing.T) {
	bubble(t, func(w *world) {
		kids := w.children("a", "b", "c")
		kids = append(kids, supervisor.Child{Name: "d", Props: w.part("d", func(n int, _ *actors.Worker) error {
			if n == 2 {
				w.note("bad")
				return errSleep
			}
			return nil
		})})
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 2, Children: kids})
		w.noted("+a +b +c +d")
		w.crash(s.Child("b"))
		w.noted("-d -c -b -a +a +b +c bad -c -b -a +a +b +c +d")
		w.crash(s.Child("b"))
		var e *supervisor.IntensityError
		if err := ended(s); !errors.As(err, &e) {
			t.Error(err)
		}
	})
}

// A sibling whose turn blocks loses that turn, after its StopGrace, and
// nothing else.
func TestStuckSiblingKeepsItsQueue(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{
			{Name: "a", Props: w.part("a", nil, actors.Options{StopGrace: 2 * time.Second})}, w.child("b")}})
		blocked, waits := w.tell(s.Child("a"), stuck{}), w.tell(s.Child("a"), life{})
		synctest.Wait()
		begin := time.Now()
		w.crash(s.Child("b"))
		if n, err := waits.Wait(w.Context()); n != 2 || err != nil {
			t.Error(n, err)
		}
		if d := time.Since(begin); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
		if _, err := blocked.Wait(w.Context()); err == nil {
			t.Error("the blocked turn has an answer")
		}
		if r := w.stop(s); row(r.Children, "a").Counts.Abandoned != 1 {
			t.Errorf("%v", r)
		}
	})
}
