// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// Info is a supervisor as it was at about one moment: values only.
type Info struct {
	Ref    Ref
	PID    *actor.PID
	Parent *actor.PID // the supervisor that it is a child of; nil: none
	// Dynamic: it is a [Dynamic].
	Dynamic bool
	// State is "starting", until it is up for the first time, "running", "running without grace", "stopping", "forced stop" or "over".
	State string
	Since time.Time // it stops; zero: it does not
	Err   error     // why it ends by itself, ErrShutdown too; nil: it does not, or was told to

	Strategy     Strategy
	AutoShutdown AutoShutdown
	// MaxRestarts within Within are allowed, and Restarted have been, of all children
	// together; with one more it fails. MaxRestarts of -1: there is no limit, and
	// Restarted is 0.
	MaxRestarts int
	Within      time.Duration
	Restarted   int
	MaxChildren int // of a Dynamic; 0: no limit

	// Len is how many children there are, and States how many in each state of ChildInfo.
	Len    int
	States map[string]int
	// Children are at most 200, in the order of their starts: of more those that are not up,
	// and those that have restarted most often. They have no Children: each supervisor
	// has an Info of its own.
	Children []ChildInfo
	// Restarts are the last 32 restarts of children, the oldest first, and RestartsTotal is how
	// many there have been.
	Restarts      []RestartRecord
	RestartsTotal int64
	// Waits is what the stop of this supervisor, or of a child, still waits for: at most 200.
	Waits []StopWait
}

// StopWait is a child that was told to stop and has not ended. Of a supervisor that has any
// it is those of its children.
type StopWait struct {
	Ref       Ref
	Path      string // name, behind those of the supervisors that are above it
	PID       *actor.PID
	Kind      Kind
	Since     time.Time     // it was told to
	GraceLeft time.Duration // 0: it is over; actors.Forever: it has no end
	Pending   int64         // messages and submissions that it has accepted and not ended; -1: it has no account
}

// The bounds of an Info.
const (
	maxInfoChildren = 200
	maxInfoWaits    = 200
)

// Info returns the supervisor as it is. It waits for nothing, and holds up the
// supervisor for some microseconds at a time only.
func (s *Supervisor) Info() Info { return s.n.info() }

// Info is as [Supervisor.Info].
func (d *Dynamic) Info() Info { return d.n.info() }

// shownLife is how far a supervisor has come, for everybody. It is guarded by the node's mu.
type shownLife struct {
	state life.SupervisorState
	since time.Time // its stop began
	cause error
}

func (n *node) info() Info {
	c := n.core.Load()
	now := time.Now()
	i := Info{
		Ref: Ref{Supervisor: n.pid.Id, Start: c.startID}, PID: n.pid, Dynamic: c.isDynamic(),
		Strategy: c.spec.Strategy, AutoShutdown: c.spec.AutoShutdown, States: map[string]int{},
	}
	if n.parent != nil {
		i.Parent = n.parent.pid
	}
	if d := c.spec.dynamic; d != nil {
		i.MaxChildren = d.MaxChildren
	}
	n.mu.Lock()
	i.State, i.Since, i.Err = c.shown.state.String(), c.shown.since, c.shown.cause
	if !n.hasStarted && c.shown.state == life.SupervisorRunning {
		i.State = "starting"
	}
	i.MaxRestarts, i.Within, i.Restarted = c.intensity.usedAt(now)
	i.Restarts, i.RestartsTotal = n.restarts.listRecords(), n.restarts.total
	n.mu.Unlock()
	for j := range i.Restarts {
		i.Restarts[j].Stack = stackOf(i.Restarts[j].Err)
	}
	n.fillChildren(c, &i, now)
	i.Waits = n.stopWaits(now)
	return i
}

// rankedChild is a child and how much it matters to somebody who looks.
type rankedChild struct {
	k    *child
	rank int // the greater the more
}

// fillChildren fills in the children.
func (n *node) fillChildren(c *core, i *Info, now time.Time) {
	var all []rankedChild
	n.eachChild(c, func(k *child) {
		state := k.life.State()
		if state == life.ChildRemoved {
			return
		}
		i.States[state.Shown()]++
		rank := k.restartCount()
		if state != life.ChildUp {
			rank += 1 << 32
		}
		all = append(all, rankedChild{k, rank})
	})
	i.Len = len(all)
	if len(all) > maxInfoChildren {
		slices.SortFunc(all, func(a, b rankedChild) int {
			return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.k.seq, b.k.seq))
		})
		all = all[:maxInfoChildren]
	}
	slices.SortFunc(all, func(a, b rankedChild) int { return cmp.Compare(a.k.seq, b.k.seq) })
	i.Children = make([]ChildInfo, 0, len(all))
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range all {
		if r.k.life.State() != life.ChildRemoved {
			i.Children = append(i.Children, r.k.childInfo(now))
		}
	}
}

// lookedAtOnce is how many children are looked at while the supervisor cannot change any.
const lookedAtOnce = 256

// eachChild calls f for each child, in no order, with mu held. It lets the supervisor have mu between
// some and others, which may come or go then; it may be called for one that has gone.
func (n *node) eachChild(c *core, f func(k *child)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := 0
	for _, k := range c.children {
		f(k)
		if seen++; seen%lookedAtOnce == 0 {
			n.mu.Unlock()
			n.mu.Lock()
		}
	}
}

// stopWaits is what stops still wait for.
func (n *node) stopWaits(now time.Time) (out []StopWait) {
	type waited struct {
		StopWait
		process childProcess
		inner   *node
		seq     uint64
	}
	var all []waited
	n.eachChild(n.core.Load(), func(k *child) {
		if k.life.State().IsEnding() && len(all) < maxInfoWaits {
			i := k.childInfo(now)
			all = append(all, waited{StopWait{i.Ref, k.name, i.PID, i.Kind, i.Since, i.GraceLeft, -1}, k.process, k.node, k.seq})
		}
	})
	slices.SortFunc(all, func(a, b waited) int { return cmp.Compare(a.seq, b.seq) })
	for _, w := range all {
		if w.inner != nil {
			if below := w.inner.stopWaits(now); len(below) > 0 {
				for _, b := range below {
					b.Path = w.Path + "/" + b.Path
					out = append(out, b)
				}
				continue
			}
		}
		if w.Kind == KindWorker {
			w.Pending = w.process.Account().Counts.Pending
		}
		out = append(out, w.StopWait)
	}
	return out[:min(len(out), maxInfoWaits)]
}

// graceLeft is what is left of the grace of a child that its supervisor stops. With the
// node's mu held.
func (k *child) graceLeft(now time.Time) time.Duration {
	switch k.life.State() {
	case life.ChildStopping, life.ChildRecovering:
		grace := k.shutdownGrace()
		if grace == actors.Forever {
			return grace
		}
		return max(grace-now.Sub(k.stateSince), 0)
	}
	return 0
}
