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
// drains may still have it. So whoever is asked and has it not is passed over, and the next in rank is asked; after a few the
// ask is parked for a moment. Who has answered last is asked first.
type route struct {
	at   Peer   // who has answered last; Session 0: nobody
	rev  uint64 // of the token, the greatest so far
	slow *detour
}

// detour is what there is beside that while asks for a shard were not taken.
type detour struct {
	refusedBy []uint64 // sessions
	hint      Peer     // who may have it, by the word of one of those
	parked    []*ask   // in the order in which they came
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
}

const (
	// maxRefusals is how many nodes are asked before an ask waits.
	maxRefusals = 3
	// Waits of parked asks.
	minDetour = 5 * time.Millisecond
	maxDetour = 160 * time.Millisecond
)

func (r *route) refuse(p Peer, q *asking) {
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

func (r *route) found(p Peer, rev uint64) {
	r.at, r.rev = p, max(r.rev, rev)
	if d := r.slow; d != nil && len(d.parked) == 0 {
		r.slow = nil
	} else if d != nil {
		d.refusedBy, d.hint, d.waits = nil, Peer{}, 0
	}
}

// route sends an ask to who may have its key, or parks it.
func (q *asking) route(a *ask) {
	r := &q.routes[a.shard]
	if r.slow != nil && len(r.slow.parked) > 0 { // not past those that came before
		q.park(a)
		return
	}
	q.routeNow(a)
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
		q.remove(a)
		p.putAsk(a.body, left)
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
	if a.parked {
		a.parked = false
		q.parkedNow.Add(-1)
	}
	a.peer, a.sent, a.auditedAt = p, now, now
	p.flight.add(a)
	a.frame = p.putAsk(a.body, left)
}

func (q *asking) errNobody(a *ask) error {
	why := a.why
	if why == nil {
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
		if !n.owns || n.draining && (d == nil || len(d.refusedBy) == 0) {
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
	p := l.peer(is)
	if p == nil || p.suspect.Load() {
		return nil
	}
	p.wasThere = true
	return p
}

// park lets an ask wait until somebody may have its key.
func (q *asking) park(a *ask) {
	if !a.parked {
		if int(q.parkedNow.Load()) >= q.n.c.o.Window {
			q.end(a, fmt.Errorf("%w: %d asks wait for a node that has their keys: %w", actors.ErrMailboxFull, q.n.c.o.Window, q.errNobody(a)))
			return
		}
		a.parked = true
		q.parkedNow.Add(1)
	}
	d := q.routes[a.shard].detour()
	d.parked = append(d.parked, a)
	q.detours[a.shard] = struct{}{}
	if d.timer == nil {
		wait := min(minDetour<<min(d.waits, 10), maxDetour)
		d.waits++
		shard := a.shard
		d.timer = q.n.c.clock.AfterFunc(wait, func() { q.retry(shard) })
	}
}

// retry routes what is parked for a shard.
func (q *asking) retry(shard int) {
	q.mu.Lock()
	defer q.unlockElsewhere()
	q.retryShard(shard)
}

func (q *asking) retryShard(shard int) {
	d := q.routes[shard].slow
	if d == nil {
		delete(q.detours, shard)
		return
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	parked := d.parked
	d.parked, d.refusedBy, d.hint = nil, nil, Peer{}
	delete(q.detours, shard)
	for _, a := range parked {
		switch {
		case a.over:
		case len(d.parked) > 0: // behind the first that still waits
			q.park(a)
		default:
			q.routeNow(a)
		}
	}
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
