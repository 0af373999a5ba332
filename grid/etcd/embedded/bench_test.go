// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/grid"
)

// BenchmarkClaim is a claim and a release of so many shards, beside two transactions that put and delete as many keys
// and compare one.
func BenchmarkClaim(b *testing.B) {
	client := connect(b, startServer(b))
	ctx := context.Background()
	for _, n := range []int{1, 16, 100} {
		lease, err := client.Grant(ctx, 3600)
		must(b, err)
		_, err = client.Put(ctx, "guard", "", clientv3.WithLease(lease.ID))
		must(b, err)
		b.Run(fmt.Sprint("bare/", n), func(b *testing.B) {
			puts, deletes := make([]clientv3.Op, n), make([]clientv3.Op, n)
			for i := range n {
				key := fmt.Sprint("bare/", i)
				puts[i], deletes[i] = clientv3.OpPut(key, "0123456789abcdef", clientv3.WithLease(lease.ID)), clientv3.OpDelete(key)
			}
			for b.Loop() {
				for _, ops := range [][]clientv3.Op{puts, deletes} {
					resp, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("guard"), ">", 0)).Then(ops...).Commit()
					if err != nil || !resp.Succeeded {
						b.Fatal(resp, err)
					}
				}
			}
		})
		s, err := newStore(b, client, fmt.Sprint("c", n)).Join(ctx, grid.Node{Name: "a", Shards: 128}, time.Hour)
		must(b, err)
		b.Run(fmt.Sprint("session/", n), func(b *testing.B) {
			shards := make([]int, n)
			for i := range shards {
				shards[i] = i
			}
			for b.Loop() {
				tokens, err := s.Claim(ctx, shards)
				if err == nil {
					err = s.Release(ctx, shards)
				}
				if err != nil || len(tokens) != n {
					b.Fatal(tokens, err)
				}
			}
		})
	}
}

// BenchmarkRenew is a renewal, beside the client's own of one call.
func BenchmarkRenew(b *testing.B) {
	client := connect(b, startServer(b))
	ctx := context.Background()
	b.Run("bare", func(b *testing.B) {
		lease, err := client.Grant(ctx, 3600)
		must(b, err)
		for b.Loop() {
			if _, err := client.KeepAliveOnce(ctx, lease.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("session", func(b *testing.B) {
		s, err := newStore(b, client, "c").Join(ctx, grid.Node{Name: "a", Shards: 8}, time.Hour)
		must(b, err)
		for b.Loop() {
			if err := s.Renew(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}
