// SPDX-License-Identifier: Apache-2.0

package gridtest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// Options are those of a cluster. Each field may be zero.
type Options struct {
	// Seed is that of all choices.
	Seed uint64
	// Latency is how long a call takes to the store, its answer back, and a notice to a node, at
	// most each. 0: 5 ms.
	Latency time.Duration
	// Late is how late a session expires at most. 0: 400 ms, which is what etcd takes.
	Late time.Duration
	// Loss is how many calls do not reach the store, and how many of the answers do not come back, of 1.
	Loss float64

	// FrameLatency is how long a frame takes to another node, at most. 0: 1 ms.
	FrameLatency time.Duration
	// FrameLoss is how many frames do not arrive, of 1.
	FrameLoss float64
	// GoneLoss is how many nodes are not told that another is gone, of 1.
	GoneLoss float64
	// MaxFrame is how many bytes a frame may have. 0: 1 MiB.
	MaxFrame int
	// Room is how many bytes wait for a node that does not take them; more is lost, and so is a frame that is longer. 0: 64 MiB.
	Room int
}

// Cluster is the store that the nodes of a cluster have in common.
type Cluster struct {
	// Owners is who owned what.
	Owners Owners

	o  Options
	mu sync.Mutex
	// All below is read and written with mu held.
	dice     *rand.Rand
	rev      uint64
	count    int // of shards; 0: nobody has joined
	shards   []shard
	sessions []*session // by session
	view     []grid.Node
	stale    bool // view is not that of sessions
	nodes    []*Node
	stalled  time.Time // until then the store does nothing
	calls    map[string]int
	lines    map[grid.Peer]*line // those that frames reach
	pairs    map[pairKey]*pair
}

type shard struct {
	owner   *session
	token   grid.Token
	waiting []*session
}

// New is a cluster without nodes.
func New(o Options) *Cluster {
	if o.Latency == 0 {
		o.Latency = 5 * time.Millisecond
	}
	if o.Late == 0 {
		o.Late = 400 * time.Millisecond
	}
	o.FrameLatency, o.MaxFrame, o.Room = cmp.Or(o.FrameLatency, time.Millisecond), cmp.Or(o.MaxFrame, 1<<20), cmp.Or(o.Room, 64<<20)
	c := &Cluster{o: o, lines: map[grid.Peer]*line{}, pairs: map[pairKey]*pair{}, dice: rand.New(rand.NewPCG(o.Seed, 0)), calls: map[string]int{}}
	c.Owners.init()
	return c
}

// Stall lets the store do nothing for d, as one without a leader: no call, no notice, and no session expires
// then. What is called meanwhile is done afterwards, and each session that there is then lasts
// for its TTL anew.
func (c *Cluster) Stall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = time.Now().Add(d)
	for _, s := range c.sessions {
		s.expires = c.stalled.Add(s.ttl)
	}
}

// Calls is how many calls have had an effect so far, by the name of the method.
func (c *Cluster) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := map[string]int{}
	for name, n := range c.calls {
		calls[name] = n
	}
	return calls
}

// between is a random time. With mu held.
func (c *Cluster) between(least, most time.Duration) time.Duration {
	return least + time.Duration(c.dice.Int64N(int64(most-least)+1))
}

// latency is how long something is on its way. With mu held.
func (c *Cluster) latency() time.Duration { return c.between(c.o.Latency/10, c.o.Latency) }

// call makes a call for a node: it is on its way, has its effect by apply, with mu held, and its answer is on its
// way. With number, calls of one session have their effects in that order, or none.
func (c *Cluster) call(ctx context.Context, n *Node, name string, apply func() error) error {
	answered := make(chan error, 1)
	c.mu.Lock()
	there := c.latency() + n.slowRequest()
	back := c.latency() + n.slowAnswer()
	lostThere, lostBack := c.dice.Float64() < c.o.Loss, c.dice.Float64() < c.o.Loss
	c.mu.Unlock()
	answer := func(err error) {
		if !lostBack && !n.isCut(Answers) {
			n.run(func() { answered <- err })
		}
	}
	var arrive func()
	arrive = func() {
		if lostThere || n.isCut(Requests) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if left := time.Until(c.stalled); left > 0 {
			time.AfterFunc(max(left, 1), arrive)
			return
		}
		err := apply()
		if err == errDropped {
			return
		}
		c.calls[name]++
		time.AfterFunc(max(back, 1), func() { answer(err) })
	}
	if !n.isCut(Requests) {
		time.AfterFunc(max(there, 1), arrive)
	}
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		n.untilRuns()
		return context.Cause(ctx)
	}
}

// session is a node's.
type session struct {
	c       *Cluster
	node    *Node
	is      grid.Node
	ttl     time.Duration
	free    chan int
	expires time.Time
	over    bool
	shown   bool
	sent    uint64 // calls in their order
	applied uint64 // the last of them that has had an effect
	owns    map[int]struct{}
	waits   map[int]struct{}
}

var _ grid.Session = (*session)(nil)

// join is a Join, as it has its effect.
func (c *Cluster) join(n *Node, is grid.Node, ttl time.Duration) (*session, error) {
	if c.count == 0 {
		c.count, c.shards = is.Shards, make([]shard, is.Shards)
	}
	if is.Shards != c.count {
		return nil, &actors.OptionError{Of: "grid", Field: "Shards", Value: is.Shards, Why: fmt.Sprintf("differs from the cluster's, which has %d shards for ever", c.count)}
	}
	c.rev++
	is.Session = c.rev
	s := &session{c: c, node: n, is: is, ttl: ttl, free: make(chan int, 256), expires: time.Now().Add(ttl), owns: map[int]struct{}{}, waits: map[int]struct{}{}}
	c.sessions = append(c.sessions, s)
	c.watchExpiry(s)
	return s, nil
}

func (c *Cluster) watchExpiry(s *session) {
	time.AfterFunc(max(time.Until(s.expires)+c.between(0, c.o.Late), 1), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case s.over:
		case time.Now().Before(s.expires):
			c.watchExpiry(s)
		default:
			c.end(s)
		}
	})
}

// end ends a session, and frees what it owned, in one.
func (c *Cluster) end(s *session) {
	if s.over {
		return
	}
	s.over = true
	at := slices.Index(c.sessions, s)
	c.sessions = slices.Delete(c.sessions, at, at+1)
	for n := range s.waits {
		c.shards[n].forget(s)
	}
	for n := range s.owns {
		c.free(n)
	}
	c.changed()
}

func (sh *shard) forget(s *session) {
	if at := slices.Index(sh.waiting, s); at >= 0 {
		sh.waiting = slices.Delete(sh.waiting, at, at+1)
	}
}

// free lets all know who wait for a shard.
func (c *Cluster) free(n int) {
	sh := &c.shards[n]
	sh.owner = nil
	for _, s := range sh.waiting {
		delete(s.waits, n)
		time.AfterFunc(max(c.latency(), 1), func() { s.node.notify(func() { s.sendFree(n) }) })
	}
	sh.waiting = nil
}

func (s *session) sendFree(n int) {
	select {
	case s.free <- n:
	default: // a node that is this slow hears of it later
		time.AfterFunc(time.Millisecond, func() { s.sendFree(n) })
	}
}

// changed lets all nodes see who is there.
func (c *Cluster) changed() {
	c.stale = true
	for _, n := range c.nodes {
		if !n.viewing {
			n.viewing = true
			time.AfterFunc(max(c.latency(), 1), func() { n.notify(n.sendView) })
		}
	}
}

// currentView is that of all sessions. With mu held.
func (c *Cluster) currentView() grid.View {
	if c.stale {
		c.stale = false
		c.view = make([]grid.Node, 0, len(c.sessions))
		for _, s := range c.sessions {
			if s.shown {
				c.view = append(c.view, s.is)
			}
		}
	}
	return grid.View{Nodes: c.view}
}

// call makes a call that has no effect when the session is over.
func (s *session) call(ctx context.Context, name string, inOrder bool, apply func()) error {
	var number uint64
	if inOrder {
		s.c.mu.Lock()
		s.sent++
		number = s.sent
		s.c.mu.Unlock()
	}
	return s.c.call(ctx, s.node, name, func() error {
		switch {
		case s.over:
			return fmt.Errorf("%w: the session is over", actors.ErrFenced)
		case inOrder && number < s.applied:
			return errDropped
		case inOrder:
			s.applied = number
		}
		apply()
		return nil
	})
}

// Node is [grid.Session]'s.
func (s *session) Node() grid.Node { return s.is }

// TTL is [grid.Session]'s.
func (s *session) TTL() time.Duration { return s.ttl }

// Free is [grid.Session]'s.
func (s *session) Free() <-chan int { return s.free }

// Renew is [grid.Session]'s.
func (s *session) Renew(ctx context.Context) error {
	return s.call(ctx, "Renew", false, func() {
		s.expires = time.Now().Add(s.ttl)
		if !s.shown {
			s.shown = true
			s.c.changed()
		}
	})
}

// maxShards is how many a Claim and a Release may name.
const maxShards = 128

// Claim is [grid.Session]'s.
func (s *session) Claim(ctx context.Context, shards []int) (map[int]grid.Token, error) {
	if len(shards) > maxShards {
		panic(fmt.Sprintf("gridtest: a Claim of %d shards", len(shards)))
	}
	tokens := map[int]grid.Token{}
	err := s.call(ctx, "Claim", true, func() {
		s.c.rev++
		for _, n := range shards {
			sh := &s.c.shards[n]
			if sh.owner == nil {
				sh.owner, sh.token = s, grid.Token{Shard: n, Rev: s.c.rev}
				s.owns[n] = struct{}{}
			}
			if sh.owner == s {
				sh.forget(s)
				delete(s.waits, n)
				tokens[n] = sh.token
			} else if _, is := s.waits[n]; !is {
				sh.waiting = append(sh.waiting, s)
				s.waits[n] = struct{}{}
			}
		}
	})
	if err != nil {
		return nil, err // tokens may be written to
	}
	return tokens, nil
}

// Release is [grid.Session]'s.
func (s *session) Release(ctx context.Context, shards []int) error {
	if len(shards) > maxShards {
		panic(fmt.Sprintf("gridtest: a Release of %d shards", len(shards)))
	}
	return s.call(ctx, "Release", true, func() {
		for _, n := range shards {
			sh := &s.c.shards[n]
			if sh.owner == s {
				delete(s.owns, n)
				s.c.free(n)
			} else if _, is := s.waits[n]; is {
				sh.forget(s)
				delete(s.waits, n)
			}
		}
	})
}

// Drain is [grid.Session]'s.
func (s *session) Drain(ctx context.Context) error {
	return s.call(ctx, "Drain", true, func() {
		s.is.Draining = true
		s.c.changed()
	})
}

// CutOff is [grid.Session]'s.
func (s *session) CutOff(ctx context.Context, is bool) error {
	return s.call(ctx, "CutOff", true, func() {
		s.is.CutOff = is
		s.c.changed()
	})
}

// Leave is [grid.Session]'s.
func (s *session) Leave(ctx context.Context) error {
	return s.call(ctx, "Leave", false, func() { s.c.end(s) })
}
