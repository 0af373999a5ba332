// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/ownership"
)

// member is this process's part in a cluster: it joins, renews its lease, and claims, begins, ends
// and gives back shards as package ownership says. It starts no worker: its host does.
//
// The loop, one goroutine, owns what is not said to be anybody's. It calls the store from others,
// and is told what came of it.
type member struct {
	memberOptions

	// Any goroutine
	lease  atomic.Pointer[ownership.Lease] // of the session; nil: there was none yet
	rights []atomic.Uint64                 // the token of each shard, 0: it is not ours. They count while the lease holds.
	inbox  inbox
	ctx    context.Context // ends with quit
	quit   context.CancelFunc
	ended  chan struct{} // closed when the loop has ended
	first  chan struct{} // closed when there is a session, or cannot be; then failed is set
	failed error
	why    atomic.Pointer[error] // the last attempt to join has failed

	// The loop's; it writes nodes and table with mu held, which others read with.
	mu       sync.RWMutex
	nodes    []Node
	table    *ownership.Table
	tenure   *tenure // nil: it has no session
	attempts int     // to join, in a row
	wake     ownership.Timer
	draining bool
	quiesce  struct{ begun, over bool } // the host's, see asksHaveEnded
	left     bool
}

type memberOptions struct {
	store  Store
	node   Node
	ttl    time.Duration
	settle time.Duration
	clock  ownership.Clock
	host   host
	log    *slog.Logger

	validUntil func(sent, answered, ttl time.Duration) time.Duration // a test has another one, to see that this is needed
}

// host runs the workers of the shards that are owned.
type host interface {
	// open lets other nodes reach this one in a session, before they see it.
	open(ctx context.Context, self Node) error
	// seen is called with each view and the one before.
	seen(before, after []Node)
	// begin: the shard is ours. It does not block.
	begin(Token)
	// end: the shard is to be given to another. ended is called when its last task has ended, by any goroutine.
	end(shard int, ended func())
	// quiesce: all shards are given up. left is called when the node may leave, by any goroutine.
	quiesce(left func())
	// connected reports whether the network reaches the node, as far as it knows. Any goroutine.
	connected() bool
	// fenced: the lease is over, and with it the right to all shards. Any goroutine, at once.
	fenced()
}

// tenure is the time of one session.
type tenure struct {
	session  Session
	self     Node
	shards   *ownership.Shards
	lease    *ownership.Lease
	ctx      context.Context // ends with the lease
	seen     bool            // the view had the session
	draining bool            // the store is told that it drains
	drained  bool            // … and has acknowledged that
	leaving  bool
	cut      cut
}

// cut tracks whether the network reaches the node. If it has not for as long as a lease, which is how long the keys of a node that has crashed are without
// an owner, too, the store is told, and so all nodes: they give its shards to those that can be asked, and back to it when the network
// reaches it again. A node that has lost a hub goes to another within half of that time.
//
// The shards move only when they have been others' for Settle. If all nodes are cut off, as when NATS is down at all hubs, they say so within less
// than that: then nobody could take anything, and nothing moves.
type cut struct {
	down    bool
	since   time.Duration // that it is
	is      bool          // … for as long as a lease
	told    bool          // the store knows that it is
	telling bool
	looks   atomic.Bool // one of these is true. Any goroutine
}

// validUntil is until when a session is ours for certain. The store counts from when it gets the call,
// which is not before that was sent. The margin is for clocks that are not equally fast, and for
// a turn that has looked at the clock just before.
func validUntil(sent, _, ttl time.Duration) time.Duration { return sent + ttl - ttl/10 }

// renewals is how often a session is renewed within its lease.
const renewals = 5

func newMember(o memberOptions) *member {
	m := &member{memberOptions: o, table: ownership.NewTable(o.node.Shards), rights: make([]atomic.Uint64, o.node.Shards), ended: make(chan struct{}), first: make(chan struct{})}
	m.inbox.filled = make(chan struct{}, 1)
	m.ctx, m.quit = context.WithCancel(context.Background())
	if m.validUntil == nil {
		m.validUntil = validUntil
	}
	go m.loop()
	return m
}

// tokenOf is the token of a shard, if it is ours at this moment. Any goroutine.
func (m *member) tokenOf(shard int) (Token, bool) {
	l := m.lease.Load()
	if l == nil || !l.Holds() {
		return Token{}, false
	}
	rev := m.rights[shard].Load()
	return Token{shard, rev}, rev != 0
}

// joinedBy waits until the node has joined for the first time.
func (m *member) joinedBy(ctx context.Context) error {
	select {
	case <-m.first:
		return m.failed
	case <-ctx.Done():
		err := context.Cause(ctx)
		if why := m.why.Load(); why != nil {
			err = fmt.Errorf("%w: %w", err, *why)
		}
		return err
	}
}

// ownerPeer is the node that a shard belongs to, the zero Peer if there is none. Any goroutine.
func (m *member) ownerPeer(shard int) (p Peer) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if at, is := indexOf(m.nodes, m.table.Owner(shard)); is {
		p = Peer{m.nodes[at].Name, m.nodes[at].Session}
	}
	return p
}

// allNodes is the view. Any goroutine.
func (m *member) allNodes() []Node {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.nodes)
}

// drain hands over all shards and leaves. The loop has ended then. Any goroutine.
func (m *member) drain() <-chan struct{} {
	m.inbox.put(func() { m.draining = true })
	return m.ended
}

// inbox is what the loop is told. Nobody waits for it.
type inbox struct {
	filled chan struct{}
	mu     sync.Mutex
	told   []func()
}

func (b *inbox) put(f func()) {
	b.mu.Lock()
	b.told = append(b.told, f)
	b.mu.Unlock()
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

func (b *inbox) take() (told []func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	told, b.told = b.told, nil
	return told
}

func (m *member) loop() {
	defer close(m.ended)
	defer m.quit()
	m.join()
	for !m.left {
		var free <-chan int
		if m.tenure != nil {
			free = m.tenure.session.Free()
		}
		select {
		case v := <-m.store.View():
			m.see(v)
		case shard := <-free:
			m.tenure.shards.Freed(shard)
			for range len(free) { // one claim for all of them
				m.tenure.shards.Freed(<-free)
			}
		case <-m.inbox.filled:
			for _, tell := range m.inbox.take() {
				tell()
			}
		case <-m.ctx.Done():
			return
		}
		m.work()
	}
}

// join asks the store for a session.
func (m *member) join() {
	sent, node := m.clock.Now(), m.node
	if m.draining { // what it has asked is all that is left, so nobody hands anything over to it
		node.Kinds = nil
	}
	go func() {
		ctx, cancel := context.WithTimeout(m.ctx, m.ttl)
		defer cancel()
		s, err := m.store.Join(ctx, node, m.ttl)
		if err == nil {
			if err = m.host.open(ctx, s.Node()); err != nil {
				_ = s.Leave(ctx) // else it expires
			}
		}
		m.inbox.put(func() { m.joined(sent, s, err) })
	}()
}

// Waits before the next attempt to join.
const (
	minRejoin = 50 * time.Millisecond
	maxRejoin = time.Second
)

func (m *member) joined(sent time.Duration, s Session, err error) {
	if err != nil {
		m.why.Store(&err)
		if mistake := (*actors.OptionError)(nil); m.lease.Load() == nil && errors.As(err, &mistake) {
			m.left, m.failed = true, err
			close(m.first)
			return
		}
		m.log.Warn("grid: could not join the cluster; it tries again", "error", err)
		m.rejoin()
		return
	}
	if m.lease.Load() == nil {
		close(m.first)
	}
	t := &tenure{session: s, self: s.Node()}
	t.drained = m.draining && len(t.self.Kinds) == 0
	t.draining = t.drained
	t.shards = ownership.NewShards(m.table, t.self.Session, m.settle)
	var end context.CancelFunc
	t.ctx, end = context.WithCancel(m.ctx)
	for shard := range m.rights {
		m.rights[shard].Store(0)
	}
	t.lease = ownership.NewLease(m.clock, m.validUntil(sent, m.clock.Now(), s.TTL()), func() {
		end()
		m.host.fenced()
		m.inbox.put(func() { m.over(t) })
	})
	m.tenure = t
	m.lease.Store(t.lease)
	m.see(View{m.nodes}) // it may have the session already
	if t.lease.Holds() {
		m.attempts = 0
		m.renew(t, 0)
	}
}

// rejoin joins after a while.
func (m *member) rejoin() {
	wait := min(minRejoin<<min(m.attempts, 10), maxRejoin)
	m.attempts++
	m.clock.AfterFunc(wait/2+rand.N(wait), func() { m.inbox.put(m.join) })
}

// over: the lease has ended, or the node has left. The host knows.
func (m *member) over(t *tenure) {
	m.tenure = nil
	if m.left = m.left || t.leaving; m.left {
		return
	}
	m.log.Warn("grid: the session is over, and with it the right to all shards; the node joins anew", "session", t.self.Session)
	m.rejoin()
}

// renew renews the session after a while, and again until the lease is over. A renewal that is not answered does
// not hold up the next: any answer counts, from when its call was sent.
func (m *member) renew(t *tenure, after time.Duration) {
	m.clock.AfterFunc(after, func() {
		t.lease.Look()
		if t.ctx.Err() != nil {
			return
		}
		m.renew(t, t.session.TTL()/renewals)
		if t.cut.looks.Load() || !m.host.connected() {
			m.tell(t, func() { m.lookAtNetwork(t) })
		}
		sent := m.clock.Now()
		ctx, cancel := context.WithTimeout(t.ctx, t.session.TTL())
		defer cancel()
		err := t.session.Renew(ctx)
		switch {
		case err == nil:
			t.lease.Extend(m.validUntil(sent, m.clock.Now(), t.session.TTL()))
		case errors.Is(err, actors.ErrFenced):
			t.lease.End()
		}
	})
}

// lookAtNetwork looks whether the network has not reached the node for as long as its lease, or does again.
func (m *member) lookAtNetwork(t *tenure) {
	c, now := &t.cut, m.clock.Now()
	switch connected := m.host.connected(); {
	case connected:
		c.down = false
	case !c.down:
		c.down, c.since = true, now
	}
	c.is = c.down && now-c.since >= t.session.TTL()
	c.looks.Store(c.down || c.told || c.telling)
}

// tellCutOff has the store told what it does not know. It is not called while there is a call about shards, and no other
// until it is answered: one of two that are under way at a time may have no effect, and no answer.
func (m *member) tellCutOff(t *tenure) {
	c, is := &t.cut, t.cut.is
	c.telling = true
	m.call(t, func(ctx context.Context) error { return t.session.CutOff(ctx, is) }, func(err error) {
		if c.telling = false; err != nil {
			c.is = c.told // it is looked at again with the next renewal
			return
		}
		if c.told = is; is {
			m.log.Warn("grid: the network has not reached this node for as long as its lease; its shards go to nodes that it reaches", "session", t.self.Session)
		} else {
			m.log.Info("grid: the network reaches this node again, and it takes part", "session", t.self.Session)
		}
	})
}

// see updates the table by a view.
func (m *member) see(v View) {
	var joined []ownership.Member
	var left []uint64
	eachChange(m.nodes, v.Nodes, func(was, is *Node) {
		switch did, does := was != nil && was.takesPart(), is != nil && is.takesPart(); {
		case did && !does:
			left = append(left, was.Session)
		case !did && does:
			joined = append(joined, ownership.Member{Session: is.Session, Name: is.Name})
		}
	})
	t := m.tenure
	self := uint64(0)
	if t != nil {
		self = t.self.Session
	}
	m.mu.Lock()
	before := m.nodes
	m.nodes = v.Nodes
	gained := m.table.Update(joined, left, self)
	m.mu.Unlock()
	m.host.seen(before, v.Nodes)
	if t == nil {
		return
	}
	t.shards.TableChanged(gained)
	_, there := indexOf(v.Nodes, self)
	if t.seen && !there {
		t.lease.End()
	}
	t.seen = t.seen || there
}

// takesPart: it owns shards. If no node does, as when all are cut off, those that have some keep them.
func (n *Node) takesPart() bool { return len(n.Kinds) > 0 && !n.Draining && !n.CutOff }

// eachChange calls f for each node that differs in two views, nil if it is not in one of them.
func eachChange(before, after []Node, f func(was, is *Node)) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].Session < after[0].Session:
			f(&before[0], nil)
			before = before[1:]
		case len(before) == 0 || after[0].Session < before[0].Session:
			f(nil, &after[0])
			after = after[1:]
		default:
			if before[0].Draining != after[0].Draining || before[0].CutOff != after[0].CutOff {
				f(&before[0], &after[0])
			}
			before, after = before[1:], after[1:]
		}
	}
}

// indexOf finds a session.
func indexOf(nodes []Node, session uint64) (at int, is bool) {
	return slices.BinarySearchFunc(nodes, session, func(n Node, session uint64) int { return cmp.Compare(n.Session, session) })
}

// work does what is to be done now.
func (m *member) work() {
	t := m.tenure
	if t == nil {
		if m.draining { // others own its shards, but what it has asked may have an answer yet
			m.left = m.left || m.asksHaveEnded()
		}
		return
	}
	if m.draining && !t.draining {
		m.announceDrain(t)
	}
	if t.cut.is != t.cut.told && !t.cut.telling && !t.shards.IsBusy() && !m.draining && t.seen {
		m.tellCutOff(t)
	}
	if t.cut.telling {
		return
	}
	now := m.clock.Now()
	w := t.shards.Next(now)
	for _, shard := range w.End {
		m.host.end(shard, func() { m.tell(t, func() { t.shards.Ended(shard) }) })
	}
	if len(w.Claim) > 0 {
		var tokens map[int]Token
		m.call(t, func(ctx context.Context) (err error) {
			tokens, err = t.session.Claim(ctx, w.Claim)
			return err
		}, func(err error) { m.claimed(t, tokens, err) })
	}
	if len(w.Release) > 0 {
		for _, shard := range w.Release {
			m.rights[shard].Store(0)
		}
		m.call(t, func(ctx context.Context) error { return t.session.Release(ctx, w.Release) },
			func(err error) { t.shards.Released(m.clock.Now(), err) })
	}
	if m.wake != nil {
		m.wake.Stop()
		m.wake = nil
	}
	if w.Wake > 0 {
		m.wake = m.clock.AfterFunc(w.Wake-now, func() { m.inbox.put(func() {}) })
	}
	if t.drained && t.shards.IsEmpty() && !t.leaving && m.asksHaveEnded() {
		t.leaving = true
		m.call(t, t.session.Leave, func(error) { t.lease.End() }) // if it has failed, the session expires
	}
}

// asksHaveEnded reports whether what this node has asked others has ended, or has had its time for that, which begins with the first call.
func (m *member) asksHaveEnded() bool {
	if q := &m.quiesce; !q.begun {
		q.begun = true
		m.host.quiesce(func() { m.inbox.put(func() { q.over = true }) })
	}
	return m.quiesce.over
}

// call calls the store, and tells the loop the result.
func (m *member) call(t *tenure, store func(context.Context) error, then func(error)) {
	go func() {
		ctx, cancel := context.WithTimeout(t.ctx, m.ttl)
		defer cancel()
		err := store(ctx)
		if errors.Is(err, actors.ErrFenced) {
			t.lease.End()
		}
		m.tell(t, func() { then(err) })
	}()
}

// tell tells the loop something of a session, which counts only as long as that is the last.
func (m *member) tell(t *tenure, f func()) {
	m.inbox.put(func() {
		if m.tenure == t {
			f()
		}
	})
}

// claimed begins what the store has acknowledged to be ours.
func (m *member) claimed(t *tenure, tokens map[int]Token, err error) {
	revs := make(map[int]uint64, len(tokens))
	for shard, token := range tokens {
		revs[shard] = token.Rev
	}
	for _, shard := range t.shards.Claimed(m.clock.Now(), revs, err) {
		t.lease.While(func() {
			m.rights[shard].Store(revs[shard])
			m.host.begin(tokens[shard])
		})
	}
}

// announceDrain lets the others see that this node drains, so that they claim what it gives up.
func (m *member) announceDrain(t *tenure) {
	t.draining = true
	m.call(t, t.session.Drain, func(err error) {
		if err == nil {
			t.drained = true
			t.shards.Drain()
			return
		}
		m.clock.AfterFunc(minRejoin, func() { m.tell(t, func() { t.draining = false }) })
	})
}
