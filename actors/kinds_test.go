// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/consoletest"
)

func kindOf(t *testing.T, sys *actor.ActorSystem, name string) inspect.WorkerKind {
	t.Helper()
	for _, k := range inspect.Kinds(sys) {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("there is no kind %s in %+v", name, inspect.Kinds(sys))
	return inspect.WorkerKind{}
}

// fails is a worker that fails with each string, and sleeps as long as it is told.
func fails(w *actors.Worker) error {
	actors.On(w, func(t *actors.Task, m string) error { panic(m) })
	actors.Handle(w, func(t *actors.Task, m nap) (int, error) { return 1, t.Sleep(time.Duration(m)) })
	return nil
}

// TestKinds: what workers have counted stays when they are gone, under few names.
func TestKinds(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		quiet := actors.Options{Logger: discard()}
		var pids []*actor.PID
		for i := range 3 {
			pids = append(pids, actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), fails, quiet))
		}
		actortest.Spawn(t, sys.Root, "named", fails, actors.Options{Kind: "shop"})
		for range 5 {
			for _, pid := range pids {
				if _, err := actors.Call[int](t.Context(), sys.Root, pid, nap(1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range 10 {
			sys.Root.Send(pids[0], fmt.Sprint("failure ", i))
			time.Sleep(time.Minute) // it may restart 10 times in 10 s
		}
		k := kindOf(t, sys, "actors_test.fails")
		if k.Workers != 3 || k.Counts.Finished != 15 || k.Counts.Failed != 10 || k.Restarts != 10 || k.Failed != 10 || len(k.Failures) != 8 {
			t.Errorf("%d workers, %v, %d restarts, %d failures of which it has %d", k.Workers, k.Counts, k.Restarts, k.Failed, len(k.Failures))
		}
		for i, f := range k.Failures {
			if want := fmt.Sprint("panic: failure ", 9-i); f.Err != want || f.Kind != inspect.WorkerFailure || f.Worker.Id != "w0" || !strings.Contains(string(f.Stack), "actors_test.fails") {
				t.Errorf("failure %d is %+v, want %s", i, f, want)
			}
		}
		if k := kindOf(t, sys, "shop"); k.Workers != 1 || k.Counts.Offered != 0 {
			t.Errorf("%+v", k)
		}
		for _, pid := range pids {
			if _, err := actors.Stop(t.Context(), sys.Root, pid, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if after := kindOf(t, sys, "actors_test.fails"); after.Workers != 0 || after.Counts.Finished != 15 || after.Counts.Failed != 10 || !after.Counts.Agree() || after.Counts.Pending != 0 {
			t.Errorf("when they are gone: %+v", after)
		}
	})
}

// setUpGeneric is a setup function whose name has its argument.
func setUpGeneric[T any](*actors.Worker) error { return nil }

// TestKindsLongNames: what is kept and shown under a name has a name that can be kept and shown, whatever somebody has called it, and
// names that begin alike are two.
func TestKindsLongNames(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		defer inspect.LabelTasks(sys, false)
		inspect.LabelTasks(sys, true)
		long := strings.Repeat("ä", 50_000)
		names := []string{long, long + "2", "a\xff", "a\xfe", "a"}
		for i, name := range names {
			var failed atomic.Int32
			setup := func(w *actors.Worker) error {
				w.Background(name, func(t *actors.Task) error {
					if failed.Add(1) <= 2 {
						panic("it fails")
					}
					return t.Sleep(time.Hour)
				})
				return nil
			}
			for _, id := range []string{"w", "v"} {
				actortest.Spawn(t, sys.Root, fmt.Sprint(id, i), setup, actors.Options{Kind: name, Logger: discard()})
			}
		}
		actortest.Spawn(t, sys.Root, "generic", setUpGeneric[[3]struct {
			AFieldWithALongName, AnotherFieldWithALongName, AThirdFieldWithALongName, AFourthFieldWithALongName, AFifthFieldWithALongName,
			ASixthFieldWithALongName, ASeventhFieldWithALongName, AnEighthFieldWithALongName, ANinthFieldWithALongName int
		}], actors.Options{})
		synctest.Wait()
		fits := func(name string) {
			t.Helper()
			if len(name) > 300 || !utf8.ValidString(name) {
				t.Errorf("%d bytes: %.300q", len(name), name)
			}
		}
		kinds := map[string]int{}
		for _, k := range inspect.Kinds(sys) {
			fits(k.Name)
			kinds[k.Name] = k.Workers
			for _, f := range k.Failures {
				fits(f.Task)
			}
			if len(k.Failures) > 0 != (k.Workers == 2) {
				t.Errorf("%d workers of a kind have %d failures", k.Workers, len(k.Failures))
			}
		}
		for name, n := range kinds {
			if n != 2 && n != 1 || n == 1 && !strings.HasPrefix(name, "actors_test.setUpGeneric") {
				t.Errorf("%.300q has %d workers", name, n)
			}
		}
		if len(kinds) != len(names)+1 {
			t.Errorf("%d names are %d kinds", len(names), len(kinds)-1)
		}
		s := inspect.Look(sys, inspect.Options{Groups: true})
		for _, g := range s.Groups {
			fits(g.Kind)
		}
		for _, r := range s.Roots {
			fits(r.Kind)
		}
		for _, w := range s.Workers {
			fits(w.Kind)
		}
		labels := 0
		for line := range strings.Lines(goroutineLabels()) {
			if strings.HasPrefix(line, "# labels: ") && strings.Contains(line, "protoloop.kind") {
				labels++
				if len(line) > 1000 || !utf8.ValidString(line) {
					t.Errorf("a goroutine has labels of %d bytes: %.300q", len(line), line)
				}
			}
		}
		if labels < 3 {
			t.Errorf("%d goroutines have labels", labels)
		}
	})
}

// TestKindsTimes: one message in 64 is timed.
func TestKindsTimes(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", fails, actors.Options{MaxInFlight: 1})
		const n = 640
		var last *actors.Future[int]
		for range n {
			last = actors.RequestFuture[int](sys.Root, pid, nap(time.Second))
		}
		if _, err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := kindOf(t, sys, "actors_test.fails").QueueWait
		// The 64th waits for 63 others; what comes while it does is not timed beside it.
		if got := h.N(); got != 1 || h.Sum != 63*time.Second || h.Quantile(0.5) < h.Sum || h.Quantile(0.5) > 2*h.Sum {
			t.Errorf("%d waits of %v, the median less than %v", got, h.Sum, h.Quantile(0.5))
		}
		for range n { // one after the other: none waits
			if _, err := actors.Call[int](t.Context(), sys.Root, pid, nap(1)); err != nil {
				t.Fatal(err)
			}
		}
		k := kindOf(t, sys, "actors_test.fails")
		if now := k.QueueWait.Since(&h); now.N() != n/64 || now.Sum != 0 {
			t.Errorf("%d waits of %v, want %d of 0", now.N(), now.Sum, n/64)
		}
		if turns := k.TurnTime.N(); turns < 10 || turns > 100 {
			t.Errorf("%d turns of some 2,560 were timed", turns)
		}
	})
}

// TestTurnTime: the time is that of the turn, and not of what the task awaits, nor of a lull.
func TestTurnTime(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "w", fails, actors.Options{})
	const long = time.Millisecond
	for range 1200 { // at random: every 64th turn is timed, and might always be the same one of a row
		sleeps, quick := 1+rand.IntN(2), rand.IntN(2) == 0
		_, err := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			for range sleeps {
				if err := t.Sleep(10 * time.Microsecond); err != nil {
					return 0, err
				}
			}
			if quick {
				return 0, nil
			}
			for end := time.Now().Add(long); time.Now().Before(end); {
			}
			return 0, nil
		}).Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
	}
	h := kindOf(t, sys, "actors_test.fails").TurnTime
	short, busy := int64(0), int64(0)
	for i, n := range h.Counts {
		if h.Bound(i) <= long/2 {
			short += n
		} else {
			busy += n
		}
	}
	if short == 0 || busy == 0 {
		t.Errorf("%d short turns, %d of %v: %v", short, busy, long, h.Counts)
	}
}

// TestSampler: what holds the turn has the whole time.
func TestSampler(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{Kind: "shop"})
		s := inspect.StartSampler(sys)
		defer s.Stop()
		time.Sleep(time.Second + 5*time.Millisecond) // between two samples
		if all := s.Shares(); len(all) != 0 {
			t.Errorf("nothing runs: %+v", all)
		}
		until := make(chan struct{})
		f := actors.RequestFuture[int](sys.Root, pid, stick{until})
		time.Sleep(time.Second)
		all := s.Shares()
		if len(all) != 1 || all[0].Kind != "shop" || !all[0].Worker.Equal(pid) || all[0].Task != "actors_test.stick" || all[0].Busy != 1 {
			t.Errorf("%+v", all)
		}
		close(until)
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestSharedBy: what the workers share is counted.
func TestSharedBy(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		if got := inspect.SharedBy(sys); got != (inspect.Shared{}) {
			t.Errorf("without a worker: %+v", got)
		}
		pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{MaxOffloads: 2})
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		until := make(chan struct{})
		defer close(until)
		actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			for range 5 {
				actors.Offload(t, func(context.Context) (int, error) { <-until; return 0, nil })
			}
			actors.RequestFuture[int](t, plain, 1, actors.Timeout(time.Hour))
			return 0, t.Sleep(time.Hour)
		}, actors.Timeout(time.Hour))
		synctest.Wait()
		got := inspect.SharedBy(sys)
		if got.Workers != 1 || got.Offloads != 2 || got.OffloadsWaiting != 3 || got.UnansweredRequests != 1 || got.Deadlines < 1 || got.Runners < 1 || got.RunnersIdle != got.Runners {
			t.Errorf("%+v", got)
		}
		if w := workerOf(t, inspect.System(sys), pid); w.Timers != 1 {
			t.Errorf("%d timers", w.Timers)
		}
	})
}

// goroutineLabels is the profile of goroutines, as text.
func goroutineLabels() string {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}

// TestLabelTasks: tasks have labels while they are on, and the coroutine of one has none afterwards.
func TestLabelTasks(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{Kind: "shop"})
		look := func(name string) (labelled bool) {
			_, err := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
				labelled = strings.Contains(goroutineLabels(), fmt.Sprintf(`"protoloop.kind":"shop", "protoloop.task":"%s"`, name))
				return 0, nil
			}, actors.Name(name)).Wait(t.Context())
			if err != nil {
				t.Error(err)
			}
			return labelled
		}
		if look("before") {
			t.Error("a task has labels before they are on")
		}
		inspect.LabelTasks(sys, true)
		if !look("while") {
			t.Error("a task has no labels")
		}
		sleeper := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name("asleep"))
		aside := make(chan struct{})
		out := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			return actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { <-aside; return 0, nil }, actors.Name("disk")))
		})
		synctest.Wait()
		for _, name := range []string{"asleep", "disk"} {
			if !strings.Contains(goroutineLabels(), `"protoloop.task":"`+name+`"`) {
				t.Errorf("%s has no labels", name)
			}
		}
		close(aside)
		_, _ = out.Wait(t.Context())
		inspect.LabelTasks(sys, false)
		if look("after") {
			t.Error("a task has labels when they are off")
		}
		sleeper.Cancel()
		synctest.Wait()
		for range 3 {
			look("after")
		}
		if text := goroutineLabels(); strings.Contains(text, `"protoloop.task":"while"`) {
			t.Errorf("labels of a task have stayed:\n%s", text)
		}
	})
}

// TestLabelsOfManyTypes: where there are more types of messages than places for what is looked up by their address, each task has the
// label of its own type all the same, and so has one that was given a name.
func TestLabelsOfManyTypes(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		inspect.LabelTasks(sys, true)
		defer inspect.LabelTasks(sys, false)
		seen := make(chan string, 1)
		pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if want := fmt.Sprintf("%T", c.Message()); strings.HasPrefix(want, "[") {
				if strings.Contains(goroutineLabels(), `"protoloop.task":"`+want+`"`) {
					want = ""
				}
				seen <- want
			}
		}, actors.EventLoop(actors.Options{})))
		defer func() { _ = sys.Root.StopFuture(pid).Wait() }()
		for range 2 { // the second time it is known
			for n := range 100 {
				sys.Root.Send(pid, reflect.New(reflect.ArrayOf(n, reflect.TypeFor[byte]())).Elem().Interface())
				if missed := <-seen; missed != "" {
					t.Errorf("a task has no label %s", missed)
				}
			}
		}
		worker := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{})
		same := func(*actors.Task) (string, error) { return goroutineLabels(), nil }
		for _, name := range []string{"", "named", ""} {
			var opts []actors.CallOption
			want := "actors_test.TestLabelsOfManyTypes"
			if name != "" {
				opts, want = append(opts, actors.Name(name)), name
			}
			labels, err := actors.Submit(sys.Root, worker, same, opts...).Wait(t.Context())
			if err != nil || !strings.Contains(labels, `"protoloop.task":"`+want) {
				t.Errorf("a function has no label %s: %v", want, err)
			}
		}
	})
}

// contexts is a log handler that keeps the value of spanKey of each record's context, by its message.
type contexts struct {
	slog.Handler
	mu  *sync.Mutex
	all map[string]string
}

func (c contexts) Enabled(context.Context, slog.Level) bool { return true }
func (c contexts) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c contexts) WithGroup(string) slog.Handler            { return c }
func (c contexts) Handle(ctx context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[r.Message] = spanOf(ctx)
	return nil
}

// TestLogRecordsHaveTheContext of the task that they are about.
func TestLogRecordsHaveTheContext(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := contexts{mu: new(sync.Mutex), all: map[string]string{}}
		pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, m string) (int, error) { panic(m) })
			return nil
		}, actors.Options{Logger: slog.New(c), BlockedTurn: time.Second, StopGrace: time.Second})
		span := func(name string) actors.CallOption {
			return actors.WithContext(context.WithValue(context.Background(), spanKey{}, name))
		}
		_, _ = actors.RequestFuture[int](sys.Root, pid, "panics", span("failed")).Wait(t.Context())
		until := make(chan struct{})
		f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { <-until; return 0, nil }, span("blocked"))
		time.Sleep(3 * time.Second)
		close(until)
		_, _ = f.Wait(t.Context())
		stuck := make(chan struct{})
		defer close(stuck)
		actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { <-stuck; return 0, nil }, span("abandoned"))
		synctest.Wait()
		_, _ = actors.Stop(t.Context(), sys.Root, pid, actors.NoGrace)
		c.mu.Lock()
		defer c.mu.Unlock()
		for message, want := range map[string]string{
			"actors: the worker failed":                                                                            "failed",
			"actors: blocked turn: the worker does nothing else meanwhile":                                         "blocked",
			"actors: a task did not return when it was told to end; it is abandoned, and goes on without its loop": "abandoned",
		} {
			if got, ok := c.all[message]; got != want {
				t.Errorf("%q has the context %q (%v), want %q", message, got, ok, want)
			}
		}
	})
}

// TestTaskLoggerHasTheContext of its task, where a record has none.
func TestTaskLoggerHasTheContext(t *testing.T) {
	c := contexts{mu: new(sync.Mutex), all: map[string]string{}}
	sys := actortest.NewSystem(t, actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(c) }))
	pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{})
	_, err := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
		plain := t.Logger()
		plain.Info("none")
		t.SetContext(context.WithValue(context.Background(), spanKey{}, "mine"))
		t.Logger().Info("mine")
		t.Logger().With("n", 1).InfoContext(context.WithValue(context.Background(), spanKey{}, "other"), "other")
		if plain != t.Logger() && spanOf(t.Context()) != "mine" {
			return 0, errors.New("another context")
		}
		return 0, nil
	}).Wait(t.Context())
	if err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for message, want := range map[string]string{"none": "", "mine": "mine", "other": "other"} {
		if got := c.all[message]; got != want {
			t.Errorf("%s has %q, want %q", message, got, want)
		}
	}
}

// TestWatchedLeavesNothing spawns and ends many workers with everything on.
func TestWatchedLeavesNothing(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	sys := actortest.NewSystem(t)
	inspect.LabelTasks(sys, true)
	defer inspect.LabelTasks(sys, false)
	inspect.Observe(sys, &inspect.Observer{Sample: func(inspect.Work) bool { return true }})
	defer inspect.Observe(sys, nil)
	sampler := inspect.StartSampler(sys)
	defer sampler.Stop()
	round := func(n int) {
		var wg sync.WaitGroup
		const at = 4
		for g := range at {
			wg.Go(func() {
				for i := range n / at {
					name := fmt.Sprintf("w-%d-%d", g, i)
					pid, err := actors.Spawn(t.Context(), sys.Root, name, fails, actors.Options{})
					if err != nil {
						t.Error(err)
						return
					}
					f := actors.RequestFuture[int](sys.Root, pid, nap(0))
					if i%64 == 0 {
						inspect.Look(sys, inspect.Options{Groups: true, Roots: true})
						inspect.Kinds(sys)
					}
					if _, err := f.Wait(t.Context()); err != nil {
						t.Error(err)
					}
					if _, err := actors.Stop(t.Context(), sys.Root, pid, time.Second); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		sampler.Shares()
	}
	heap := func() uint64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	watched := func(n int) {
		stop := consoletest.Watch(t, sys) // a console, and what a scrape reads
		defer stop()
		round(n)
	}
	watched(2000) // pools fill
	before := heap()
	watched(n)
	// 64 bytes kept of each are more. What the system has of its own, stacks and pools, comes and goes by 100 KB.
	if after := heap(); after > before+uint64(n)*10+400<<10 {
		t.Errorf("%d bytes have come to be in use by %d workers that are gone", after-before, n)
	}
	if k := kindOf(t, sys, "actors_test.fails"); k.Workers != 0 || k.Counts.Finished != int64(2000+n/4*4) {
		t.Errorf("%d workers, %v", k.Workers, k.Counts)
	}
}
