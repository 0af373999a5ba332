// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
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
)

// span is what recorder has as the value of a context: the path of work that has led there.
type spanKey struct{}

func spanOf(ctx context.Context) string {
	s, _ := ctx.Value(spanKey{}).(string)
	return s
}

// recorder is an Observer that writes down paths of work.
type recorder struct {
	mu    sync.Mutex
	ended []string
}

func (r *recorder) observer() *inspect.Observer {
	return &inspect.Observer{
		Sample: func(w inspect.Work) bool { return strings.HasPrefix(w.Name(), "root") },
		Offered: func(parent context.Context, w inspect.Work) context.Context {
			return context.WithValue(parent, spanKey{}, spanOf(parent)+"/"+w.Is()+" "+w.Name())
		},
		Began: func(ctx context.Context, w inspect.Work) context.Context {
			return context.WithValue(ctx, spanKey{}, fmt.Sprintf("%s@%s.%d", spanOf(ctx), w.Worker().Id, w.Incarnation()))
		},
		Ended: func(ctx context.Context, w inspect.Work, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			line := spanOf(ctx)
			if err != nil {
				line += ": " + err.Error()
			}
			r.ended = append(r.ended, line)
		},
		Inject: func(ctx context.Context, set func(key, value string)) { set("span", spanOf(ctx)) },
		Extract: func(get func(key string) string) context.Context {
			if s := get("span"); s != "" {
				return context.WithValue(context.Background(), spanKey{}, s+"/…")
			}
			return nil
		},
	}
}

func (r *recorder) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := slices.Clone(r.ended)
	slices.Sort(lines)
	return lines
}

// tracedWorker is a worker with handlers of all ways to pass work on.
func tracedWorker(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m relay) (int, error) {
		return actors.Ask[int](t, m.to, nap(1))
	})
	actors.Handle(w, func(t *actors.Task, m nap) (int, error) {
		return 1, t.Sleep(time.Duration(m))
	})
	actors.On(w, func(t *actors.Task, m string) error {
		if m == "fail" {
			return errors.New("no")
		}
		return nil
	})
	return nil
}

// TestObserve: a trace that a submission begins goes over all that this creates, and nothing else has one.
func TestObserve(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		a := actortest.Spawn(t, sys.Root, "a", tracedWorker, actors.Options{})
		b := actortest.Spawn(t, sys.Root, "b", tracedWorker, actors.Options{})
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(nap); ok {
				c.Respond(1)
			}
		}))
		r := &recorder{}
		inspect.Observe(sys, r.observer())
		defer inspect.Observe(sys, nil)
		if _, err := actors.RequestFuture[int](sys.Root, a, nap(1)).Wait(t.Context()); err != nil { // it is not sampled
			t.Fatal(err)
		}
		_, err := actors.Submit(sys.Root, a, func(t *actors.Task) (int, error) {
			if _, err := actors.Ask[int](t, a, relay{b}); err != nil {
				return 0, err
			}
			if _, err := actors.Ask[int](t, plain, nap(1)); err != nil {
				return 0, err
			}
			t.Send(b, "fine")
			t.Send(b, "fail")
			started := actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(1) }, actors.Name("child"))
			if _, err := actors.Await(t, started); err != nil {
				return 0, err
			}
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error { return t.Sleep(1) }, actors.Name("member"))
			if err := g.Wait(); err != nil {
				return 0, err
			}
			out := actors.Offload(t, func(ctx context.Context) (string, error) { return spanOf(ctx), nil }, actors.Name("aside"))
			if in, err := actors.Await(t, out); err != nil || in != "/submit root@a.1/offload aside@a.1" {
				return 0, fmt.Errorf("offloaded in %q: %v", in, err)
			}
			f := actors.Submit(t, b, func(t *actors.Task) (int, error) { return 0, errors.New("wrong") }, actors.Name("there"))
			if _, err := actors.Await(t, f); err == nil {
				return 0, errors.New("no error")
			}
			return 0, nil
		}, actors.Name("root")).Wait(t.Context())
		if err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{
			"/submit root@a.1",
			"/submit root@a.1/ask actors_test.nap",
			"/submit root@a.1/ask actors_test.relay@a.1",
			"/submit root@a.1/ask actors_test.relay@a.1/ask actors_test.nap@b.1",
			"/submit root@a.1/offload aside@a.1",
			"/submit root@a.1/start child@a.1",
			"/submit root@a.1/start member@a.1",
			"/submit root@a.1/submit there@b.1: wrong",
			"/submit root@a.1/…/send string@b.1",
			"/submit root@a.1/…/send string@b.1: no",
		}
		if got := r.lines(); !slices.Equal(got, want) {
			t.Errorf("ended:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestObserveEndsOnce: what never begins has an end, too, and each has one.
func TestObserveEndsOnce(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", tracedWorker, actors.Options{MaxInFlight: 1, MailboxSize: 3})
		var mu sync.Mutex
		offered, began, ended := 0, 0, map[string]int{}
		count := func(n *int) { mu.Lock(); *n++; mu.Unlock() }
		inspect.Observe(sys, &inspect.Observer{
			Sample:  func(inspect.Work) bool { return true },
			Offered: func(ctx context.Context, _ inspect.Work) context.Context { count(&offered); return ctx },
			Began:   func(context.Context, inspect.Work) context.Context { count(&began); return nil },
			Ended: func(_ context.Context, _ inspect.Work, err error) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range []error{actors.ErrCanceled, actors.ErrTimeout, actors.ErrMailboxFull, actors.ErrStopping, actors.ErrStopped} {
					if errors.Is(err, e) {
						ended[e.Error()]++
						return
					}
				}
				ended[fmt.Sprint(err)]++
			},
		})
		defer inspect.Observe(sys, nil)
		ask := func(d time.Duration, opts ...actors.CallOption) *actors.Future[int] {
			return actors.RequestFuture[int](sys.Root, pid, nap(d), opts...)
		}
		first := ask(time.Second)
		synctest.Wait()
		canceled, expires, fits, full := ask(1), ask(1, actors.Timeout(time.Millisecond)), ask(1), ask(1)
		canceled.Cancel()
		time.Sleep(2 * time.Second)
		for _, f := range []*actors.Future[int]{first, canceled, expires, fits, full} {
			_, _ = f.Wait(t.Context())
		}
		last := ask(time.Hour)
		synctest.Wait()
		if _, err := actors.Stop(t.Context(), sys.Root, pid, actors.NoGrace); err != nil {
			t.Error(err)
		}
		_, _ = last.Wait(t.Context())
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, k := range ended {
			n += k
		}
		if n != offered || ended["<nil>"] < 2 || ended[actors.ErrCanceled.Error()] != 1 || ended[actors.ErrTimeout.Error()] != 1 ||
			ended[actors.ErrMailboxFull.Error()] != 1 || ended[actors.ErrStopped.Error()] != 1 {
			t.Errorf("%d offered, %d began, ended: %v", offered, began, ended)
		}
	})
}

// TestObserveEndsWhatIsEndedMeanwhile: whoever has created a request may be ended while the observer is being asked about it. It is told of its
// end all the same.
func TestObserveEndsWhatIsEndedMeanwhile(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		a := actortest.Spawn(t, sys.Root, "a", tracedWorker, actors.Options{})
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(nap); ok {
				c.Respond(1)
			}
		}))
		for _, to := range []*actor.PID{plain, a} {
			r, begun, root := &recorder{}, make(chan struct{}), (*actors.Future[int])(nil)
			o := r.observer()
			offered := o.Offered
			o.Offered = func(parent context.Context, w inspect.Work) context.Context {
				if w.Is() == "ask" {
					root.Cancel()
				}
				return offered(parent, w)
			}
			inspect.Observe(sys, o)
			root = actors.Submit(sys.Root, a, func(t *actors.Task) (int, error) {
				if err := t.Sleep(1); err != nil {
					return 0, err
				}
				<-begun
				return actors.Ask[int](t, to, nap(1))
			}, actors.Name("root"))
			close(begun)
			if _, err := root.Wait(t.Context()); !errors.Is(err, actors.ErrCanceled) {
				t.Errorf("it ended with %v", err)
			}
			synctest.Wait()
			inspect.Observe(sys, nil)
			var names []string
			for _, l := range r.lines() {
				name, _, _ := strings.Cut(l, ":")
				names = append(names, name)
			}
			slices.Sort(names)
			want := []string{"/submit root@a.1", "/submit root@a.1/ask actors_test.nap"}
			if !slices.Equal(names, want) {
				t.Errorf("asked of %s, and the end was told of %q, want %q", to.Id, r.lines(), want)
			}
		}
	})
}

// TestSetContext: what a task begins after it has the values, and so have its context and its records.
func TestSetContext(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", tracedWorker, actors.Options{})
		_, err := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			before := t.Context()
			t.SetContext(context.WithValue(t.Context(), spanKey{}, "first"))
			in := func(t *actors.Task) (string, error) { return spanOf(t.Context()), nil }
			one := actors.Start(t, in)
			t.SetContext(context.WithValue(t.Context(), spanKey{}, "second"))
			two := actors.Submit(t, pid, in)
			a, err := actors.Await(t, one)
			b, err2 := actors.Await(t, two)
			if a != "first" || b != "second" || spanOf(t.Context()) != "second" || spanOf(before) != "" {
				return 0, fmt.Errorf("%q %q %q %q %v %v", a, b, spanOf(t.Context()), spanOf(before), err, err2)
			}
			derived, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			cancel(errors.New("mine"))
			if err := context.Cause(derived); err == nil || err.Error() != "mine" || t.Context().Err() != nil {
				return 0, fmt.Errorf("derived: %v, %v", err, t.Context().Err())
			}
			return 0, nil
		}).Wait(t.Context())
		if err != nil {
			t.Error(err)
		}
	})
}

// TestRefs: a reference leads to its task, and to no other one.
func TestRefs(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		spawn := func() *actor.PID { return actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{}) }
		pid := spawn()
		futures := map[string]*actors.Future[int]{}
		sleep := func(name string) {
			futures[name] = actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
				_, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name(name+"'s child")))
				return 0, err
			}, actors.Name(name))
		}
		refs := func() map[string]inspect.TaskRef {
			synctest.Wait()
			all := map[string]inspect.TaskRef{}
			ids := map[uint64]bool{}
			for _, task := range workerOf(t, inspect.System(sys), pid).Tasks {
				if all[task.Name] = task.Ref; ids[task.Ref.ID] || task.Ref.ID == 0 {
					t.Errorf("%s has a number that another has: %d", task.Name, task.Ref.ID)
				}
				ids[task.Ref.ID] = true
			}
			return all
		}
		for i := range 5 {
			sleep(fmt.Sprint("task ", i))
		}
		before := refs()
		if again := refs(); len(before) != 10 || fmt.Sprint(before) != fmt.Sprint(again) {
			t.Errorf("they are %v, and then %v", before, again)
		}
		mine := errors.New("by hand")
		if !inspect.CancelTask(sys, before["task 3's child"], mine) || inspect.CancelTask(sys, before["task 3's child"], mine) {
			t.Error("it is cancelled once")
		}
		if _, err := futures["task 3"].Wait(t.Context()); !errors.Is(err, mine) || !errors.Is(err, actors.ErrCanceled) {
			t.Errorf("task 3 ended with %v", err)
		}
		if n := len(refs()); n != 8 {
			t.Errorf("%d tasks are left of 8", n)
		}
		other := before["task 1"]
		other.Incarnation++
		if inspect.CancelTask(sys, other, nil) || inspect.CancelTask(sys, inspect.TaskRef{}, nil) {
			t.Error("a task of another incarnation was cancelled")
		}
		if _, err := actors.Stop(t.Context(), sys.Root, pid, actors.NoGrace); err != nil {
			t.Fatal(err)
		}
		spawn()
		for i := range 20 {
			sleep(fmt.Sprint("new ", i))
		}
		refs()
		for name, ref := range before {
			if inspect.CancelTask(sys, ref, nil) {
				t.Errorf("that of %s was taken for another task", name)
			}
		}
	})
}

// TestRefOfATurn: a task that has never awaited has a reference, too, and so has what it has started.
func TestRefOfATurn(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
		for _, nested := range []bool{false, true} {
			wait := func(t *actors.Task) (int, error) {
				<-t.Context().Done()
				return 0, context.Cause(t.Context())
			}
			f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
				if nested {
					return actors.Await(t, actors.Start(t, wait, actors.Name("turn")))
				}
				return wait(t)
			}, actors.Name("turn"))
			synctest.Wait()
			tasks := workerOf(t, inspect.System(sys), pid).Tasks
			if len(tasks) == 0 || tasks[0].State != "running" || tasks[0].Ref.ID == 0 {
				t.Fatalf("nested %v: %+v", nested, tasks)
			}
			if !inspect.CancelTask(sys, tasks[0].Ref, nil) {
				t.Errorf("nested %v: it is not cancelled", nested)
			}
			if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrCanceled) {
				t.Errorf("nested %v: %v", nested, err)
			}
			synctest.Wait()
		}
	})
}
