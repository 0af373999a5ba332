// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/seeded"
)

var ringDice = seeded.Flag("ring.seed", "TestRingRaces")

// TestRingRaces lets the members of an Any fail on other goroutines in the
// moment in which tasks begin to await it. Whichever comes last closes the
// ring: it is found once, and what waits for it goes on. If one of them has a
// value there is no ring, and none may be found. What nobody finds is found by
// the bubble, whose clock then goes on to the end of all patience. The same
// seed makes the same choices.
func TestRingRaces(t *testing.T) {
	bubble(t, func(w *world) {
		r := &ringRace{world: w, a: w.ringer("a"), b: w.ringer("b"), c: w.worker("c", actors.Options{Logger: discard()}, none)}
		for _, dice := range ringDice.Rounds(w, 500) {
			r.dice = dice
			r.round()
		}
	})
}

type ringRace struct {
	*world
	a, b, c *actor.PID
	dice    *rand.Rand
	wg      sync.WaitGroup
}

// pause returns what lets others run some times.
func (r *ringRace) pause() func() {
	n := r.dice.IntN(6)
	return func() {
		for range n {
			runtime.Gosched()
		}
	}
}

// members are futures that all fail, or one of which has a value, soon after
// begin is done; some are promises, others work.
func (r *ringRace) members(begin <-chan struct{}, valued bool) (fs []*actors.Future[int]) {
	n := 1 + r.dice.IntN(3)
	lucky := r.dice.IntN(n)
	for i := range n {
		p, pause := new(actors.Promise[int]), r.pause()
		f := p.Future()
		if r.dice.IntN(2) == 0 {
			f = actors.Submit(r.root, r.c, func(t *actors.Task) (int, error) { return actors.Await(t, p.Future()) })
		}
		r.wg.Go(func() {
			<-begin
			if pause(); valued && i == lucky {
				p.Resolve(9)
			} else {
				p.Reject(errLeft)
			}
		})
		fs = append(fs, f)
	}
	return fs
}

// wrap combines f with nothing else.
func (r *ringRace) wrap(f *actors.Future[int]) *actors.Future[int] {
	switch r.dice.IntN(5) {
	case 0:
		return futures.Shield(f)
	case 1:
		return futures.WithTimeout(f, 2*hang)
	case 2:
		return futures.Race(f, f)
	case 3:
		return futures.Any(r.wrap(f))
	}
	return f
}

func (r *ringRace) round() {
	valued := r.dice.IntN(4) == 0
	ready := new(actors.Promise[actors.None])
	members := r.members(ready.Future().Ready(), valued)
	shape, one, two := r.dice.IntN(4), r.pause(), r.pause()
	hold, waiting := new(actors.Promise[*actors.Future[int]]), new(actors.Promise[actors.None])
	// wait is a job that awaits the Any; its members are complete when all
	// holders hold.
	wait := func(pause func()) do {
		return func(t *actors.Task) (int, error) {
			waiting.Resolve(struct{}{})
			f, err := actors.Await(t, hold.Future())
			if err != nil {
				return 0, err
			}
			pause()
			return actors.Await(t, f)
		}
	}
	inner := wait(one)
	var fs []*actors.Future[int]
	switch shape {
	case 0: // the holder itself
		fs = append(fs, actors.RequestFuture[int](r.root, r.a, inner))
	case 1: // by way of a worker that nobody holds
		fs = append(fs, actors.RequestFuture[int](r.root, r.a, do(func(t *actors.Task) (int, error) {
			f := actors.Submit(t, r.c, inner)
			two()
			return actors.Await(t, f)
		})))
	case 2: // of another one that is held
		fs = append(fs, actors.RequestFuture[int](r.root, r.a, do(func(t *actors.Task) (int, error) {
			f := actors.RequestFuture[int](t, r.b, inner)
			two()
			return actors.Await(t, f)
		})))
	case 3: // two holders
		fs = append(fs, actors.RequestFuture[int](r.root, r.a, inner))
		if _, err := result(waiting.Future()); err != nil {
			r.Error(err)
		}
		waiting = new(actors.Promise[actors.None])
		fs = append(fs, actors.RequestFuture[int](r.root, r.b, wait(two)))
	}
	if _, err := result(waiting.Future()); err != nil {
		r.Error(err)
	}
	members = append(members, actors.RequestFuture[int](r.root, r.a, do(seven)))
	if shape == 3 {
		members = append(members, actors.RequestFuture[int](r.root, r.b, do(seven)))
	}
	r.dice.Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
	hold.Resolve(r.wrap(futures.Any(members...)))
	ready.Resolve(struct{}{})
	defer r.wg.Wait()
	rings := 0
	for _, f := range fs {
		switch v, err := result(f); {
		case errors.As(err, new(*actors.DeadlockError)):
			rings++
		case err != nil, valued && v != 9, !valued && v != 7:
			r.Errorf("shape %d, with a value: %v: got %v, %v", shape, valued, v, err)
		}
	}
	if rings != map[bool]int{false: 1}[valued] {
		r.Errorf("shape %d, with a value: %v: %d rings were found", shape, valued, rings)
	}
}

// Handlers on workers that are held, or full, ask each other in a circle, all in
// the same moment: one of them finds the ring, and the others get their answers.
func TestRingClosedByAllAtOnce(t *testing.T) {
	bubble(t, func(w *world) {
		r := &ringRace{world: w}
		pids := []*actor.PID{w.ringer("0"), w.ringer("1"), w.ringer("2")}
		for _, name := range []string{"3", "4"} {
			pids = append(pids, w.worker(name, actors.Options{Logger: discard(), MaxInFlight: 2}, func(w *actors.Worker) error {
				actors.Handle(w, func(t *actors.Task, j do) (int, error) { return j(t) })
				return nil
			}))
		}
		for _, dice := range ringDice.Rounds(w, 300) {
			r.dice = dice
			n := 1 + dice.IntN(len(pids))
			dice.Shuffle(len(pids), func(i, k int) { pids[i], pids[k] = pids[k], pids[i] })
			r.circle(pids[:n])
		}
	})
}

func (r *ringRace) circle(pids []*actor.PID) {
	hold := new(actors.Promise[actors.None])
	var fs []*actors.Future[int]
	for i, pid := range pids {
		next := pids[(i+1)%len(pids)]
		n := 1
		if pid.Id >= "3" {
			n = 2 // to fill it
		}
		for range n {
			waiting, pause := new(actors.Promise[actors.None]), r.pause()
			fs = append(fs, actors.RequestFuture[int](r.root, pid, do(func(t *actors.Task) (int, error) {
				waiting.Resolve(struct{}{})
				if _, err := actors.Await(t, hold.Future()); err != nil {
					return 0, err
				}
				pause()
				return actors.Ask[int](t, next, do(seven))
			})))
			if _, err := result(waiting.Future()); err != nil {
				r.Error(err)
			}
		}
	}
	hold.Resolve(struct{}{})
	rings := 0
	for _, f := range fs {
		switch v, err := result(f); {
		case errors.As(err, new(*actors.DeadlockError)):
			rings++
		case v != 7 || err != nil:
			r.Errorf("got %v, %v", v, err)
		}
	}
	if rings != 1 {
		r.Errorf("%d rings were found along %v", rings, pids)
	}
}
