package actors

// Start runs fn as another task of the same worker: at once, in the caller's
// turn, up to its first await, and from there on beside the caller. It is
// cancelled when the caller is, and outlives its return.
//
// While the worker stops, Start still works: it is how work in hand goes on.
//
// The caller must not have locked its thread with [runtime.LockOSThread], nor be
// a callback from C: the child would begin there, and the Go runtime ends the
// process, be it when another task goes on there later.
func Start[T any](t *Task, fn func(t *Task) (T, error), opts ...CallOption) *Future[T] {
	t.current("Start")
	if fn == nil {
		panic("actors: Start called with a nil function")
	}
	checkOptions(opts)
	u := newSubmission(t, fn, len(opts) > 0)
	u.attached, u.lifetime = t.attached, child
	if u.bind(t, opts, 0) && !t.coroutine().Start(&u.lt) {
		u.Task.cancel(t.lostError())
		if u.lt.Fresh() { // else whoever took the turn has ended it with the others
			u.over()
		}
	}
	t.mb.enterAgain(t)
	return &u.fut
}

// lostError is what a task whose turn was taken over gets for an answer, also
// in the moment before it is told.
func (t *Task) lostError() error {
	switch err := t.ended(); {
	case err != nil:
		return err
	case t.mb.gate.Load() == gateOpen:
		return ErrRestarted
	}
	return ErrStopped
}
