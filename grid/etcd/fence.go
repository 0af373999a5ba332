// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// Fence is true of a transaction in etcd as long as the owner with this token has the shard. It is for
// transactions of your own.
func (s *Store) Fence(t grid.Token) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(s.shardKey(t.Shard)), "=", int64(t.Rev))
}

// Put stores a value under a key of your own, if the owner with this token has the shard. Otherwise it fails
// with [actors.ErrFenced]. If it fails with another error the value may be stored, or may be yet; but not once the shard has
// another owner.
func (s *Store) Put(ctx context.Context, t grid.Token, key, value string) error {
	if key == "" || strings.HasPrefix(key, s.prefix) {
		return &actors.OptionError{Of: "etcd: Put", Field: "key", Value: key, Why: "is empty, or one that the grid keeps for itself"}
	}
	resp, err := s.client.Txn(ctx).If(s.Fence(t)).Then(clientv3.OpPut(key, value)).Commit()
	switch {
	case err != nil:
		return s.explain(ctx, "put", err)
	case !resp.Succeeded:
		return fmt.Errorf("%w: the token %d of shard %d is not that of its owner", actors.ErrFenced, t.Rev, t.Shard)
	}
	return nil
}
