// SPDX-License-Identifier: Apache-2.0

package ownership

// Table says which node each shard belongs to: the one with the highest hash of node and shard, of
// all that take part. Who joins takes a share from each of the others, and who leaves gives each of
// the others a share; nothing else moves.
//
// It is changed by one goroutine at a time.
type Table struct {
	best   []int32 // slot of the node of each shard, none: -1
	slots  []slot
	slotOf map[uint64]int32
	unused []int32
}

// slot has a node; session 0: none.
type slot struct {
	session uint64
	hash    uint64
}

// Member is a node that takes part, by its session: a number that is greater than those of all that
// have joined before.
type Member struct {
	Session uint64
	Name    string
}

// NewTable has no nodes.
func NewTable(shards int) *Table {
	t := &Table{best: make([]int32, shards), slotOf: map[uint64]int32{}}
	for i := range t.best {
		t.best[i] = -1
	}
	return t
}

// Owner is the session that shard belongs to. 0: no node takes part.
func (t *Table) Owner(shard int) uint64 {
	if b := t.best[shard]; b >= 0 {
		return t.slots[b].session
	}
	return 0
}

// Of is all shards that belong to session.
func (t *Table) Of(session uint64) (shards []int) {
	at, is := t.slotOf[session]
	if !is {
		return nil
	}
	for s, b := range t.best {
		if b == at {
			shards = append(shards, s)
		}
	}
	return shards
}

// Update lets members join and sessions leave, and returns the shards that belong to self now and
// did not before. A join takes a hash of each shard, and a leave those of all nodes for each shard
// of the one that has left: to compute all from the start would be a thousand times as much in a
// cluster of a thousand nodes (BenchmarkUpdate).
func (t *Table) Update(joined []Member, left []uint64, self uint64) (gained []int) {
	var gone []int32
	for _, session := range left {
		if at, is := t.slotOf[session]; is {
			t.slots[at] = slot{} // the shards of who has left still name it
			gone = append(gone, at)
			delete(t.slotOf, session)
		}
	}
	fresh := make([]rival, 0, len(joined))
	for _, m := range joined {
		if _, is := t.slotOf[m.Session]; !is {
			at := t.add(m)
			fresh = append(fresh, rival{t.slots[at].hash, at})
		}
	}
	all := fresh
	if len(gone) > 0 {
		all = make([]rival, 0, len(t.slotOf))
		for at, sl := range t.slots {
			if sl.session != 0 {
				all = append(all, rival{sl.hash, int32(at)})
			}
		}
	}
	selfAt, takesPart := t.slotOf[self]
	for s, before := range t.best {
		b := before
		if b >= 0 && t.slots[b].session != 0 {
			b = t.bestOf(s, b, fresh)
		} else {
			b = t.bestOf(s, -1, all)
		}
		t.best[s] = b
		if b != before && takesPart && b == selfAt {
			gained = append(gained, s)
		}
	}
	t.unused = append(t.unused, gone...)
	return gained
}

// rival is a node, in the form in which it takes the least to compare many.
type rival struct {
	hash uint64
	at   int32
}

// add puts m into a slot.
func (t *Table) add(m Member) int32 {
	at := int32(len(t.slots))
	if n := len(t.unused); n > 0 {
		at = t.unused[n-1]
		t.unused = t.unused[:n-1]
	} else {
		t.slots = append(t.slots, slot{})
	}
	t.slots[at] = slot{m.Session, HashName(m.Name)}
	t.slotOf[m.Session] = at
	return at
}

// bestOf is the best of b and those in from, for a shard. Of two sessions with one name, of which
// the older is about to expire, it is the newer.
func (t *Table) bestOf(shard int, b int32, from []rival) int32 {
	if len(from) == 0 {
		return b
	}
	h := hashShard(shard)
	if b < 0 {
		b = from[0].at
	}
	top := score(h, t.slots[b].hash)
	for _, r := range from {
		if sc := score(h, r.hash); sc >= top && (sc > top || t.slots[r.at].session > t.slots[b].session) {
			b, top = r.at, sc
		}
	}
	return b
}

// The hashes are what all nodes of a cluster agree by, old and new versions, too: TestHashesStay.

// ShardOf is the shard of a key.
func ShardOf(key string, shards int) int { return int(HashName(key) % uint64(shards)) }

// HashName is that of a node's name, or of a key: FNV-1a, mixed, because the upper bits of that
// depend little on the last letters.
func HashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// Score is the rank of a node, by the hash of its name, among those that a shard may belong to: it belongs to the highest.
func Score(shard int, node uint64) uint64 { return score(hashShard(shard), node) }

func hashShard(shard int) uint64 { return mix(uint64(shard) + 0x9e3779b97f4a7c15) }

// score is less than mix, because both are mixed already. Only its order counts.
func score(shard, node uint64) uint64 {
	x := (shard ^ node) * 0xff51afd7ed558ccd
	return (x ^ x>>32) * 0xc4ceb9fe1a85ec53
}

// mix is the finalizer of MurmurHash3's 64-bit form, without its last shift.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
