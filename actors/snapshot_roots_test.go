// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
)

// sumUp is a root in a line.
func sumUp(r inspect.Root) string {
	line := r.Is
	if r.Worker != nil {
		line += " " + r.Worker.Id
	}
	if r.Name != "" {
		line += " " + r.Name
	}
	for _, m := range r.Ring {
		line += fmt.Sprintf(" %s@%s", m.Task, m.Ref.Worker.Id)
	}
	line += fmt.Sprintf(": %d of %d", r.Tasks, r.Workers)
	if r.Queued > 0 {
		line += fmt.Sprintf(", %d queued", r.Queued)
	}
	if r.Blocked != nil {
		line += ", blocked"
	}
	if r.N != 1 {
		line += fmt.Sprintf(" ×%d", r.N)
	}
	return line
}

// TestRoots: what tasks wait for in the end, through all that there may be between.
func TestRoots(t *testing.T) {
	type net struct {
		*testing.T
		sys  *actor.ActorSystem
		a, b *actor.PID
	}
	// submit runs fn in a task that is in nobody's way.
	submit := func(n *net, to *actor.PID, name string, fn func(t *actors.Task) (int, error)) *actors.Future[int] {
		return actors.Submit(n.sys.Root, to, fn, actors.Name(name))
	}
	await := func(f *actors.Future[int]) func(t *actors.Task) (int, error) {
		return func(t *actors.Task) (int, error) { return actors.Await(t, f) }
	}
	for _, test := range []struct {
		name string
		do   func(n *net)
		want []string
	}{
		{"a sleep that two workers wait for", func(n *net) {
			for range 3 {
				actors.RequestFuture[int](n.sys.Root, n.a, relay{n.b})
			}
			submit(n, n.b, "", func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
		}, []string{"sleep b actors_test.nap: 1 of 1", "sleep b actors_test.nap: 1 of 1", "sleep b actors_test.nap: 1 of 1"}},
		{"a chain to a promise", func(n *net) {
			p := new(actors.Promise[int])
			one := submit(n, n.a, "one", await(p.Future()))
			two := submit(n, n.b, "two", await(one))
			submit(n, n.a, "three", await(two))
		}, []string{"promise promise: 3 of 2"}},
		{"a blocked turn", func(n *net) {
			until := make(chan struct{})
			n.Cleanup(func() { close(until) })
			stuck := submit(n, n.b, "stuck", func(t *actors.Task) (int, error) { <-until; return 0, nil })
			submit(n, n.a, "one", await(stuck))
			actors.RequestFuture[int](n.sys.Root, n.a, relay{n.b}) // waits in the queue of b
		}, []string{"turn b stuck: 2 of 1, 1 queued, blocked"}},
		{"an exclusive handler that waits", func(n *net) {
			p := new(actors.Promise[int])
			actors.RequestFuture[int](n.sys.Root, n.b, p)
			actors.RequestFuture[int](n.sys.Root, n.a, relay{n.b})
		}, []string{"promise promise: 2 of 2"}},
		{"plain actors", func(n *net) {
			plain, err := n.sys.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "plain")
			if err != nil {
				n.Fatal(err)
			}
			for _, pid := range []*actor.PID{n.a, n.a, n.b} {
				submit(n, pid, "asks", func(t *actors.Task) (int, error) { return actors.Ask[int](t, plain, nap(1), actors.Timeout(time.Hour)) })
			}
		}, []string{"actor plain actors_test.nap: 3 of 2"}},
		{"an offloaded function", func(n *net) {
			until := make(chan struct{})
			n.Cleanup(func() { close(until) })
			submit(n, n.a, "one", func(t *actors.Task) (int, error) {
				return actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { <-until; return 0, nil }, actors.Name("disk")))
			})
		}, []string{"offload a disk: 1 of 1"}},
		{"functions that have no place", func(n *net) {
			until := make(chan struct{})
			n.Cleanup(func() { close(until) })
			l := actors.NewLimiter("connections", 2)
			for range 20 {
				for _, pid := range []*actor.PID{n.a, n.b} { // those of a run
					submit(n, pid, "one", func(t *actors.Task) (int, error) {
						return actors.AwaitOffload(t, func(context.Context) (int, error) { <-until; return 0, nil }, actors.Through(l), actors.Name("query"))
					})
					synctest.Wait()
				}
			}
			submit(n, n.b, "other", func(t *actors.Task) (int, error) {
				return actors.AwaitOffload(t, func(context.Context) (int, error) { return 0, nil }, actors.Through(l), actors.Name("another query"))
			})
		}, []string{"offload a query: 40 of 2", "offload b query: 40 of 2"}},
		{"functions that have no place since nobody awaits what has", func(n *net) {
			until := make(chan struct{})
			n.Cleanup(func() { close(until) })
			l := actors.NewLimiter("connections", 1)
			for range 20 {
				submit(n, n.a, "one", func(t *actors.Task) (int, error) {
					actors.Offload(t, func(context.Context) (int, error) { <-until; return 0, nil }, actors.Through(l), actors.Name("forgotten"))
					_, err := actors.AwaitOffload(t, func(context.Context) (int, error) { <-until; return 0, nil }, actors.Through(l), actors.Name("query"))
					return 0, err
				})
			}
		}, []string{"offload a query: 20 of 1"}},
		{"more than are shown", func(n *net) {
			for i := range 300 {
				slow := submit(n, []*actor.PID{n.a, n.b}[i%2], "slow", func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
				submit(n, n.a, "one", await(slow))
			}
			p := new(actors.Promise[int])
			submit(n, n.a, "another", await(p.Future()))
		}, []string{"promise promise: 1 of 1", "sleep a slow: 300 of 1 ×300"}},
		{"a ring of three", func(n *net) {
			all, begin := make([]*actors.Future[int], 3), new(actors.Promise[int])
			for i, pid := range []*actor.PID{n.a, n.b, n.a} {
				all[i] = submit(n, pid, fmt.Sprint("member ", i), func(t *actors.Task) (int, error) {
					if _, err := actors.Await(t, begin.Future()); err != nil {
						return 0, err
					}
					return actors.Await(t, all[(i+1)%3])
				})
			}
			submit(n, n.b, "outside", await(all[0]))
			begin.Resolve(0)
		}, []string{"ring member 0@a member 1@b member 2@a: 4 of 2"}},
		{"all of two", func(n *net) {
			p, q := new(actors.Promise[int]), submit(n, n.b, "slow", func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
			submit(n, n.a, "both", func(t *actors.Task) (int, error) {
				_, err := actors.Await(t, futures.All(p.Future(), q))
				return 0, err
			})
		}, []string{"promise promise: 1 of 1", "sleep b slow: 1 of 1"}},
		{"any of a ring and a promise is no ring", func(n *net) {
			p, begin := new(actors.Promise[int]), new(actors.Promise[int])
			var one, two *actors.Future[int]
			one = submit(n, n.a, "one", func(t *actors.Task) (int, error) {
				if _, err := actors.Await(t, begin.Future()); err != nil {
					return 0, err
				}
				return actors.Await(t, futures.Any(two, p.Future()))
			})
			two = submit(n, n.b, "two", await(one))
			begin.Resolve(0)
		}, []string{"promise promise: 2 of 2"}},
		{"a mutex", func(n *net) {
			var m loopsync.Mutex
			for i := range 3 {
				submit(n, n.a, fmt.Sprint("locks ", i), func(t *actors.Task) (int, error) {
					if err := m.Lock(t); err != nil {
						return 0, err
					}
					defer m.Unlock()
					return 0, t.Sleep(time.Hour)
				})
			}
		}, []string{"sleep a locks 0: 2 of 1"}},
		{"a group", func(n *net) {
			p := new(actors.Promise[int])
			submit(n, n.a, "parent", func(t *actors.Task) (int, error) {
				g := t.NewGroup()
				for range 2 {
					g.Go(func(t *actors.Task) error { _, err := actors.Await(t, p.Future()); return err })
				}
				return 0, g.Wait()
			})
		}, []string{"promise promise: 3 of 1"}},
		{"nothing", func(n *net) {
			submit(n, n.a, "sleeps", func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				n := &net{T: t, sys: sys}
				n.a = actortest.Spawn(t, sys.Root, "a", inspected, actors.Options{BlockedTurn: time.Second})
				n.b = actortest.Spawn(t, sys.Root, "b", inspected, actors.Options{BlockedTurn: time.Second})
				test.do(n)
				synctest.Wait()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				s := inspect.Look(sys, inspect.Options{Roots: true, Tasks: -1})
				var got []string
				for _, r := range s.Roots {
					got = append(got, sumUp(r))
				}
				slices.Sort(got)
				if !slices.Equal(got, test.want) {
					t.Errorf("the roots are\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
				}
				for _, w := range s.Workers {
					if len(w.Tasks) > 0 {
						t.Errorf("%d tasks are shown of %v", len(w.Tasks), w.PID)
					}
				}
			})
		})
	}
}

// TestLinesOfMany: the profile tells coroutines apart by one of 4,096 numbers. Beside more tasks than that each group of many has its
// line all the same, and one of few has it or none.
func TestLinesOfMany(t *testing.T) {
	each := 20_000
	if testing.Short() {
		each = 4_000
	}
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := new(actors.Promise[int])
		pid := actortest.Spawn(t, sys.Root, "w", inspected, actors.Options{})
		// Each of these lines is the only one of its function that awaits.
		awaits := []func(t *actors.Task) (int, error){
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
			func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) },
		}
		letters := func(i int) string { // names that differ in digits would be joined
			return strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
		}
		want := map[string]string{}
		start := func(name string, n, at int) {
			file, line := runtime.FuncForPC(reflect.ValueOf(awaits[at]).Pointer()).FileLine(reflect.ValueOf(awaits[at]).Pointer())
			want[name] = fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(file)), path.Base(file), line)
			for range n {
				actors.Submit(sys.Root, pid, awaits[at], actors.Name(name))
			}
		}
		for i := range 4 {
			start("many "+letters(i), each, i)
		}
		start("half", each/2, 0)
		start("two lines", each/4, 1)
		start("two lines", each/2, 2) // want is that of most
		start("hundred", 100, 3)
		for i := range each / 8 {
			start("one "+letters(i), 1, 4)
		}
		for i := range 10 {
			start("other "+letters(i), 1, 5)
		}
		synctest.Wait()
		wrong, none, ones := 0, 0, 0
		for _, g := range inspect.Look(sys, inspect.Options{Groups: true, Lines: true, Tasks: -1}).Groups {
			switch {
			case g.Tasks > 1 && g.Line != want[g.Task]:
				t.Errorf("%d tasks %q are at %q, want %q", g.Tasks, g.Task, g.Line, want[g.Task])
			case g.Tasks == 1:
				ones++
				if g.Line == "" {
					none++
				} else if g.Line != want[g.Task] {
					wrong++
				}
			}
		}
		t.Logf("of %d groups of one %d have no line, and %d a wrong one", ones, none, wrong)
		if ones < 400 || wrong > ones/20 {
			t.Errorf("of %d groups of one %d have no line, and %d a wrong one", ones, none, wrong)
		}
		p.Resolve(0)
	})
}

// TestGroupsOfNumbers: tasks that are named by what they are about are a group for each name, as long as there are few.
func TestGroupsOfNumbers(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pids := []*actor.PID{
			actortest.Spawn(t, sys.Root, "a", inspected, actors.Options{Kind: "shop"}), actortest.Spawn(t, sys.Root, "b", inspected, actors.Options{Kind: "shop"}),
		}
		p := new(actors.Promise[int])
		groups := func() (all []string, first inspect.Group) {
			synctest.Wait()
			time.Sleep(time.Second)
			s := inspect.Look(sys, inspect.Options{Groups: true, Roots: true, Tasks: -1})
			for _, g := range s.Groups {
				all = append(all, fmt.Sprintf("%s for %s: %d of %d", g.Task, g.Awaits, g.Tasks, g.Workers))
			}
			return all, s.Groups[0]
		}
		start := func(from, to int) {
			for i := from; i < to; i++ {
				actors.Submit(sys.Root, pids[i%2], func(t *actors.Task) (int, error) {
					load := actors.Start(t, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) }, actors.Name(fmt.Sprintf("load user %d", i)))
					return actors.Await(t, load)
				}, actors.Name("visit"))
			}
		}
		start(0, 90)
		actors.Submit(sys.Root, pids[0], func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) }, actors.Name("try 3"))
		if all, _ := groups(); len(all) != 181 {
			t.Errorf("%d groups", len(all))
		}
		start(90, 500)
		all, first := groups()
		if want := []string{"load user # for promise: 500 of 2", "visit for load user #: 500 of 2", "try 3 for promise: 1 of 1"}; !slices.Equal(all, want) {
			t.Errorf("%q, want %q", all, want)
		}
		like := inspect.Look(sys, inspect.Options{Worker: pids[0], Tasks: inspect.All, Like: &first}).Workers[0].Tasks
		if len(like) != 250 {
			t.Errorf("%d tasks are of the first group", len(like))
		}
		p.Resolve(0)
	})
}

// TestGroups: tasks that do the same are one row, with the line where they await.
func TestGroups(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var pids []*actor.PID
		for i := range 3 {
			pids = append(pids, actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), inspected, actors.Options{Kind: "shop"}))
		}
		p := new(actors.Promise[int])
		var line string
		for i := range 300 {
			actors.Submit(sys.Root, pids[i%2], func(t *actors.Task) (int, error) {
				if i == 0 {
					_, file, n, _ := runtime.Caller(0)
					line = fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(file)), path.Base(file), n+3)
				}
				return actors.Await(t, p.Future())
			}, actors.Name("same"))
		}
		for range 7 {
			actors.RequestFuture[int](sys.Root, pids[2], relay{pids[0]})
		}
		synctest.Wait()
		time.Sleep(time.Second)
		s := inspect.Look(sys, inspect.Options{Groups: true, Lines: true, Tasks: 5})
		if len(s.Groups) != 3 {
			t.Fatalf("%+v", s.Groups)
		}
		first := s.Groups[0]
		ref := first.Example
		first.Example = inspect.TaskRef{}
		if want := (inspect.Group{Kind: "shop", Task: "same", State: "awaiting", Awaits: "promise", Tasks: 300, Workers: 2, Oldest: time.Second, Line: line}); first != want {
			t.Errorf("the first is %+v, want %+v", first, want)
		}
		for _, g := range s.Groups[1:] {
			if g.Tasks != 7 || g.Workers != 1 || g.Task == "actors_test.relay" && (g.Of != "shop" || g.Awaits != "actors_test.nap") || !strings.Contains(g.Line, "snapshot_test.go:") {
				t.Errorf("%+v", g)
			}
		}
		for _, w := range s.Workers {
			if len(w.Tasks) != 5 || w.Live < 7 || w.Kind != "shop" {
				t.Errorf("%d tasks of %d are shown", len(w.Tasks), w.Live)
			}
		}
		// All of them by pages, each once.
		seen := map[uint64]bool{}
		like := s.Groups[0]
		for after := uint64(0); ; {
			page := inspect.Look(sys, inspect.Options{Worker: pids[0], Tasks: 40, After: after, Like: &like}).Workers
			if len(page) != 1 || len(page[0].Tasks) == 0 {
				break
			}
			for _, task := range page[0].Tasks {
				if seen[task.Ref.ID] || task.Name != "same" || task.Ref.ID <= after {
					t.Errorf("after %d: %+v", after, task)
				}
				seen[task.Ref.ID] = true
			}
			after = page[0].Tasks[len(page[0].Tasks)-1].Ref.ID
		}
		if len(seen) != 150 {
			t.Errorf("the pages have %d tasks of 150", len(seen))
		}
		if !inspect.CancelTask(sys, ref, nil) {
			t.Error("the example is not to be found")
		}
		p.Resolve(1)
	})
}
