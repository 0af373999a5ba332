// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
)

// TestGroupsAndRootsOfAnyTasks: groups, and what tasks wait for, are those of the single tasks that are shown, whatever order tasks of
// all kinds come in and however often is looked.
func TestGroupsAndRootsOfAnyTasks(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var pids []*actor.PID
		for i := range 12 {
			pids = append(pids, actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), inspected, actors.Options{Kind: fmt.Sprint("kind", i%3)}))
		}
		var promises [3]actors.Promise[int]
		var futures []*actors.Future[int]
		const tasks = 400
		for i := range tasks {
			pid := pids[rnd.IntN(len(pids))]
			name := actors.Name(fmt.Sprint("task ", string(rune('a'+rnd.IntN(3)))))
			switch p := &promises[rnd.IntN(len(promises))]; rnd.IntN(4) {
			case 0:
				futures = append(futures, actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, name))
			case 1:
				actors.RequestFuture[int](sys.Root, pid, relay{pids[rnd.IntN(len(pids))]})
			case 2:
				futures = append(futures, actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) }, name))
			default:
				if len(futures) == 0 {
					continue
				}
				f := futures[rnd.IntN(len(futures))]
				await := func(t *actors.Task) (int, error) { return actors.Await(t, f) }
				if rnd.IntN(2) == 0 { // in the context of another task, and as a child of it
					await = func(t *actors.Task) (int, error) {
						return actors.Await(t, actors.Start(t, func(t *actors.Task) (int, error) { return actors.Await(t, f) }))
					}
				}
				actors.Submit(sys.Root, pid, await) // its name is that of the function
			}
			if i%100 == 99 { // some end, and others come
				synctest.Wait()
				futures[rnd.IntN(len(futures))].Cancel()
				synctest.Wait()
				checkLook(t, sys)
			}
		}
		promises[0].Resolve(0)
		synctest.Wait()
		checkLook(t, sys)
		for i := range promises {
			promises[i].Resolve(0)
		}
		time.Sleep(3 * time.Hour)
	})
}

// checkLook compares groups and roots with the single tasks of the same look.
func checkLook(t *testing.T, sys *actor.ActorSystem) {
	t.Helper()
	s := inspect.Look(sys, inspect.Options{Tasks: inspect.All, Groups: true, Roots: true})
	type key struct{ kind, task, state, awaits, of string }
	type sums struct{ tasks, workers int }
	kindOf := map[string]string{}
	for _, w := range s.Workers {
		kindOf[w.PID.Id] = w.Kind
	}
	want := map[key]sums{}
	waiting := 0
	for _, w := range s.Workers {
		met := map[key]bool{}
		for _, task := range w.Tasks {
			k := key{kind: w.Kind, task: task.Name, state: task.State, awaits: task.Awaits}
			if task.On != nil {
				k.of = kindOf[task.On.Id]
			}
			if task.Awaits != "" {
				waiting++
			}
			n := want[k]
			n.tasks++
			if !met[k] {
				met[k] = true
				n.workers++
			}
			want[k] = n
		}
	}
	if waiting == 0 {
		t.Fatal("nothing waits")
	}
	for _, g := range s.Groups {
		k := key{g.Kind, g.Task, g.State, g.Awaits, g.Of}
		if n := (sums{g.Tasks, g.Workers}); n != want[k] {
			t.Errorf("the group %+v has %+v, want %+v", k, n, want[k])
		}
		i := slices.IndexFunc(s.Workers, func(w inspect.Worker) bool { return w.PID.Equal(g.Example.Worker) })
		if i < 0 || !slices.ContainsFunc(s.Workers[i].Tasks, func(o inspect.Task) bool {
			return o.Ref.ID == g.Example.ID && o.Name == g.Task && o.State == g.State && o.Awaits == g.Awaits
		}) {
			t.Errorf("%+v is no task of the group %+v", g.Example, k)
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("these groups are missing: %+v", want)
	}
	// Each task here waits for one thing in the end. Roots alike are joined, but each waiter is counted once.
	counted := 0
	for _, r := range s.Roots {
		counted += r.Tasks
		if r.Is != "sleep" || r.N > 1 {
			continue
		}
		i := slices.IndexFunc(s.Workers, func(w inspect.Worker) bool { return w.PID.Equal(r.Worker) })
		if i < 0 || !slices.ContainsFunc(s.Workers[i].Tasks, func(o inspect.Task) bool { return o.Ref == r.Ref && o.Name == r.Name && o.Awaits == "" }) {
			t.Errorf("the root %+v is no task that sleeps", r)
		}
	}
	if counted != waiting {
		t.Errorf("%d tasks wait, and %d are counted for what they wait for", waiting, counted)
	}
}
