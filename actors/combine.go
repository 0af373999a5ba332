// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/combine"
)

// Inside hands the future over to package futures.
func (f *typedCore[T]) Inside(combine.Key) combine.Future[T] { return (*innerFuture[T])(f) }

// innerFuture is a future as package futures completes it.
type innerFuture[T any] typedCore[T]

// Peek is package combine's, and so are the other exported methods here.
func (f *innerFuture[T]) Peek() (T, error) { return f.val, f.failedWith() }

func (f *innerFuture[T]) TimeoutError(after time.Duration) error { return f.timedOut(after) }

func (f *innerFuture[T]) Waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := f.waits; w != nil; w = w.Next {
		n++
	}
	return n
}

func (f *innerFuture[T]) CallWhenDone(call func()) { f.addCallback(&node{to: callback(call)}) }

func (f *innerFuture[T]) Combine(r combine.Rule, ms combine.Members, value func(i int) (T, error)) {
	c := &combination[T]{out: (*typedCore[T])(f), value: value, heed: r.Heed, name: r.Name}
	c.cores, c.by, c.kept, c.late = coresOf(ms), r.By, r.Kept, r.By == combine.OneValue
	c.followMembers()
}

// coresOf are the members without their type, in the same memory: of a future its core is the first, see
// TestCoreIsFirst.
func coresOf(ms combine.Members) []*core {
	first, n := ms.AsSlice()
	return unsafe.Slice((**core)(first), n)
}

// combination is what completes a future by the ends of others.
type combination[T any] struct {
	deps
	extra extra // the future's, while it is pending
	out   *typedCore[T]
	value func(i int) (T, error) // see [combine.Future]
	nodes []node
	name  string
	heed  bool        // failures that come when it is done are no news
	news  atomic.Bool // of a OneValue: a member has failed, and nobody has looked at that
}

func (c *combination[T]) label() string { return c.name }

// followMembers follows them until the future is done. Then it takes its nodes back, or
// else a member that lives long would keep all that it was ever combined with.
func (c *combination[T]) followMembers() {
	out := &c.out.core
	c.extra.deps, c.follower = &c.deps, c
	out.extra.Store(&c.extra)
	c.deps.out.Store(out)
	c.left.Store(int32(len(c.cores)))
	c.nodes = make([]node, len(c.cores)+1) // one allocation for all, and one callback
	for i := range c.cores {
		if c.follow(&c.nodes[i], i); out.done.Load() {
			break
		}
	}
	over := &c.nodes[len(c.cores)]
	over.to = promptCallback(c.leaveMembers)
	out.addCallback(over)
}

// leaveMembers is called when the future is done.
func (c *combination[T]) leaveMembers() {
	if c.by == combine.AllValues && c.left.Load() == 0 {
		return // each has told of a value, and most are out of the cache by now (bench: gather/all-100)
	}
	for i, m := range c.cores {
		m.stopFollowing(&c.nodes[i], c.heed)
		if c.heed {
			c.out.lookAtMember(m)
		}
	}
}

func (c *combination[T]) memberEnded(m *core, i int) callbacks {
	if !c.completedBy(m) && c.left.Add(-1) > 0 {
		if c.by == combine.OneValue {
			c.noteFailure(m) // the end may race with the last failure
			c.out.memberFailed()
		}
		return callbacks{}
	}
	switch v, err := c.value(i); err {
	case nil:
		return c.out.resolveMember(v, nil)
	case combine.ErrLater:
		return callbacks{}
	default:
		if c.by == combine.OneValue && len(c.cores) > 1 {
			c.noteFailure(m)
			return c.out.failOfAll(err, c.news.Load())
		}
		return c.out.failMember(m, err)
	}
}

// noteFailure is for a member of a OneValue that has failed: the failures of all are
// told as that of the combination, if they are.
func (c *combination[T]) noteFailure(m *core) {
	if n := m.seldom().note; n != nil && n != toldToCreator && !n.seen.Swap(true) {
		c.news.Store(true)
	}
}
