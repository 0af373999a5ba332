// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/internal/seeded"
)

var tableSeed = seeded.Flag("table.seed", "TestTableIsThatOfItsMembers")

// TestTableIsThatOfItsMembers: whatever the order in which nodes have come and gone, the table is
// the one of those that are there, and Update names what has become a node's own.
func TestTableIsThatOfItsMembers(t *testing.T) {
	const shards = 512
	for _, dice := range tableSeed.Rounds(t, 100) {
		table, there, last := NewTable(shards), []Member{}, uint64(0)
		for range 20 {
			var left []uint64
			for range dice.IntN(3) {
				if n := len(there); n > 0 {
					i := dice.IntN(n)
					left = append(left, there[i].Session)
					there = slices.Delete(there, i, i+1)
				}
			}
			var joined []Member
			for range dice.IntN(3) {
				last++
				joined = append(joined, Member{last, fmt.Sprint("node-", dice.IntN(20))})
			}
			there = append(there, joined...)
			var self uint64
			if len(there) > 0 {
				self = there[dice.IntN(len(there))].Session
			}
			had := table.Of(self)
			gained := table.Update(joined, left, self)

			fresh := NewTable(shards)
			fresh.Update(there, nil, 0)
			var want []int
			for s := range shards {
				if table.Owner(s) != fresh.Owner(s) {
					t.Fatalf("shard %d is that of %d, want %d of %v", s, table.Owner(s), fresh.Owner(s), there)
				}
				if self != 0 && table.Owner(s) == self && !slices.Contains(had, s) {
					want = append(want, s)
				}
			}
			if !slices.Equal(gained, want) {
				t.Fatalf("gained %v, want %v", gained, want)
			}
		}
	}
}

// TestTableMovesLittle: a join moves its own share, a leave moves the share of who has left, and the
// shares are even.
func TestTableMovesLittle(t *testing.T) {
	const shards, nodes = 8192, 100
	table := NewTable(shards)
	var all []Member
	for i := range nodes {
		all = append(all, Member{uint64(i + 1), fmt.Sprint("node-", i)})
	}
	table.Update(all, nil, 0)
	before := owners(table)
	counts := map[uint64]int{}
	for _, o := range before {
		counts[o]++
	}
	for session, n := range counts {
		if n < 40 || n > 130 { // 82 in the mean, with a deviation of 9
			t.Errorf("node %d has %d of %d shards", session, n, shards)
		}
	}
	if len(counts) != nodes {
		t.Errorf("%d nodes have shards", len(counts))
	}
	table.Update([]Member{{nodes + 1, "another"}}, nil, 0)
	for s, o := range owners(table) {
		if o != before[s] && o != nodes+1 {
			t.Errorf("shard %d moved to %d when another joined", s, o)
		}
	}
	table.Update(nil, []uint64{nodes + 1}, 0)
	if !slices.Equal(owners(table), before) {
		t.Error("a join and its leave leave something behind")
	}
	// A node that comes back under its name, before its last session is over.
	table.Update([]Member{{nodes + 2, "node-7"}}, nil, 0)
	for s, o := range owners(table) {
		if (before[s] == 8) != (o == nodes+2) {
			t.Errorf("shard %d is that of %d, and was that of %d", s, o, before[s])
		}
	}
}

func owners(t *Table) []uint64 {
	all := make([]uint64, len(t.best))
	for s := range all {
		all[s] = t.Owner(s)
	}
	return all
}

// TestHashesStay: nodes of different versions have to agree.
func TestHashesStay(t *testing.T) {
	got := fmt.Sprint(ShardOf("account/7", 1024), ShardOf("account/8", 1024), HashName(""), HashName("node-1"), score(hashShard(3), HashName("node-1")))
	if want := "206 874 17280346270528514342 10510626701084584709 1811817308076262440"; got != want {
		t.Errorf("hashes: %s, want %s: nodes of this version and the last would not agree", got, want)
	}
}

// BenchmarkUpdate is one change of a cluster of 1,000 nodes, as each of them computes it.
func BenchmarkUpdate(b *testing.B) {
	const shards, nodes = 8192, 1000
	var all []Member
	for i := range nodes {
		all = append(all, Member{uint64(i + 1), fmt.Sprint("node-", i)})
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			NewTable(shards).Update(all, nil, 1)
		}
	})
	table := NewTable(shards)
	table.Update(all, nil, 1)
	next := uint64(nodes)
	b.Run("join-leave", func(b *testing.B) {
		for b.Loop() {
			next++
			table.Update([]Member{{next, fmt.Sprint("node-", rand.IntN(nodes), "-b")}}, nil, 1)
			table.Update(nil, []uint64{next}, 1)
		}
	})
}
