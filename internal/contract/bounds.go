// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func blockedTurnLogged(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{BlockedTurn: 2 * time.Second})
	release := make(chan none)
	do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) }) // awaits: not blocked
	begun := time.Now()
	f := do(sys.Root, pid, func(*actors.Task) error { stuck(release); return nil }, actors.Name("culprit"))
	find := func() []actortest.Record { return actortest.LogOf(sys).Find(slog.LevelWarn, "blocked") }
	time.Sleep(1900 * time.Millisecond)
	synctest.Wait()
	if log := find(); len(log) != 0 {
		t.Errorf("logged before BlockedTurn: %v", log)
	}
	time.Sleep(2200 * time.Millisecond)
	synctest.Wait()
	log := find()
	if len(log) != 1 || f.Done() {
		t.Fatalf("logged while it lasts: %v", log)
	}
	since, _ := log[0].Attr("since").(time.Time)
	stack, _ := log[0].Attr("stack").(string)
	if log[0].Attr("worker") != "w" || log[0].Attr("task") != "culprit" || !strings.Contains(stack, "contract.stuck") ||
		since.Before(begun) || since.Sub(begun) > 2*time.Second {
		t.Errorf("logged, %v after its begin: %v", since.Sub(begun), log[0])
	}
	time.Sleep(time.Hour)
	if log := find(); len(log) != 1 {
		t.Errorf("logged %d times for one turn", len(log))
	}
	close(release)
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	run(t, sys.Root, pid, func(*actors.Task) error { time.Sleep(5 * time.Second); return nil })
	if log := find(); len(log) != 2 {
		t.Errorf("another blocked turn: logged %d times", len(log))
	}
	if st := actortest.Status(t, sys.Root, pid); st.BlockedTurns != 2 {
		t.Errorf("counted %d blocked turns, want 2", st.BlockedTurns)
	}
}

// blockedTurnStack has turns block one after the other, beside many tasks that
// are suspended.
func blockedTurnStack(t *testing.T, sys *actor.ActorSystem) {
	suspended := 100_000
	if testing.Short() {
		suspended /= 10
	}
	release := make(chan none)
	limit := time.Second
	sleeper := actortest.Spawn(t, sys.Root, "sleeper", bare, actors.Options{BlockedTurn: -1})
	for range suspended {
		do(sys.Root, sleeper, func(t *actors.Task) error { _, _, err := loopsync.Receive(t, release); return err })
	}
	synctest.Wait()
	where := map[string]func(){
		"stuckHere":  func() { stuckHere(release) },
		"stuckThere": func() { stuckThere(release) },
		"stuckBelow": func() { stuckBelow(60, release) },
		"stuckDeep":  func() { stuckDeep(300, release) },
	}
	for name, block := range where {
		pid := actortest.Spawn(t, sys.Root, name, bare, actors.Options{BlockedTurn: limit})
		do(sys.Root, pid, func(*actors.Task) error { block(); return nil })
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(limit + 3*time.Second - 40*time.Millisecond)
	synctest.Wait()
	log := actortest.LogOf(sys).Find(slog.LevelWarn, "blocked")
	if len(log) != len(where) {
		t.Errorf("logged %d turns of %d", len(log), len(where))
	}
	for _, record := range log {
		stack, _ := record.Attr("stack").(string)
		for name := range where {
			if own := name == record.Attr("worker"); own != strings.Contains(stack, "contract."+name+"(") {
				t.Errorf("of %s:\n%s", record.Attr("worker"), stack)
			}
		}
		if cut := strings.HasPrefix(stack, "the 128 innermost of its frames:"); cut != (record.Attr("worker") == "stuckDeep") {
			t.Errorf("of %s:\n%s", record.Attr("worker"), stack)
		}
	}
	close(release)
}

//go:noinline
func stuckHere(release chan none) { <-release }

//go:noinline
func stuckThere(release chan none) { <-release }

//go:noinline
func stuckBelow(n int, release chan none) {
	if n > 0 {
		stuckBelow(n-1, release)
	}
	<-release
}

//go:noinline
func stuckDeep(n int, release chan none) {
	if n > 0 {
		stuckDeep(n-1, release)
	}
	<-release
}

func blockedTurnGoesOn(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{BlockedTurn: time.Second, StopGrace: time.Second})
	release := make(chan none)
	f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
		stuck(release)
		return 7, errors.Join(t.Context().Err(), t.Yield())
	})
	next := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 8, nil })
	time.Sleep(24 * time.Hour)
	if f.Done() || next.Done() {
		t.Error("done while it is blocked")
	}
	close(release)
	for want, f := range map[int]*actors.Future[int]{7: f, 8: next} {
		if v, err := f.Wait(t.Context()); v != want || err != nil {
			t.Errorf("%d, %v, want %d", v, err, want)
		}
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), finished(2))
}

func loopGoesOnElsewhere(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{StopGrace: time.Second, BlockedTurn: -1})
	release := make(chan none)
	do(sys.Root, pid, func(t *actors.Task) error { t.Sleep(time.Hour); stuck(release); return nil })
	synctest.Wait()
	sys.Root.Send(pid, 1)
	for range 10 { // its old goroutine is stuck all the while
		run(t, sys.Root, pid, func(t *actors.Task) error {
			_, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Second) }))
			return err
		})
	}
	close(release)
	synctest.Wait()
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d", got)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 11, Failed: 1, Abandoned: 1})
}

func abandonedAwaitsFail(t *testing.T, sys *actor.ActorSystem) {
	release := make(chan none)
	var bad []string
	done := false
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(k *actors.Task, _ int) (string, error) {
			stuck(release)
			ready := new(actors.Promise[none])
			ready.Resolve(none{})
			for name, await := range map[string]func() error{
				"Sleep":   func() error { return k.Sleep(time.Second) },
				"Yield":   k.Yield,
				"Await":   func() error { _, err := actors.Await(k, ready.Future()); return err },
				"Receive": func() error { _, _, err := loopsync.Receive(k, make(chan int)); return err },
				"Send":    func() error { return loopsync.Send(k, make(chan int, 1), 1) },
				"Select":  func() error { _, err := loopsync.Select(k, loopsync.OnFuture(ready.Future())); return err },
				"Start": func() error {
					_, err := actors.Start(k, func(*actors.Task) (none, error) { bad = append(bad, "a child ran"); return none{}, nil }).TryResult()
					return err
				},
				"context": func() error { return context.Cause(k.Context()) },
			} {
				if err := await(); !errors.Is(err, actors.ErrStopped) {
					bad = append(bad, fmt.Sprintf("%s: %v", name, err))
				}
			}
			k.Respond("a late answer")
			done = true
			return "a later one", nil
		})
		return nil
	}, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
	f := actors.RequestFuture[string](sys.Root, pid, 1)
	synctest.Wait()
	wantCounts(t, actortest.Stop(t, sys.Root, pid, actors.NoGrace), actors.Counts{Abandoned: 1})
	wantDone(t, "its future", f, actors.ErrStopped)
	close(release)
	synctest.Wait()
	wantDone(t, "its future, later", f, actors.ErrStopped)
	if !done || len(bad) > 0 {
		t.Errorf("done: %v; want ErrStopped: %v", done, bad)
	}
}

// filled is a worker with one task running and as many waiting as may be.
func filled(t *testing.T, sys *actor.ActorSystem, setup func(w *actors.Worker) error) (pid *actor.PID, release chan none, queued []*actors.Future[none]) {
	pid = actortest.Spawn(t, sys.Root, "w", setup, actors.Options{MailboxSize: 3, BlockedTurn: -1})
	release = make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-release; return nil })
	synctest.Wait()
	for range 3 {
		queued = append(queued, do(sys.Root, pid, func(*actors.Task) error { return nil }))
	}
	for _, f := range queued {
		if f.Done() {
			t.Error("refused before the mailbox is full")
		}
	}
	return pid, release, queued
}

func fullMailboxRefuses(t *testing.T, sys *actor.ActorSystem) {
	pid, release, queued := filled(t, sys, echo(new(testtools.Trace)))
	wantDone(t, "a submission", do(sys.Root, pid, func(*actors.Task) error { return nil }), actors.ErrMailboxFull)
	wantDone(t, "a request", actors.RequestFuture[string](sys.Root, pid, "x"), actors.ErrMailboxFull)
	if f := ask(t, sys, pid, "x"); !errors.Is(f, actors.ErrMailboxFull) || f.Ran || !f.RetrySafe {
		t.Errorf("a plain request: %v", f)
	}
	close(release)
	synctest.Wait()
	for _, f := range queued {
		if _, err := f.TryResult(); err != nil {
			t.Errorf("accepted: %v", err)
		}
	}
	run(t, sys.Root, pid, func(*actors.Task) error { return nil }) // there is room again
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 5, Refused: 3})
}

func fullMailboxDeadLetters(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	dead := testtools.DeadLetters(sys)
	pid, release, _ := filled(t, sys, echo(&tr))
	for i := range 3 { // on this goroutine: it is not blocked
		sys.Root.Send(pid, fmt.Sprint("message ", i))
	}
	dead.Want(t, "message 0 to w", "message 1 to w", "message 2 to w")
	close(release)
	synctest.Wait()
	tr.Want(t)
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 4, Refused: 3})
}

func startedDoesNotCount(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MailboxSize: 1})
	for range 50 {
		f := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
		synctest.Wait() // it has started
		if f.Done() {
			_, err := f.TryResult()
			t.Fatal(err)
		}
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), finished(50))
}

func internalsNeverCount(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MailboxSize: 2, BlockedTurn: -1})
	other := actortest.Spawn(t, sys.Root, "other", echo(new(testtools.Trace)), actors.Options{})
	plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if s, ok := c.Message().(string); ok {
			c.Respond(s)
		}
	}))
	ch, promise := make(chan none), new(actors.Promise[none])
	release := make(chan none)
	var waiting []*actors.Future[none]
	for _, await := range []func(t *actors.Task) error{
		func(t *actors.Task) error { return t.Sleep(time.Second) },
		func(t *actors.Task) error { _, err := actors.Await(t, promise.Future()); return err },
		func(t *actors.Task) error { _, _, err := loopsync.Receive(t, ch); return err },
		func(t *actors.Task) error {
			t.Sleep(time.Second / 2)
			_, err := actors.Ask[string](t, other, "x")
			return err
		},
		func(t *actors.Task) error {
			t.Sleep(time.Second / 2)
			_, err := actors.Ask[string](t, plain, "x")
			return err
		},
		func(t *actors.Task) error {
			_, err := actors.Await(t, actors.Offload(t, func(context.Context) (none, error) { <-release; return none{}, nil }))
			return err
		},
	} {
		waiting = append(waiting, do(sys.Root, pid, await))
		synctest.Wait()
	}
	hold := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-hold; return nil })
	synctest.Wait()
	for range 2 {
		do(sys.Root, pid, func(*actors.Task) error { return nil })
	}
	wantDone(t, "one more", do(sys.Root, pid, func(*actors.Task) error { return nil }), actors.ErrMailboxFull)
	promise.Resolve(none{})
	close(ch)
	close(release)
	time.Sleep(2 * time.Second) // timers and replies come to the full mailbox
	end := actors.RequestStop(sys.Root, pid, time.Minute)
	close(hold)
	v, err := end.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range waiting {
		if _, err := f.TryResult(); err != nil {
			t.Errorf("wait %d: %v", i, err)
		}
	}
	wantCounts(t, v, actors.Counts{Finished: 9, Refused: 1})
}

func maxInFlightWaits(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{MaxInFlight: 2, MailboxSize: 2})
	var tr testtools.Trace
	work := func(name string) *actors.Future[none] {
		return do(sys.Root, pid, func(t *actors.Task) error {
			tr.Add("%s", name)
			_, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Second) }))
			return err
		})
	}
	work("a")
	work("b")
	synctest.Wait()
	work("c")
	work("d")
	synctest.Wait()
	tr.Want(t, "a", "b")
	wantDone(t, "a third that waits", work("e"), actors.ErrMailboxFull)
	time.Sleep(time.Second)
	synctest.Wait()
	tr.Want(t, "c", "d")
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 4, Refused: 1})
}
