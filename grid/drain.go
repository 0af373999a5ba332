// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/supervision"
)

// Report is the account of a grid.
type Report struct {
	Kinds []KindReport
	// Unknown is how many messages went to kinds that there are not.
	Unknown int64
	// Frames is how many of other nodes were refused, because no node sends such: they were malformed, or spoke for another.
	Frames int64
	// Topics is what has become of what was published.
	Topics TopicCounts
	Took   time.Duration // the drain; 0: it is not over
}

// KindReport is that of one kind.
type KindReport struct {
	Name    string
	Stopped int           // workers that the drain has stopped, or that the node has given up with their shards
	Counts  actors.Counts // of all workers that there have been, and of what came to none
	// Abandoned are tasks that did not return when they were told to end, the first hundred;
	// the log has all.
	Abandoned []Abandoned
}

// Abandoned is a task that did not return.
type Abandoned struct {
	ID    string // of the key
	Task  string
	Since time.Time
	Stack []byte
}

// Counts is the account of all kinds.
func (r Report) Counts() actors.Counts {
	sum := actors.Counts{Offered: r.Unknown, Refused: r.Unknown}
	for _, k := range r.Kinds {
		sum = sum.Plus(k.Counts)
	}
	return sum
}

// String has a line for each kind, and one for topics and for refused frames if there were some.
func (r Report) String() string {
	var b strings.Builder
	for i, k := range r.Kinds {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %d stopped, %s", k.Name, k.Stopped, k.Counts)
		for _, a := range k.Abandoned {
			fmt.Fprintf(&b, "\n  abandoned: %s of %q", a.Task, a.ID)
		}
	}
	if t := r.Topics; t != (TopicCounts{}) {
		fmt.Fprintf(&b, "\ntopics: %d published, %d received, %d delivered, %d full, %d refused", t.Published, t.Received, t.Delivered, t.Full, t.Refused)
	}
	if r.Frames > 0 {
		fmt.Fprintf(&b, "\n%d frames were refused", r.Frames)
	}
	return b.String()
}

// Drain stops the workers of all keys, side by side: none takes anything new, which fails with
// [actors.ErrStopping] from now on, and each has the StopGrace of its Options for what it has
// accepted. It waits until all have ended, and returns the account.
//
// A node of a cluster first hands over its shards: each key is served here until it is the turn of its shard. Then what it has
// asked other nodes has the longest StopGrace of its kinds, before it leaves. So it has if the node is not in the cluster at that
// moment: it joins again for that, and owns nothing.
//
// It may be called by many and again. A ctx that ends makes it return, with [context.Cause]
// of it and the account so far, while the stop goes on. It is for plain goroutines, and panics
// if ctx is that of a task: call it in [actors.Offload] there.
func (g *Grid) Drain(ctx context.Context) (Report, error) {
	if by := callerctx.Of(ctx); by != nil && by.InTask() {
		panic("grid: Drain called with the context of a task: it would block the worker; call it in actors.Offload")
	}
	drained := g.beginDrain()
	select {
	case <-drained:
		return g.report(), nil
	default:
	}
	select {
	case <-drained:
		return g.report(), nil
	case <-ctx.Done():
		return g.report(), context.Cause(ctx)
	}
}

// beginDrain begins it, unless it has begun.
func (g *Grid) beginDrain() <-chan struct{} {
	g.mu.Lock()
	if g.drained != nil {
		defer g.mu.Unlock()
		return g.drained
	}
	drained := make(chan struct{})
	g.drained, g.begun = drained, time.Now()
	g.live.Add(1) // until stopAll has told all
	g.mu.Unlock()
	if g.cluster == nil {
		g.stopAll()
		return drained
	}
	left := g.cluster.member.Load().drain() // others take over shard by shard
	go func() {
		<-left
		g.stopAll()
	}()
	return drained
}

// stopAll stops the workers of all keys.
func (g *Grid) stopAll() {
	g.draining.Store(true)
	g.janitor.end()
	g.letAllGo()
	if n := g.network(); n != nil {
		n.close()
	}
	for i := range g.stripes {
		g.stopStripe(&g.stripes[i])
	}
	if g.live.Add(-1) == 0 {
		g.noteDrained()
	}
}

// stopStripe stops the workers of a stripe. With its mu held once no further one is made.
func (g *Grid) stopStripe(st *stripe) {
	st.mu.Lock()
	ids := make([]string, 0, len(st.keys))
	for id := range st.keys {
		ids = append(ids, id)
	}
	st.mu.Unlock()
	for _, id := range ids {
		g.stopKey(id, keyed.Worker.StopGrace)
	}
}

// stopKey stops the workers of a key, if it has any. One that waits to be restarted is, for what it has accepted.
func (g *Grid) stopKey(id string, grace func(keyed.Worker) time.Duration) {
	st := g.stripeOf(id)
	st.mu.Lock()
	w := st.keys[id]
	former := slices.Clone(st.former[id]) // they may have taken their time: nobody had told them to stop
	waits := false
	if a := st.ailments[id]; w != nil && a != nil && a.restart != nil {
		waits = a.restart.Stop()
	}
	st.mu.Unlock()
	if w == nil {
		return
	}
	k := g.kindOf(id)
	k.mu.Lock()
	k.stopped++
	k.mu.Unlock()
	for _, f := range former {
		f.Stop(grace(f))
	}
	w.Stop(grace(w))
	if waits {
		w.Restart()
	}
}

func (g *Grid) noteDrained() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drained != nil && g.took == 0 {
		g.took = max(time.Since(g.begun), 1)
		close(g.drained)
	}
}

func (g *Grid) isDrained() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.took > 0
}

// maxAbandoned is how many abandoned tasks of a kind a report names.
const maxAbandoned = 100

// noteEnded notes what a worker has left behind.
func (k *kind) noteEnded(id string, e supervision.Ended) {
	if len(e.Abandoned) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range e.Abandoned {
		if len(k.abandoned) < maxAbandoned {
			k.abandoned = append(k.abandoned, Abandoned{ID: id, Task: a.Name, Since: a.Since, Stack: a.Stack})
		}
	}
}

func (g *Grid) report() Report {
	r := Report{Unknown: g.unknown.Load(), Topics: g.topicCounts.counts()}
	if n := g.network(); n != nil {
		r.Frames = n.bad.Load()
	}
	for i, info := range g.Kinds() {
		k := g.kinds[i]
		k.mu.Lock()
		r.Kinds = append(r.Kinds, KindReport{Name: k.Name, Stopped: k.stopped, Counts: info.Counts, Abandoned: append([]Abandoned(nil), k.abandoned...)})
		k.mu.Unlock()
	}
	g.mu.Lock()
	r.Took = g.took
	g.mu.Unlock()
	return r
}

// Props are those of a child of a supervisor whose stop is the drain of the grid: give it a
// Shutdown that is longer than the StopGrace of the kinds, and put it behind what the workers
// of the keys need, which then stops after it. What the drain has come to is logged, and the supervisor's report has the
// account of all keys in the child's row. A restart of
// it, together with its siblings, is a drain too, after which the grid goes on.
func (g *Grid) Props() *actor.Props {
	return actors.Props(func(w *actors.Worker) error {
		keyed.AddAccount(w, "the setup of grid.Props", g.accountForChild)
		g.reopen()
		w.OnStop(func(t *actors.Task) error {
			report, err := actors.Await(t, actors.Offload(t, g.Drain))
			if err != nil {
				return fmt.Errorf("grid: not drained: %w", err)
			}
			g.log.Info("grid: drained", "report", report.String(), "took", report.Took)
			return nil
		})
		return nil
	}, actors.EventLoop(actors.Options{Kind: "grid"}))
}

// toldAccount tracks what the supervisors' reports have of the keys.
type toldAccount struct {
	mu        sync.Mutex
	counts    actors.Counts
	abandoned []int // of each kind
}

// accountForChild returns the account of the keys for the row of a child with Props: what none before it has told.
func (g *Grid) accountForChild() func() supervision.Ended {
	told := &g.told
	told.mu.Lock()
	defer told.mu.Unlock()
	before, abandoned := told.counts, told.abandoned
	return func() (e supervision.Ended) {
		told.mu.Lock()
		defer told.mu.Unlock()
		r := g.report()
		c := r.Counts()
		e.Counts = supervision.Counts{
			Offered: c.Offered - before.Offered, Accepted: c.Accepted - before.Accepted, Refused: c.Refused - before.Refused,
			Finished: c.Finished - before.Finished, Failed: c.Failed - before.Failed, Canceled: c.Canceled - before.Canceled,
			Abandoned: c.Abandoned - before.Abandoned, DeadLettered: c.DeadLettered - before.DeadLettered, Pending: c.Pending - before.Pending,
		}
		counted := make([]int, len(r.Kinds))
		for i, k := range r.Kinds {
			left := k.Abandoned
			if counted[i] = len(left); abandoned != nil {
				left = left[abandoned[i]:]
			}
			for _, a := range left {
				e.Abandoned = append(e.Abandoned, supervision.Abandoned{Name: fmt.Sprintf("%s of %s %q", a.Task, k.Name, a.ID), Since: a.Since, Stack: a.Stack})
			}
		}
		told.counts, told.abandoned = c, counted
		return e
	}
}

// reopen lets a grid go on that has been drained.
func (g *Grid) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.took > 0 && g.hub.grid.Load() == g {
		g.drained, g.took = nil, 0
		g.draining.Store(false)
		g.janitor.reopen()
		if g.cluster != nil {
			g.cluster.join()
		} else {
			g.keepAllUp()
		}
	}
}
