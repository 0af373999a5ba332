// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

// The crash of a worker is its own: it is restarted and keeps its queue, and no other key
// hears of it.
func TestCrash(t *testing.T) {
	run(t, func(k *grid.Kind) { k.Backoff = actors.Backoff{Initial: time.Second} }, func(w *world) {
		w.want("other", count(1), "1")
		w.want("a", count(5), "5")
		asleep := actors.RequestFuture[actors.None](w.root, w.pid("a"), sleeping(time.Hour))
		crashed := actors.RequestFuture[number](w.root, w.pid("a"), count(-1))
		after := actors.RequestFuture[number](w.root, w.pid("a"), count(2))
		if _, err := crashed.Wait(w.Context()); err == nil || !strings.Contains(err.Error(), "negative") {
			w.Error(err)
		}
		if _, err := asleep.Wait(w.Context()); !errors.Is(err, actors.ErrRestarted) {
			w.Error(err)
		}
		synctest.Wait()
		if after.Done() {
			w.Error("it did not wait for the backoff")
		}
		w.want("other", count(1), "2")
		if v, err := after.Wait(w.Context()); v.GetValue() != 2 || err != nil {
			w.Error(v, err)
		}
		if w.livesOf("a") != "[+ - +]" || w.livesOf("other") != "[+]" {
			w.Error(w.livesOf("a"), w.livesOf("other"))
		}
	})
}

// A worker that fails too often ends alone. What waits is told why and has not run, and a
// message after the backoff starts it anew.
func TestIntensity(t *testing.T) {
	run(t, func(k *grid.Kind) {
		k.Backoff, k.MaxRestarts, k.Within = actors.Backoff{Initial: time.Second}, 2, time.Minute
	}, func(w *world) {
		w.want("other", count(1), "1")
		var crashes []*actors.Future[number]
		for range 5 {
			crashes = append(crashes, actors.RequestFuture[number](w.root, w.pid("a"), count(-1)))
		}
		last := actors.RequestFuture[number](w.root, w.pid("a"), count(1))
		for i, f := range crashes {
			_, err := f.Wait(w.Context())
			if ran := !errors.Is(err, actors.ErrUnavailable); err == nil || ran != (i < 3) || actors.RetrySafe(err) == ran {
				w.Error(i, err)
			}
		}
		if _, err := last.Wait(w.Context()); !errors.Is(err, actors.ErrUnavailable) || !strings.Contains(err.Error(), "more than 2 times") {
			w.Error(err)
		}
		if _, err := w.ask("a", count(1)); !errors.Is(err, actors.ErrUnavailable) {
			w.Error(err)
		}
		if i := w.info(); i.Failing != 1 || i.Active != 1 {
			w.Errorf("%+v", i)
		}
		w.want("other", count(1), "2")
		time.Sleep(4 * time.Second)
		w.want("a", count(1), "1")
		if w.livesOf("a") != "[+ - + - + - +]" || w.livesOf("other") != "[+]" {
			w.Error(w.livesOf("a"), w.livesOf("other"))
		}
	})
}

// Ailments are forgotten.
func TestBackoffBeginsAnew(t *testing.T) {
	run(t, func(k *grid.Kind) { k.Backoff = actors.Backoff{Initial: time.Second}; k.MaxRestarts = 100 }, func(w *world) {
		crash := func(wait time.Duration) {
			w.Helper()
			if _, err := w.ask("a", count(-1)); err == nil {
				w.Error("it did not crash")
			}
			begun := time.Now()
			w.want("a", count(1), "1")
			if took := time.Since(begun); took != wait {
				w.Errorf("it waited for %v, want %v", took, wait)
			}
		}
		crash(time.Second)
		crash(2 * time.Second)
		time.Sleep(5 * time.Second)
		crash(time.Second)
		time.Sleep(2 * time.Minute)
		crash(time.Second)
	})
}

// What would stop or control a worker is refused, counted and logged, and the worker lives.
func TestControlIsRefused(t *testing.T) {
	run(t, nil, func(w *world) {
		w.want("a", count(1), "1")
		pid := w.pid("a")
		before := w.info().Counts.Refused
		w.root.Poison(pid)
		w.root.Send(pid, &messages.Stop{})
		w.root.Stop(pid)
		w.root.Send(pid, batch{count(1), count(1)})
		for _, m := range []any{&actor.Stop{}, &actor.Restart{}, &actor.SuspendMailbox{}, &actor.Failure{}, &actor.Started{}, &actor.Terminated{}, "text"} {
			w.root.Send(pid, m)
		}
		if n := w.info().Counts.Refused - before; n != 11 {
			w.Error(n)
		}
		// Who stops it by a future or watches it is told at once that there is nobody to watch.
		for i, f := range []*actor.Future{w.root.StopFuture(pid), w.root.PoisonFuture(pid)} {
			begun := time.Now()
			if v, err := f.Result(); err != nil || v.(*actor.Terminated).Why != actor.TerminatedReason_NotFound || time.Since(begun) > 0 {
				w.Error(i, v, err)
			}
		}
		terminated := make(chan *actor.Terminated, 1)
		w.root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Watch(pid)
			case *actor.Terminated:
				terminated <- m
			}
		}))
		if m := <-terminated; m.Why != actor.TerminatedReason_NotFound || !m.Who.Equal(pid) {
			w.Error(m)
		}
		if n := w.info().Counts.Refused - before; n != 16 {
			w.Error(n)
		}
		if _, err := actors.RequestStop(w.root, pid, time.Second).Wait(w.Context()); !errors.Is(err, actors.ErrUnhandled) {
			w.Error(err)
		}
		if _, err := actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 1, nil }).Wait(w.Context()); !errors.Is(err, actors.ErrNotWorker) {
			w.Error(err)
		}
		if v, err := w.root.RequestFuture(pid, &actor.PoisonPill{}, time.Second).Result(); err != nil || !errors.Is(v.(error), actors.ErrUnhandled) {
			w.Error(v, err)
		}
		w.want("a", count(1), "2")
		if w.livesOf("a") != "[+]" {
			w.Error(w.livesOf("a"))
		}
	})
}

type batch []any

func (b batch) GetMessages() []any { return b }

// Messages and answers are copies, errors are what they would be from another process.
func TestCopies(t *testing.T) {
	var kept word
	setup := func(w *actors.Worker, id string) error {
		own := say("own")
		actors.Handle(w, func(t *actors.Task, m word) (word, error) {
			kept = m
			switch m.Value {
			case "fail":
				return nil, fmt.Errorf("no: %w", errRefused)
			case "respond":
				t.Respond(own)
			}
			return own, nil
		})
		actors.Handle(w, func(t *actors.Task, m number) (int, error) { return 1, nil })
		return nil
	}
	run(t, func(k *grid.Kind) { k.Setup = setup }, func(w *world) {
		seen := map[word]bool{}
		for _, text := range []string{"return", "respond"} {
			m := say(text)
			v, err := actors.Call[word](w.Context(), w.root, w.pid("a"), m)
			if err != nil || v.GetValue() != "own" || seen[v] || kept == m || kept.Value != text {
				w.Error(v, err, kept)
			}
			seen[v] = true
			x, err := w.root.RequestFuture(w.pid("a"), m, time.Second).Result()
			if v, _ := x.(word); err != nil || v.GetValue() != "own" || seen[v] {
				w.Error(x, err)
			}
		}
		_, err := actors.Call[word](w.Context(), w.root, w.pid("a"), say("fail"))
		var failure *messages.Failure
		if !errors.As(err, &failure) || !failure.Ran || errors.Is(err, errRefused) || !strings.Contains(err.Error(), "no: refused") {
			w.Error(err)
		}
		if _, err := actors.Call[int](w.Context(), w.root, w.pid("a"), count(1)); !errors.Is(err, actors.ErrUnsendable) || !strings.Contains(err.Error(), "int") || actors.RetrySafe(err) {
			w.Error(err)
		}
		if _, err := actors.Call[word](w.Context(), w.root, w.pid("a"), say("\xff")); !errors.Is(err, actors.ErrUnsendable) {
			w.Error(err)
		}
		if _, err := actors.Call[word](w.Context(), w.root, w.pid("a"), word(nil)); !errors.Is(err, actors.ErrUnsendable) {
			w.Error(err)
		}
	})
	run(t, func(k *grid.Kind) { k.Setup, k.Share = setup, true }, func(w *world) {
		m := say("return")
		v, err := actors.Call[word](w.Context(), w.root, w.pid("a"), m)
		v2, _ := actors.Call[word](w.Context(), w.root, w.pid("a"), m)
		if err != nil || v != v2 || kept != m {
			w.Error("with Share they are the same", v, err)
		}
		if _, err := actors.Call[word](w.Context(), w.root, w.pid("a"), say("fail")); !errors.Is(err, errRefused) {
			w.Error(err)
		}
	})
}

type plainMessage struct{ N int }

// A Go struct is refused with its name and what to do; a kind with Share takes it.
func TestGoStructs(t *testing.T) {
	k := grid.Kind{Name: "plain", Accepts: []grid.Message{grid.MessageOf[plainMessage]()}, Setup: func(w *actors.Worker, _ string) error {
		actors.Handle(w, func(t *actors.Task, m plainMessage) (int, error) { return m.N + 1, nil })
		return nil
	}}
	run(t, nil, func(w *world) {
		_, err := grid.Start(w.Context(), w.sys, grid.Options{Kinds: []grid.Kind{k}})
		var option *actors.OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), "grid_test.plainMessage") || !strings.Contains(err.Error(), "set Share") {
			w.Error(err)
		}
		if _, err := actors.Call[int](w.Context(), w.root, w.pid("a"), plainMessage{1}); !errors.Is(err, actors.ErrUnhandled) || !strings.Contains(err.Error(), "grid_test.plainMessage") {
			w.Error(err)
		}
	})
	k.Share = true
	bubble(t, k, func(w *world) {
		if v, err := actors.Call[int](w.Context(), w.root, w.g.PID("plain", "a"), plainMessage{1}); v != 2 || err != nil {
			w.Error(v, err)
		}
	})
}

// A drain stops all keys side by side, lets them finish, and refuses what comes from then on.
func TestDrain(t *testing.T) {
	run(t, func(k *grid.Kind) { k.Options.StopGrace = 10 * time.Second }, func(w *world) {
		const n = 100
		var all []*actors.Future[actors.None]
		for _, id := range ids("key", n) {
			all = append(all, actors.RequestFuture[actors.None](w.root, w.pid(id), sleeping(5*time.Second)))
		}
		stuck := actors.RequestFuture[actors.None](w.root, w.pid("stuck"), sleeping(time.Hour))
		synctest.Wait()
		begun := time.Now()
		short, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		report, err := w.g.Drain(short)
		if !errors.Is(err, context.DeadlineExceeded) || report.Took != 0 || report.Counts().Pending != n+1 {
			w.Error(report, err)
		}
		for _, id := range []string{"key1", "new"} {
			if _, err := w.ask(id, count(1)); !errors.Is(err, actors.ErrStopping) || !actors.RetrySafe(err) {
				w.Error(err)
			}
		}
		report = w.drain()
		if took := time.Since(begun); took != 10*time.Second || report.Took != took {
			w.Error(took, report)
		}
		for _, f := range all {
			if _, err := f.Wait(w.Context()); err != nil {
				w.Error(err)
			}
		}
		if _, err := stuck.Wait(w.Context()); !errors.Is(err, actors.ErrStopped) {
			w.Error(err)
		}
		c := report.Counts()
		if !c.Agree() || c.Offered != n+3 || c.Finished != n || c.Canceled != 1 || c.Refused != 2 || report.Kinds[0].Stopped != n+1 {
			w.Error(report)
		}
		if _, err := w.ask("key1", count(1)); !errors.Is(err, actors.ErrStopping) {
			w.Error(err)
		}
		if !strings.HasPrefix(report.String(), "count: 101 stopped, 103 offered: ") {
			w.Error(report)
		}
		for _, id := range ids("key", n) {
			if w.livesOf(id) != "[+ -]" {
				w.Error(id, w.livesOf(id))
			}
		}
	})
}

// What waits for the end of its predecessor, and what waits for a restart, is accepted: it is
// drained too.
func TestDrainOfWhatWaits(t *testing.T) {
	run(t, func(k *grid.Kind) {
		k.Options.StopGrace = time.Minute
		k.Backoff = actors.Backoff{Initial: 10 * time.Second}
		setup := k.Setup
		k.Setup = func(w *actors.Worker, id string) error {
			w.OnStop(func(t *actors.Task) error { return t.Sleep(3 * time.Second) }) // runs last
			actors.On(w, func(t *actors.Task, m *messages.Status) error { t.Exit(nil); return nil })
			return setup(w, id)
		}
		k.Accepts = append(k.Accepts, grid.MessageOf[*messages.Status]())
	}, func(w *world) {
		w.want("b", count(1), "1")
		w.root.Send(w.pid("a"), &messages.Status{})
		synctest.Wait()
		waits := actors.RequestFuture[number](w.root, w.pid("a"), count(7))
		if _, err := w.ask("b", count(-1)); err == nil {
			w.Error("it did not crash")
		}
		held := actors.RequestFuture[number](w.root, w.pid("b"), count(8))
		if i := w.info(); i.Starting != 1 || i.Active != 1 {
			w.Errorf("%+v", i)
		}
		time.Sleep(4 * time.Second) // b has unwound
		waits2 := actors.RequestFuture[number](w.root, w.pid("a"), count(7))
		report := w.drain()
		for f, want := range map[*actors.Future[number]]int64{waits: 7, waits2: 14, held: 8} {
			if v, err := f.Wait(w.Context()); v.GetValue() != want || err != nil {
				w.Error(v, err, want)
			}
		}
		if report.Took > 10*time.Second {
			w.Error("it waited for the backoff", report.Took)
		}
		if w.livesOf("a") != "[+ - + -]" || w.livesOf("b") != "[+ - + -]" {
			w.Error(w.livesOf("a"), w.livesOf("b"))
		}
	})
}

// A message that waits for the end of the former worker can expire, and be cancelled.
func TestWaitingExpires(t *testing.T) {
	for _, share := range []bool{false, true} {
		run(t, func(k *grid.Kind) {
			k.Share, k.Idle = share, time.Minute
			setup := k.Setup
			k.Setup = func(w *actors.Worker, id string) error {
				w.OnStop(func(t *actors.Task) error { return t.Sleep(4 * time.Second) })
				return setup(w, id)
			}
		}, func(w *world) {
			w.want("a", count(1), "1")
			for w.info().Stopping == 0 {
				time.Sleep(100 * time.Millisecond)
			}
			begun := time.Now()
			canceled := actors.RequestFuture[number](w.root, w.pid("a"), count(1))
			next := actors.RequestFuture[number](w.root, w.pid("a"), count(1))
			if _, err := w.ask("a", count(1), actors.Timeout(time.Second)); !errors.Is(err, actors.ErrTimeout) {
				w.Error(err)
			}
			if took := time.Since(begun); took != time.Second {
				w.Error(took)
			}
			ctx, cancel := context.WithCancel(w.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := answerOf(ctx, w.root, w.pid("a"), count(1)); !errors.Is(err, actors.ErrCanceled) {
				w.Error(err)
			}
			canceled.Cancel()
			if v, err := next.Wait(w.Context()); v.GetValue() != 1 || err != nil {
				w.Error(v, err)
			}
			w.want("a", count(1), "2")
		})
	}
}

// A cancel, and a budget, reach the work.
func TestCancelReachesTheWork(t *testing.T) {
	for _, share := range []bool{false, true} {
		var ended chan error
		run(t, func(k *grid.Kind) {
			k.Share = share
			k.Setup = func(w *actors.Worker, id string) error {
				actors.Handle(w, func(t *actors.Task, d pause) (actors.None, error) {
					err := t.Sleep(d.AsDuration())
					ended <- err
					return actors.None{}, err
				})
				return nil
			}
		}, func(w *world) {
			ended = make(chan error, 3)
			f := actors.RequestFuture[actors.None](w.root, w.pid("a"), sleeping(time.Hour))
			synctest.Wait()
			f.Cancel()
			synctest.Wait()
			if err := <-ended; !errors.Is(err, actors.ErrCanceled) {
				w.Error(err)
			}
			if _, err := w.ask("a", sleeping(time.Hour), actors.Timeout(time.Second)); !errors.Is(err, actors.ErrTimeout) {
				w.Error(err)
			}
			synctest.Wait()
			if err := <-ended; !errors.Is(err, actors.ErrTimeout) {
				w.Error(err)
			}
			mw := w.root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc { return next })
			if _, err := answerOf(w.Context(), mw, w.pid("a"), sleeping(time.Hour), actors.Timeout(time.Second)); !errors.Is(err, actors.ErrTimeout) {
				w.Error(err)
			}
			synctest.Wait()
			if err := <-ended; !errors.Is(err, actors.ErrTimeout) && !errors.Is(err, actors.ErrCanceled) {
				w.Error(err)
			}
		})
	}
}

// The bound of the mailbox holds for what waits for a start.
func TestFull(t *testing.T) {
	run(t, func(k *grid.Kind) {
		k.Options.MailboxSize = 3
		setup := k.Setup
		k.Setup = func(w *actors.Worker, id string) error {
			if err := w.Task().Sleep(time.Second); err != nil {
				return err
			}
			return setup(w, id)
		}
	}, func(w *world) {
		var all []*actors.Future[number]
		for range 5 {
			all = append(all, actors.RequestFuture[number](w.root, w.pid("a"), count(1)))
		}
		for i, f := range all {
			if _, err := f.Wait(w.Context()); errors.Is(err, actors.ErrMailboxFull) != (i >= 3) {
				w.Error(i, err)
			}
		}
		if c := w.info().Counts; c.Refused != 2 || c.Finished != 3 {
			w.Error(c)
		}
	})
}

// Workers are counted and shown under the name of their kind.
func TestInspect(t *testing.T) {
	run(t, nil, func(w *world) {
		for _, id := range ids("key", 20) {
			w.want(id, count(1), "1")
		}
		synctest.Wait() // an asker is answered before that is counted
		snapshot := inspect.System(w.sys)
		if len(snapshot.Workers) != 20 || snapshot.Workers[0].PID.Id != "grid/count/key0" {
			w.Error(len(snapshot.Workers))
		}
		found := false
		for _, k := range inspect.Kinds(w.sys) {
			found = found || k.Name == "count" && k.Workers == 20 && k.Counts.Finished == 20
		}
		if n := len(inspect.Kinds(w.sys)); n != 1 || !found {
			w.Error(n, "kinds")
		}
	})
}

// A supervisor's stop drains the grid, and a restart of the children lets it go on.
func TestPropsDrain(t *testing.T) {
	run(t, nil, func(w *world) {
		sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "app", Strategy: supervisor.OneForAll, MaxRestarts: 3, Children: []supervisor.Child{
			{Name: "grid", Props: w.g.Props(), Shutdown: time.Minute},
			{Name: "crasher", Props: actors.Props(func(w *actors.Worker) error {
				actors.On(w, func(*actors.Task, string) error { panic("asked to") })
				return nil
			})},
		}})
		if err != nil {
			w.Fatal(err)
		}
		w.want("a", count(1), "1")
		w.root.Send(sup.Child("crasher"), "crash")
		time.Sleep(time.Second)
		w.want("a", count(1), "1")
		if w.livesOf("a") != "[+ - +]" {
			w.Error(w.livesOf("a"))
		}
		slow := actors.RequestFuture[actors.None](w.root, w.pid("a"), sleeping(2*time.Second))
		report, err := sup.Stop(w.Context())
		if err != nil {
			w.Error(err)
		}
		if _, err := slow.Wait(w.Context()); err != nil {
			w.Error(err)
		}
		if row := report.Children[0]; row.Name != "grid" || !row.Counts.Agree() || row.Counts.Finished != 3 || row.Counts.Pending != 0 || row.Counts != w.drain().Counts() || report.Total != row.Counts.Plus(report.Children[1].Counts) {
			w.Errorf("the report has %+v", row)
		}
		if _, err := w.ask("a", count(1)); !errors.Is(err, actors.ErrStopping) {
			w.Error(err)
		}
	})
}

// The report of a supervisor has the account of the keys in the row of the grid, and what is abandoned. That of the next one, with the same
// grid, has what has come since.
func TestReportHasKeys(t *testing.T) {
	hold := make(chan chan struct{}, 1)
	run(t, func(k *grid.Kind) {
		k.Options.StopGrace = time.Second
		setup := k.Setup
		k.Setup = func(w *actors.Worker, id string) error {
			actors.On(w, func(t *actors.Task, m *messages.Status) error {
				c := make(chan struct{})
				hold <- c
				<-c
				return nil
			})
			return setup(w, id)
		}
		k.Accepts = append(k.Accepts, grid.MessageOf[*messages.Status]())
	}, func(w *world) {
		during := func(f func()) supervisor.Report {
			t.Helper()
			sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "grid", Props: w.g.Props(), Shutdown: time.Minute}}})
			if err != nil {
				w.Fatal(err)
			}
			f()
			report, err := sup.Stop(w.Context())
			if err != nil {
				w.Log(err)
			}
			return report
		}
		w.want("b", count(1), "1") // before there is a child
		report := during(func() {
			w.root.Send(w.pid("a"), &messages.Status{})
			release := <-hold
			w.Cleanup(func() { close(release) })
		})
		left, is := errors.AsType[*supervisor.AbandonedError](report.Err())
		if c := report.Children[0].Counts; c.Finished != 1 || c.Abandoned != 1 || c.Offered != 2 || !c.Agree() || !is || !strings.Contains(left.Error(), `of count "a"`) {
			w.Errorf("%v\n%v", left, report)
		}
		report = during(func() {
			w.want("b", count(1), "1")
			w.want("c", count(1), "1")
		})
		if c := report.Children[0].Counts; c.Finished != 2 || c.Offered != 2 || !c.Agree() || report.Err() != nil {
			w.Errorf("the second: %v\n%v", report.Err(), report)
		}
	})
}

// A PID outlives the grid that has made it: the next one answers.
func TestPIDOutlivesTheGrid(t *testing.T) {
	run(t, nil, func(w *world) {
		pid := w.pid("a")
		w.want("a", count(1), "1")
		if _, err := grid.Start(w.Context(), w.sys, grid.Options{Kinds: []grid.Kind{{Name: "x", Setup: func(*actors.Worker, string) error { return nil }, Accepts: accepts()}}}); err == nil {
			w.Error("two grids in one system")
		}
		w.drain()
		w.start(counting(&w))
		if got, err := answerOf(w.Context(), w.root, pid, count(1)); got != "1" || err != nil {
			w.Error(got, err)
		}
		if _, err := actors.Call[word](w.Context(), w.root, w.g.PID("nothing", "a"), say("x")); !errors.Is(err, actors.ErrDeadLetter) {
			w.Error(err)
		}
	})
}

// A task that does not return is abandoned and named, and only then the next of its key begins.
func TestAbandoned(t *testing.T) {
	hold := make(chan chan struct{}, 1)
	run(t, func(k *grid.Kind) {
		k.Options.StopGrace = time.Second
		setup := k.Setup
		k.Setup = func(w *actors.Worker, id string) error {
			actors.On(w, func(t *actors.Task, m *messages.Status) error {
				c := make(chan struct{})
				hold <- c
				<-c
				return nil
			})
			return setup(w, id)
		}
		k.Accepts = append(k.Accepts, grid.MessageOf[*messages.Status]())
	}, func(w *world) {
		stuck := actors.RequestFuture[actors.None](w.root, w.pid("a"), &messages.Status{})
		release := <-hold
		defer close(release)
		report := w.drain()
		if _, err := stuck.Wait(w.Context()); !errors.Is(err, actors.ErrStopped) {
			w.Error(err)
		}
		if all := report.Kinds[0].Abandoned; len(all) != 1 || all[0].ID != "a" || !strings.Contains(all[0].Task, "Status") || !strings.Contains(string(all[0].Stack), "TestAbandoned") {
			w.Errorf("%+v", all)
		}
	})
}

// The setup asks a key of its own that asks back: the ring is found.
func TestRing(t *testing.T) {
	for _, share := range []bool{false, true} {
		var w *world
		k := counting(&w)
		k.Share = share
		setup := k.Setup
		k.Setup = func(wk *actors.Worker, id string) error {
			if id == "b" {
				if _, err := actors.Ask[number](wk.Task(), w.pid("b"), count(1)); err != nil {
					return err
				}
			}
			return setup(wk, id)
		}
		bubble(t, k, func(made *world) {
			w = made
			_, err := w.ask("b", count(1))
			if !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, &actors.DeadlockError{}) && !strings.Contains(err.Error(), "deadlock") {
				w.Error(err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	setup := func(*actors.Worker, string) error { return nil }
	for want, k := range map[string]grid.Kind{
		"Name is missing":                 {Setup: setup, Accepts: accepts()},
		"Name has a slash":                {Name: "a/b", Setup: setup, Accepts: accepts()},
		"Setup is missing":                {Name: "a", Accepts: accepts()},
		"Accepts is missing":              {Name: "a", Setup: setup},
		"controls actors":                 {Name: "a", Setup: setup, Accepts: []grid.Message{grid.MessageOf[*actor.PoisonPill]()}},
		"is an interface":                 {Name: "a", Setup: setup, Accepts: []grid.Message{grid.MessageOf[any]()}},
		"is no proto.Message":             {Name: "a", Setup: setup, Accepts: []grid.Message{grid.MessageOf[string]()}},
		"names no type":                   {Name: "a", Setup: setup, Accepts: []grid.Message{{}}},
		"Options.IdleAfter does not":      {Name: "a", Setup: setup, Accepts: accepts(), Options: actors.Options{IdleAfter: 1}},
		"Options.Kind does not count":     {Name: "a", Setup: setup, Accepts: accepts(), Options: actors.Options{Kind: "b"}},
		"Within is negative":              {Name: "a", Setup: setup, Accepts: accepts(), Within: -1},
		"Backoff.Initial is negative: -1": {Name: "a", Setup: setup, Accepts: accepts(), Backoff: actors.Backoff{Initial: -1}},
	} {
		err := grid.Options{Kinds: []grid.Kind{k}}.Validate()
		var option *actors.OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ok := grid.Kind{Name: "a", Setup: setup, Accepts: accepts()}
	if err := (grid.Options{Kinds: []grid.Kind{ok}}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (grid.Options{Kinds: []grid.Kind{ok, ok}}).Validate(); err == nil {
		t.Error("two kinds of one name")
	}
	if err := (grid.Options{}).Validate(); err == nil {
		t.Error("no kinds")
	}
}
