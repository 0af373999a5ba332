// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/supervisor"
)

// taskNames are those of the tasks that supervisors have, but for the ones that each has for as long as it lives.
func (w *world) taskNames() (names []string) {
	synctest.Wait()
	for _, g := range inspect.Look(w.sys, inspect.Options{Tasks: -1, Groups: true}).Groups {
		if g.Kind == "supervisor" && !slices.Contains([]string{"main", "supervisor", "stop event"}, g.Task) {
			names = append(names, fmt.Sprintf("%d × %s", g.Tasks, g.Task))
		}
	}
	slices.Sort(names)
	return names
}

// The tasks of a supervisor are named by its children. Those of a Dynamic are not: a hundred children are no hundred names.
func TestTaskNamesAreBounded(t *testing.T) {
	bubble(t, func(w *world) {
		slow := func(_ int, aw *actors.Worker) error { return aw.Task().Sleep(time.Second) }
		later := actors.Backoff{Initial: time.Minute}
		s := w.start(supervisor.Spec{Name: "few", MaxRestarts: 10, Children: []supervisor.Child{{Name: "a", Props: w.part("a", nil), Backoff: later}}})
		d := w.dynamicOf(supervisor.Child{Props: w.part("x", slow), Backoff: later}, func(s *supervisor.DynamicSpec) { s.MaxRestarts = 1000 })
		var callers sync.WaitGroup
		get := func() {
			for i := range 100 {
				callers.Go(func() {
					if _, err := d.GetOrStart(context.Background(), fmt.Sprint("c", i), nil); err != nil {
						w.Error(err)
					}
				})
			}
		}
		get()
		callers.Wait()
		for i := range 100 {
			w.crash(d.Child(fmt.Sprint("c", i)))
		}
		w.crash(s.Child("a"))
		get() // which waits for the restarts
		if got, want := w.taskNames(), []string{"1 × restart a", "100 × GetOrStart child", "100 × restart child"}; !slices.Equal(got, want) {
			w.Errorf("while they wait for their restart: %q, want %q", got, want)
		}
		callers.Wait()
		w.stop(s)
		d.Stop(context.Background())
	})
}
