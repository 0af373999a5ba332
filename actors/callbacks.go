// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync"

	"github.com/protoloop/protoloop/internal/gstack"
	"github.com/protoloop/protoloop/internal/loop"
)

// callbacks are those that are to be called, the first one first, linked by
// next. The order is depth first: what a callback completes is told before the
// next callback is called.
//
// That a member completes a combination, which is a member of another one, goes
// along this list, and not by a call within a call: a chain of them may be
// longer than a stack is deep.
type callbacks struct{ first, last *node }

// append puts more behind those that are there.
func (l *callbacks) append(more callbacks) {
	switch {
	case more.first == nil:
	case l.first == nil:
		*l = more
	default:
		l.last.Next = &more.first.Waiter
		l.last = more.last
	}
}

// lead puts more before those that are there.
func (l *callbacks) lead(more callbacks) {
	more.append(*l)
	*l = more
}

// next takes the first one.
func (l *callbacks) next() *node {
	w := l.first
	l.first, w.Next = nodeOf(w.Next), nil // whoever keeps w does not keep the others
	return w
}

// call calls the callback that w is.
func (w *node) call() callbacks {
	switch to := w.to.(type) {
	case *deps:
		return to.follower.memberEnded(to.cores[w.Seq], int(w.Seq))
	case callback:
		to()
	case promptCallback:
		to()
	case userCallback:
		to()
	}
	return callbacks{}
}

// deepStack is how many bytes of the stack may be used where callbacks are called
// within a callback.
const deepStack = 256 << 10

// call calls them all, at once.
//
// A function of a user's that is called may complete another future, and that
// again calls functions of the user's: a chain of them does nest. Where the
// stack has become deep, what comes is put into the list of the callbacks that
// are called there already.
func (l callbacks) call() {
	if l.first != nil { // most futures have none, and do without this call
		l.callAll()
	}
}

func (l callbacks) callAll() {
	for l.first.isMember() { // no code of a user's, and nothing nests: it needs neither of the guards below
		if more := l.next().call(); more.first != nil {
			l.lead(more)
		} else if l.first == nil {
			return
		}
	}
	if id, used := gstack.Here(); used > deepStack {
		l.callDeep(id)
		return
	}
	defer func() { // the rest, if one has called Goexit
		l.call()
	}()
	for l.first != nil {
		l.lead(l.next().call())
	}
}

// callOwn calls, at once, what calls no code of a user's, and returns the rest.
func (l callbacks) callOwn() (users callbacks) {
	for l.first != nil {
		w := l.next()
		if _, is := w.to.(userCallback); is {
			users.append(callbacks{w, w})
		} else {
			l.lead(w.call())
		}
	}
	return users
}

// callElsewhere is for whoever must not be held up: a loop in its own state, which
// nobody can take over, and the clock. Users' functions are called on a goroutine of
// their own.
func (l callbacks) callElsewhere() {
	if users := l.callOwn(); users.first != nil {
		go func() {
			loop.ForgetLabels()
			users.call()
		}()
	}
}

// deepCallbacks are those that a callback has led to on a goroutine, by its id,
// whose stack was deep already. There is an entry only while they are called.
var deepCallbacks struct {
	mu sync.Mutex
	of map[uintptr]*callbacks
}

func (l callbacks) callDeep(id uintptr) {
	d := &deepCallbacks
	d.mu.Lock()
	came := d.of[id]
	if came != nil {
		d.mu.Unlock()
		if _, is := l.first.to.(promptCallback); is {
			l.next().call()
		}
		came.append(l) // it is this goroutine's alone
		return
	}
	came = &callbacks{}
	if d.of == nil {
		d.of = map[uintptr]*callbacks{}
	}
	d.of[id] = came
	d.mu.Unlock()
	defer func() {
		l.lead(*came)
		d.mu.Lock()
		delete(d.of, id)
		d.mu.Unlock()
		l.call() // the rest, if one has called Goexit
	}()
	for l.first != nil {
		more := l.next().call()
		more.append(*came)
		*came = callbacks{}
		l.lead(more)
	}
}
