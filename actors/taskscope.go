// SPDX-License-Identifier: Apache-2.0

package actors

import "errors"

// Scope runs fn as a task of its own, in the caller's turn up to its first await, and
// waits until it and all that it has started have returned. So a part of a task can have
// a deadline, or another reason to end, without the rest (trio's CancelScope):
//
//	err := t.Scope(func(t *actors.Task) error { … }, actors.Timeout(time.Second))
//
// fn must use its own Task. Scope returns what fn returns, a panic in it as a
// [*PanicError], and nil if fn does, also when the time had run out by then: it is done
// (as in trio's fail_after, and in asyncio.timeout). Only if work that fn has started
// was cut off after that, or fn never began, is the error why the scope has ended:
// [ErrTimeout], or [ErrCanceled]. An fn that fails cancels what it has started. What to
// ignore of this is the caller's choice; where a timeout is no failure (move_on_after),
// that is errors.Is(err, ErrTimeout) && t.Context().Err() == nil.
//
// If the caller is ended meanwhile fn is, too; Scope waits for it all the same, and then
// returns the reason, joined with a failure of fn that says more. With [Detached] fn
// hears of no such end (CancelScope(shield=True)), and Scope returns what it returns. The
// end of the worker's incarnation ends it: what has to run even then is for
// [Task.Cleanup]. Like [Group.Wait], Scope cancels fn if waiting for it would close a
// ring, and returns the [*DeadlockError].
func (t *Task) Scope(fn func(t *Task) error, opts ...CallOption) error {
	return t.runScope("Scope", fn, opts)
}

// UntilStop is [Task.Scope] with the option [UntilStop]: fn is cancelled as soon as the
// worker is told to stop. It is for what waits and has nothing to finish, as a Background
// that receives from a channel:
//
//	w.Background("feed", func(t *actors.Task) error {
//		return t.UntilStop(func(t *actors.Task) error {
//			for {
//				v, ok, err := loopsync.Receive(t, ch)
//				…
//			}
//		})
//	})
//
// The error is then an [ErrCanceled]. A Background or Main may return it: that is how it
// is to end, and no failure. [Task.StopRequested] tells it from other cancels.
func (t *Task) UntilStop(fn func(t *Task) error) error {
	return t.runScope("UntilStop", fn, []CallOption{UntilStop()})
}

func (t *Task) runScope(what string, fn func(t *Task) error, opts []CallOption) error {
	t.checkCurrent(what)
	if fn == nil {
		panic("actors: " + what + " called with a nil function")
	}
	checkOptions(opts)
	g := newGroup(t)
	if g.apart = hasOption(opts, setDetached); g.apart { // the group is, with all in it
		kept := make([]CallOption, 0, len(opts))
		for _, o := range opts {
			if o.set != setDetached {
				kept = append(kept, o)
			}
		}
		opts = kept
	}
	m := newGroupTask[None](g, submittedErr(fn))
	m.scoped = true
	g.addMember(t, m, opts)
	ended := g.waitForAll(what)
	m.fut.lookAtResult()
	err := m.scopeError(&m.Task, &m.fut.core, g)
	switch {
	case ended == nil:
		return err
	case err == nil || saysOnlyEnd(err, ended):
		return ended
	}
	return errors.Join(ended, err)
}

// scopeError is how the scope has ended whose function was that of t.
func (m *membership) scopeError(t *Task, fut *core, g *Group) error {
	switch {
	case t.lt.Lost(), !m.began: // what it returns comes too late
		return fut.failedWith()
	case m.err == nil && g.outlived && t.isCanceled():
		return t.endCause()
	}
	return m.err
}
