// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// FuzzGraph builds a graph of tasks, futures, combinations, groups and
// primitives over three workers from bytes and runs it in a bubble: see graph
// for what the bytes mean.
//
// A task awaits only what was made after it, so that without locks, exclusive
// handlers and full workers there is no ring. When nothing moves any more all
// that can be let go is: promises, events, permits, items. What then still
// waits is a ring that nobody has reported.
func FuzzGraph(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21})
	// Two mutexes in opposite order, and in a task that is started meanwhile.
	f.Add([]byte{3, byte(opLock), 0, 1, byte(opEnd), 0, 0, byte(opLock), 1, 0, byte(opEnd), 0, 0, byte(opStart), 0, 1, byte(opStart), 1, 1, byte(opAwait), 0, 0})
	// A group whose member asks an exclusive handler that asks back.
	f.Add([]byte{4, byte(opGroup), 1, 1, byte(opEnd), 0, 0, byte(opExclusive), 1, 1, byte(opAwait), 0, 0, byte(opEnd), 0, 0, byte(opSubmit), 0, 1, byte(opAwait), 0, 0})
	for i := range 8 { // and some of everything
		long := make([]byte, 200)
		for k := range long {
			long[k] = byte(k * k * (2*i + 1) >> 3)
		}
		f.Add(long)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 400 {
			t.Skip("long enough")
		}
		runGraph(t, data)
	})
}

func runGraph(t *testing.T, data []byte) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		g := newGraph(t, sys, data)
		for i := range roots {
			g.submit(sys.Root, i, i, 0)
		}
		time.Sleep(time.Second) // all sleeps are a few milliseconds
		synctest.Wait()
		for range 1000 { // who has been let go may wait for the next thing
			if g.letGo(); g.settled() {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		g.check()
		for _, pid := range g.workers {
			if _, err := result(actors.RequestStop(sys.Root, pid, time.Minute)); err != nil && !errors.Is(err, actors.ErrDeadLetter) {
				t.Errorf("stop of %s: %v", pid.Id, err)
			}
		}
	})
}

// settled reports whether all futures are done, and all tasks have returned.
func (g *graph) settled() bool {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.at) == 0 && !slices.ContainsFunc(g.nodes, func(n *node) bool { return !n.f.Done() })
}

// check finds what waits although nothing can come, and what was done twice.
func (g *graph) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.nodes {
		if n.f.Done() {
			if _, err := n.f.TryResult(); errors.As(err, new(*actors.DeadlockError)) && !g.rings {
				g.Errorf("%s: a ring is reported where none can be: %v", n.what, err)
			}
		} else {
			g.Errorf("%s still waits, and nobody has reported a ring", n.what)
		}
		if calls := n.calls.Load(); n.f.Done() && calls != 1 {
			g.Errorf("%s has completed %d times", n.what, calls)
		}
	}
	if g.Failed() {
		for where, n := range g.at {
			g.Logf("%d at %s", n, where)
		}
	}
	for i := range g.workers {
		for k := range g.mutexes[i] {
			if g.mutexes[i][k].Locked() && !g.failed.Load() {
				g.Errorf("mutex %d of worker %d is still locked", k, i)
			}
		}
		if n := g.inside[i].Load(); n != 0 {
			g.Errorf("%d tasks are in a critical section of worker %d", n, i)
		}
	}
}
