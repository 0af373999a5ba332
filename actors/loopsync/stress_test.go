// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/seeded"
)

var raceDice = seeded.Flag("race.seed", "TestCancelRaces")

// TestCancelRaces cancels tasks from other goroutines while they wait for a
// primitive, or are served: nothing may be lost, and nobody be left waiting.
// It runs outside of a bubble, so that the goroutines really race. The same
// seed makes the same choices.
func TestCancelRaces(t *testing.T) {
	for name, round := range map[string]func(r *race){
		"Mutex": raceMutex, "Semaphore": raceSemaphore, "Event": raceEvent, "Queue": raceQueue, "Group": raceGroup,
	} {
		t.Run(name, func(t *testing.T) {
			sys := actortest.NewSystem(t)
			r := &race{T: t, bench: bench{T: t, sys: sys, pid: actortest.Spawn(t, sys.Root, "worker", none, quiet)}}
			for _, dice := range raceDice.Rounds(t, 300) {
				r.dice = dice
				round(r)
			}
		})
	}
}

// race is a worker whose tasks are cancelled.
type race struct {
	*testing.T
	bench bench
	dice  *rand.Rand
}

// task starts f.
func (r *race) task(f func(t *actors.Task) error) *actors.Future[actors.None] {
	return actors.Submit(r.bench.sys.Root, r.bench.pid, func(t *actors.Task) (struct{}, error) { return struct{}{}, f(t) })
}

// cancel cancels about half of fs, in any order, and then waits until all have
// ended: not their futures only, but their functions.
func (r *race) cancel(fs []*actors.Future[actors.None], returned *atomic.Int32, then ...func()) {
	r.Helper()
	var doomed []int
	for i := range fs {
		if r.dice.IntN(2) == 0 {
			doomed = append(doomed, i)
		}
	}
	r.dice.Shuffle(len(doomed), func(i, k int) { doomed[i], doomed[k] = doomed[k], doomed[i] })
	var wg sync.WaitGroup
	for half := range slices.Chunk(doomed, max(1, (len(doomed)+1)/2)) {
		wg.Go(func() {
			for _, i := range half {
				fs[i].Cancel()
			}
		})
	}
	wg.Wait()
	for _, f := range then {
		f()
	}
	actortest.Eventually(r, "all tasks have returned", func() bool {
		for _, f := range fs {
			if !f.Done() {
				return false
			}
		}
		return returned.Load() == 0
	})
	for _, f := range fs {
		if _, err := f.TryResult(); err != nil && !errors.Is(err, actors.ErrCanceled) && !errors.Is(err, loopsync.ErrClosed) {
			r.Errorf("a task ended with %v", err)
		}
	}
}

// counted counts f while it runs.
func counted(n *atomic.Int32, f func(t *actors.Task) error) func(t *actors.Task) error {
	return func(t *actors.Task) error {
		n.Add(1)
		defer n.Add(-1)
		return f(t)
	}
}

func raceMutex(r *race) {
	var m loopsync.Mutex
	var running, inside atomic.Int32
	var fs []*actors.Future[actors.None]
	for range 10 {
		yields := r.dice.IntN(3)
		fs = append(fs, r.task(counted(&running, func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			if inside.Add(1) != 1 {
				r.Error("two tasks hold it")
			}
			defer inside.Add(-1)
			for range yields {
				if err := t.Yield(); err != nil {
					return err
				}
			}
			return nil
		})))
	}
	r.cancel(fs, &running)
	if m.Locked() {
		r.Error("it is still locked")
	}
}

func raceSemaphore(r *race) {
	permits := r.dice.IntN(3)
	s := loopsync.NewSemaphore(permits)
	var running, inside atomic.Int32
	var fs []*actors.Future[actors.None]
	for range 10 {
		fs = append(fs, r.task(counted(&running, func(t *actors.Task) error {
			if err := s.Acquire(t); err != nil {
				return err
			}
			defer s.Release()
			if int(inside.Add(1)) > permits+1 {
				r.Error("more tasks than permits")
			}
			defer inside.Add(-1)
			return t.Yield()
		})))
	}
	s.Release()
	r.cancel(fs, &running)
	if s.Free() != permits+1 {
		r.Errorf("%d of %d permits are left", s.Free(), permits+1)
	}
}

func raceEvent(r *race) {
	var e loopsync.Event
	var running atomic.Int32
	var fs []*actors.Future[actors.None]
	for range 10 {
		fs = append(fs, r.task(counted(&running, e.Wait)))
	}
	go func() {
		e.Set()
		e.Clear()
		e.Set()
	}()
	r.cancel(fs, &running)
}

// raceQueue puts numbers and gets them: each comes out once, or is left.
func raceQueue(r *race) {
	const n = 12
	q := loopsync.NewQueue[int](r.dice.IntN(4))
	var running atomic.Int32
	var mu sync.Mutex
	in, out := map[int]bool{}, map[int]int{}
	var fs []*actors.Future[actors.None]
	for i := range n {
		put := r.task(counted(&running, func(t *actors.Task) error {
			err := q.Put(t, i)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				in[i] = true
			}
			return err
		}))
		get := r.task(counted(&running, func(t *actors.Task) error {
			v, err := q.Get(t)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				out[v]++
			}
			return err
		}))
		fs = append(fs, put, get)
	}
	r.cancel(fs, &running, q.Close) // who has no partner any more is sent away
	for v, ok := q.TryGet(); ok; v, ok = q.TryGet() {
		out[v]++
	}
	for i := range n {
		if want := map[bool]int{true: 1}[in[i]]; out[i] != want {
			r.Errorf("%d was put: %v, and came out %d times", i, in[i], out[i])
		}
	}
}

// raceGroup cancels groups, their tasks and members.
func raceGroup(r *race) {
	var running atomic.Int32
	var fs []*actors.Future[actors.None]
	for range 6 {
		size, fails := 1+r.dice.IntN(4), r.dice.IntN(6)
		fs = append(fs, r.task(counted(&running, func(t *actors.Task) error {
			var members atomic.Int32
			g := t.NewGroup()
			for i := range size {
				g.Go(counted(&members, func(t *actors.Task) error {
					actors.Start(t, func(t *actors.Task) (int, error) {
						return 0, counted(&members, func(t *actors.Task) error { return t.Yield() })(t)
					})
					for range i {
						if err := t.Yield(); err != nil {
							return err
						}
					}
					if i == fails {
						g.Cancel()
					}
					return nil
				}))
			}
			err := g.Wait()
			if n := members.Load(); n != 0 {
				r.Errorf("%d have outlived Wait", n)
			}
			return err
		})))
	}
	r.cancel(fs, &running)
}
