// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/restartwindow"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// ailment is what is known of a key whose worker has failed. Keys that are well have none.
type ailment struct {
	row      int                  // failures without resetAfter up in between
	restarts restartwindow.Window // since the worker was started
	last     time.Time            // the last failure
	up       time.Time            // when the worker came up after that; zero: it has not
	until    time.Time            // no worker is started before
	why      error                // … and that is what its askers are told; nil: the worker restarts
	restart  *time.Timer          // it waits for that
}

var _ supervision.Supervisor = (*kind)(nil)

// AdoptChild is never called: the workers of keys have no parent.
func (k *kind) AdoptChild(supervision.Child) supervision.Policy { return supervision.Policy{} }

// ChildReady: the setup of a worker has succeeded.
func (k *kind) ChildReady(c supervision.Child) {
	id := keyOf(c)
	st := k.grid.stripeOf(id)
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.starting, id)
	if a := st.ailments[id]; a != nil {
		a.up = time.Now()
	}
	k.noteUp(id, time.Now())
}

// ChildStopping: the worker has been idle, or ends otherwise. Who asks it finds that out.
func (k *kind) ChildStopping(supervision.Child) {}

// ChildFailed decides about a worker that has failed: it is restarted, or it ends.
func (k *kind) ChildFailed(c supervision.Child, f *supervision.Failure) bool {
	if f.Draining {
		k.tellFailed(c, f, "it goes on with what it has accepted")
		return true
	}
	id, now, st := keyOf(c), time.Now(), k.grid.stripeOf(keyOf(c))
	st.mu.Lock()
	a := k.grid.ailmentOf(st, id)
	if a.isReset(now) {
		a.row = 0
	}
	a.row++
	a.last, a.up, a.why = now, time.Time{}, nil
	wait := k.Backoff.Wait(a.row)
	failing := c.(keyed.Failing)
	switch {
	case failing.FailedStart():
		a.why = k.unavailable(id, "could not be started", f.Err)
	case safeerr.Is(f.Err, supervision.ErrDoNotRestart, supervision.ErrEscalate):
		a.why = k.unavailable(id, "has ended for good", f.Err)
	case !a.restarts.Count(now, k.MaxRestarts, k.Within):
		a.why = k.unavailable(id, fmt.Sprintf("has failed more than %d times within %v", k.MaxRestarts, k.Within), f.Err)
	case wait > 0 && !k.grid.draining.Load():
		a.restart = time.AfterFunc(max(wait, 1), c.Restart)
	default:
		c.Restart()
	}
	why := a.why
	if why != nil {
		a.restarts, a.until = restartwindow.Window{}, now.Add(wait)
	}
	st.mu.Unlock()
	k.grid.janitor.arm(k.grid)
	if why == nil {
		k.tellFailed(c, f, fmt.Sprintf("it restarts in %v", wait))
		return true
	}
	failing.FailQueued(why)
	k.tellFailed(c, f, fmt.Sprintf("it ends, and a message starts the next in %v at the earliest", wait))
	return true
}

// isReset reports whether the worker has been up for so long that its failures are no row.
func (a *ailment) isReset(now time.Time) bool { return !a.up.IsZero() && now.Sub(a.up) >= resetAfter }

// ailmentOf is that of a key; it is made if there is none. With the stripe's mu held.
func (g *Grid) ailmentOf(st *stripe, id string) *ailment {
	a := st.ailments[id]
	if a == nil {
		if st.ailments == nil {
			st.ailments = map[string]*ailment{}
		}
		a = &ailment{}
		st.ailments[id] = a
		g.ailing.Add(1)
	}
	return a
}

// unavailable is what the askers of a key are told that has no worker. What is copied for its
// askers otherwise is what it would be had it crossed a process here, too.
func (k *kind) unavailable(id, what string, err error) error {
	why := &keyed.UnavailableError{Text: fmt.Sprintf("%v: the worker of %s %s: %v", actors.ErrUnavailable, id, what, err), Sentinel: actors.ErrUnavailable, Cause: err}
	if k.Share {
		return why
	}
	return neverRan(why)
}

// refusal is err as an asker gets it.
func (k *kind) refusal(err error) error {
	if k.Share {
		return err
	}
	return neverRan(err)
}

// neverRan is the form in which an error goes to another process.
func neverRan(err error) *messages.Failure {
	f := messages.NewFailure(err, false, true)
	// Whatever a setup that has failed has heard from others. What cannot be sent cannot be the next time either.
	f.Ran, f.RetrySafe = false, errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, actors.ErrUnsendable)
	return f
}

// tellFailed tells the log and the failure hooks. On the worker's loop.
func (k *kind) tellFailed(c supervision.Child, f *supervision.Failure, next string) {
	var stack []byte
	if p, ok := safeerr.As[*actors.PanicError](f.Err); ok {
		stack = p.Stack
	}
	k.grid.log.Error("grid: a worker has failed; "+next, "key", keyOf(c), "task", f.Task, "error", f.Err, "stack", string(stack))
	k.grid.failures.Tell(failure.Failure{Kind: failure.WorkerFailure, Worker: c.PID(), Task: f.Task, Err: f.Err, Stack: stack})
}

// MessageNotHandled is not called: nothing is retried.
func (k *kind) MessageNotHandled(supervision.Child, *supervision.Failure) {}

// ChildQuiesced is not called: nobody asks for that.
func (k *kind) ChildQuiesced(supervision.Child) {}

// ChildStopped: the worker is gone, and with it all that it has worked on. The next of its key
// begins, if somebody has asked for one meanwhile.
func (k *kind) ChildStopped(c supervision.Child) {
	g, id, e, now := k.grid, keyOf(c), c.Account(), time.Now()
	st := g.stripeOf(id)
	st.mu.Lock()
	st.ended[k.index] = st.ended[k.index].Plus(actors.Counts(e.Counts))
	next := st.nextOf(id)
	if next == nil { // nobody has
		if g.cluster != nil {
			g.cluster.removeKey(id)
		}
		k.noteDown(id, now)
	}
	if a := st.ailments[id]; a != nil {
		if a.restart != nil {
			a.restart.Stop()
		}
		if next == nil && a.isReset(now) {
			delete(st.ailments, id)
			g.ailing.Add(-1)
		}
	}
	st.mu.Unlock()
	k.noteEnded(id[len(k.prefix):], e)
	if next != nil {
		k.begin(next)
	}
	if g.live.Add(-1) == 0 {
		g.noteDrained()
	}
}

// PlainFailed is not called, and so are the other two: they are about actors that are children.
func (k *kind) PlainFailed(*actor.Failure) {}

// ActorTerminated is not called.
func (k *kind) ActorTerminated(*actor.PID) {}

// SupervisorEnded is not called.
func (k *kind) SupervisorEnded() {}

// janitor forgets the ailments of keys that are well again, or are not asked any more. It has
// a timer only as long as there are some.
type janitor struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// janitorPeriod is the time between two looks at all ailments.
const janitorPeriod = 30 * time.Second

func (j *janitor) arm(g *Grid) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer == nil && !j.over {
		j.timer = time.AfterFunc(janitorPeriod, func() { j.look(g) })
	}
}

func (j *janitor) look(g *Grid) {
	j.mu.Lock()
	j.timer = nil
	j.mu.Unlock()
	now := time.Now()
	for i := range g.stripes {
		g.forgetAilments(&g.stripes[i], now)
	}
	if g.ailing.Load() > 0 {
		j.arm(g)
	}
}

// end stops it.
func (j *janitor) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over = true; j.timer != nil {
		j.timer.Stop()
	}
}

func (j *janitor) reopen() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = false
}

func (g *Grid) forgetAilments(st *stripe, now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for id, a := range st.ailments {
		k := g.kindOf(id)
		if st.keys[id] != nil && !a.isReset(now) || now.Before(a.until.Add(resetAfter)) || now.Sub(a.last) <= k.Within {
			continue
		}
		delete(st.ailments, id)
		g.ailing.Add(-1)
	}
}
