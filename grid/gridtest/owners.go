// SPDX-License-Identifier: Apache-2.0

package gridtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/protoloop/protoloop/grid"
)

// Owners checks who owns what, from what nodes say of themselves: Begin, End and Fenced. Nodes that have
// crashed own nothing from then on. A paused node does not know that it owns nothing any more: what it
// finds out in the moment in which it goes on is no fault.
type Owners struct {
	mu       sync.Mutex
	shards   map[int]*record
	nodes    map[*Node]*nodeRecord
	faults   []string
	more     int // faults that are not in faults
	gaps     map[Cause][]time.Duration
	doubles  int
	moves    int
	fencings int
}

// record is what is known of a shard.
type record struct {
	open  []interval
	rev   uint64    // the greatest so far
	last  time.Time // when nobody owned it any more
	cause Cause
}

// interval is the time in which a node believes that it owns a shard.
type interval struct {
	node  *Node
	token grid.Token
	stale bool // another has begun
}

type nodeRecord struct {
	shards  map[int]struct{}
	crashed time.Time
	paused  time.Time // zero: it is not
	resumed time.Time
	slept   bool // … from a Suspend
}

// Cause is why a shard has got another owner.
type Cause string

// The causes.
const (
	HandOver Cause = "hand-over"
	Crash    Cause = "crash"
	Pause    Cause = "pause"
	Fence    Cause = "fence"
)

func (o *Owners) init() {
	o.shards, o.nodes, o.gaps = map[int]*record{}, map[*Node]*nodeRecord{}, map[Cause][]time.Duration{}
}

func (o *Owners) node(n *Node) *nodeRecord {
	if o.nodes[n] == nil {
		o.nodes[n] = &nodeRecord{shards: map[int]struct{}{}}
	}
	return o.nodes[n]
}

func (o *Owners) fault(format string, args ...any) {
	if len(o.faults) == 20 {
		o.more++
		return
	}
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// Begin notes that n owns a shard from now on.
func (o *Owners) Begin(n *Node, t grid.Token) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	r := o.shards[t.Shard]
	if r == nil {
		r = &record{}
		o.shards[t.Shard] = r
	}
	if t.Rev <= r.rev {
		o.fault("shard %d: %s begins with the token %d, and there was %d", t.Shard, n.name, t.Rev, r.rev)
	}
	gap, cause := now.Sub(r.last), r.cause
	open := r.open[:0]
	for _, i := range r.open {
		was := o.node(i.node)
		switch {
		case i.node == n:
			o.fault("shard %d: %s begins again and has not ended", t.Shard, n.name)
			continue
		case !was.crashed.IsZero():
			gap, cause = now.Sub(was.crashed), Crash
			delete(was.shards, t.Shard)
			continue
		case !was.paused.IsZero():
			if !i.stale {
				gap, cause = now.Sub(was.paused), Pause
				o.doubles++
			}
			i.stale = true
		default:
			o.fault("shard %d: %s begins, and %s has not ended, which runs", t.Shard, n.name, i.node.name)
			i.stale = true
		}
		open = append(open, i)
	}
	if r.rev > 0 {
		o.moves++
		o.gaps[cause] = append(o.gaps[cause], gap)
	}
	r.rev = max(r.rev, t.Rev)
	r.open = append(open, interval{node: n, token: t})
	o.node(n).shards[t.Shard] = struct{}{}
}

// End notes that n gives a shard up, and that nothing of it runs any more.
func (o *Owners) End(n *Node, shard int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end(n, shard, HandOver)
}

// Fenced notes that the lease of n is over.
func (o *Owners) Fenced(n *Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.node(n).shards) > 0 {
		o.fencings++
	}
	for shard := range o.node(n).shards {
		o.end(n, shard, Fence)
	}
}

func (o *Owners) end(n *Node, shard int, cause Cause) {
	r := o.shards[shard]
	was := o.node(n)
	delete(was.shards, shard)
	for at, i := range r.open {
		if i.node != n {
			continue
		}
		if i.stale && !was.slept && time.Now().After(was.resumed) {
			o.fault("shard %d: %s ends %v after it went on, and another has begun before", shard, n.name, time.Since(was.resumed))
		}
		r.open = slices.Delete(r.open, at, at+1)
		if !i.stale {
			r.last, r.cause = time.Now(), cause
		}
		return
	}
}

func (o *Owners) crashed(n *Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.node(n).crashed = time.Now()
}

func (o *Owners) paused(n *Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.node(n)
	was.paused, was.slept = time.Now(), !n.suspended.IsZero()
}

func (o *Owners) resumed(n *Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.node(n)
	was.paused, was.resumed = time.Time{}, time.Now()
}

// Of is the node that owns a shard, of those that run; nil: none.
func (o *Owners) Of(shard int) *Node {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.shards[shard]; r != nil {
		for _, i := range r.open {
			if was := o.node(i.node); was.crashed.IsZero() && !i.stale {
				return i.node
			}
		}
	}
	return nil
}

// Summary is what has happened since the last one.
type Summary struct {
	Moves    int // shards that have got another owner
	Doubles  int // … while the former was paused and had not found out
	Fencings int // leases of owners that have ended
	// Gaps is how long shards had no owner, by cause, in order.
	Gaps map[Cause][]time.Duration
	// Faults is what is wrong: two owners, a token that does not grow.
	Faults []string
}

// Take is what has happened since the last Take.
func (o *Owners) Take() Summary {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Summary{Moves: o.moves, Doubles: o.doubles, Fencings: o.fencings, Gaps: o.gaps, Faults: o.faults}
	if o.more > 0 {
		s.Faults = append(s.Faults, fmt.Sprintf("and %d more", o.more))
	}
	for _, gaps := range s.Gaps {
		slices.Sort(gaps)
	}
	o.moves, o.doubles, o.fencings, o.faults, o.more = 0, 0, 0, nil, 0
	o.gaps = map[Cause][]time.Duration{}
	return s
}

// Max is the longest time without an owner for a cause.
func (s Summary) Max(c Cause) time.Duration {
	if gaps := s.Gaps[c]; len(gaps) > 0 {
		return gaps[len(gaps)-1]
	}
	return 0
}

// String has it in one line.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d moves", s.Moves)
	for _, c := range []Cause{HandOver, Crash, Pause, Fence} {
		if gaps := s.Gaps[c]; len(gaps) > 0 {
			fmt.Fprintf(&b, "; %s: %d, unowned p50 %v p99 %v max %v", c, len(gaps), round(gaps[len(gaps)/2]), round(gaps[len(gaps)*99/100]), round(s.Max(c)))
		}
	}
	if s.Doubles > 0 || s.Fencings > 0 {
		fmt.Fprintf(&b, "; %d leases ended, %d doubles in the memory of paused nodes", s.Fencings, s.Doubles)
	}
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
