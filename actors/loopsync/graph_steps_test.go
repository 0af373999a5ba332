// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// run is a task: it goes through its script.
func (g *graph) run(t *actors.Task, worker, script, rank int) (int, error) {
	for i, s := range g.scripts[script] {
		leave := g.enter(fmt.Sprintf("rank %d, worker %d, step %d of script %d: %s %d %d", rank, worker, i, script, names[s.op], s.a, s.b))
		defer leave()
		if err := g.step(t, worker, script, rank, s); err != nil {
			return 0, err
		}
		leave()
	}
	return script, nil
}

// enter notes where a task is, for the report of a failure.
func (g *graph) enter(where string) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at[where]++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.at[where]--; g.at[where] == 0 {
			delete(g.at, where)
		}
	})
}

var names = [ops]string{"end", "sleep", "yield", "await", "combine", "start", "submit", "group", "lock", "acquire", "event", "put", "get",
	"cancel", "promise", "exclusive", "fail", "cleanup", "each", "offload", "release", "select", "channel", "condition", "barrier"}

var errStep = errors.New("this step fails")

func (g *graph) step(t *actors.Task, worker, script, rank int, s step) error {
	sub := script + 1 // scripts only make work of later ones
	if left := len(g.scripts) - sub; left > 0 {
		sub += s.a % left
	} else {
		sub = -1
	}
	pause := time.Duration(s.b%4) * time.Millisecond
	switch s.op {
	case opSleep:
		return t.Sleep(pause)
	case opYield:
		return t.Yield()
	case opAwait:
		return g.await(t, rank, s.a)
	case opCombine:
		return g.combine(t, rank, s)
	case opStart, opSubmit, opExclusive, opGroup, opOffload:
		if sub >= 0 {
			return g.begin(t, worker, sub, s)
		}
	case opLock:
		return g.lock(t, worker, rank, s)
	case opAcquire:
		sem := g.semaphores[worker]
		if err := sem.Acquire(t); err != nil {
			return err
		}
		defer sem.Release()
		return t.Sleep(pause)
	case opRelease:
		g.semaphores[s.a%3].Release()
	case opEvent:
		switch s.a % 3 {
		case 0:
			return g.events[worker].Wait(t)
		case 1:
			g.events[s.b%3].Set()
		case 2:
			g.events[s.b%3].Clear()
		}
	case opPut:
		if err := g.queues[worker].Put(t, s.a); !errors.Is(err, loopsync.ErrClosed) {
			return err
		}
	case opGet:
		if _, err := g.queues[worker].Get(t); !errors.Is(err, loopsync.ErrClosed) {
			return err
		}
	case opCancel:
		if fs, _ := g.pick(0, 1, s.a); len(fs) > 0 {
			fs[0].Cancel()
		}
	case opPromise:
		g.promise(s)
	case opFail:
		return g.fail(t, worker, s)
	case opCleanup:
		defer func() {
			_ = t.Cleanup(3*time.Millisecond, func(t *actors.Task) error { return g.lock(t, worker, rank, s) })
		}()
		return t.Sleep(pause)
	case opSelect:
		return g.choose(t, worker, rank, s)
	case opChannel:
		if s.a%2 == 0 {
			return loopsync.Send(t, g.channels[s.b%3], s.a)
		}
		_, _, err := loopsync.Receive(t, g.channels[s.b%3])
		return err
	case opCondition:
		return g.condition(t, worker, rank, s)
	case opBarrier:
		if _, err := g.barriers[worker].Wait(t); !errors.Is(err, loopsync.ErrBroken) {
			return err
		}
	case opEach:
		fs, _ := g.pick(rank, 1+s.a%4, s.b)
		for _, err := range futures.AwaitEach(t, fs...) {
			if err != nil {
				return err
			}
			if s.b%5 == 0 {
				break
			}
		}
	}
	return nil
}

// await waits for a future, and goes on whatever became of it.
func (g *graph) await(t *actors.Task, rank, seed int) error {
	if fs, _ := g.pick(rank, 1, seed); len(fs) > 0 {
		_, _ = actors.Await(t, fs[0])
	}
	return nil
}

func (g *graph) combine(t *actors.Task, rank int, s step) error {
	fs, lowest := g.pick(rank, 1+s.a%3, s.b)
	if len(fs) == 0 {
		return nil
	}
	switch s.a / 3 % 8 {
	case 0:
		_, _ = actors.Await(t, futures.All(fs...))
	case 1:
		_, _ = actors.Await(t, futures.Settled(fs...))
	case 2:
		g.add(lowest, "Any", futures.Any(fs...))
	case 3:
		g.add(lowest, "Race", futures.Race(fs...))
	case 4:
		g.add(lowest, "Shield", futures.Shield(fs[0]))
	case 5:
		_, _ = actors.Await(t, futures.FirstCompleted(fs...))
	case 6:
		_, _ = actors.Await(t, futures.FirstException(fs...))
	case 7:
		g.add(lowest, "WithTimeout", futures.WithTimeout(fs[0], time.Duration(s.b%4)*time.Millisecond))
	}
	return nil
}

// begin makes work of script sub.
func (g *graph) begin(t *actors.Task, worker, sub int, s step) error {
	if s.op == opSubmit {
		g.submit(t, s.b%3, sub, 0)
		return nil
	}
	rank, ok := g.next()
	if !ok {
		return nil
	}
	switch s.op {
	case opStart:
		g.add(rank, "a child", actors.Start(t, func(t *actors.Task) (int, error) { return g.run(t, worker, sub, rank) }))
	case opExclusive:
		g.add(rank, fmt.Sprintf("a request to worker %d", s.b%3), actors.RequestFuture[int](t, g.workers[s.b%3], job{sub, rank}))
	case opOffload:
		g.add(rank, "an offload", actors.Offload(t, func(ctx context.Context) (int, error) {
			<-time.After(time.Duration(s.b%4) * time.Millisecond)
			return 0, ctx.Err()
		}))
	case opGroup:
		group := t.NewGroup()
		live := atomic.Int32{}
		member := func(t *actors.Task) error {
			live.Add(1)
			defer live.Add(-1)
			_, err := g.run(t, worker, sub, rank)
			return err
		}
		for range 1 + s.a%3 {
			group.Go(member)
		}
		if s.b%4 == 3 {
			group.Cancel()
		}
		_ = group.Wait()
		if n := live.Load(); n != 0 {
			g.Errorf("%d members have outlived Wait", n)
		}
	}
	return nil
}

// lock locks one mutex or both, and does something meanwhile.
func (g *graph) lock(t *actors.Task, worker, rank int, s step) error {
	order := []int{s.a % 2}
	if s.a%4 >= 2 {
		order = append(order, 1-s.a%2)
	}
	for _, i := range order {
		m := &g.mutexes[worker][i]
		if err := m.Lock(t); err != nil {
			return err
		}
		if i == 0 {
			if n := g.inside[worker].Add(1); n != 1 {
				g.Errorf("%d tasks hold a mutex", n)
			}
		}
		defer func() {
			if i == 0 {
				g.inside[worker].Add(-1)
			}
			m.Unlock()
		}()
		if s.b%2 == 0 {
			if err := t.Sleep(time.Millisecond); err != nil {
				return err
			}
		}
	}
	if s.b%3 == 0 {
		return g.await(t, rank, s.b)
	}
	return nil
}

// choose selects among futures, and some others.
func (g *graph) choose(t *actors.Task, worker, rank int, s step) error {
	var cases []loopsync.Case
	fs, _ := g.pick(rank, 1+s.a%3, s.b)
	for _, f := range fs {
		cases = append(cases, loopsync.OnFuture(f))
	}
	if s.a&4 != 0 {
		cases = append(cases, loopsync.OnReceive(g.channels[worker], nil, nil))
	}
	if s.a&8 != 0 {
		cases = append(cases, loopsync.OnSend(g.channels[s.b%3], s.a))
	}
	if s.a&16 != 0 || len(cases) == 0 {
		cases = append(cases, loopsync.OnTimer(time.Duration(s.b%4)*time.Millisecond))
	}
	i, err := loopsync.Select(t, cases...)
	if (i < 0) != (err != nil) || i >= len(cases) {
		g.Errorf("index %d of %d, and %v", i, len(cases), err)
	}
	if i >= 0 && i < len(fs) && !fs[i].Done() {
		g.Errorf("case %d is not done", i)
	}
	return ignoreRing(err)
}

// ignoreRing is for an await that the task goes on after.
func ignoreRing(err error) error {
	if errors.As(err, new(*actors.DeadlockError)) {
		return nil
	}
	return err
}

// condition waits for one, or lets others go on.
func (g *graph) condition(t *actors.Task, worker, rank int, s step) error {
	c := g.conditions[worker]
	if s.a%3 == 0 {
		g.conditions[s.b%3].Notify(s.b % 4)
		return nil
	}
	m := &g.mutexes[worker][0]
	if err := m.Lock(t); err != nil {
		return err
	}
	defer m.Unlock()
	if err := c.Wait(t); err != nil {
		return err
	}
	if n := g.inside[worker].Add(1); n != 1 {
		g.Errorf("%d tasks hold a mutex", n)
	}
	defer g.inside[worker].Add(-1)
	if s.b%2 == 0 {
		if err := t.Sleep(time.Millisecond); err != nil {
			return err
		}
	}
	if s.b%3 == 0 {
		return g.await(t, rank, s.b)
	}
	return nil
}

func (g *graph) promise(s step) {
	if s.a%2 == 0 {
		p := new(actors.Promise[int])
		rank, _ := g.next()
		g.add(rank, "a promise", p.Future())
		g.mu.Lock()
		defer g.mu.Unlock()
		g.promises = append(g.promises, p)
		return
	}
	g.mu.Lock()
	ps := slices.Clone(g.promises)
	g.mu.Unlock()
	if len(ps) > 0 {
		if p := ps[s.b%len(ps)]; s.b%2 == 0 {
			p.Resolve(s.b)
		} else {
			p.Reject(errStep)
		}
	}
}

func (g *graph) fail(t *actors.Task, worker int, s step) error {
	switch s.a % 8 {
	case 0:
		panic("this step panics")
	case 1:
		g.failed.Store(true)
		t.Send(g.workers[s.b%3], "fail")
	}
	return errStep
}
