// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/ownership"
)

// route tracks which node has a shard, as far as this one knows. All of it with mu of asking held.
//
// A shard belongs to the node with the highest rank. One that has joined lately has not got it yet, and one that
// drains, or is cut off, may still have it. So whoever is asked and has it not is passed over, and the next in rank is asked; after a few the
// ask is parked for a moment. Who has answered last is asked first.
type route struct {
	at   Peer   // who has answered last; Session 0: nobody
	rev  uint64 // of the token, the greatest so far
	slow *detour
}

// detour is what there is beside that while asks for a shard were not taken.
//
// Only one of them, the head, is in flight as long as it is not known who takes it: the others would come back in another
// order, and a thousand that wait for a node that is lost would be sent to each of the others in turn.
type detour struct {
	refusedBy []uint64 // sessions
	hint      Peer     // who may have it, by the word of one of those
	head      *ask     // in flight, or about to be; nil: none is
	parked    []*ask   // by their IDs
	waits     int      // in a row, without an answer
	timer     ownership.Timer
}

// seenNode is a node of the view.
type seenNode struct {
	is       Peer
	hash     uint64
	owns     bool // it has kinds
	draining bool
	isOld    bool // there is a later session of the node
	cutOff   bool // from the network
}

const (
	// maxRefusals is how many nodes are asked before an ask waits.
	maxRefusals = 3
	// notRefused is when an ask that was not refused is where it belongs, and the others follow. It is more than a refusal takes.
	notRefused = 25 * time.Millisecond
	// Waits of parked asks.
	minDetour = 5 * time.Millisecond
	maxDetour = 160 * time.Millisecond
)

func (r *route) refuse(p Peer) {
	d := r.detour()
	if !slices.Contains(d.refusedBy, p.Session) {
		d.refusedBy = append(d.refusedBy, p.Session)
	}
	if r.at == p {
		r.at = Peer{}
	}
	if d.hint == p {
		d.hint = Peer{}
	}
}

func (r *route) hint(p Peer, q *asking) {
	if at, is := q.known[p.Session]; is && q.nodes[at].is == p {
		r.detour().hint = p
	}
}

func (r *route) detour() *detour {
	if r.slow == nil {
		r.slow = &detour{}
	}
	return r.slow
}

// found notes who has a shard, and sends there what waits.
func (q *asking) found(shard int, p Peer) {
	r := &q.routes[shard]
	r.at = p
	d := r.slow
	if d == nil {
		return
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	r.slow = nil
	delete(q.detours, shard)
	for _, a := range d.parked {
		if !a.over {
			q.route(a)
		}
	}
}

// route sends an ask to who may have its key, or parks it.
func (q *asking) route(a *ask) {
	if d := q.routes[a.shard].slow; d != nil && d.head != a {
		if d.head != nil || len(d.parked) > 0 { // not past those that came before
			q.park(a)
			return
		}
		d.head = a
	}
	q.routeNow(a)
	q.passHead(a)
}

// passHead lets those that wait behind a go on if it has ended before it was sent: nobody answers it.
func (q *asking) passHead(a *ask) {
	if d := q.routes[a.shard].slow; d != nil && d.head == a && a.over {
		q.armDetour(a.shard, d, minDetour)
	}
}

func (q *asking) routeNow(a *ask) {
	left := time.Duration(0)
	now := q.n.c.clock.Now()
	if a.deadline > 0 {
		if left = a.deadline - now; left <= 0 {
			q.end(a, fmt.Errorf("%w: %s: no node has taken it by then", actors.ErrTimeout, a.key))
			return
		}
	} else if now-a.begun > parkedAtMost {
		q.end(a, q.errNobody(a))
		return
	}
	p := q.choose(a.shard)
	if p == nil {
		q.park(a)
		return
	}
	switch window := q.n.c.o.Window; {
	case a.isPlain() && p.sends < window:
		p.sends++
	case a.isPlain(): // it is sent, and nobody hears what becomes of it
		q.unpark(a)
		q.remove(a)
		p.putAsk(a.body, left, false)
		return
	case p.asks < window:
		p.asks++
	case a.why != nil || a.parked: // it has waited already
		q.park(a)
		return
	default:
		q.end(a, fmt.Errorf("%w: %d asks are in flight to the node %s", actors.ErrMailboxFull, window, p.is.Node))
		return
	}
	q.unpark(a)
	a.peer, a.sent, a.auditedAt = p, now, now
	p.flight.add(a)
	var own bool
	if a.frame, own = p.putAsk(a.body, left, !a.isPlain() && p.asks == 1 && q.alone == nil); own {
		q.alone = p
	}
	if d := q.routes[a.shard].slow; d != nil && d.head == a {
		q.armDetour(a.shard, d, notRefused)
	}
}

func (q *asking) errNobody(a *ask) error {
	why := a.why
	switch {
	case q.n.link.Load() == nil:
		why = errNoLink
	case why == nil:
		why = q.n.c.errNotOwner(a.key)
	}
	return fmt.Errorf("%w: no node has taken %s: %w", actors.ErrUnavailable, a.key, why)
}

// choose is the peer to ask next, nil: none.
func (q *asking) choose(shard int) *peer {
	l := q.n.link.Load()
	if l == nil {
		return nil
	}
	r := &q.routes[shard]
	d := r.slow
	if d != nil && len(d.refusedBy) >= maxRefusals {
		return nil
	}
	if p := q.usable(l, r.at, shard, d); p != nil {
		return p
	}
	if d != nil {
		if p := q.usable(l, d.hint, shard, d); p != nil {
			return p
		}
	}
	var best *peer
	var top uint64
	for i := range q.nodes {
		n := &q.nodes[i]
		if !n.owns || (n.draining || n.cutOff) && (d == nil || len(d.refusedBy) == 0) {
			continue
		}
		if rank := ownership.Score(shard, n.hash); best == nil || rank >= top {
			if p := q.usable(l, n.is, shard, d); p != nil {
				best, top = p, rank
			}
		}
	}
	return best
}

// usable is the peer if it may be asked for the shard, else nil.
func (q *asking) usable(l *link, is Peer, shard int, d *detour) *peer {
	at, known := q.known[is.Session]
	if is.Session == 0 || !known || q.nodes[at].is != is || q.nodes[at].isOld || d != nil && slices.Contains(d.refusedBy, is.Session) {
		return nil
	}
	if is == l.self && !q.n.c.isOwnedShard(shard) {
		return nil
	}
	p := l.peer(is, true)
	if p.suspect.Load() {
		return nil
	}
	p.wasThere = true
	return p
}

// park lets an ask wait until somebody may have its key.
func (q *asking) park(a *ask) {
	if !a.parked {
		// One that was sent is let wait: those are not more than the windows of all nodes, and it may have run.
		if a.why == nil && int(q.parkedNow.Load()) >= q.n.c.o.Window {
			q.end(a, fmt.Errorf("%w: %d asks wait for a node that has their keys: %w", actors.ErrMailboxFull, q.n.c.o.Window, q.errNobody(a)))
			return
		}
		a.parked = true
		q.parkedNow.Add(1)
	}
	d := q.routes[a.shard].detour()
	if d.head == a {
		d.head = nil
	}
	at := len(d.parked)
	for at > 0 && d.parked[at-1].id > a.id { // one that was refused is older than what has come since
		at--
	}
	d.parked = slices.Insert(d.parked, at, a)
	if d.head == nil && d.timer == nil {
		wait := min(minDetour<<min(d.waits, 10), maxDetour)
		d.waits++
		q.armDetour(a.shard, d, wait)
	}
}

func (q *asking) unpark(a *ask) {
	if a.parked {
		a.parked = false
		q.parkedNow.Add(-1)
	}
}

// armDetour has a shard looked at after a while.
func (q *asking) armDetour(shard int, d *detour, after time.Duration) {
	q.detours[shard] = struct{}{}
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer = q.n.c.clock.AfterFunc(after, func() { q.retry(shard) })
}

// retry looks what can be done about what is parked for a shard.
func (q *asking) retry(shard int) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	q.retryShard(shard)
}

func (q *asking) retryShard(shard int) {
	r := &q.routes[shard]
	d := r.slow
	if d == nil {
		delete(q.detours, shard)
		return
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if h := d.head; h != nil && !h.over && h.peer != nil {
		if left := notRefused - (q.n.c.clock.Now() - h.sent); left > 0 {
			q.armDetour(shard, d, left)
		} else { // it was not refused, so it is where it belongs
			q.found(shard, h.peer.is)
		}
		return
	}
	d.head, d.refusedBy, d.hint = nil, nil, Peer{}
	d.parked = slices.DeleteFunc(d.parked, func(a *ask) bool { return a.over })
	if len(d.parked) == 0 {
		r.slow = nil
		delete(q.detours, shard)
		return
	}
	next := d.parked[0]
	d.head, d.parked = next, d.parked[1:]
	q.routeNow(next)
	q.passHead(next)
}

// retryAll is retryShard for all that have something parked.
func (q *asking) retryAll() {
	for shard := range q.detours {
		q.retryShard(shard)
	}
}

// began: this node owns a shard. Locks of the lease are held.
func (q *asking) began(shard int) {
	if q.parkedNow.Load() > 0 {
		go q.retry(shard)
	}
}
