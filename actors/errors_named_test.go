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
	"github.com/protoloop/protoloop/actors/futures"
)

// TestErrorsName: an error says whose it is, and still is what it was.
func TestErrorsName(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("bank", actors.Options{MailboxSize: 2, MaxInFlight: 1}, inspected)
		deaf := w.plain(func(actor.Context) {})
		held := actors.RequestFuture[int](w.root, pid, nap(time.Hour))
		synctest.Wait()
		waits := []*actors.Future[int]{
			actors.RequestFuture[int](w.root, pid, nap(1), actors.Timeout(time.Second)),
			actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 1, nil }, actors.Timeout(time.Second), actors.Name("audit")),
		}
		full := actors.RequestFuture[int](w.root, pid, nap(1))
		nobody := actor.NewPID("nonhost", "nobody")
		for what, c := range map[string]struct {
			f    *actors.Future[int]
			is   []error
			text string
		}{
			"a full mailbox":           {full, []error{actors.ErrMailboxFull}, "actors: mailbox full: bank has MailboxSize messages waiting: 2"},
			"a request":                {waits[0], []error{actors.ErrTimeout, context.DeadlineExceeded, actor.ErrTimeout}, "actors: timeout: actors_test.nap of bank"},
			"a submission":             {waits[1], []error{actors.ErrTimeout}, "actors: timeout: audit of bank"},
			"a request to a plain one": {actors.RequestFuture[int](w.root, deaf, nap(1)), []error{actors.ErrTimeout}, "actors: timeout: actors_test.nap of " + deaf.Id},
			"a budget of nothing":      {actors.RequestFuture[int](w.root, deaf, nap(1), actors.Timeout(0)), []error{actors.ErrTimeout}, "actors: timeout: actors_test.nap of " + deaf.Id},
			"WithTimeout":              {futures.WithTimeout(futures.Shield(held), time.Second), []error{actors.ErrTimeout}, "actors: timeout after 1s"},
			"WithTimeout of a request": {futures.WithTimeout(actors.RequestFuture[int](w.root, deaf, nap(1)), 2*time.Second), []error{actors.ErrTimeout}, "actors: timeout: actors_test.nap of " + deaf.Id + " after 2s"},
			"a dead letter":            {actors.RequestFuture[int](w.root, nobody, nap(1)), []error{actors.ErrDeadLetter, actor.ErrDeadLetter}, "actors: no such actor: nobody"},
			"a function to nobody":     {actors.Submit(w.root, nobody, func(*actors.Task) (int, error) { return 1, nil }), []error{actors.ErrDeadLetter}, "actors: no such actor: nobody"},
		} {
			_, err := result(c.f)
			for _, is := range c.is {
				if !errors.Is(err, is) {
					t.Errorf("%s: %v is no %v", what, err, is)
				}
			}
			if err == nil || err.Error() != c.text {
				t.Errorf("%s: %q, want %q", what, err, c.text)
			}
		}
		held.Cancel()
		if c := w.stopped(pid, time.Second); c.Canceled != 3 || c.Refused != 1 || c.Failed != 0 {
			t.Errorf("the account is %v", c)
		}
	})
}

// TestTimeoutIsCut: a task that returns why its budget ended, in whatever
// form, has been cancelled and has not failed.
func TestTimeoutIsCut(t *testing.T) {
	bubble(t, func(w *world) {
		for what, end := range map[string]func(t *actors.Task, err error) error{
			"the await's error":     func(_ *actors.Task, err error) error { return err },
			"the sentinel":          func(*actors.Task, error) error { return actors.ErrTimeout },
			"the context's cause":   func(t *actors.Task, _ error) error { return context.Cause(t.Context()) },
			"something of its own":  func(*actors.Task, error) error { return errors.New("late") },
			"nothing":               func(*actors.Task, error) error { return nil },
			"the error, and others": func(_ *actors.Task, err error) error { return errors.Join(err, errors.New("more")) },
		} {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				actors.On(w, func(t *actors.Task, d nap) error { return end(t, t.Sleep(time.Duration(d))) })
				return nil
			})
			wantErr(t, actors.RequestFuture[actors.None](w.root, pid, nap(time.Hour), actors.Timeout(time.Second)), actors.ErrTimeout)
			wantErr(t, did(w.root, pid, func(t *actors.Task) error { return end(t, t.Sleep(time.Hour)) }, actors.Timeout(time.Second)), actors.ErrTimeout)
			if c := w.stopped(pid, time.Second); c.Canceled != 2 {
				t.Errorf("%s: the account is %v", what, c)
			}
		}
	})
}

// BenchmarkRefused is a request to a worker whose mailbox is full.
func BenchmarkRefused(b *testing.B) {
	sys := actor.NewActorSystem()
	hold := make(chan struct{})
	pid, err := actors.Spawn(b.Context(), sys.Root, "full", inspected, actors.Options{MailboxSize: 1, BlockedTurn: -1})
	if err != nil {
		b.Fatal(err)
	}
	began := make(chan struct{})
	held := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { close(began); <-hold; return 0, nil })
	<-began
	next := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := actors.RequestFuture[int](sys.Root, pid, nap(1)).TryResult(); !errors.Is(err, actors.ErrMailboxFull) {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	close(hold)
	for _, f := range []*actors.Future[int]{held, next} {
		if _, err := f.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
