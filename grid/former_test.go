// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// leaving is a setup whose worker ends by its own will when it is asked to "leave", and goes on with what it has: a pause lasts.
func (r *runLog) leaving(wk *actors.Worker, id string) error {
	actors.Handle(wk, func(t *actors.Task, d pause) (word, error) {
		err := t.Sleep(d.AsDuration())
		r.mu.Lock()
		r.ended["pause"] = err
		r.mu.Unlock()
		return say("slept"), err
	})
	actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
		r.note(m.Value)
		if m.Value == "leave" {
			t.Exit(nil)
		}
		return m, nil
	})
	return nil
}

// wantNext checks what was told to "next". Its worker has the same grace as the former one, and begins when that is over: it
// may just have begun.
func (r *runLog) wantNext(err error) {
	r.Helper()
	switch {
	case err == nil:
		r.want("next", 1, 1)
	case errors.Is(err, actors.ErrStopping) && actors.RetrySafe(err):
		r.want("next", 0, 0)
	default:
		r.Error(err)
	}
}

// TestDrainEndsTheFormerWorker: a worker that ends by its own will while the next of its key waits has the StopGrace in a drain.
func TestDrainEndsTheFormerWorker(t *testing.T) {
	runs := &runLog{T: t, count: map[string]int{}, ended: map[string]error{}}
	bubble(t, grid.Kind{Name: "account", Accepts: accepts(), Setup: runs.leaving, Options: actors.Options{StopGrace: 2 * time.Second}}, func(w *world) {
		pid := w.g.PID("account", "k")
		long := actors.RequestFuture[word](w.root, pid, sleeping(time.Hour))
		if _, err := actors.Call[word](w.Context(), w.root, pid, say("leave")); err != nil {
			t.Error(err)
		}
		next := actors.RequestFuture[word](w.root, pid, say("next"))
		time.Sleep(time.Second)
		begun := time.Now()
		w.drain()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("the drain has taken %v", took)
		}
		_, err := next.Wait(w.Context())
		runs.wantNext(err)
		if _, err := long.Wait(w.Context()); err == nil {
			t.Error("it was not cut off")
		}
	})
}

// TestHandOverEndsTheFormerWorker: so it has when its shard goes to another node.
func TestHandOverEndsTheFormerWorker(t *testing.T) {
	runs := &runLog{count: map[string]int{}, ended: map[string]error{}}
	onNetwork(t, 1, gridtest.Options{}, func(k *grid.Kind) { k.Setup = runs.leaving; k.Options.StopGrace = actors.Grace(2 * time.Second) }, func(t *testing.T, w *machines, _ *runLog) {
		runs.T = t
		first := w.all[0]
		id := keysOf("node-2", "node-1", 1)[0]
		long := actors.RequestFuture[word](first.sys.Root, first.g.PID("account", id), sleeping(time.Hour), actors.Timeout(actors.Forever))
		if _, err := w.ask(first, id, say("leave")); err != nil {
			t.Error(err)
		}
		next := w.future(first, id, "next", actors.Timeout(time.Minute))
		second := w.start()
		time.Sleep(10 * time.Second)
		if at := w.owner(id); at != second {
			t.Errorf("after 10 s it is on %s", at.Name())
		}
		_, err := next.Wait(t.Context())
		runs.wantNext(err)
		if _, err := long.Wait(t.Context()); err == nil {
			t.Error("it was not cut off")
		}
	})
}

// TestFencedEndsTheFormerWorker: when the lease is over it is cut off, and does not go on under the next lease. What has waited for
// the next worker is told so, also if there is another one by then.
func TestFencedEndsTheFormerWorker(t *testing.T) {
	runs := &runLog{count: map[string]int{}, ended: map[string]error{}}
	onNetwork(t, 1, gridtest.Options{}, func(k *grid.Kind) { k.Setup = runs.leaving }, func(t *testing.T, w *machines, _ *runLog) {
		runs.T = t
		m := w.all[0]
		long := actors.RequestFuture[word](m.sys.Root, m.g.PID("account", "k"), sleeping(time.Hour), actors.Timeout(actors.Forever))
		if _, err := w.ask(m, "k", say("leave")); err != nil {
			t.Error(err)
		}
		next := w.future(m, "k", "next", actors.Timeout(time.Minute))
		time.Sleep(100 * time.Millisecond)
		m.Expire()
		time.Sleep(time.Second)
		if _, ended := runs.endOf("pause"); !ended {
			t.Error("it was not cut off")
		}
		after := w.future(m, "k", "after", actors.Timeout(time.Minute))
		if _, err := long.Wait(t.Context()); err == nil {
			t.Error("it was answered")
		}
		if _, err := next.Wait(t.Context()); !errors.Is(err, actors.ErrStopping) {
			t.Errorf("the one that has waited: %v", err)
		}
		if _, err := after.Wait(t.Context()); err != nil {
			t.Errorf("the next: %v", err)
		}
		runs.want("next", 0, 0)
		runs.want("after", 1, 1)
	})
}
