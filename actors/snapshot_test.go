// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/testtools"
)

type (
	relay struct{ to *actor.PID }
	nap   time.Duration
	stick struct{ until chan struct{} }
)

// inspected is a worker with tasks of all kinds.
func inspected(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m relay) (int, error) { return actors.Ask[int](t, m.to, nap(time.Hour)) })
	actors.Handle(w, func(t *actors.Task, m nap) (int, error) { return 1, t.Sleep(time.Duration(m)) })
	actors.Handle(w, func(t *actors.Task, m stick) (int, error) { <-m.until; return 2, nil })
	actors.Handle(w, func(t *actors.Task, m *actors.Promise[int]) (int, error) { return actors.Await(t, m.Future()) }, actors.Exclusive())
	return nil
}

func workerOf(t *testing.T, s inspect.Snapshot, pid *actor.PID) inspect.Worker {
	t.Helper()
	i := slices.IndexFunc(s.Workers, func(w inspect.Worker) bool { return w.PID.Equal(pid) })
	if i < 0 {
		t.Fatalf("no worker %v in %+v", pid, s)
	}
	return s.Workers[i]
}

func TestInspectShowsWhatEachTaskAwaits(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		a := actortest.Spawn(t, sys.Root, "a", inspected, actors.Options{})
		b := actortest.Spawn(t, sys.Root, "b", inspected, actors.Options{})
		c := actortest.Spawn(t, sys.Root, "c", inspected, actors.Options{})
		p := new(actors.Promise[int])
		actors.RequestFuture[int](sys.Root, a, relay{b}, actors.Timeout(time.Minute))
		actors.Submit(sys.Root, b, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name("sleeper"))
		held := actors.RequestFuture[int](sys.Root, c, p)
		actors.RequestFuture[int](sys.Root, c, nap(1))
		synctest.Wait()
		time.Sleep(time.Second)

		s := inspect.System(sys)
		if len(s.Workers) != 3 || !s.At.Equal(time.Now()) {
			t.Errorf("snapshot %+v", s)
		}
		want := inspect.Task{Name: "actors_test.relay", State: "awaiting", Awaits: "actors_test.nap", On: b, Age: time.Second, Budget: 59 * time.Second}
		if w := workerOf(t, s, a); len(w.Tasks) != 1 || !sameTask(w.Tasks[0], want) || w.State != "running" || w.Incarnation != 1 {
			t.Errorf("a is %+v, want %+v", w, want)
		}
		w := workerOf(t, s, b)
		names := []string{}
		for _, task := range w.Tasks {
			if task.State != "awaiting" || task.Awaits != "" {
				t.Errorf("b has %+v", task)
			}
			names = append(names, task.Name)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"actors_test.nap", "sleeper"}) || w.Counts.Pending != 2 || w.Counts.Accepted != 2 {
			t.Errorf("b is %+v", w)
		}
		w = workerOf(t, s, c)
		if len(w.Tasks) != 1 || w.Exclusive != "*actors.Promise[int]" || w.Tasks[0].Awaits != "promise" || w.Queued != 1 {
			t.Errorf("c is %+v", w)
		}
		p.Resolve(5)
		if v, err := held.Wait(t.Context()); v != 5 || err != nil {
			t.Error(v, err)
		}
	})
}

func sameTask(a, b inspect.Task) bool {
	on := a.On == b.On || a.On != nil && b.On != nil && a.On.Equal(b.On)
	a.On, b.On = nil, nil
	a.Ref, b.Ref = inspect.TaskRef{}, inspect.TaskRef{} // TestRefs
	return on && a == b
}

// TestInspectBlockedTurn looks at a worker that is blocked for good, while it
// is.
func TestInspectBlockedTurn(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "stuck", inspected, actors.Options{BlockedTurn: time.Second})
		until := make(chan struct{})
		stuck := actors.RequestFuture[int](sys.Root, pid, stick{until})
		began := time.Now()
		for range 7 {
			actors.RequestFuture[int](sys.Root, pid, nap(1))
		}
		// In the bubble time stands still while a turn is blocked on a channel
		// of its own: it is idle, and goes on.
		time.Sleep(10 * time.Second)
		w := workerOf(t, inspect.System(sys), pid)
		if w.Queued != 7 || w.OldestWait < 9*time.Second || w.OldestWait > 10*time.Second || w.BlockedTurns != 1 {
			t.Errorf("the queue: %+v", w)
		}
		if len(w.Tasks) != 1 || w.Tasks[0].State != "running" || w.Tasks[0].Name != "actors_test.stick" {
			t.Errorf("the tasks: %+v", w.Tasks)
		}
		b := w.Blocked
		if b == nil || b.Task != "actors_test.stick" || b.Since.Before(began) || b.Since.After(began.Add(time.Second)) ||
			!strings.Contains(string(b.Stack), "actors_test.inspected") {
			t.Fatalf("the blocked turn: %+v", b)
		}
		close(until)
		if v, err := stuck.Wait(t.Context()); v != 2 || err != nil {
			t.Error(v, err)
		}
		synctest.Wait()
		if w := workerOf(t, inspect.System(sys), pid); w.Blocked != nil || w.OldestWait != 0 || w.BlockedTurns != 1 {
			t.Errorf("afterwards: %+v", w)
		}
	})
}

// TestInspectShowsWhatIsDelayed: how much of After waits, and until when; at the restart and at
// the stop event nothing does any more.
func TestInspectShowsWhatIsDelayed(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, string) error { panic("restart") })
			return nil
		})
		shows := func(when string, n int, next time.Time) {
			w.Helper()
			if got := workerOf(w.T, inspect.System(w.sys), pid); got.Delayed != n || !got.NextDelayed.Equal(next) {
				w.Errorf("%s: %d delayed, the next until %v; want %d, %v", when, got.Delayed, got.NextDelayed, n, next)
			}
		}
		// A look may wait for a millisecond, so it is not known from the test when the task runs.
		delay := func(d time.Duration) (f *actors.Future[actors.None], due time.Time) {
			want(w, did(w.root, pid, func(t *actors.Task) error {
				f, due = t.After(d, nothing), time.Now().Add(d)
				return nil
			}), actors.None{})
			return f, due
		}
		shows("at first", 0, time.Time{})
		_, last := delay(2 * time.Hour)
		first, soon := delay(time.Minute)
		_, later := delay(time.Hour)
		shows("three", 3, soon)
		first.Cancel()
		shows("one was cancelled", 2, later)
		time.Sleep(90 * time.Minute)
		shows("one was due", 1, last)
		w.root.Send(pid, "restart")
		synctest.Wait()
		if got := workerOf(w.T, inspect.System(w.sys), pid); got.Incarnation != 2 {
			w.Fatalf("incarnation %d", got.Incarnation)
		}
		shows("restarted", 0, time.Time{})
		delay(time.Hour)
		busy := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
		stopped := actors.RequestStop(w.root, pid, actors.Forever)
		shows("told to stop", 0, time.Time{})
		want(w, busy, actors.None{})
		_, _ = stopped.Wait(w.Context())
	})
}

// TestInspectWhileWorking looks all the time, from several goroutines, while
// workers start, work, restart and stop.
func TestInspectWhileWorking(t *testing.T) {
	sys := actortest.NewSystem(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				for _, w := range inspect.System(sys).Workers {
					c := w.Counts
					if c.Offered != c.Accepted+c.Refused || c.Accepted != c.Finished+c.Failed+c.Canceled+c.Abandoned+c.DeadLettered+c.Pending || c.Pending < 0 {
						t.Errorf("the account does not hold: %+v", c)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		a := actortest.Spawn(t, sys.Root, "a", inspected, actors.Options{})
		b := actortest.Spawn(t, sys.Root, "b", inspected, actors.Options{})
		var all []*actors.Future[int]
		for range 200 {
			all = append(all, actors.RequestFuture[int](sys.Root, a, relay{b}, actors.Timeout(5*time.Millisecond)))
			all = append(all, actors.RequestFuture[int](sys.Root, b, nap(time.Microsecond)))
		}
		for _, f := range all {
			_, _ = f.Wait(t.Context())
		}
		for _, pid := range []*actor.PID{a, b} {
			if _, err := actors.Stop(t.Context(), sys.Root, pid, time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	wg.Wait()
}

// TestTaskNamesAreTheSameEverywhere: in the log, in a snapshot, in the report
// of a blocked turn and of an abandoned task.
func TestTaskNamesAreTheSameEverywhere(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{BlockedTurn: time.Second, StopGrace: time.Second})
		until := make(chan struct{})
		defer close(until)
		actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { <-until; return 0, nil }, actors.Name("counting"))
		time.Sleep(5 * time.Second)
		w := workerOf(t, inspect.System(sys), pid)
		stopped := actors.RequestStop(sys.Root, pid, actors.NoGrace)
		if _, err := stopped.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		names := []string{w.Tasks[0].Name, w.Blocked.Task}
		for _, message := range []string{"blocked turn", "abandoned"} {
			for _, r := range actortest.LogOf(sys).Find(slog.LevelWarn, message) {
				names = append(names, fmt.Sprint(r.Attr("task")))
			}
		}
		if want := []string{"counting", "counting", "counting", "counting"}; !slices.Equal(names, want) {
			t.Errorf("the names are %q, want %q", names, want)
		}
	})
}

// TestInspectWhileForwarding: a request that its handler passes on to a plain
// actor expires in the end, which is arranged in the middle of a turn.
func TestInspectWhileForwarding(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if n, ok := c.Message().(int); ok && n > 0 {
				c.Respond(n)
			}
		}))
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ int) error { t.Forward(plain); t.Forward(plain); return nil })
			return nil
		}, actors.Options{})
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					inspect.System(sys)
				}
			}
		})
		for range 1000 {
			if v, err := actors.RequestFuture[int](sys.Root, pid, 1).Wait(t.Context()); v != 1 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		}
		close(done)
		wg.Wait()
		begin := time.Now()
		_, err := actors.RequestFuture[int](sys.Root, pid, 0).Wait(t.Context())
		if took := time.Since(begin); !errors.Is(err, actors.ErrTimeout) || took != 30*time.Second {
			t.Errorf("without an answer: %v after %v", err, took)
		}
	})
}

// TestInspectBlocked: only those that a turn holds up now.
func TestInspectBlocked(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		stuck := actortest.Spawn(t, sys.Root, "stuck", inspected, actors.Options{BlockedTurn: time.Second})
		actortest.Spawn(t, sys.Root, "idle", inspected, actors.Options{BlockedTurn: time.Second})
		for range 1000 { // a health probe looks at none of them
			actors.Submit(sys.Root, stuck, func(t *actors.Task) (int, error) { return 0, t.Sleep(20 * time.Second) })
		}
		until := make(chan struct{})
		actors.RequestFuture[int](sys.Root, stuck, stick{until})
		if s := inspect.Blocked(sys); len(s.Workers) != 0 {
			t.Errorf("before BlockedTurn is over: %v", s)
		}
		time.Sleep(10 * time.Second)
		if s := inspect.Blocked(sys); len(s.Workers) != 1 || s.Workers[0].Blocked == nil || !s.Workers[0].PID.Equal(stuck) {
			t.Errorf("while the turn lasts: %v", s)
		} else if w := s.Workers[0]; w.Live != 1001 || len(w.Tasks) != 0 {
			t.Errorf("of %d tasks it shows %d", w.Live, len(w.Tasks))
		}
		if n := testtools.Allocs(10, func() { inspect.Blocked(sys) }); n > 20 {
			t.Errorf("%v allocations", n)
		}
		close(until)
		synctest.Wait()
		if s := inspect.Blocked(sys); len(s.Workers) != 0 {
			t.Errorf("afterwards: %v", s)
		}
	})
}

// TestGroupsToldToEnd: a group says how many of its tasks were told to end and are still here.
func TestGroupsToldToEnd(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{})
		slow := func(t *actors.Task) (int, error) {
			_ = t.Sleep(time.Hour) // its error is that the task was told to end
			return 0, t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
		}
		first := actors.Submit(sys.Root, pid, slow)
		for range 2 {
			actors.Submit(sys.Root, pid, slow, actors.Timeout(2*time.Second)).OnDone(func(int, error) {})
		}
		last := actors.Submit(sys.Root, pid, slow)
		count := func() (told, over int, oldest time.Time) {
			for _, g := range inspect.Look(sys, inspect.Options{Groups: true}).Groups {
				told += g.ToldToEnd
				over += g.OverBudget
				if oldest.IsZero() {
					oldest = g.FirstTold
				}
				if (g.Told.ID != 0) != (g.ToldToEnd > 0) {
					t.Errorf("%d were told, the first is %+v", g.ToldToEnd, g.Told)
				}
			}
			return told, over, oldest
		}
		time.Sleep(time.Second)
		if told, over, _ := count(); told != 0 || over != 0 {
			t.Errorf("before: %d told, %d over budget", told, over)
		}
		at := time.Now()
		first.Cancel()
		time.Sleep(4 * time.Second)
		if told, over, oldest := count(); told != 3 || over != 2 || !oldest.Equal(at) {
			t.Errorf("%d told, %d over budget, the first at %v, want it at %v", told, over, oldest, at)
		}
		last.Cancel()
		time.Sleep(time.Minute)
		if told, over, _ := count(); told != 0 || over != 0 {
			t.Errorf("when they have ended: %d told, %d over budget", told, over)
		}
	})
}

// TestInspectOfABusySystem looks at workers that always have something to do, more
// than there are processors.
func TestInspectOfABusySystem(t *testing.T) {
	sys := actortest.NewSystem(t)
	var stop atomic.Bool
	const n = 50
	for i := range n {
		pid := actortest.Spawn(t, sys.Root, fmt.Sprint("worker-", i), inspected, actors.Options{})
		actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			for !stop.Load() {
				if err := t.Yield(); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
	}
	looks := 0
	for ; looks < 50; looks++ { // it may find some of them between two turns
		if slices.ContainsFunc(inspect.System(sys).Workers, func(w inspect.Worker) bool { return w.State == "running" }) {
			break
		}
	}
	stop.Store(true)
	if looks == 50 {
		t.Errorf("%d looks have found nothing of %d workers", looks, n)
	}
}

// TestInspectDoesWithoutTheRest: it leaves no trace in a worker that keeps it
// waiting. The engine was given its place in the worker's list, and logged that it
// does not know such a message.
func TestInspectDoesWithoutTheRest(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
		p := new(actors.Promise[int])
		const n = 2000
		for range n {
			actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) })
		}
		synctest.Wait()
		if some := actors.InspectHalf(sys, pid); some == 0 || some == n {
			t.Fatalf("it has looked at %d tasks of %d", some, n)
		}
		synctest.Wait()
		if r := actortest.LogOf(sys).Find(slog.LevelWarn, ""); len(r) > 0 {
			t.Errorf("%v", r)
		}
		p.Resolve(1)
	})
}

// TestInspectManyTasks needs several looks for all of them, and none of these keeps the worker from going on for longer
// than a bounded number of tasks takes.
func TestInspectManyTasks(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
		p := new(actors.Promise[int])
		n := 100_000
		if testing.Short() {
			n = 20_000
		}
		for range n {
			actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) })
		}
		synctest.Wait()
		for range 3 {
			if w := workerOf(t, inspect.System(sys), pid); len(w.Tasks) != n {
				t.Errorf("%d tasks of %d", len(w.Tasks), n)
			}
			if l := inspect.Look(sys, inspect.Options{Groups: true, Roots: true}); len(l.Groups) != 1 || l.Groups[0].Tasks != n || len(l.Roots) != 1 || l.Roots[0].Tasks != n {
				t.Errorf("of %d tasks: groups %+v, roots %+v", n, l.Groups, l.Roots)
			}
		}
		if longest := actors.LongestPin(sys, pid); longest == 0 || longest > loop.StretchTasks {
			t.Errorf("a look has met %d tasks while the worker waited for it, want %d at most", longest, loop.StretchTasks)
		}
		p.Resolve(1)
	})
}

// TestSnapshotText is a small incident: a queue that waits for a blocked turn,
// a worker that waits for that, one that is to stop, and idle ones.
func TestSnapshotText(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		bank := actortest.Spawn(t, sys.Root, "bank", inspected, actors.Options{BlockedTurn: time.Second, StopGrace: time.Hour})
		shop := actortest.Spawn(t, sys.Root, "shop", inspected, actors.Options{})
		till := actortest.Spawn(t, sys.Root, "till", inspected, actors.Options{})
		for i := range 3 {
			actortest.Spawn(t, sys.Root, fmt.Sprint("idle-", i), inspected, actors.Options{})
		}
		until := make(chan struct{})
		defer close(until)
		actors.RequestFuture[int](sys.Root, bank, stick{until})
		actors.RequestFuture[int](sys.Root, till, nap(time.Hour))
		for range 2 {
			actors.RequestFuture[int](sys.Root, shop, relay{bank}, actors.Timeout(time.Minute))
		}
		actors.Submit(sys.Root, shop, func(t *actors.Task) (int, error) { return 1, nil })
		synctest.Wait()
		actors.RequestStop(sys.Root, till, time.Minute)
		time.Sleep(10 * time.Second)

		got := inspect.System(sys).String()
		if !strings.Contains(got, "\n        goroutine ") || !strings.Contains(got, "actors_test.inspected") {
			t.Errorf("no stack of the blocked turn in\n%s", got)
		}
		// What is in it differs from Go to Go.
		got = regexp.MustCompile(`(?m)^        (goroutine|[^ ]).*\n(            ?.*\n|        \t.*\n)*`).ReplaceAllString(got, "")
		want := `2000-01-01T00:00:10.000Z: 6 workers: 1 blocked, 1 ending, 1 with work, 3 idle

worker  state             incarnation  queued  oldest  in flight  account
bank    running, blocked            1       2    9.5s          1  accepted 3, pending 3, blocked turns 1
    blocked for 9.5s, since 00:00:00.500, by actors_test.stick
    actors_test.stick  running  -
till    stopping                    1       0       -          1  accepted 1, pending 1
    actors_test.nap  awaiting  10s
shop    running                     1       0       -          2  accepted 3, finished 1, pending 2
    actors_test.relay  awaiting  10s  for actors_test.nap of bank, 50s left
    actors_test.relay  awaiting  10s  for actors_test.nap of bank, 50s left
`
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}
