// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/protoloop/protoloop/internal/combine"

// watch tells a queue which of its members are done.
type watch struct {
	deps
	extra extra // of all futures that wait for the next one: only the queue knows them
	nodes []node
	queue combine.Queue
}

func (f *innerFuture[T]) Watch(ms combine.Members, q combine.Queue) combine.Watch {
	w := &watch{queue: q}
	w.cores, w.by, w.follower = coresOf(ms), combine.NextEnd, w
	w.nodes = make([]node, len(w.cores))
	w.extra.deps = &w.deps
	w.completeNext(&f.core, 0)
	for i := range w.nodes {
		w.follow(&w.nodes[i], i)
	}
	return w
}

func (w *watch) CompleteNext(f any, past int) { w.completeNext(f.(AnyFuture).base(), past) }

// completeNext makes c the future that completes by the next end.
func (w *watch) completeNext(c *core, past int) {
	c.extra.Store(&w.extra)
	w.past.Store(int32(past))
	w.deps.out.Store(c)
}

func (w *watch) memberEnded(_ *core, i int) callbacks {
	if f := w.queue.Arrive(i); f != nil {
		return f.(AnyFuture).base().completeLater()
	}
	return callbacks{}
}

func (w *watch) Stop() {
	for i, c := range w.cores {
		c.stopFollowing(&w.nodes[i], false)
	}
}
