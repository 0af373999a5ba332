// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
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
		"Condition": raceCondition, "Barrier": raceBarrier, "Send and Receive": raceChannel, "Select": raceSelect,
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

// traffic is numbers that go through something: each that went in comes out once.
type traffic struct {
	mu  sync.Mutex
	in  map[int]bool
	out map[int]int
}

func newTraffic() *traffic { return &traffic{in: map[int]bool{}, out: map[int]int{}} }

// put notes that i went in, unless err says that it did not.
func (t *traffic) put(i int, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.in[i] = true
	}
	return err
}

// get notes that i came out, unless err says that nothing did.
func (t *traffic) get(i int, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.out[i]++
	}
	return err
}

func (t *traffic) check(r *race, n int) {
	for i := range n {
		if want := map[bool]int{true: 1}[t.in[i]]; t.out[i] != want {
			r.Errorf("%d went in: %v, and came out %d times", i, t.in[i], t.out[i])
		}
	}
}

// raceQueue puts numbers and gets them, in tasks and on plain goroutines: each comes
// out once, or is left.
func raceQueue(r *race) {
	const n = 12
	q := loopsync.NewQueue[int](r.dice.IntN(4))
	if r.dice.IntN(3) == 0 {
		q = loopsync.NewPriorityQueue(r.dice.IntN(4), less)
	}
	var running atomic.Int32
	t := newTraffic()
	var fs []*actors.Future[actors.None]
	var plain sync.WaitGroup
	var cancels []func()
	for i := range n {
		if r.dice.IntN(3) == 0 {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if r.dice.IntN(2) == 0 {
				cancels = append(cancels, cancel)
			}
			plain.Go(func() { _ = t.put(i, q.PutContext(ctx, i)) })
			plain.Go(func() { _ = t.get(q.GetContext(ctx)) })
			continue
		}
		put := r.task(counted(&running, func(task *actors.Task) error { return t.put(i, q.Put(task, i)) }))
		get := r.task(counted(&running, func(task *actors.Task) error { return t.get(q.Get(task)) }))
		fs = append(fs, put, get)
	}
	for _, cancel := range cancels {
		cancel()
	}
	r.cancel(fs, &running, q.Close) // who has no partner any more is sent away
	plain.Wait()
	for v, ok := q.TryGet(); ok; v, ok = q.TryGet() {
		t.out[v]++
	}
	t.check(r, n)
}

// cancelAll returns what cancels all that is not done.
func cancelAll(fs *[]*actors.Future[actors.None]) func() {
	return func() {
		for _, f := range *fs {
			f.Cancel()
		}
	}
}

// raceChannel sends numbers and receives them.
func raceChannel(r *race) {
	const n = 12
	ch := make(chan int, r.dice.IntN(3))
	var running atomic.Int32
	t := newTraffic()
	var fs []*actors.Future[actors.None]
	for i := range n {
		fs = append(fs, r.task(counted(&running, func(task *actors.Task) error { return t.put(i, loopsync.Send(task, ch, i)) })))
		fs = append(fs, r.task(counted(&running, func(task *actors.Task) error {
			v, _, err := loopsync.Receive(task, ch)
			return t.get(v, err)
		})))
	}
	r.cancel(fs, &running, cancelAll(&fs))
	close(ch)
	for v := range ch {
		t.out[v]++
	}
	t.check(r, n)
}

// raceSelect sends and receives numbers by a Select that can do either, among others.
func raceSelect(r *race) {
	const n = 24
	chans := [2]chan int{make(chan int, r.dice.IntN(3)), make(chan int)}
	p := new(actors.Promise[int])
	var running atomic.Int32
	t := newTraffic()
	var fs []*actors.Future[actors.None]
	for i := range n {
		only := r.dice.IntN(3)
		fs = append(fs, r.task(counted(&running, func(task *actors.Task) error {
			var v int
			cases := []loopsync.Case{
				loopsync.OnSend(chans[0], i), loopsync.OnReceive(chans[0], &v, nil),
				loopsync.OnSend(chans[1], i), loopsync.OnReceive(chans[1], &v, nil),
				loopsync.OnFuture(p.Future()),
			}
			if only < 2 {
				cases = []loopsync.Case{cases[only], loopsync.OnFuture(p.Future())}
			}
			k, err := loopsync.Select(task, cases...)
			switch {
			case err != nil || k == len(cases)-1:
				return err
			case only < 2:
				k = only
			}
			if k%2 == 0 {
				return t.put(i, nil)
			}
			return t.get(v, nil)
		})))
	}
	r.cancel(fs, &running, func() { p.Resolve(1) })
	for _, ch := range chans {
		close(ch)
		for v := range ch {
			t.out[v]++
		}
	}
	t.check(r, n)
}

// raceCondition: whoever goes on holds the Mutex, also if it was cancelled.
func raceCondition(r *race) {
	var m loopsync.Mutex
	c := loopsync.NewCondition(&m)
	ready := false
	var running, inside atomic.Int32
	var fs []*actors.Future[actors.None]
	for range 10 {
		yields := r.dice.IntN(3)
		fs = append(fs, r.task(counted(&running, func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			err := c.WaitFor(t, func() bool { return ready })
			if inside.Add(1) != 1 {
				r.Error("two tasks hold the Mutex")
			}
			defer inside.Add(-1)
			for range yields {
				if err := t.Yield(); err != nil {
					return err
				}
			}
			c.Notify(1)
			return err
		})))
	}
	r.task(func(*actors.Task) error { c.Notify(3); return nil })
	r.cancel(fs, &running, func() {
		r.task(func(*actors.Task) error { ready = true; c.NotifyAll(); return nil })
	})
	if m.Locked() {
		r.Error("it is still locked")
	}
}

// raceBarrier: as many go on as have come together, each with an index of its own.
func raceBarrier(r *race) {
	parties := 1 + r.dice.IntN(4)
	a := loopsync.NewBarrier(parties)
	var running atomic.Int32
	var mu sync.Mutex
	went := map[int]int{}
	var fs []*actors.Future[actors.None]
	for range 12 {
		fs = append(fs, r.task(counted(&running, func(t *actors.Task) error {
			i, err := a.Wait(t)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				went[i]++
			}
			return err
		})))
	}
	r.cancel(fs, &running, cancelAll(&fs))
	for i := range went {
		if i < 0 || i >= parties || went[i] > went[parties-1] {
			r.Errorf("of %d parties each have gone on so often: %v", parties, went)
		}
	}
	if a.Waiting() != 0 {
		r.Errorf("%d wait", a.Waiting())
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
