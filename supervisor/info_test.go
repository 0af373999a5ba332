// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// ids are the ids of the PIDs of supervisors, each behind that of its parent.
func ids(all []supervisor.AnySupervisor) (out []string) {
	for _, s := range all {
		id := s.PID().Id
		if up := s.Info().Parent; up != nil {
			id = up.Id + " > " + id
		}
		out = append(out, id)
	}
	return out
}

// All has each supervisor behind its parent, as long as it lives.
func TestAll(t *testing.T) {
	bubble(t, func(w *world) {
		if all := supervisor.All(w.sys); len(all) != 0 {
			t.Errorf("at first there are %v", ids(all))
		}
		pool, err := supervisor.DynamicProps(supervisor.DynamicSpec{Child: supervisor.Child{Props: w.part("p", nil)}, MaxChildren: 7})
		if err != nil {
			t.Fatal(err)
		}
		inner := func() supervisor.Spec { return supervisor.Spec{Children: w.children("x")} }
		one := w.start(supervisor.Spec{Name: "one", Strategy: supervisor.RestForOne, Children: []supervisor.Child{
			{Name: "a", Props: w.props(inner())}, {Name: "pool", Props: pool}}})
		two := w.start(supervisor.Spec{Name: "two", MaxRestarts: 4, Within: time.Minute, Children: w.children("y")})
		if err := one.Restart(w.Context(), "a"); err != nil { // another actor, at the same place
			t.Fatal(err)
		}
		want := []string{"one", "one > one/pool", "one > one/a", "two"}
		if got := ids(supervisor.All(w.sys)); !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
		for _, s := range supervisor.All(w.sys) {
			i := s.Info()
			got := fmt.Sprintf("%s: %s %v %v %d in %v, %d, max %d", i.PID.Id, i.State, i.Dynamic, i.Strategy, i.MaxRestarts, i.Within, i.Restarted, i.MaxChildren)
			want := map[string]string{
				"one":      "one: running false rest_for_one 1 in 5s, 0, max 0",
				"one/a":    "one/a: running false one_for_one 1 in 5s, 0, max 0",
				"one/pool": "one/pool: running true one_for_one -1 in 5s, 0, max 7",
				"two":      "two: running false one_for_one 4 in 1m0s, 0, max 0",
			}[i.PID.Id]
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		w.stop(one)
		if got := ids(supervisor.All(w.sys)); !slices.Equal(got, []string{"two"}) {
			t.Errorf("then there are %q", got)
		}
		w.stop(two)
		if got := ids(supervisor.All(w.sys)); len(got) != 0 {
			t.Errorf("in the end there are %q", got)
		}
	})
}

// Info has the last 32 restarts, with the stacks of panics, how much of the intensity is
// used up, and for how long who waits.
func TestInfoRestarts(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 40, Within: time.Minute, Children: []supervisor.Child{
			w.child("a"),
			{Name: "b", Props: w.part("b", nil), Restart: supervisor.Transient, Shutdown: time.Hour,
				Backoff: actors.Backoff{Initial: 10 * time.Second}},
		}})
		begin := time.Now()
		for range 34 {
			w.crash(s.Child("a"))
			time.Sleep(time.Second)
		}
		w.crash(s.Child("b"))
		i := s.Info()
		if i.Restarted != 35 || i.MaxRestarts != 40 || i.RestartsTotal != 35 || len(i.Restarts) != 32 {
			t.Errorf("%d of %d restarts, %d in all, %d shown", i.Restarted, i.MaxRestarts, i.RestartsTotal, len(i.Restarts))
		}
		for n, r := range i.Restarts[:31] {
			if want := begin.Add(time.Duration(n+3) * time.Second); r.Child != "a" || !r.At.Equal(want) || !r.Counted {
				t.Errorf("restart %d: %+v, want it at %v", n, r, want)
			}
		}
		last := i.Restarts[31]
		if last.Child != "b" || last.Delay != 10*time.Second || last.Attempt != 1 || last.Task != "supervisor_test.boom" || !strings.Contains(string(last.Stack), "part.func") {
			t.Errorf("the last is %+v\n%s", last, last.Stack)
		}
		var p *actors.PanicError
		if !errors.As(last.Err, &p) || p.Value != "boom" {
			t.Errorf("of %v", last.Err)
		}
		time.Sleep(4 * time.Second)
		i = s.Info()
		b := i.Children[1]
		if b.Name != "b" || b.BackoffLeft != 6*time.Second || b.Restart != supervisor.Transient || b.Shutdown != time.Hour || b.State != "quiesced" {
			t.Errorf("%+v", b)
		}
		if a := i.Children[0]; a.BackoffLeft != 0 || a.Restarts != 34 || a.Shutdown != 5*time.Second || i.Len != 2 || i.States["up"] != 1 || i.States["quiesced"] != 1 {
			t.Errorf("%+v, %v", a, i.States)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if b := s.Info().Children[1]; b.BackoffLeft != 0 || b.State != "up" {
			t.Errorf("%+v", b)
		}
		time.Sleep(time.Minute)
		if i := s.Info(); i.Restarted != 0 || i.RestartsTotal != 35 {
			t.Errorf("a minute later %d of %d", i.Restarted, i.RestartsTotal)
		}
		w.stop(s)
	})
}

// Info says what a stop still waits for, down the tree, and how long that may go on.
func TestInfoStop(t *testing.T) {
	bubble(t, func(w *world) {
		slow := supervisor.Child{Name: "slow", Props: w.part("slow", nil), Shutdown: time.Minute}
		s := w.start(supervisor.Spec{Children: []supervisor.Child{
			w.child("a"), {Name: "in", Props: w.props(supervisor.Spec{Children: []supervisor.Child{w.child("b"), slow}})}}})
		if waits := s.Info().Waits; waits != nil {
			t.Errorf("it waits for %+v", waits)
		}
		f, g := w.tell(s.Child("in/slow"), sleep{time.Hour}), w.tell(s.Child("in/slow"), sleep{2 * time.Hour})
		synctest.Wait()
		stop := s.RequestStop()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		i := s.Info()
		if i.State != "stopping" || time.Since(i.Since) != 20*time.Second || len(i.Waits) != 1 {
			t.Fatalf("%+v", i)
		}
		got := i.Waits[0]
		if got.Path != "in/slow" || got.GraceLeft != 40*time.Second || got.Pending != 2 || got.Kind != supervisor.KindWorker || time.Since(got.Since) != 20*time.Second {
			t.Errorf("it waits for %+v", got)
		}
		if in := i.Children[1]; in.GraceLeft != actors.Forever {
			t.Errorf("%+v", in)
		}
		w.wants(supervisor.EndGrace(w.Context(), w.sys, i.Children[0].Ref), supervisor.ErrNotStopping)
		if err := supervisor.EndGrace(w.Context(), w.sys, got.Ref); err != nil {
			t.Error(err)
		}
		for _, f := range []*actors.Future[int]{f, g} {
			_, err := f.Wait(w.Context())
			w.wants(err, actors.ErrStopped)
		}
		if _, err := stop.Wait(w.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(i.Since); d != 20*time.Second {
			t.Errorf("the stop took %v", d)
		}
	})
}

// What is done to a child that has been started anew since is refused.
func TestRefs(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 10, Children: w.children("a", "b")})
		ref := func(name string) supervisor.Ref {
			for _, c := range s.Children() {
				if c.Name == name {
					return c.Ref
				}
			}
			return supervisor.Ref{Supervisor: "app", Child: name}
		}
		old := ref("a")
		w.crash(s.Child("a"))
		w.noted("+a +b -a +a")
		for what, act := range map[string]func(context.Context, supervisor.Ref) error{
			"RestartChild": func(ctx context.Context, r supervisor.Ref) error { return supervisor.RestartChild(ctx, w.sys, r) },
			"StopChild":    func(ctx context.Context, r supervisor.Ref) error { return supervisor.StopChild(ctx, w.sys, r) },
			"EndGrace":     func(ctx context.Context, r supervisor.Ref) error { return supervisor.EndGrace(ctx, w.sys, r) },
		} {
			if err := act(w.Context(), old); !errors.Is(err, supervisor.ErrChanged) {
				t.Errorf("%s of one that has been restarted: %v", what, err)
			}
			if err := act(w.Context(), supervisor.Ref{Supervisor: "app", Child: "c"}); !errors.Is(err, supervisor.ErrUnknownChild) {
				t.Errorf("%s of nobody: %v", what, err)
			}
			if err := act(w.Context(), supervisor.Ref{Supervisor: "none", Child: "a"}); !errors.Is(err, supervisor.ErrUnknownChild) {
				t.Errorf("%s of nobody's: %v", what, err)
			}
		}
		w.noted("")
		now := ref("a")
		if err := supervisor.StopChild(w.Context(), w.sys, now); err != nil {
			t.Error(err)
		}
		w.noted("-a")
		if got := state(s, "a"); got != "gone" {
			t.Errorf("it is %s", got)
		}
		time.Sleep(time.Hour)
		w.noted("") // though it is permanent
		if err := supervisor.RestartChild(w.Context(), w.sys, now); err != nil {
			t.Error(err)
		}
		w.noted("+a")
		w.wants(supervisor.RestartChild(w.Context(), w.sys, now), supervisor.ErrChanged)
		if err := s.Remove(w.Context(), "b"); err != nil {
			t.Error(err)
		}
		gone := ref("b")
		if _, err := s.Add(w.Context(), w.child("b")); err != nil {
			t.Error(err)
		}
		w.wants(supervisor.StopChild(w.Context(), w.sys, gone), supervisor.ErrChanged) // another one, of the same name
		self := s.Info().Ref
		w.stop(s)
		s = w.start(supervisor.Spec{Children: w.children("a")})
		w.wants(supervisor.EndGrace(w.Context(), w.sys, self), supervisor.ErrChanged)
		w.wants(supervisor.RestartChild(w.Context(), w.sys, now), supervisor.ErrChanged)
		w.stop(s)
	})
}

// The functions of Subscribe are told beside OnEvent, in order, and hold up nobody.
func TestSubscribe(t *testing.T) {
	bubble(t, func(w *world) {
		var mu sync.Mutex
		var all []string
		cancel := supervisor.Subscribe(w.sys, 0, func(e supervisor.EventRecord) {
			mu.Lock()
			defer mu.Unlock()
			if e.At != time.Now() || e.Dropped != 0 {
				t.Errorf("%+v", e)
			}
			all = append(all, text(e.Event))
			panic("it goes on")
		})
		gate := make(chan struct{})
		var slow []supervisor.EventRecord
		cancelBlocked := supervisor.Subscribe(w.sys, 2, func(e supervisor.EventRecord) {
			<-gate
			slow = append(slow, e)
		})
		defer cancelBlocked()
		s := w.start(supervisor.Spec{MaxRestarts: 10, Children: w.children("a", "b")})
		w.crash(s.Child("b"))
		want := []string{"app/a started", "app/b started", "app/b failed: panic: boom", "app/b restarting in 0s, attempt 1, with []", "app/b restarted, 1"}
		w.told(want...)
		mu.Lock()
		if !slices.Equal(all, want) {
			t.Errorf("told of %q, want %q", all, want)
		}
		mu.Unlock()
		cancel()
		close(gate)
		synctest.Wait()
		w.crash(s.Child("a"))
		var published []string
		for _, e := range w.taken() {
			published = append(published, text(e))
		}
		published = append(want, published...)
		at, dropped := -1, 0
		for _, e := range slow { // each is behind as many as it says were dropped
			if at, dropped = at+1+e.Dropped, dropped+e.Dropped; at >= len(published) || published[at] != text(e.Event) {
				t.Fatalf("the slow one was told of %+v, of %q", slow, published)
			}
		}
		if slow[0].Dropped != 0 || dropped == 0 || dropped > 3 || len(slow) < 4 {
			t.Errorf("the slow one was told of %+v", slow)
		}
		mu.Lock()
		if len(all) != 5 {
			t.Errorf("after the cancel it was told of %q", all)
		}
		mu.Unlock()
		w.stop(s)
	})
}

// Of many children Info shows those that matter, and looks at some at a time.
func TestInfoMany(t *testing.T) {
	bubble(t, func(w *world) {
		pool, err := supervisor.StartDynamic(w.Context(), w.sys, supervisor.DynamicSpec{Name: "pool",
			Child: supervisor.Child{Props: actors.Props(func(aw *actors.Worker) error {
				actors.On(aw, func(*actors.Task, boom) error { panic("boom") })
				return nil
			}), Backoff: actors.Backoff{Initial: time.Hour}}})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 1000 {
			if _, err := pool.Start(w.Context(), fmt.Sprintf("c%03d", n), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []string{"c007", "c999"} {
			w.root.Send(pool.Child(n), boom{})
		}
		synctest.Wait()
		i := pool.Info()
		var down []string
		for _, c := range i.Children {
			if c.State != "up" {
				down = append(down, c.Name)
			}
		}
		if i.Len != 1000 || i.States["up"] != 998 || i.States["quiesced"] != 2 || len(i.Children) != 200 || !slices.Equal(down, []string{"c007", "c999"}) {
			t.Errorf("%d children, %v, %d of them shown, down are %q", i.Len, i.States, len(i.Children), down)
		}
		stop := actortest.Go(t, func() (supervisor.Report, error) { return pool.Stop(context.Background()) })
		if _, err := stop.Result(); err != nil {
			t.Error(err)
		}
	})
}

// tracedKey is what a trace is known by.
type tracedKey struct{}

// contextLog keeps the contexts of records by their text.
type contextLog struct {
	slog.Handler
	mu  sync.Mutex
	all map[string]any
}

func (h *contextLog) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[r.Message] = ctx.Value(tracedKey{})
	return nil
}

// The record of a failure has the context of the task that failed, for whoever traces it.
func TestFailureIsTraced(t *testing.T) {
	bubble(t, func(w *world) {
		h := &contextLog{Handler: slog.NewTextHandler(io.Discard, nil), all: map[string]any{}}
		s := w.start(supervisor.Spec{MaxRestarts: 10, Children: w.children("a"), Logger: slog.New(h)})
		ctx := context.WithValue(context.Background(), tracedKey{}, "trace 7")
		if _, err := actors.Call[int](ctx, w.root, s.Child("a"), boom{"boom"}); err == nil {
			t.Error("it did not fail")
		}
		synctest.Wait()
		if h.all["supervisor: child failed"] != "trace 7" {
			t.Errorf("the records have %v", h.all)
		}
		w.stop(s)
	})
}

// TestQuiescedWorkerIsShown: a worker that waits for its restart has ended, and is not shown as one that unwinds.
func TestQuiescedWorkerIsShown(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{Name: "app", MaxRestarts: 1, Children: []supervisor.Child{{
			Name: "w", Backoff: actors.Backoff{Initial: time.Minute},
			Props: actors.Props(func(w *actors.Worker) error {
				actors.On(w, func(*actors.Task, string) error { panic("it fails") })
				return nil
			}),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _, _ = s.Stop(t.Context()) }()
		state := func() string {
			for _, w := range inspect.Look(sys, inspect.Options{Worker: s.Child("w")}).Workers {
				return w.State
			}
			return ""
		}
		sys.Root.Send(s.Child("w"), "fail")
		synctest.Wait()
		if got := state(); got != "quiesced" {
			t.Errorf("while it waits for its restart the worker is shown as %q", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := state(); got != "running" {
			t.Errorf("after its restart the worker is shown as %q", got)
		}
	})
}
