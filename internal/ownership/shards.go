// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"maps"
	"slices"
	"time"
)

// MaxClaim is how many shards one call to the store names: a transaction of etcd has 128 operations.
const MaxClaim = 128

// MaxHandOver is how many shards a node gives away at a time. Each is without an owner for a moment,
// and its keys begin anew elsewhere.
const MaxHandOver = 16

// Shards tracks the shards of one session, from the moment at which the table says that one is this
// node's until the store has acknowledged that it is not. Call Next after each event, and do what it
// says. One goroutine owns it.
//
//	wanted ──claimed──▶ owned ──End──▶ ending ──Ended──▶ ended ──released──▶ (none)
//	   │  ▲                                                ▲
//	another's  Freed                                       │ not wanted any more
//	   ▼  │                                                │
//	waiting ───────────────────────────────────────────────┘
//
// A call to the store whose answer is lost may have taken effect. So what was claimed and is not
// wanted any more goes by way of ended, too.
type Shards struct {
	settle   time.Duration
	table    *Table
	self     uint64
	draining bool

	all      []entry // by shard
	calling  []int   // the shards of the call under way
	busy     bool    // there is one
	released bool    // the last call was a release
	failed   int     // calls in a row
	retry    time.Duration
}

type entry struct {
	shard   int
	phase   phase
	calling bool          // it is in the call under way
	claimed bool          // by a call that may have taken effect
	freed   bool          // while it was in a claim
	token   uint64        // owned
	owner   uint64        // to whom it belongs by the table, when it was looked at last
	since   time.Duration // that it belongs to them
}

type phase uint8

const (
	wanted  phase = iota // to be claimed
	waiting              // another has it; the store says when that ends
	owned
	ending // its last task has not ended
	ended  // to be given back
)

// Work is what is to be done. At most one of Claim and Release has shards, and then nothing else is
// called until Claimed or Released have been told the result.
type Work struct {
	Claim, Release []int
	// End is the shards whose workers are to be stopped softly; Ended is told of each.
	End []int
	// Wake is when Next is to be called again if nothing happens before. 0: never.
	Wake time.Duration
}

// NewShards is for a session that has joined. What the table gives it is wanted. Shards are handed
// over settle after they have become another's.
func NewShards(table *Table, self uint64, settle time.Duration) *Shards {
	s := &Shards{settle: settle, table: table, self: self}
	s.want(table.Of(self))
	return s
}

// Drain makes it want nothing, and hand over all that it has.
func (s *Shards) Drain() { s.draining = true }

// IsEmpty reports whether there is nothing left that may be this session's.
func (s *Shards) IsEmpty() bool { return len(s.all) == 0 && !s.busy }

// IsBusy reports whether a call to the store is under way.
func (s *Shards) IsBusy() bool { return s.busy }

// TableChanged is called after each update of the table, with the shards that it has gained.
func (s *Shards) TableChanged(gained []int) { s.want(gained) }

func (s *Shards) want(shards []int) {
	if s.draining {
		return
	}
	known := len(s.all)
	for _, shard := range shards {
		if _, is := slices.BinarySearchFunc(s.all[:known], shard, byShard); !is {
			s.all = append(s.all, entry{shard: shard, phase: wanted, owner: s.self})
		}
	}
	slices.SortFunc(s.all, func(a, b entry) int { return a.shard - b.shard })
}

func byShard(e entry, shard int) int { return e.shard - shard }

func (s *Shards) find(shard int) *entry {
	if i, is := slices.BinarySearchFunc(s.all, shard, byShard); is {
		return &s.all[i]
	}
	return nil
}

// Freed is told of a shard that another has given up.
func (s *Shards) Freed(shard int) {
	switch e := s.find(shard); {
	case e == nil:
	case e.phase == waiting:
		e.phase = wanted
	case e.calling: // the answer, which is on its way, is older
		e.freed = true
	}
}

// Ended is told that the last task of a shard has ended.
func (s *Shards) Ended(shard int) {
	if e := s.find(shard); e != nil && e.phase == ending {
		e.phase = ended
	}
}

// Claimed is the answer of a claim: the tokens of the shards that are this session's. It returns
// those that are to be begun, in order.
func (s *Shards) Claimed(now time.Duration, tokens map[int]uint64, err error) (begin []int) {
	shards := s.answered(now, err)
	for _, shard := range shards {
		e := s.find(shard)
		if err != nil {
			continue // it is wanted as before, and may be ours
		}
		token, got := tokens[shard]
		switch {
		case !got && e.freed:
		case !got:
			e.phase = waiting
		default:
			e.phase, e.token = owned, token
			begin = append(begin, shard)
		}
	}
	return begin
}

// Released is the answer of a release.
func (s *Shards) Released(now time.Duration, err error) {
	gone := map[int]bool{}
	for _, shard := range s.answered(now, err) {
		gone[shard] = err == nil
	}
	s.all = slices.DeleteFunc(s.all, func(e entry) bool { return gone[e.shard] })
	if err != nil || s.draining {
		return
	}
	for shard := range maps.Keys(gone) {
		if s.table.Owner(shard) == s.self { // it has become ours again meanwhile
			s.want([]int{shard})
		}
	}
}

// Waits of a call that has failed, before it is made again.
const (
	minRetry = 20 * time.Millisecond
	maxRetry = 500 * time.Millisecond
)

func (s *Shards) answered(now time.Duration, err error) (shards []int) {
	shards, s.calling, s.busy = s.calling, nil, false
	for _, shard := range shards {
		s.find(shard).calling = false
	}
	if s.failed++; err == nil {
		s.failed = 0
	} else {
		s.retry = now + min(minRetry<<min(s.failed-1, 10), maxRetry)
	}
	return shards
}

func (s *Shards) isOurs(e *entry) bool { return !s.draining && s.table.Owner(e.shard) == s.self }

// Next is what is to be done now.
func (s *Shards) Next(now time.Duration) (w Work) {
	s.look(now)
	switch {
	case s.busy:
	case s.failed > 0 && now < s.retry:
		w.Wake = s.retry
	case s.released: // neither waits for long while there is always something of the other
		if w.Claim = s.call(wanted); len(w.Claim) == 0 {
			w.Release = s.call(ended)
		}
	default:
		if w.Release = s.call(ended); len(w.Release) == 0 {
			w.Claim = s.call(wanted)
		}
	}
	s.released = s.released && len(w.Claim) == 0 || len(w.Release) > 0
	s.handOver(now, &w)
	return w
}

// call is up to MaxClaim shards that are in p, for a call to the store.
func (s *Shards) call(p phase) (shards []int) {
	for i := range s.all {
		if e := &s.all[i]; e.phase == p && len(shards) < MaxClaim {
			e.calling, e.freed = true, false
			e.claimed = e.claimed || p == wanted
			shards = append(shards, e.shard)
		}
	}
	s.calling, s.busy = shards, len(shards) > 0
	return shards
}

// look compares what there is with the table.
func (s *Shards) look(now time.Duration) {
	s.all = slices.DeleteFunc(s.all, func(e entry) bool { return e.phase == wanted && !e.claimed && !s.isOurs(&e) })
	for i := range s.all {
		e := &s.all[i]
		if owner := s.table.Owner(e.shard); owner != e.owner {
			e.owner, e.since = owner, now
		}
		if (e.phase == wanted || e.phase == waiting) && !e.calling && !s.isOurs(e) {
			e.phase = ended
		}
	}
}

// handOver begins to end what belongs to others.
func (s *Shards) handOver(now time.Duration, w *Work) {
	under := 0
	for i := range s.all {
		if p := s.all[i].phase; p == ending || p == ended && s.all[i].token != 0 {
			under++
		}
	}
	for i := range s.all {
		e := &s.all[i]
		if e.phase != owned || s.isOurs(e) || e.owner == 0 && !s.draining { // 0: nobody could take it
			continue
		}
		if at := e.since + s.settle; !s.draining && now < at {
			if w.Wake == 0 || at < w.Wake {
				w.Wake = at
			}
		} else if under < MaxHandOver {
			under++
			e.phase = ending
			w.End = append(w.End, e.shard)
		}
	}
}
