// SPDX-License-Identifier: Apache-2.0

// Package etcd lets the nodes of a [github.com/protoloop/protoloop/grid] agree by etcd who is there and who
// owns what:
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: hubs, TLS: certificates, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second})
//	store, err := etcd.New(client, etcd.Options{Cluster: "shop"})
//	g, err := grid.Start(ctx, sys, grid.Options{Kinds: kinds, Node: "a", Store: store})
//
// Certificates, user and password are those of the client. Its user needs readwrite of the prefix
// /pl/<cluster>/, where these keys are:
//
//	count                  how many shards the cluster has, for ever
//	sessions/<lease>       a session: how many calls it has made
//	nodes/<session>        a node that the others see: [grid.Node] as JSON
//	shards/<number>        a shard that has an owner: the session of that
//
// All but the first are bound to the lease of their session, so that etcd deletes them at once when
// that is over. The revision at which the key of a shard was created is the token. A claim of 128
// shards is one transaction, and so is a release. All nodes watch nodes/, and nothing else but the shards
// that they wait for, each by its key: so a shard that is given up is told to those who want it, and not to
// all who wait for others.
//
// Each call of a session that changes something has a number, and the transaction compares it with that
// of the last which had an effect. So a call that its node has given up, and which comes to etcd late, changes
// nothing once a later one has returned. A call that is not answered within an eighth of the lease, or a second, is made again, to the
// client's next server, until its context ends.
//
// etcd counts leases in seconds, and has none that is shorter than one and a half times its election
// timeout: 2 s by default, 1 s at an election timeout of 666 ms or less. Another lease is made longer, and
// [grid.Session] tells how long it is.
//
// Nodes trust each other: etcd's roles cannot say that a user changes its own session only. A role for each node would
// gain nothing, because each has to write shards/, of which it may become the owner. But let them have no more than the
// prefix, and what [Store.Put] is used for. What is restored from a backup has older revisions than were given out: start
// it with etcdutl snapshot restore --bump-revision, or tokens fall.
package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Options of a store. Only Cluster is required.
type Options struct {
	// Cluster is the name of the cluster, with letters, digits, dots, dashes and underscores.
	Cluster string
	// Logger is told when etcd cannot be reached, and when it can again. nil: slog.Default().
	Logger *slog.Logger
}

// Store is where a node of a cluster keeps its session. Each node has one of its own, and a client may serve several.
type Store struct {
	client *clientv3.Client
	prefix string
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	views  chan grid.View
	watch  *watcher
	renew  *renewer

	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup // goroutines
}

var _ grid.Store = (*Store)(nil)

// New is a store that uses a client, which is not closed by it. It does not wait for etcd.
func New(client *clientv3.Client, o Options) (*Store, error) {
	if err := o.validate(client); err != nil {
		return nil, err
	}
	s := &Store{client: client, prefix: "/pl/" + o.Cluster + "/", log: safelog.Contain(cmp.Or(o.Logger, slog.Default())).With("cluster", o.Cluster), views: make(chan grid.View, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.renew = newRenewer(s)
	s.watch = newWatcher(s)
	s.spawn(s.watch.run)
	return s, nil
}

func (o Options) validate(client *clientv3.Client) error {
	const of = "etcd: New"
	if client == nil {
		return &actors.OptionError{Of: of, Field: "client", Why: "is nil"}
	}
	if o.Cluster == "" {
		return &actors.OptionError{Of: of, Field: "Options.Cluster", Why: "is missing"}
	}
	for _, c := range []byte(o.Cluster) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", rune(c)) {
			return &actors.OptionError{Of: of, Field: "Options.Cluster", Value: o.Cluster, Why: "has more than letters, digits, dots, dashes and underscores"}
		}
	}
	return nil
}

// Close ends the store, which yields no view any more. Sessions that were not left end with their leases.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.all.Wait()
}

// spawn runs f, and does not if the store is closed.
func (s *Store) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.all.Go(f)
	return true
}

// View is [grid.Store]'s.
func (s *Store) View() <-chan grid.View { return s.views }

// seconds is a time as etcd's leases have it, which is never shorter.
func seconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }

// Join is [grid.Store]'s. ttl is rounded up to whole seconds, and further if etcd says so.
func (s *Store) Join(ctx context.Context, n grid.Node, ttl time.Duration) (grid.Session, error) {
	if n.Shards < 1 {
		return nil, &actors.OptionError{Of: "grid", Field: "Shards", Value: n.Shards, Why: "is less than 1"}
	}
	var granted *clientv3.LeaseGrantResponse
	err := again(ctx, patience(ttl), func(ctx context.Context, _ int) (err error) {
		granted, err = s.client.Grant(ctx, seconds(ttl)) // a second one that nobody knows of ends by itself
		return err
	})
	if err != nil {
		return nil, s.explain(ctx, "join", err)
	}
	is := newSession(s, granted.ID, time.Duration(granted.TTL)*time.Second)
	is.node = n
	if is.node.Session, err = s.enter(ctx, is); err != nil {
		s.spawn(func() { // it would be over by itself, too
			ctx, cancel := context.WithTimeout(s.ctx, is.ttl)
			defer cancel()
			_, _ = s.client.Revoke(ctx, granted.ID)
		})
		return nil, err
	}
	s.watch.know(is)
	return is, nil
}

// enter makes the key of a session, if the cluster has as many shards, and returns the revision of that.
func (s *Store) enter(ctx context.Context, is *session) (revision uint64, err error) {
	count, want := s.prefix+"count", strconv.Itoa(is.node.Shards)
	absent := func(key string) []clientv3.Cmp {
		return []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)}
	}
	put := clientv3.OpPut(is.key, number(0), clientv3.WithLease(is.lease))
	var resp *clientv3.TxnResponse
	err = again(ctx, patience(is.ttl), func(ctx context.Context, _ int) (err error) {
		resp, err = s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(count), "=", want)).
			Then(clientv3.OpTxn(absent(is.key), []clientv3.Op{put}, []clientv3.Op{clientv3.OpGet(is.key)})).
			Else(clientv3.OpTxn(absent(count), []clientv3.Op{clientv3.OpPut(count, want), put}, []clientv3.Op{clientv3.OpGet(count)})).Commit()
		return err
	})
	if err != nil {
		return 0, s.explain(ctx, "join", err)
	}
	switch inner := resp.Responses[0].GetResponseTxn(); {
	case inner.Succeeded:
		return uint64(resp.Header.Revision), nil
	case resp.Succeeded: // by a try whose answer was lost
		return uint64(inner.Responses[0].GetResponseRange().Kvs[0].CreateRevision), nil
	default:
		has := string(inner.Responses[0].GetResponseRange().Kvs[0].Value)
		return 0, &actors.OptionError{Of: "grid", Field: "Shards", Value: is.node.Shards, Why: fmt.Sprintf("differs from the cluster's, which has %s shards for ever", has)}
	}
}

// patience is how long a call waits for an answer before it is made again.
func patience(ttl time.Duration) time.Duration {
	return min(max(ttl/8, 250*time.Millisecond), time.Second)
}

// number is a number as a key has it: in the order of the numbers.
func number(n uint64) string { return fmt.Sprintf("%016x", n) }

func (s *Store) shardKey(shard int) string { return s.prefix + "shards/" + strconv.Itoa(shard) }

// nodeValue is a node as others read it. Fields may be added, and are never changed.
type nodeValue struct {
	Name     string   `json:"name"`
	Session  uint64   `json:"session"`
	Kinds    []string `json:"kinds,omitempty"`
	Shards   int      `json:"shards"`
	Draining bool     `json:"draining,omitempty"`
	CutOff   bool     `json:"cutOff,omitempty"`
}

func encodeNode(n grid.Node) string {
	text, err := json.Marshal(nodeValue(n))
	if err != nil {
		panic("etcd: " + err.Error()) // it has nothing that could fail
	}
	return string(text)
}

func decodeNode(text []byte) (grid.Node, error) {
	var n nodeValue
	err := json.Unmarshal(text, &n)
	if err == nil && n.Session == 0 {
		err = fmt.Errorf("it has no session")
	}
	return grid.Node(n), err
}
