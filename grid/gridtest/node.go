// SPDX-License-Identifier: Apache-2.0

package gridtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/ownership"
)

// errDropped: a call whose session has made a later one meanwhile. Nobody is told.
var errDropped = errors.New("gridtest: dropped")

// Way is a way between a node and the store, or the network.
type Way int

// The ways.
const (
	Requests  Way = 1 << iota // of calls to the store: what is cut has no effect
	Answers                   // of calls: they have their effect
	Notices                   // of what the store sends unasked: views, and shards that are free
	FramesOut                 // of frames to other nodes
	FramesIn                  // of frames from other nodes, and of what the network tells the node
	Frames    = FramesOut | FramesIn
	All       = Requests | Answers | Notices | Frames
)

// ways is how many there are.
const ways = 5

// Node is one process of a cluster, with what can be done to it. It is the node's [grid.Store] and [grid.Net].
type Node struct {
	c     *Cluster
	name  string
	views chan grid.View
	begun time.Time

	viewing bool       // a view is on its way; with mu of c held
	net     connection // with mu of c held

	mu        sync.Mutex
	crashed   bool
	paused    bool
	suspended time.Time     // since; zero: it is not
	slept     time.Duration // before
	held      []func()      // what happens when it goes on
	goesOn    chan struct{} // closed when it is not paused
	cut       Way
	late      []func()               // notices that wait until it is not cut off
	slow      [ways][2]time.Duration // by way, least and most
	sending   sync.Mutex             // of views
}

var _ grid.Store = (*Node)(nil)

// Node adds a process of that name. One that is started anew is another Node.
func (c *Cluster) Node(name string) *Node {
	n := &Node{c: c, name: name, views: make(chan grid.View, 1), begun: time.Now(), goesOn: make(chan struct{})}
	close(n.goesOn)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
	n.viewing = true
	time.AfterFunc(max(c.latency(), 1), func() { n.notify(n.sendView) })
	return n
}

// Name is that of the process.
func (n *Node) Name() string { return n.name }

// Join is [grid.Store]'s.
func (n *Node) Join(ctx context.Context, is grid.Node, ttl time.Duration) (grid.Session, error) {
	var s *session
	err := n.c.call(ctx, n, "Join", func() (err error) {
		s, err = n.c.join(n, is, ttl)
		return err
	})
	if err != nil {
		return nil, err // s may be written to
	}
	return s, nil
}

// View is [grid.Store]'s.
func (n *Node) View() <-chan grid.View { return n.views }

func (n *Node) sendView() {
	n.c.mu.Lock()
	n.viewing = false
	v := n.c.currentView()
	n.c.mu.Unlock()
	n.sending.Lock()
	defer n.sending.Unlock()
	select {
	case <-n.views: // it was not received, and is old
	default:
	}
	n.views <- v
}

// Crash ends the process as kill -9 does: it does nothing any more, and the store is not told.
func (n *Node) Crash() {
	n.mu.Lock()
	n.crashed, n.held, n.late = true, nil, nil
	if n.paused {
		n.paused = false
		close(n.goesOn)
	}
	n.mu.Unlock()
	n.c.Owners.crashed(n)
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.silence(crashNoticed)
	for i, other := range n.c.nodes {
		if other == n {
			n.c.nodes = append(n.c.nodes[:i:i], n.c.nodes[i+1:]...)
			break
		}
	}
}

// Expire lets the store end the sessions of the node at once, as one does whose clock is fast.
func (n *Node) Expire() {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	for _, s := range slices.Clone(n.c.sessions) {
		if s.node == n {
			n.c.end(s)
		}
	}
}

// Pause holds the process, as SIGSTOP does: no timer fires and no answer arrives until Resume. Then all of it
// happens at once, in any order.
func (n *Node) Pause() { n.pause(false) }

// Suspend is Pause for the whole machine: its timers stand still meanwhile, too.
func (n *Node) Suspend() { n.pause(true) }

func (n *Node) pause(suspend bool) {
	n.mu.Lock()
	if n.paused {
		n.mu.Unlock()
		return
	}
	n.paused, n.goesOn = true, make(chan struct{})
	if suspend {
		n.suspended = time.Now()
	}
	n.c.Owners.paused(n)
	n.mu.Unlock()
	n.netChanged()
}

// Resume ends a Pause or Suspend.
func (n *Node) Resume() {
	n.mu.Lock()
	if !n.paused {
		n.mu.Unlock()
		return
	}
	n.paused = false
	if !n.suspended.IsZero() {
		n.slept += time.Since(n.suspended)
		n.suspended = time.Time{}
	}
	held := n.held
	n.held = nil
	n.c.Owners.resumed(n)
	close(n.goesOn)
	n.mu.Unlock()
	n.c.mu.Lock()
	n.c.dice.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	n.c.mu.Unlock()
	for _, f := range held {
		n.run(f)
	}
	n.netChanged()
}

// Cut loses what goes these ways. Notices wait until Heal.
func (n *Node) Cut(w Way) {
	n.mu.Lock()
	n.cut = w
	n.mu.Unlock()
	n.netChanged()
}

// Heal ends a Cut.
func (n *Node) Heal() {
	n.mu.Lock()
	n.cut = 0
	late := n.late
	n.late = nil
	n.mu.Unlock()
	for _, f := range late {
		n.run(f)
	}
	n.netChanged()
}

// Slow lets requests, answers or frames take that much longer. Zero ends it.
func (n *Node) Slow(w Way, least, most time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.slow {
		if w&(1<<i) != 0 {
			n.slow[i] = [2]time.Duration{least, most}
		}
	}
}

// slowRequest and slowAnswer are by what a call takes longer. With mu of the cluster held.
func (n *Node) slowRequest() time.Duration { return n.slower(0) }
func (n *Node) slowAnswer() time.Duration  { return n.slower(1) }

func (n *Node) slower(way int) time.Duration {
	n.mu.Lock()
	by := n.slow[way]
	n.mu.Unlock()
	if by[1] == 0 {
		return 0
	}
	return n.c.between(by[0], by[1])
}

func (n *Node) isCut(w Way) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut&w != 0
}

// run calls f in the process: now, when it goes on, or never.
func (n *Node) run(f func()) {
	n.mu.Lock()
	switch {
	case n.crashed:
	case n.paused:
		n.held = append(n.held, f)
	default:
		n.mu.Unlock()
		f()
		return
	}
	n.mu.Unlock()
}

// notify is run for what the store sends unasked, once the node is not cut off.
func (n *Node) notify(f func()) {
	n.mu.Lock()
	if n.cut&Notices != 0 && !n.crashed {
		n.late = append(n.late, f)
		n.mu.Unlock()
		return
	}
	n.mu.Unlock()
	n.run(f)
}

// untilRuns waits as long as the process is paused.
func (n *Node) untilRuns() {
	n.mu.Lock()
	goesOn := n.goesOn
	n.mu.Unlock()
	<-goesOn
}

// Clock is that of the process. Package grid asks its Store for it.
func (n *Node) Clock() ownership.Clock { return (*clock)(n) }

type clock Node

// Now is [ownership.Clock]'s.
func (c *clock) Now() time.Duration { return time.Since(c.begun) }

// AfterFunc is [ownership.Clock]'s.
func (c *clock) AfterFunc(d time.Duration, f func()) ownership.Timer {
	t := &timer{n: (*Node)(c), f: f}
	t.due = t.n.awake() + d
	t.set(d)
	return t
}

// awake is the time in which the machine was not suspended.
func (n *Node) awake() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.awakeHeld()
}

func (n *Node) awakeHeld() time.Duration {
	now := time.Since(n.begun) - n.slept
	if !n.suspended.IsZero() {
		now -= time.Since(n.suspended)
	}
	return now
}

// timer is one of a process: it fires only while that runs.
type timer struct {
	n       *Node
	f       func()
	due     time.Duration // by awake
	mu      sync.Mutex
	t       *time.Timer
	stopped bool
}

func (t *timer) set(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t = time.AfterFunc(max(d, 1), func() { t.n.run(t.fire) })
}

func (t *timer) fire() {
	if left := t.due - t.n.awake(); left > 0 { // it was suspended
		t.set(left)
		return
	}
	t.mu.Lock()
	stopped := t.stopped
	t.stopped = true
	t.mu.Unlock()
	if !stopped {
		t.f()
	}
}

// Stop is [ownership.Timer]'s.
func (t *timer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := !t.stopped
	t.stopped = true
	t.t.Stop()
	return was
}
