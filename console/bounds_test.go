// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/supervisor"
)

// TestLongTextsAreShortened: what somebody has sent as a name, or what an error has in it, is not sent to each page each second.
// A worker with a long name can be looked into and acted on all the same.
func TestLongTextsAreShortened(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := newConsoleOf(t, sys, Options{Actions: true})
		h := c.Handler()
		long := strings.Repeat("ä", 100_000)
		fails := func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, text string) (int, error) { panic(errors.New(text)) })
			return nil
		}
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{
			Name: "top", MaxRestarts: 100, Within: time.Minute,
			Children: []supervisor.Child{{Name: long, Props: actors.Props(fails)}, {Name: long + "2", Props: actors.Props(fails)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, _ = actors.RequestFuture[int](sys.Root, s.Child(long), long).Wait(t.Context()) // it fails
		}
		actors.Submit(sys.Root, s.Child(long), func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name(long))
		synctest.Wait()
		time.Sleep(time.Minute)

		const most = 200 << 10 // stacks are most of it
		for _, page := range []string{"overview", "waits", "waits?lines=1", "workers", "supervision", "stop", "log"} {
			if w := ask(h, from(socket, "@", "GET", "/api/"+page)); w.Code != http.StatusOK || w.Body.Len() > most {
				t.Errorf("%s: %d, %d bytes", page, w.Code, w.Body.Len())
			}
		}
		var all view.Workers
		look(t, h, "workers", &all)
		has := slices.IndexFunc(all.Rows, func(r view.WorkerRow) bool { return strings.HasPrefix(r.Worker, "top/ä") && r.Tasks == 1 })
		if has < 0 {
			t.Fatalf("the worker with the task is not among %+v", all.Rows)
		}
		name := all.Rows[has].Worker
		if n := slices.IndexFunc(all.Rows, func(r view.WorkerRow) bool { return r.Worker == name }); n != has || len(name) > 1000 {
			t.Errorf("two workers are shown as %q", name)
		}
		var one view.Worker
		look(t, h, "worker?id="+url.QueryEscape(name), &one)
		if len(one.Tasks) != 1 {
			t.Fatalf("the worker is shown as %+v", one)
		}
		ref := one.Tasks[0].Ref
		if code, _, why := do(t, h, "cancel-task", view.Target{Worker: ref.Worker, Incarnation: ref.Incarnation, Task: ref.ID}); code != http.StatusOK {
			t.Errorf("cancel: %d, %s", code, why)
		}
		var tree view.Supervision
		look(t, h, "supervision", &tree)
		kid := tree.Supervisors[0].Children[0]
		if code, _, why := do(t, h, "stop-child", view.Target{Supervisor: "top", Child: kid.Name, Start: kid.Start}); code != http.StatusOK {
			t.Errorf("stop: %d, %s", code, why)
		}
		if _, err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

// TestTimelineOfAFullMailbox: thousands of dead letters do not push all else out of the timeline, and are counted there.
func TestTimelineOfAFullMailbox(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		h := newConsoleOf(t, sys, Options{}).Handler()
		full := actortest.Spawn(t, sys.Root, "full", func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ string) error { return t.Sleep(time.Hour) })
			return nil
		}, actors.Options{MailboxSize: 1, MaxInFlight: 1, Logger: slog.New(slog.DiscardHandler)})
		actortest.Spawn(t, sys.Root, "fails", func(w *actors.Worker) error {
			w.Main(func(*actors.Task) error { return errors.New("once") })
			return nil
		}, actors.Options{Logger: slog.New(slog.DiscardHandler)})
		synctest.Wait()
		const n = 100
		for range 100 { // in 10 s
			for range n {
				sys.Root.Send(full, "one more")
			}
			time.Sleep(100 * time.Millisecond)
		}
		sys.Root.Send(full, "the last")
		synctest.Wait()
		var all []view.Record
		look(t, h, "log", &all)
		var letters, missed, others int
		for _, r := range all {
			if r.What == string(inspect.DeadLetter) {
				letters++
				missed += r.Missed
			} else {
				others++
			}
		}
		if letters > 11 || letters < 9 || others == 0 || letters+missed < 9_900 || letters+missed > 10_001 {
			t.Errorf("%d dead letters, %d missed, %d others", letters, missed, others)
		}
		var o view.Overview
		look(t, h, "overview", &o)
		if i := slices.IndexFunc(o.Lints, func(l view.Lint) bool { return l.ID == view.LintFull }); i < 0 || !strings.Contains(o.Lints[i].Items[0].Text, "full has 1 of 1 message, and has refused 9") {
			t.Errorf("the lints are %+v", o.Lints)
		}
		time.Sleep(time.Minute)
	})
}

// TestStacksOfTasks: tasks that stand at the same place are one group, whichever coroutines they have.
func TestStacksOfTasks(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		h := newConsoleOf(t, sys, Options{}).Handler()
		pid := actortest.Spawn(t, sys.Root, "w", func(*actors.Worker) error { return nil }, actors.Options{})
		p := new(actors.Promise[int])
		const n = 1000
		for range n {
			actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) })
		}
		synctest.Wait()
		var s view.Stacks
		look(t, h, "stacks", &s)
		if first := s.Groups[0]; first.N < n || !strings.Contains(fmt.Sprint(first.Frames), "bounds_test.go:") {
			t.Errorf("%d goroutines at %s are the largest of %d groups, of %d goroutines", first.N, first.Frames, len(s.Groups), s.Goroutines)
		}
		p.Resolve(0)
		time.Sleep(time.Minute)
	})
}

// TestLongUser: what Authorize calls somebody is cut in the timeline.
func TestLongUser(t *testing.T) {
	sys := actortest.NewSystem(t)
	authorize := func(r *http.Request) (Grant, error) {
		return Grant{Who: strings.Repeat("ä", 100_000), Look: true, Act: true}, nil
	}
	h := newConsoleOf(t, sys, Options{Actions: true, Authorize: authorize}).Handler()
	if code, _, why := do(t, h, "stop-child", view.Target{Supervisor: "none", Child: "none", Start: 1}); code != http.StatusNotFound {
		t.Errorf("%d, %s", code, why)
	}
	w := ask(h, from(socket, "@", "GET", "/api/log"))
	if !strings.Contains(w.Body.String(), `"by":"ää`) || w.Body.Len() > 2000 {
		t.Errorf("%.3000s", w.Body)
	}
}

// TestRedactPanics: a function that fails shows nothing.
func TestRedactPanics(t *testing.T) {
	sys := actortest.NewSystem(t)
	h := newConsoleOf(t, sys, Options{Redact: func(Text, string) string { panic("redact") }}).Handler()
	actortest.Spawn(t, sys.Root, "secret", func(*actors.Worker) error { return nil }, actors.Options{Kind: "kind"})
	if w := ask(h, from(socket, "@", "GET", "/api/workers")); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "panics") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// TestLooksAreShared: however many pages are open, what takes time for each goroutine is made once for a look.
func TestLooksAreShared(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		h := newConsoleOf(t, sys, Options{}).Handler()
		never := new(actors.Promise[int])
		waiting := func(w *actors.Worker) error {
			w.Main(func(t *actors.Task) error { _, err := actors.Await(t, never.Future()); return err })
			return nil
		}
		see := func() (groups, goroutines int) {
			var w view.Waits
			var s view.Stacks
			look(t, h, "waits?lines=1", &w)
			look(t, h, "stacks", &s)
			for _, g := range w.Groups {
				groups += g.N
			}
			return groups, s.Goroutines
		}
		actortest.Spawn(t, sys.Root, "a", waiting, actors.Options{})
		synctest.Wait()
		g1, n1 := see()
		actortest.Spawn(t, sys.Root, "b", waiting, actors.Options{})
		hold := make(chan struct{})
		for range 100 {
			go func() { <-hold }()
		}
		synctest.Wait()
		if g2, n2 := see(); g2 != g1 || n2 != n1 {
			t.Errorf("at the same moment there are %d and %d tasks, %d and %d goroutines", g1, g2, n1, n2)
		}
		time.Sleep(time.Second)
		if g3, n3 := see(); g3 != g1+1 || n3 < n1+100 {
			t.Errorf("a second later there are %d and %d tasks, %d and %d goroutines", g1, g3, n1, n3)
		}
		close(hold)
		never.Resolve(0)
		time.Sleep(time.Minute)
	})
}

// TestRatesAfterAnAction: who looks again at once, because something was done, sees no rate that nothing had.
func TestRatesAfterAnAction(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := newConsoleOf(t, sys, Options{})
		h := c.Handler()
		pid := actortest.Spawn(t, sys.Root, "a", func(*actors.Worker) error { return nil }, actors.Options{})
		work := func() {
			if _, err := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil }).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		see := func() int {
			var o view.Overview
			var w view.Workers
			look(t, h, "overview", &o)
			look(t, h, "workers", &w)
			for _, n := range o.Minute.Finished {
				if n > 2.1 {
					t.Errorf("of two tasks each second, %v ended a second", o.Minute.Finished)
				}
			}
			if r := w.Rows[0].Rate; r > 2.1 {
				t.Errorf("of two tasks each second, the worker has %v", r)
			}
			return len(o.Minute.Finished)
		}
		for range 40 { // in the first 20 seconds somebody does something all the time
			time.Sleep(time.Second / 2)
			c.look.expire()
			if n := see(); n > 5 {
				t.Errorf("20 seconds have %d points", n)
			}
		}
		points := 0
		for range 30 {
			work()
			time.Sleep(time.Second - time.Millisecond)
			see()
			work()
			time.Sleep(time.Millisecond)
			c.look.expire()
			points = see()
		}
		if points < 25 || points > 36 {
			t.Errorf("half a minute has %d points", points)
		}
		// Somebody who does something all the time still sees what the rates become.
		var w view.Workers
		for range 60 {
			time.Sleep(time.Second / 2)
			c.look.expire()
			look(t, h, "workers", &w)
		}
		if r := w.Rows[0].Rate; r > 0.1 {
			t.Errorf("half a minute after the last task the worker has %v", r)
		}
		time.Sleep(time.Minute)
	})
}
