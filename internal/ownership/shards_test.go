// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/protoloop/protoloop/internal/seeded"
)

const self, other = 1, 2

var errLost = errors.New("lost")

// alone is a node that owns all of n shards.
func alone(t *testing.T, n int, settle time.Duration) (*Table, *Shards) {
	table := NewTable(n)
	table.Update([]Member{{self, "self"}}, nil, self)
	s := NewShards(table, self, settle)
	owned := 0
	for {
		w := s.Next(0)
		if len(w.Claim) == 0 {
			break
		}
		if len(w.Claim) > MaxClaim {
			t.Fatalf("a claim of %d", len(w.Claim))
		}
		if again := s.Next(0); len(again.Claim) > 0 {
			t.Fatal("a second call while there is one")
		}
		owned += len(s.Claimed(0, tokens(w.Claim), nil))
	}
	if owned != n {
		t.Fatalf("%d of %d owned", owned, n)
	}
	return table, s
}

func tokens(shards []int) map[int]uint64 {
	all := map[int]uint64{}
	for _, shard := range shards {
		all[shard] = 7
	}
	return all
}

// TestHandOverIsBounded: not before it has settled, a few at a time, and each goes to the store only when
// its tasks have ended.
func TestHandOverIsBounded(t *testing.T) {
	table, s := alone(t, 500, time.Second)
	s.TableChanged(table.Update([]Member{{other, "other"}}, nil, self))
	moving := len(table.Of(other))
	w := s.Next(time.Second)
	if len(w.End) > 0 || w.Wake != 2*time.Second {
		t.Fatalf("at once: %+v", w)
	}
	now := 2 * time.Second
	moved, ended := 0, []int(nil)
	for moved < moving {
		w := s.Next(now)
		ended = append(ended, w.End...)
		if len(ended) > MaxHandOver || len(w.Claim) > 0 {
			t.Fatalf("%d at a time, %v claimed", len(ended), w.Claim)
		}
		if len(w.Release) > 0 {
			s.Released(now, nil)
			moved += len(w.Release)
			continue
		}
		if len(ended) == 0 {
			t.Fatalf("it does not go on after %d of %d", moved, moving)
		}
		s.Ended(ended[0])
		ended = ended[1:]
	}
	if n := len(s.all); n != 500-moving {
		t.Errorf("%d left of %d, and %d have moved", n, 500, moving)
	}
}

// TestNewcomerThatLeaves moves nothing.
func TestNewcomerThatLeaves(t *testing.T) {
	table, s := alone(t, 100, time.Second)
	s.TableChanged(table.Update([]Member{{other, "other"}}, nil, self))
	s.Next(0)
	s.TableChanged(table.Update(nil, []uint64{other}, self))
	for now := range 10 {
		if w := s.Next(time.Duration(now) * time.Second); len(w.End)+len(w.Claim)+len(w.Release) > 0 || w.Wake > 0 {
			t.Fatalf("%+v", w)
		}
	}
}

// TestFreedBeforeTheAnswer: that a shard is free may be known before the answer that it is not.
func TestFreedBeforeTheAnswer(t *testing.T) {
	table := NewTable(1)
	table.Update([]Member{{self, "self"}}, nil, self)
	s := NewShards(table, self, 0)
	s.Next(0)
	s.Freed(0)
	s.Claimed(0, nil, nil)
	if w := s.Next(0); !slices.Equal(w.Claim, []int{0}) {
		t.Fatalf("it is not claimed again: %+v", w)
	}
	s.Claimed(0, nil, nil)
	if w := s.Next(0); len(w.Claim) > 0 {
		t.Fatal("it is claimed again, and was not freed")
	}
	s.Freed(0)
	if w := s.Next(0); len(w.Claim) == 0 {
		t.Fatal("it is not claimed when it is free")
	}
}

// TestLostClaimIsGivenBack: a claim that may have had an effect is not forgotten when it is not wanted any more.
func TestLostClaimIsGivenBack(t *testing.T) {
	table := NewTable(1)
	table.Update([]Member{{self, "self"}}, nil, self)
	s := NewShards(table, self, 0)
	s.Next(0)
	s.Claimed(0, nil, errLost)
	s.Drain()
	if s.IsEmpty() {
		t.Fatal("forgotten")
	}
	if w := s.Next(0); len(w.Release) > 0 || w.Wake != minRetry {
		t.Fatalf("called again at once: %+v", w)
	}
	if w := s.Next(minRetry); len(w.Release) != 1 {
		t.Fatalf("not given back: %+v", w)
	}
	s.Released(minRetry, errLost)
	if w := s.Next(minRetry + 2*minRetry); len(w.Release) != 1 {
		t.Fatalf("not given back again: %+v", w)
	}
	s.Released(time.Second, nil)
	if !s.IsEmpty() {
		t.Fatal("still there")
	}
}

var shardsSeed = seeded.Flag("shards.seed", "TestShardsAgree")

// TestShardsAgree: sessions that come and go share a store with lost answers. No shard is begun twice, and in
// the end each is its owner's.
func TestShardsAgree(t *testing.T) {
	for _, dice := range shardsSeed.Rounds(t, 300) {
		newField(t, dice).play()
	}
}

// field is a store, and sessions that use it.
type field struct {
	*testing.T
	dice    *rand.Rand
	now     time.Duration
	rev     uint64
	owner   []uint64 // by shard, of the store
	token   []uint64
	begun   []uint64 // by shard, of the nodes
	nodes   map[uint64]*fieldNode
	last    uint64
	members []Member
}

type fieldNode struct {
	session  uint64
	table    *Table
	shards   *Shards
	joined   []Member
	left     []uint64
	waits    map[int]bool
	ending   []int
	freed    []int
	draining bool
}

const fieldShards = 12

func newField(t *testing.T, dice *rand.Rand) *field {
	return &field{T: t, dice: dice, owner: make([]uint64, fieldShards), token: make([]uint64, fieldShards), begun: make([]uint64, fieldShards), nodes: map[uint64]*fieldNode{}}
}

func (f *field) play() {
	for range 300 {
		f.now += 10 * time.Millisecond
		switch n := f.any(); {
		case f.dice.IntN(40) == 0 && len(f.nodes) < 5:
			f.join()
		case n == nil:
		case f.dice.IntN(60) == 0:
			f.crash(n)
		case f.dice.IntN(60) == 0:
			n.draining = true
			n.shards.Drain()
			f.leaves(n)
		default:
			f.step(n, 0.1)
		}
	}
	if len(f.nodes) == 0 {
		f.join()
	}
	for range 2000 { // now nothing is lost
		f.now += 10 * time.Millisecond
		if n := f.any(); n != nil {
			f.step(n, 0)
		}
	}
	for shard, owner := range f.owner {
		for _, n := range f.nodes {
			if n.draining {
				f.Fatalf("%d has not drained: %+v", n.session, n.shards.all)
			}
			if n.table.Owner(shard) != owner || f.begun[shard] != owner {
				f.Fatalf("shard %d is that of %d, begun by %d, and belongs to %d", shard, owner, f.begun[shard], n.table.Owner(shard))
			}
		}
	}
}

func (f *field) any() *fieldNode {
	for range 20 {
		if n := f.nodes[uint64(f.dice.IntN(int(f.last)+1))]; n != nil {
			return n
		}
	}
	return nil
}

func (f *field) join() {
	f.last++
	n := &fieldNode{session: f.last, table: NewTable(fieldShards), waits: map[int]bool{}}
	m := Member{f.last, fmt.Sprint("node-", f.dice.IntN(8))}
	f.members = append(f.members, m)
	n.joined = slices.Clone(f.members)
	n.shards = NewShards(n.table, n.session, 50*time.Millisecond)
	for _, other := range f.nodes {
		other.joined = append(other.joined, m)
	}
	f.nodes[f.last] = n
}

// leaves lets all know that n takes no part any more.
func (f *field) leaves(n *fieldNode) {
	f.members = slices.DeleteFunc(f.members, func(m Member) bool { return m.Session == n.session })
	for _, other := range f.nodes {
		other.left = append(other.left, n.session)
	}
}

func (f *field) crash(n *fieldNode) {
	if !n.draining {
		f.leaves(n)
	}
	delete(f.nodes, n.session)
	for shard := range f.owner {
		if f.begun[shard] == n.session {
			f.begun[shard] = 0
		}
		if f.owner[shard] == n.session {
			f.free(shard)
		}
	}
}

func (f *field) free(shard int) {
	f.owner[shard] = 0
	for _, n := range f.nodes {
		if n.waits[shard] {
			delete(n.waits, shard)
			n.freed = append(n.freed, shard)
		}
	}
}

// step lets n see something, and do what there is to do.
func (f *field) step(n *fieldNode, loss float64) {
	switch f.dice.IntN(3) {
	case 0:
		n.joined = slices.DeleteFunc(n.joined, func(m Member) bool { return slices.Contains(n.left, m.Session) })
		n.shards.TableChanged(n.table.Update(n.joined, n.left, n.session))
		n.joined, n.left = nil, nil
	case 1:
		for _, shard := range n.freed {
			n.shards.Freed(shard)
		}
		n.freed = nil
	case 2:
		if len(n.ending) > 0 {
			shard := n.ending[0]
			n.ending = n.ending[1:]
			f.begun[shard] = 0
			n.shards.Ended(shard)
		}
	}
	w := n.shards.Next(f.now)
	n.ending = append(n.ending, w.End...)
	reaches, answers := f.dice.Float64() >= loss, f.dice.Float64() >= loss
	var err error
	if !reaches || !answers {
		err = errLost
	}
	switch {
	case len(w.Claim) > 0:
		got := map[int]uint64{}
		if reaches {
			got = f.claim(n, w.Claim)
		}
		for _, shard := range n.shards.Claimed(f.now, got, err) {
			if f.begun[shard] != 0 || f.owner[shard] != n.session {
				f.Fatalf("shard %d is begun by %d and %d, and is that of %d", shard, f.begun[shard], n.session, f.owner[shard])
			}
			f.begun[shard] = n.session
		}
	case len(w.Release) > 0:
		for _, shard := range w.Release {
			if f.begun[shard] == n.session {
				f.Fatalf("shard %d is given up by %d and has not ended", shard, n.session)
			}
			if reaches {
				delete(n.waits, shard)
				if f.owner[shard] == n.session {
					f.free(shard)
				}
			}
		}
		n.shards.Released(f.now, err)
	}
	if n.draining && n.shards.IsEmpty() {
		delete(f.nodes, n.session)
	}
}

func (f *field) claim(n *fieldNode, shards []int) map[int]uint64 {
	f.rev++
	got := map[int]uint64{}
	for _, shard := range shards {
		if f.owner[shard] == 0 {
			f.owner[shard], f.token[shard] = n.session, f.rev
		}
		if f.owner[shard] == n.session {
			got[shard] = f.token[shard]
		} else {
			n.waits[shard] = true
		}
	}
	return got
}
