// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// Only is the key of a [Singleton].
const Only = "only"

// Singleton returns k with [Only] as its one key, whose worker always runs: of a cluster on one node. When that drains, another
// one begins it when it has ended here; when that crashes, once its lease is over. What must not happen twice even if a
// process was held for longer than its lease needs the [Token].
//
// The worker may do its work in a Background of its setup, at the times of [actors.Task.OnSchedule] for example.
func Singleton(k Kind) Kind {
	k.Always = []string{Only}
	return k
}

// alwaysOn is a key whose worker runs without being asked. With the mu of its stripe held.
type alwaysOn struct {
	kind  *kind
	id    string    // of its PID
	up    time.Time // when the worker came up; zero: it has not
	row   int       // how often it has ended without resetAfter up in between
	again *time.Timer
}

func newAlways(k *kind) map[string]*alwaysOn {
	all := make(map[string]*alwaysOn, len(k.Always))
	for _, id := range k.Always {
		id = k.prefix + id
		all[id] = &alwaysOn{kind: k, id: id}
	}
	return all
}

// errNoKey is why nobody has that key, or nil.
func (k *kind) errNoKey(id string) error {
	if len(k.always) == 0 || k.always[id] != nil {
		return nil
	}
	return fmt.Errorf("%w: the kind %s has the keys of Always only, and %q is none of them", actors.ErrDeadLetter, k.Name, id[len(k.prefix):])
}

// keepUp starts the worker of a key that always has one, if it is this node's and there is none.
func (k *kind) keepUp(a *alwaysOn) {
	g := k.grid
	if c := g.cluster; c != nil && !c.isOwned(a.id) {
		return // it is kept up when it is
	}
	st := g.stripeOf(a.id)
	w, _, why := g.reserveNext(k, st, a.id)
	if w != nil {
		w.Leave() // nobody has sent it anything
	}
	if why == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if ill := st.ailments[a.id]; ill != nil && error(ill.why) == why && !g.draining.Load() {
		k.keepUpIn(a, time.Until(ill.until))
	}
}

// keepUpIn is keepUp after a while. With the mu of the stripe held.
func (k *kind) keepUpIn(a *alwaysOn, wait time.Duration) {
	if a.again != nil {
		a.again.Stop()
	}
	a.again = time.AfterFunc(max(wait, 1), func() { k.keepUp(a) })
}

// noteUp: the worker has come up. With the mu of the stripe held.
func (k *kind) noteUp(id string, now time.Time) {
	if a := k.always[id]; a != nil {
		a.up = now
	}
}

// noteDown: there is no worker any more, and nobody has asked for the next. With the mu of the stripe held.
func (k *kind) noteDown(id string, now time.Time) {
	a := k.always[id]
	if a == nil || k.grid.draining.Load() {
		return
	}
	if !a.up.IsZero() && now.Sub(a.up) >= resetAfter {
		a.row = 0
	}
	a.row++
	a.up = time.Time{}
	k.keepUpIn(a, k.Backoff.Wait(a.row))
}

// keepAllUp is keepUp for all keys of a process that has no cluster.
func (g *Grid) keepAllUp() {
	for _, k := range g.kinds {
		for _, a := range k.always {
			k.keepUp(a)
		}
	}
}

// letAllGo: none is started anew.
func (g *Grid) letAllGo() {
	for _, k := range g.kinds {
		for id, a := range k.always {
			st := g.stripeOf(id)
			st.mu.Lock()
			if a.again != nil {
				a.again.Stop()
			}
			st.mu.Unlock()
		}
	}
}

// keepUpShard is keepUp for those of a shard that is this node's from now on.
func (c *cluster) keepUpShard(shard int) {
	for _, a := range c.parts[shard].always {
		go a.kind.keepUp(a) // not while the lease waits
	}
}
