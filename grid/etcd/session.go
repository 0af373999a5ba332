// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// session is a node's, with its lease.
type session struct {
	s     *Store
	node  grid.Node
	lease clientv3.LeaseID
	key   string // how many calls it has made; there is none when it is over
	ttl   time.Duration
	free  chan int
	over  chan struct{} // closed when it is known to be over

	mu      sync.Mutex
	calls   uint64        // in their order
	applied uint64        // the last of them that is known to have had an effect
	waits   map[int]int64 // by shard: the watch
	freed   []int         // to be sent to free
	sending bool          // somebody does that
	shown   bool          // to the others

	seen bool // in a view; the watcher's
}

var _ grid.Session = (*session)(nil)

func newSession(s *Store, lease clientv3.LeaseID, ttl time.Duration) *session {
	return &session{
		s: s, lease: lease, ttl: ttl, key: s.prefix + "sessions/" + number(uint64(lease)),
		free: make(chan int, 256), over: make(chan struct{}), waits: map[int]int64{},
	}
}

// Node is [grid.Session]'s.
func (is *session) Node() grid.Node { return is.node }

// TTL is [grid.Session]'s.
func (is *session) TTL() time.Duration { return is.ttl }

// Free is [grid.Session]'s.
func (is *session) Free() <-chan int { return is.free }

func (is *session) nodeKey() string { return is.s.prefix + "nodes/" + number(is.node.Session) }

// end notes that it is over, which etcd has said.
func (is *session) end() {
	is.mu.Lock()
	defer is.mu.Unlock()
	select {
	case <-is.over:
		return
	default:
	}
	close(is.over)
	for shard, watch := range is.waits {
		delete(is.waits, shard)
		is.s.watch.unwait(watch)
	}
	is.freed = nil
	is.s.watch.forget(is)
}

// fenced is the error when it is over.
func (is *session) fenced() error {
	is.end()
	return fmt.Errorf("%w: the session %d of %s is over", actors.ErrFenced, is.node.Session, is.node.Name)
}

// Renew is [grid.Session]'s.
func (is *session) Renew(ctx context.Context) error {
	is.mu.Lock()
	shown := is.shown
	is.mu.Unlock()
	if !shown {
		if err := is.show(ctx); err != nil {
			return err
		}
	}
	ttl, err := is.s.renew.renew(ctx, is.lease, patience(is.ttl))
	switch {
	case err != nil:
		return is.s.explain(ctx, "renew", err)
	case ttl <= 0:
		return is.fenced()
	}
	return nil
}

// show lets all see the node. It changes nothing if they do already: a call that comes late does not undo a Drain.
func (is *session) show(ctx context.Context) error {
	var resp *clientv3.TxnResponse
	err := again(ctx, patience(is.ttl), func(ctx context.Context, _ int) (err error) {
		resp, err = is.s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(is.key), ">", 0)).Then(
			clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(is.nodeKey()), "=", 0)},
				[]clientv3.Op{clientv3.OpPut(is.nodeKey(), encodeNode(is.node), clientv3.WithLease(is.lease))}, nil)).Commit()
		return err
	})
	switch {
	case err != nil:
		return is.failed(ctx, "renew", err)
	case !resp.Succeeded:
		return is.fenced()
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	is.shown = true
	return nil
}

// failed is the error of a transaction.
func (is *session) failed(ctx context.Context, what string, err error) error {
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return is.fenced()
	}
	return is.s.explain(ctx, what, err)
}

// do makes a call that has its effect before those that are made later, or none. It returns the answers
// of the operations, and the number of the call.
func (is *session) do(ctx context.Context, what string, ops ...clientv3.Op) (answers []*etcdserverpb.ResponseOp, revision int64, call uint64, err error) {
	is.mu.Lock()
	is.calls++
	call = is.calls
	is.mu.Unlock()
	var resp *clientv3.TxnResponse
	err = again(ctx, patience(is.ttl), func(ctx context.Context, try int) (err error) {
		n := number(call<<16 + uint64(min(try, 1<<16-1))) // a try that comes after the next, too, has no effect
		then := append([]clientv3.Op{clientv3.OpPut(is.key, n, clientv3.WithLease(is.lease))}, ops...)
		resp, err = is.s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(is.key), "<", n)).Then(then...).Else(clientv3.OpGet(is.key)).Commit()
		return err
	})
	switch {
	case err != nil:
		return nil, 0, 0, is.failed(ctx, what, err)
	case resp.Succeeded:
		return resp.Responses[1:], resp.Header.Revision, call, nil
	case resp.Responses[0].GetResponseRange().Count == 0:
		return nil, 0, 0, is.fenced()
	}
	return nil, 0, 0, fmt.Errorf("etcd: %s: a later call of the session was faster", what)
}

// etcd bounds the operations of a transaction, and of those within it, to 128 in all levels together. So a
// claim has groups.
const (
	maxShards = 128
	groupSize = 12
)

// each makes an operation for each shard, in groups.
func each(what string, shards []int, f func(shard int) clientv3.Op) (groups []clientv3.Op) {
	if len(shards) > maxShards {
		panic(fmt.Sprintf("etcd: a %s of %d shards, and %d are the most", what, len(shards), maxShards))
	}
	for len(shards) > 0 {
		n := min(groupSize, len(shards))
		group := make([]clientv3.Op, n)
		for i, shard := range shards[:n] {
			group[i] = f(shard)
		}
		groups = append(groups, clientv3.OpTxn(nil, group, nil))
		shards = shards[n:]
	}
	return groups
}

// Claim is [grid.Session]'s.
func (is *session) Claim(ctx context.Context, shards []int) (map[int]grid.Token, error) {
	shards = unique(shards)
	groups := each("Claim", shards, func(shard int) clientv3.Op {
		key := is.s.shardKey(shard)
		return clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(key, number(is.node.Session), clientv3.WithLease(is.lease))},
			[]clientv3.Op{clientv3.OpGet(key)})
	})
	answers, revision, call, err := is.do(ctx, "claim", groups...)
	if err != nil {
		return nil, err
	}
	tokens := make(map[int]grid.Token, len(shards))
	var others []int
	for i, shard := range shards {
		answer := answers[i/groupSize].GetResponseTxn().Responses[i%groupSize].GetResponseTxn()
		if answer.Succeeded {
			tokens[shard] = grid.Token{Shard: shard, Rev: uint64(revision)}
			continue
		}
		if kv := answer.Responses[0].GetResponseRange().Kvs[0]; kv.Lease == int64(is.lease) {
			tokens[shard] = grid.Token{Shard: shard, Rev: uint64(kv.CreateRevision)}
		} else {
			others = append(others, shard)
		}
	}
	is.waitFor(call, tokens, others, revision)
	return tokens, nil
}

// unique is shards, each once.
func unique(shards []int) []int {
	seen := make(map[int]struct{}, len(shards))
	once := make([]int, 0, len(shards))
	for _, shard := range shards {
		if _, is := seen[shard]; !is {
			seen[shard] = struct{}{}
			once = append(once, shard)
		}
	}
	return once
}

// waitFor waits for what others owned at a revision, and no longer for what is ours.
func (is *session) waitFor(call uint64, ours map[int]grid.Token, others []int, revision int64) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if call < is.applied || is.isOverHeld() {
		return
	}
	is.applied = call
	for shard := range ours {
		is.unwaitHeld(shard)
	}
	for _, shard := range others {
		is.unwaitHeld(shard)
		is.waits[shard] = is.s.watch.wait(is, shard, revision+1)
	}
}

func (is *session) isOverHeld() bool {
	select {
	case <-is.over:
		return true
	default:
		return false
	}
}

func (is *session) unwaitHeld(shard int) {
	if watch, waits := is.waits[shard]; waits {
		delete(is.waits, shard)
		is.s.watch.unwait(watch)
	}
	for i, freed := range is.freed {
		if freed == shard {
			is.freed = append(is.freed[:i:i], is.freed[i+1:]...)
			break
		}
	}
}

// isFree is told by the watcher, once for each wait.
func (is *session) isFree(shard int, watch int64) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.waits[shard] != watch {
		return // it does not wait any more
	}
	delete(is.waits, shard)
	is.freed = append(is.freed, shard)
	if !is.sending {
		is.sending = true
		is.s.spawn(is.sendFree)
	}
}

// sendFree sends what is free until that is all.
func (is *session) sendFree() {
	for {
		is.mu.Lock()
		if len(is.freed) == 0 {
			is.sending = false
			is.mu.Unlock()
			return
		}
		shard := is.freed[0]
		is.freed = is.freed[1:]
		is.mu.Unlock()
		select {
		case is.free <- shard:
		case <-is.over:
		case <-is.s.ctx.Done():
			return
		}
	}
}

// Release is [grid.Session]'s.
func (is *session) Release(ctx context.Context, shards []int) error {
	shards = unique(shards)
	groups := each("Release", shards, func(shard int) clientv3.Op {
		key := is.s.shardKey(shard)
		return clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(key), "=", is.lease)},
			[]clientv3.Op{clientv3.OpDelete(key)}, nil)
	})
	_, _, call, err := is.do(ctx, "release", groups...)
	if err != nil {
		return err
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	if call > is.applied {
		is.applied = call
		for _, shard := range shards {
			is.unwaitHeld(shard)
		}
	}
	return nil
}

// Drain is [grid.Session]'s.
func (is *session) Drain(ctx context.Context) error {
	node := is.node
	node.Draining = true
	return is.put(ctx, "drain", node)
}

// CutOff is [grid.Session]'s.
func (is *session) CutOff(ctx context.Context, cut bool) error {
	node := is.node
	node.CutOff = cut
	return is.put(ctx, "cut off", node)
}

// put has the others see the node as it is now.
func (is *session) put(ctx context.Context, what string, node grid.Node) error {
	_, _, _, err := is.do(ctx, what, clientv3.OpPut(is.nodeKey(), encodeNode(node), clientv3.WithLease(is.lease)))
	return err
}

// Leave is [grid.Session]'s.
func (is *session) Leave(ctx context.Context) error {
	err := again(ctx, patience(is.ttl), func(ctx context.Context, try int) error {
		_, err := is.s.client.Revoke(ctx, is.lease)
		if try > 1 && errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil // the try before had its effect
		}
		return err
	})
	if err != nil {
		return is.failed(ctx, "leave", err)
	}
	is.end()
	return nil
}
