// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/ownership"
	"github.com/protoloop/protoloop/messages"
)

// asking tracks what this node has asked others. Each ask is either in flight at one node, or parked
// until somebody may have its key, and ends by exactly one of: an answer, the asker's cancel, the word that the
// node is lost, or that nobody had the key for too long.
//
//	          ┌─ not taken: nobody there, not the owner, lost on the way ─┐
//	          ▼                                                           │
//	new ──▶ routed ──▶ in flight at a node ───────────────────────────────┘
//	          ▲  │            │       │
//	  retried │  ▼            │       └─ the node is lost: it may have run; only an idempotent one is routed again
//	        parked            └─ answered, canceled
type asking struct {
	n         *network
	parkedNow atomic.Int64

	mu sync.Mutex
	// All below is read and written with mu held.
	last    uint64 // ID
	asks    map[uint64]*ask
	byReply map[replyKey]*ask
	routes  []route // by shard
	nodes   []seenNode
	known   map[uint64]int // of nodes, by session
	detours map[int]struct{}
	// canceled are those whose cancel may not have come, by ID.
	canceled map[uint64]*canceledAsk
	waiting  int  // asks that somebody waits for
	ticks    bool // there is a timer
	closed   bool
	idle     func()    // to be called when nobody waits any more; nil: nobody is interested
	told     []outcome // to be told when mu is let go
	alone    *peer     // … to be flushed then, by flushOwn; nil: none is
	// auditedAll is when all that was in flight was asked for the last time, and auditsAll that it will be again soon.
	auditedAll time.Duration
	auditsAll  bool
}

// replyKey is a PID for an answer. The engine's own have an id for each.
type replyKey struct {
	id string
	n  uint32
}

func keyOfReply(pid *actor.PID) replyKey { return replyKey{pid.Id, pid.RequestId} }

// ask is a message to the key of another node.
type ask struct {
	id         uint64
	key        string
	shard      int
	reply      *actor.PID // nil: it is plain, or a where
	where      chan<- answerOfWhere
	message    any // of a plain one
	body       []byte
	begun      time.Duration
	deadline   time.Duration // 0: it has none
	idempotent bool
	maybeRan   bool // a node has had it, and is lost
	parked     bool
	over       bool
	why        error // it was not taken

	peer       *peer // where it is in flight
	links[ask]       // in its flight
	frame      uint64
	sent       time.Duration
	audited    uint64        // number of the last audit that names it
	auditedAt  time.Duration // … and when
}

func (a *ask) isPlain() bool { return a.reply == nil && a.where == nil }

// outcome is what an asker is told.
type outcome struct {
	a       *ask
	err     error // a *messages.Failure, or nil
	answer  gridwire.Answer
	node    string // that has answered
	message proto.Message
}

type answerOfWhere struct {
	node string
	rev  uint64
	err  error
}

const (
	auditAfter = 500 * time.Millisecond // in flight, and again
	tickEvery  = 250 * time.Millisecond
	// auditsApart is the least time between two audits of all that is in flight.
	auditsApart = 50 * time.Millisecond
	// sendHeld is for how long it is known of a plain send whether it was taken.
	sendHeld = 2 * time.Second
	// parkedAtMost is how long an ask without a budget waits for somebody who has its key.
	parkedAtMost = 30 * time.Second
	// tellsUnknown: what a node does not know that was sent to it before so long has not run. It keeps answers for
	// longer, but an older one may have been forgotten.
	tellsUnknown = keepAnswers - 2*time.Second
	// maxAudit is how many IDs are in one.
	maxAudit = 1000
	// absentFor is how long nobody is there as a peer until it is taken for one that the network has lost. A node that has lost its connection
	// has another within some tens of milliseconds. It is less than tickEvery, so that the next audit tells.
	absentFor = 200 * time.Millisecond
)

// absence tracks since when frames to a peer come back. The network says once that it has lost a node, and that can be lost like
// any frame: so a peer is also lost if a frame comes back that was begun absentFor after another had come back. With mu of asking held.
type absence struct {
	since time.Duration
	until uint64 // frames with a greater number were begun absentFor later; 0: there are none yet
}

func (q *asking) init(n *network) {
	q.n = n
	q.asks, q.byReply, q.known, q.detours = map[uint64]*ask{}, map[replyKey]*ask{}, map[uint64]int{}, map[int]struct{}{}
	q.canceled = map[uint64]*canceledAsk{}
	q.routes = make([]route, n.c.o.Shards)
}

// unlock lets go of mu, and then tells askers what has come of their asks: code of users may run then.
func (q *asking) unlock() { q.n.tell(q.unlockAndFlush()) }

// unlockAndFlush returns what is to be told.
func (q *asking) unlockAndFlush() []outcome {
	told, alone := q.told, q.alone
	q.told, q.alone = nil, nil
	q.mu.Unlock()
	if alone != nil {
		alone.flushOwn()
	}
	return told
}

// unlockElsewhere is unlock for who must not be held up.
func (q *asking) unlockElsewhere() {
	if told := q.unlockAndFlush(); len(told) > 0 {
		go q.n.tell(told)
	}
}

// send sends a message to a key that is not this node's.
func (n *network) send(id string, msg any, env *actor.MessageEnvelope) {
	var reply *actor.PID
	var header map[string]string
	if env != nil {
		reply, header = env.Sender, env.Header
	}
	a, err := n.newAsk(id, msg, header, reply)
	if err != nil {
		n.tell([]outcome{{a: &ask{key: id, reply: reply, message: msg}, err: neverRan(err)}})
		return
	}
	n.asking.begin(a)
}

// where asks the owner of a shard for its token.
func (n *network) where(ctx context.Context, key string, shard int) (string, Token, error) {
	found := make(chan answerOfWhere, 1)
	a := &ask{id: n.asking.nextID(), key: key, shard: shard, where: found, begun: n.c.clock.Now()}
	a.body, _ = gridwire.AppendAskBody(nil, &gridwire.Ask{ID: a.id, Key: key, Flags: gridwire.Where}, 0, nil)
	n.asking.begin(a)
	select {
	case w := <-found:
		if w.err != nil {
			return "", Token{}, w.err
		}
		return w.node, Token{shard, w.rev}, nil
	case <-ctx.Done():
		n.asking.giveUp(a)
		return "", Token{}, context.Cause(ctx)
	}
}

// giveUp forgets an ask that has no PID for its answer.
func (q *asking) giveUp(a *ask) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !a.over {
		q.remove(a)
	}
}

// newAsk serializes a message.
func (n *network) newAsk(id string, msg any, header map[string]string, reply *actor.PID) (a *ask, err error) {
	defer func() {
		if p := recover(); p != nil {
			a, err = nil, fmt.Errorf("%w: a %T to %s: a panic as it was serialized: %v", actors.ErrUnsendable, msg, id, p)
		}
	}()
	m, is := msg.(proto.Message)
	if !is {
		return nil, fmt.Errorf("%w: a %T to %s, on another node, is no proto.Message", actors.ErrUnsendable, msg, id)
	}
	a = &ask{key: id, shard: n.c.shardOf(id), reply: reply, begun: n.c.clock.Now()}
	wire := gridwire.Ask{Key: id}
	if len(header) > 0 {
		a.idempotent = header[keyed.IdempotentHeader] == "1"
		if left, has := keyed.ParseBudget(header[keyed.BudgetHeader]); has {
			a.deadline = a.begun + max(left, 1)
		}
		wire.Header = header
		if _, has := header[keyed.BudgetHeader]; has && len(header) == 1 {
			wire.Header = nil
		} else if has { // it is sent in another form
			wire.Header = maps.Clone(header)
			delete(wire.Header, keyed.BudgetHeader)
		}
	}
	if reply == nil {
		wire.Flags, a.message = gridwire.Plain, msg
	}
	name := m.ProtoReflect().Descriptor().FullName()
	size := proto.Size(m)
	room := 64 + len(id) + len(name) + size
	for k, v := range wire.Header {
		room += 10 + len(k) + len(v)
	}
	a.id = n.asking.nextID()
	wire.ID, wire.Type = a.id, []byte(name)
	a.body, err = gridwire.AppendAskBody(make([]byte, 0, room), &wire, size, func(b []byte) ([]byte, error) {
		return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: a %T to %s: %w", actors.ErrUnsendable, msg, id, err)
	}
	if l := n.link.Load(); l != nil && len(a.body) > l.mostBytes() {
		return nil, fmt.Errorf("%w: a %T of %d bytes to %s: the network takes %d at most", actors.ErrUnsendable, msg, size, id, l.mostBytes())
	}
	return a, nil
}

// mostBytes is how long an item may be.
func (l *link) mostBytes() int { return l.limit - gridwire.HeaderRoom - gridwire.ItemRoom }

func (q *asking) nextID() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	return q.last
}

func (q *asking) begin(a *ask) {
	q.mu.Lock()
	defer q.unlock()
	if q.closed {
		q.told = append(q.told, outcome{a: a, err: neverRan(errDrained)})
		return
	}
	q.asks[a.id] = a
	if !a.isPlain() {
		q.waiting++
	}
	if a.reply != nil {
		q.byReply[keyOfReply(a.reply)] = a
	}
	q.route(a)
	q.wake()
}

// wake has tick called, as long as there is something to look after.
func (q *asking) wake() {
	if !q.ticks {
		q.ticks = true
		q.n.c.clock.AfterFunc(tickEvery, q.tick)
	}
}

// remove takes an ask out of all tables.
func (q *asking) remove(a *ask) {
	q.land(a)
	a.over = true
	if a.parked {
		q.parkedNow.Add(-1)
	}
	delete(q.asks, a.id)
	if !a.isPlain() {
		if q.waiting--; q.waiting == 0 && q.idle != nil {
			go q.idle()
			q.idle = nil
		}
	}
	if a.reply != nil {
		key := keyOfReply(a.reply)
		if q.byReply[key] == a {
			delete(q.byReply, key)
		}
	}
}

// land takes an ask out of the flight, if it is in one.
func (q *asking) land(a *ask) {
	p := a.peer
	if p == nil {
		return
	}
	p.flight.remove(a)
	if a.isPlain() {
		p.sends--
	} else {
		p.asks--
	}
	a.peer, a.audited = nil, 0
}

// end ends an ask with why. Whether it may have run is added.
func (q *asking) end(a *ask, why error) {
	q.remove(a)
	f, is := why.(*messages.Failure)
	switch {
	case a.maybeRan:
		f = messages.NewFailure(fmt.Errorf("%w: it may have run before: %w", actors.ErrNodeLost, why), false, false)
		f.MaybeRan, f.RetrySafe = true, false
	case !is:
		f = neverRan(why)
	}
	q.told = append(q.told, outcome{a: a, err: f})
}

// lost ends an ask of which nobody can tell whether it has run, or sends it again if it is idempotent.
func (q *asking) lost(a *ask, why error) {
	if a.isPlain() {
		q.remove(a)
		return
	}
	a.maybeRan = true
	if a.idempotent || a.where != nil {
		q.land(a)
		a.why = why
		q.route(a)
		return
	}
	q.remove(a)
	f := messages.NewFailure(fmt.Errorf("%w: %s: %w", actors.ErrNodeLost, a.key, why), false, false)
	f.MaybeRan, f.RetrySafe = true, false
	q.told = append(q.told, outcome{a: a, err: f})
}

// notTaken routes an ask again that has not run. If it was not for the peer's absence alone, that is not asked again soon.
func (q *asking) notTaken(a *ask, by *peer, why error) {
	q.land(a)
	a.why = why
	if by != nil {
		q.routes[a.shard].refuse(by.is)
	}
	q.route(a)
}

var (
	errNobodyThere = errors.New("no process was there")
	errNotSent     = errors.New("the network did not take it")
	errTooNew      = errors.New("it does not know this version")
	errNoLink      = errors.New("this node is not in the cluster")
	errLostOnWay   = errors.New("it was lost on its way")
)

// notDelivered: what was in the frame has not come to the peer.
func (q *asking) notDelivered(p *peer, frame uint64, absent bool) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	why := fmt.Errorf("the node %s: %w", p.is.Node, errNotSent)
	if absent {
		why = fmt.Errorf("the node %s: %w", p.is.Node, errNobodyThere)
	}
	for a := p.flight.first; a != nil && a.frame <= frame; {
		next := a.next
		if a.frame == frame {
			q.notTaken(a, p, why)
		}
		a = next
	}
	switch {
	case !absent:
	case !p.absent.Swap(true):
		p.absence = absence{since: q.n.c.clock.Now()}
		q.wake()
	case p.absence.until > 0 && frame > p.absence.until:
		q.suspect(p)
	}
}

// refused: the peer does not take an ask.
func (q *asking) refused(p *peer, f gridwire.Refusal) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	a := q.asks[f.ID]
	if a == nil || a.peer != p {
		return
	}
	why := fmt.Errorf("the node %s does not own its shard", p.is.Node)
	if f.Reason == gridwire.TooNew {
		why = fmt.Errorf("the node %s: %w", p.is.Node, errTooNew)
	}
	if f.Sess != 0 && f.Sess != p.is.Session {
		q.routes[a.shard].hint(Peer{f.Node, f.Sess}, q)
	}
	q.notTaken(a, p, why)
}

// answered takes an answer. It reports false if it is not to be told.
func (q *asking) answered(p *peer, w gridwire.Answer) (o outcome, is bool) {
	p.ack(w.ID)
	q.mu.Lock()
	defer q.unlockElsewhere()
	a := q.asks[w.ID]
	if a == nil || a.peer != p {
		return o, false
	}
	r := &q.routes[a.shard]
	if w.Rev < r.rev { // another has had the shard since
		q.lost(a, fmt.Errorf("the node %s has answered, and owned the shard no more", p.is.Node))
		return o, false
	}
	var f *messages.Failure
	if len(w.Failure) > 0 {
		f = new(messages.Failure)
		if err := proto.Unmarshal(w.Failure, f); err != nil {
			f = messages.NewFailure(fmt.Errorf("%w: the answer of %s: %w", actors.ErrUnsendable, a.key, err), true, false)
		}
		if !f.Ran && f.RetrySafe && errors.Is(f, actors.ErrStopping) { // its shard is handed over, or the node drains
			q.notTaken(a, p, f)
			return o, false
		}
	} else {
		r.rev = max(r.rev, w.Rev)
	}
	if f != nil && a.maybeRan && !f.Ran {
		q.end(a, f)
		return o, false
	}
	q.remove(a)
	if f == nil {
		q.found(a.shard, p.is)
	}
	o = outcome{a: a, answer: w, node: p.is.Node}
	if f != nil {
		o.err = f
	}
	return o, true
}

// cancel: nobody waits for the answer to reply any more.
func (q *asking) cancel(reply *actor.PID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.byReply[keyOfReply(reply)]
	if a == nil {
		return
	}
	p := a.peer
	q.remove(a)
	if p == nil {
		return
	}
	p.putCancel(a.id)
	// One whose budget is over ends there by itself.
	if now := q.n.c.clock.Now(); len(q.canceled) < q.n.c.o.Window && (a.deadline == 0 || a.deadline > now) {
		q.canceled[a.id] = &canceledAsk{id: a.id, peer: p, deadline: a.deadline, sent: now}
		q.wake()
	}
}

// canceledAsk is an ask that was in flight when it was canceled. A cancel that was lost on the way would let the work go on
// for nobody, so it is sent again until an audit says that the node knows nothing of the ask any more.
type canceledAsk struct {
	id       uint64
	peer     *peer
	deadline time.Duration // 0: it has none
	sent     time.Duration
	audited  uint64 // number of the last audit that names it
}

// cancelAgain sends cancels again, and asks what has come of them. It forgets those that end by themselves.
func (q *asking) cancelAgain(l *link, now time.Duration) {
	audits := map[*peer]*gridwire.Audit{}
	for id, c := range q.canceled {
		_, known := q.known[c.peer.is.Session]
		switch {
		case c.peer.link != l || !known || c.deadline > 0 && c.deadline <= now:
			delete(q.canceled, id)
			continue
		case now-c.sent < auditAfter:
			continue
		}
		a := audits[c.peer]
		if a == nil {
			a = &gridwire.Audit{Number: l.frame.Add(1)}
			audits[c.peer] = a
		}
		if len(a.IDs) < maxAudit { // else the next time
			c.sent, c.audited = now, a.Number
			a.IDs = append(a.IDs, id)
			c.peer.putCancel(id)
		}
	}
	for p, a := range audits {
		p.putAudit(*a)
	}
}

// linkOpened: the node has a session.
func (q *asking) linkOpened() {
	q.mu.Lock()
	defer q.unlockElsewhere()
	q.closed = false
	q.retryAll()
}

// linkOver: the session is over, so whom it has asked does not answer it any more.
func (q *asking) linkOver(l *link) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	for _, p := range l.allPeers() {
		q.lostAll(p, math.MaxUint64, errors.New("this node's session is over"))
	}
	clear(q.canceled) // the others cancel what that has asked
}

// lostAll is lost for all that was sent to a peer in frames up to that one.
func (q *asking) lostAll(p *peer, upTo uint64, why error) {
	for a := p.flight.first; a != nil && a.frame <= upTo; {
		next := a.next
		q.lost(a, why)
		a = next
	}
}

// gone: the network has lost a node.
func (q *asking) gone(l *link, node string) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	for _, p := range l.allPeers() {
		if p.is.Node == node {
			q.suspect(p)
		}
	}
}

// suspect: the network has lost a peer. It is asked whether it lives.
func (q *asking) suspect(p *peer) {
	p.absent.Store(false)
	if !p.suspect.Swap(true) && p.wasThere {
		q.n.g.tell(Event{Kind: Suspected, Node: p.is.Node, Session: p.is.Session})
	}
	q.lostSoon(p.link, p, "is lost to the network", isGone)
	q.wake()
}

// lookForAbsent has a peer be asked for which frames have come back, as long as somebody waits for it.
func (q *asking) lookForAbsent(p *peer, now time.Duration) (busy bool) {
	if p.flight.first == nil {
		p.absent.Store(false)
		return false
	}
	if p.absence.until == 0 && now-p.absence.since >= absentFor {
		p.absence.until = p.link.frame.Load()
	}
	p.putAudit(gridwire.Audit{Number: p.link.frame.Add(1)})
	return true
}

// heard: a peer lives that was lost, or seemed to be.
func (q *asking) heard(p *peer) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	p.absent.Store(false)
	if p.suspect.Swap(false) {
		q.retryAll()
	}
}

// standing reports whether a session is in the view, and whether it is that of a node of another name.
func (q *asking) standing(p Peer) (known, anothers bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, is := q.known[p.Session]
	anothers = is && q.nodes[at].is.Node != p.Node
	return is && !anothers, anothers
}

// seen takes a view.
func (q *asking) seen(nodes []Node) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	before := q.nodes
	q.nodes = make([]seenNode, 0, len(nodes))
	clear(q.known)
	newest := map[string]uint64{}
	for _, n := range nodes {
		q.known[n.Session] = len(q.nodes)
		q.nodes = append(q.nodes, seenNode{is: Peer{n.Name, n.Session}, hash: ownership.HashName(n.Name), owns: len(n.Kinds) > 0, draining: n.Draining, cutOff: n.CutOff})
		newest[n.Name] = n.Session
	}
	for i := range q.nodes {
		q.nodes[i].isOld = newest[q.nodes[i].is.Node] > q.nodes[i].is.Session
	}
	l := q.n.link.Load()
	if l == nil {
		return
	}
	drained := map[uint64]bool{}
	for _, n := range before {
		drained[n.is.Session] = n.draining
	}
	for _, p := range l.allPeers() {
		at, is := q.known[p.is.Session]
		switch {
		case is && q.nodes[at].is == p.is:
			p.wasThere = true
			l.peer(p.is, true)
			if q.nodes[at].isOld && !p.isOld { // the process was started anew
				p.isOld = true
				q.lostSoon(l, p, "was started anew", isLost)
			}
		case p.wasThere && drained[p.is.Session]: // it has answered all before it left
			p.wasThere = false
			q.lostSoon(l, p, "has left", hasLeft)
		case p.wasThere:
			p.wasThere = false
			q.lostSoon(l, p, "is lost: its session is over", isLost)
		}
	}
	q.retryAll()
}

// The view may come faster than the last answers of a node, and than the word that nobody was there.
const (
	isGone  = 50 * time.Millisecond
	isLost  = 100 * time.Millisecond
	hasLeft = 500 * time.Millisecond
)

// lostSoon is lostAll after a while, for what has been sent so far to a peer that nothing is sent to any more. One that is
// gone may be heard of again.
func (q *asking) lostSoon(l *link, p *peer, what string, after time.Duration) {
	upTo := l.frame.Load()
	q.n.c.clock.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.unlockElsewhere()
		q.lostAll(p, upTo, fmt.Errorf("the node %s %s", p.is.Node, what))
		if _, known := q.known[p.is.Session]; !known {
			l.forget(p.is)
		}
	})
}

// quiesce takes no new asks, and calls idle when the others have ended, or after the grace.
func (q *asking) quiesce(grace time.Duration, idle func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.waiting == 0 {
		go idle()
		return
	}
	q.idle = sync.OnceFunc(idle)
	q.n.c.clock.AfterFunc(grace, q.idle)
}

// close ends what is left of this node's asks.
func (q *asking) close() {
	q.mu.Lock()
	defer q.unlock()
	q.closed = true
	clear(q.canceled)
	for _, a := range q.asks {
		if a.peer != nil {
			a.maybeRan = true
		}
		q.end(a, errDrained)
	}
}

// tick audits what has been in flight for long, and forgets plain sends.
func (q *asking) tick() {
	q.mu.Lock()
	defer q.unlockElsewhere()
	l := q.n.link.Load()
	if l != nil {
		q.cancelAgain(l, q.n.c.clock.Now())
	}
	busy := len(q.asks)+len(q.canceled) > 0
	if l != nil {
		now := q.n.c.clock.Now()
		for _, p := range l.allPeers() {
			q.tickPeer(p, now, auditAfter)
			switch {
			case p.suspect.Load():
				busy = true
				p.putAudit(gridwire.Audit{Number: p.link.frame.Add(1)}) // it answers if it lives
			case p.absent.Load():
				busy = q.lookForAbsent(p, now) || busy
			}
		}
	}
	if q.ticks = false; busy {
		q.wake()
	}
}

// tickPeer audits the asks that were sent to a peer before that long.
func (q *asking) tickPeer(p *peer, now, age time.Duration) {
	var ids []uint64
	number := uint64(0)
	audit := func() {
		if len(ids) > 0 {
			p.putAudit(gridwire.Audit{Number: number, IDs: ids})
			ids = nil
		}
	}
	for a := p.flight.first; a != nil && now-a.sent >= age; {
		next := a.next
		switch {
		case a.isPlain():
			if now-a.sent >= sendHeld {
				q.remove(a)
			}
		case now-a.auditedAt >= age:
			if len(ids) == 0 {
				number = p.link.frame.Add(1)
			}
			a.audited, a.auditedAt = number, now
			if ids = append(ids, a.id); len(ids) == maxAudit {
				audit()
			}
		}
		a = next
	}
	audit()
}

// auditAll asks for all that is in flight: answers may have been lost. Of many losses in a row, as behind a reconnect, each
// would have it ask for all again.
func (q *asking) auditAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.n.c.clock.Now()
	if left := q.auditedAll + auditsApart - now; q.auditedAll > 0 && left > 0 {
		if !q.auditsAll {
			q.auditsAll = true
			q.n.c.clock.AfterFunc(left, q.auditAll)
		}
		return
	}
	q.auditedAll, q.auditsAll = now, false
	if l := q.n.link.Load(); l != nil {
		for _, p := range l.allPeers() {
			q.tickPeer(p, now, 0)
		}
	}
}

// audited is what has become of what was named in an audit.
func (q *asking) audited(p *peer, w gridwire.Audited) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	now := q.n.c.clock.Now()
	for _, id := range w.Unknown {
		if c := q.canceled[id]; c != nil && c.peer == p && c.audited == w.Number {
			delete(q.canceled, id)
		}
		if a := q.asks[id]; a != nil && a.peer == p && a.audited == w.Number {
			if now-a.sent < tellsUnknown {
				q.notTaken(a, nil, fmt.Errorf("the node %s: %w", p.is.Node, errLostOnWay))
			} else {
				q.lost(a, fmt.Errorf("the node %s does not know of it any more", p.is.Node))
			}
		}
	}
	for _, id := range w.Forgotten {
		if a := q.asks[id]; a != nil && a.peer == p && a.audited == w.Number {
			q.lost(a, fmt.Errorf("the node %s has not kept the answer", p.is.Node))
		}
	}
}

// deliverAnswers tells askers what has come in a frame.
func deliverAnswers(n *network, all []outcome) {
	for i := range all {
		o := &all[i]
		if o.err == nil && o.a.where == nil {
			o.message, o.err = answerIn(o.a.key, o.answer)
		}
	}
	n.tell(all)
}

// answerIn is the message of an answer.
func answerIn(key string, w gridwire.Answer) (msg proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic as it was parsed: %v", p)
		}
		if err != nil {
			err = messages.NewFailure(fmt.Errorf("%w: the answer %s of %s: %w", actors.ErrUnsendable, w.Type, key, err), true, false)
		}
	}()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(w.Type))
	if err != nil {
		return nil, err
	}
	msg = typ.New().Interface()
	if isControl(msg) {
		return nil, errors.New("it controls actors")
	}
	return msg, proto.Unmarshal(w.Payload, msg)
}

// tell tells askers what has come of their asks. With no lock.
func (n *network) tell(all []outcome) {
	for _, o := range all {
		switch a := o.a; {
		case a.where != nil:
			// It has room for one, and gets one.
			if o.err != nil {
				a.where <- answerOfWhere{err: o.err}
			} else {
				a.where <- answerOfWhere{rev: o.answer.Rev, node: o.node}
			}
		case a.reply != nil && o.err != nil:
			n.g.hub.plain.Send(a.reply, o.err)
		case a.reply != nil:
			n.g.hub.plain.Send(a.reply, o.message)
		case o.err != nil:
			n.g.sys.DeadLetter.SendUserMessage(pidOf(a.key), a.message)
		}
	}
}
