// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/messages"
)

// dice makes the choices of one driver or worker, and sums them up.
type dice struct {
	*rand.Rand
	sum uint64
}

func newDice(seed, who uint64) *dice { return &dice{Rand: rand.New(rand.NewPCG(seed, who))} }

// n chooses one of n.
func (d *dice) n(n int) int {
	i := d.IntN(n)
	d.sum = (d.sum ^ uint64(i+1)) * 1099511628211
	return i
}

// one reports true one time in n.
func (d *dice) one(n int) bool { return d.n(n) == 0 }

// job is what a task does: its steps, and then its end. All of it is chosen
// before it is sent.
type job struct {
	id    uint64 // its value
	end   end
	steps []step
}

// held is a job that its worker handles exclusively.
type held struct{ *job }

type end uint8

const (
	endValue end = iota
	endError
	endPanic
	endGoexit
	endDeferredGoexit // a panic in a deferred function ends a Goexit, or not
)

type step struct {
	kind  stepKind
	d     time.Duration
	job   *job  // of a child, or of a request
	to    *slot // whom it asks
	await bool  // it waits for the answer
}

type stepKind uint8

const (
	stepYield stepKind = iota
	stepSleep
	stepAsk
	stepStart
	stepOffload
	stepReceive
	stepCleanup
	stepSleepOrStop
	stepDie   // it stops its own worker
	stepBlock // it does not return
)

// plan chooses a job.
func (c *chaos) plan(d *dice, depth int) *job {
	j := &job{id: c.ids.Add(1)}
	switch n := d.n(400); {
	case n < 30:
		j.end = endError
	case n < 34:
		j.end = endPanic
	case n < 36:
		j.end = endGoexit
	case n < 37:
		j.end = endDeferredGoexit
	}
	for !d.one(2) && len(j.steps) < 4 {
		j.steps = append(j.steps, c.planStep(d, depth))
	}
	return j
}

func (c *chaos) planStep(d *dice, depth int) step {
	s := step{d: time.Duration(d.n(1000)) * time.Microsecond, await: !d.one(4)}
	switch n := d.n(1000); {
	case n < 400 || depth == 0:
		s.kind = stepYield
	case n < 500:
		s.kind = stepSleep
	case n < 650:
		s.kind, s.to = stepAsk, c.slots[d.n(len(c.slots))]
		s.job = c.plan(d, depth-1)
		s.d += time.Duration(1+d.n(20)) * time.Millisecond // so that rings end
	case n < 800:
		s.kind, s.job = stepStart, c.plan(d, depth-1)
	case n < 860:
		s.kind = stepOffload
	case n < 920:
		s.kind = stepReceive
	case n < 950:
		s.kind = stepCleanup
	case n < 985:
		s.kind = stepSleepOrStop
	case n < 990:
		s.kind = stepDie
	default:
		s.kind = stepBlock
	}
	return s
}

// jobError is what a job returns: whoever gets it knows that the job's own
// code had ended.
type jobError struct{ cause error }

func (e *jobError) Error() string { return "job: " + e.cause.Error() }
func (e *jobError) Unwrap() error { return e.cause }

var errJob = errors.New("it was to fail")

// state is a worker's, of one incarnation: unsynchronised, so that the race
// detector sees two tasks in it as well.
type state struct {
	c     *chaos
	slot  *slot
	in    uint64 // the job whose turn it is
	turns int
}

// enter begins a turn's work on the state, leave ends it: before each await.
func (s *state) enter(j *job) {
	if s.in != 0 {
		s.c.Errorf("%s: job %d is in the state of the worker, and so is job %d", s.slot.name, j.id, s.in)
	}
	s.in = j.id
	s.turns++
	if s.turns%16 == 0 {
		runtime.Gosched() // somebody else could get in, if anybody could
	}
}

func (s *state) leave(j *job) {
	if s.in != j.id {
		s.c.Errorf("%s: job %d leaves the state to find job %d there", s.slot.name, j.id, s.in)
	}
	s.in = 0
}

// setup makes the slot's worker.
func (s *slot) setup(w *actors.Worker) error {
	st := s.incarnation()
	if st == nil {
		return errors.New("this setup was to fail")
	}
	actors.Handle(w, func(t *actors.Task, j *job) (uint64, error) { return st.run(t, j) })
	var opts []actors.HandlerOption
	if s.exclusive {
		opts = append(opts, actors.Exclusive())
	}
	actors.Handle(w, func(t *actors.Task, j held) (uint64, error) { return st.run(t, j.job) }, opts...)
	w.OnStop(func(t *actors.Task) error {
		stopping, err := t.SleepOrStop(100 * time.Microsecond)
		if s.orphan && (stopping || err != nil) {
			// It may give itself up, when its budget of restarts is used up. This is the
			// last moment in which its account can be asked for.
			s.dies(t.Self(), actors.Forever)
		}
		return err
	})
	w.Background("background", func(t *actors.Task) error {
		for stopping := false; !stopping; {
			var err error
			if stopping, err = t.SleepOrStop(5 * time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// incarnation makes the state of a new one; nil for a setup that is to fail.
func (s *slot) incarnation() *state {
	n := s.starts.Add(1)
	if s.state.Load() != nil && s.lives.Load() > 1 && n%7 == 0 && !s.orphan {
		return nil
	}
	st := &state{c: s.c, slot: s}
	s.state.Store(st)
	return st
}

// produce makes the slot's plain actor.
func (s *slot) produce() actor.Actor {
	st := &state{c: s.c, slot: s}
	return actor.ReceiveFunc(func(c actor.Context) {
		var j *job
		switch m := c.Message().(type) {
		case *actor.Started:
			s.starts.Add(1)
			s.state.Store(st)
			return
		case *job:
			j = m
		case held:
			j = m.job
		default:
			return
		}
		v, err := st.run(actors.TaskOf(c), j)
		switch {
		case c.Sender() == nil:
		case err != nil:
			c.Respond(messages.NewFailure(err, true, false))
		default:
			c.Respond(v)
		}
	})
}

// submitted is a job that comes by Submit. The state that it finds is of its own incarnation if
// it has not been ended by then: where there is a new one, it has, and might have lost its loop.
func (s *slot) submitted(j *job) func(t *actors.Task) (uint64, error) {
	return func(t *actors.Task) (uint64, error) {
		st := s.state.Load()
		if err := context.Cause(t.Context()); err != nil {
			return 0, &jobError{err}
		}
		return st.run(t, j)
	}
}

// run does a job.
func (s *state) run(t *actors.Task, j *job) (uint64, error) {
	s.enter(j)
	for i := range j.steps {
		s.leave(j)
		if err := s.step(t, &j.steps[i]); err != nil {
			// Hands off the state: the task may have lost its loop, or another
			// that has may have left it as it was.
			return 0, &jobError{err}
		}
		s.enter(j)
	}
	s.leave(j)
	switch j.end {
	case endError:
		return 0, &jobError{errJob}
	case endPanic:
		panic(fmt.Sprint("job ", j.id))
	case endGoexit:
		runtime.Goexit()
	case endDeferredGoexit:
		defer func() { panic(fmt.Sprint("deferred in job ", j.id)) }()
		runtime.Goexit()
	}
	return j.id, nil
}

// step does one step; an error is why the task has to end, or what the step
// has waited for.
func (s *state) step(t *actors.Task, st *step) error {
	c := s.c
	switch st.kind {
	case stepYield:
		return t.Yield()
	case stepSleep:
		return t.Sleep(st.d)
	case stepSleepOrStop:
		_, err := t.SleepOrStop(st.d)
		return err
	case stepAsk:
		f := c.ask(t, st.to, st.job, st.job.id%3 == 0, actors.Timeout(st.d))
		if !st.await {
			return t.Yield() // which tells a task that has lost its loop
		}
		_, err := actors.Await(t, f)
		return err
	case stepStart:
		// The child runs in this very turn, up to its first await.
		f := actors.Start(t, func(t *actors.Task) (uint64, error) { return s.run(t, st.job) })
		c.late.add(&flight{f: f, job: st.job, child: true}, c)
		if !st.await {
			return t.Yield() // which tells a task that has lost its loop
		}
		_, err := actors.Await(t, f)
		return err
	case stepOffload:
		id := c.ids.Add(1)
		f := actors.Offload(t, func(ctx context.Context) (uint64, error) {
			select {
			case <-ctx.Done():
				return 0, &jobError{context.Cause(ctx)}
			case <-time.After(st.d):
				return id, nil
			}
		})
		c.late.add(&flight{f: f, job: &job{id: id}, child: true}, c)
		if !st.await {
			return t.Yield() // which tells a task that has lost its loop
		}
		_, err := actors.Await(t, f)
		return err
	case stepReceive:
		ch := make(chan int, 1)
		timer := time.AfterFunc(st.d, func() { ch <- 7 })
		defer timer.Stop()
		v, ok, err := loopsync.Receive(t, ch)
		if err == nil && (v != 7 || !ok) {
			c.Errorf("Receive: %v, %v", v, ok)
		}
		if err == nil { // a value comes even to a task that has been ended
			err = t.Yield()
		}
		return err
	case stepCleanup:
		err := t.Sleep(st.d)
		var ran atomic.Bool
		if e := t.Cleanup(10*time.Millisecond, func(t *actors.Task) error {
			ran.Store(true)
			return t.Sleep(st.d / 4)
		}); e != nil && !errors.Is(e, actors.ErrTimeout) && t.Context().Err() == nil {
			c.Errorf("Cleanup: %v", e)
		}
		if !ran.Load() {
			c.Error("a Cleanup did not run")
		}
		if err == nil { // it runs on after the worker's end, when another may have lost the loop
			err = t.Yield()
		}
		return err
	case stepDie:
		s.slot.dies(s.slot.pid.Load(), st.d)
		return t.Yield() // which tells a task that has lost its loop: that may have taken long
	default:
		if !s.slot.blocks || c.blocked.Add(1) > maxBlocked {
			return t.Yield()
		}
		<-c.release
		// By now it has no loop; but it may be the last of all.
		if err := t.Yield(); err != nil {
			return err
		}
		return errors.New("a blocked task still had its loop")
	}
}
