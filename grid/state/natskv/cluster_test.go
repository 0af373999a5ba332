// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	protojs "github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/jetstreamtest"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/statetest"
)

func TestMain(m *testing.M) {
	if !jetstreamtest.IsServer() {
		actortest.Main(m)
	}
}

// eventually tries what a cluster cannot do before it has elected who leads it.
func eventually(t *testing.T, what string, f func(ctx context.Context) error) {
	t.Helper()
	jetstreamtest.Patiently(t.Context(), t, what, f)
}

// replicated is a bucket on all servers of a cluster.
func replicated(t *testing.T, c *jetstreamtest.Cluster) bucket {
	t.Helper()
	nc, err := protojs.Connect(c.URL(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js := clientOf(t, nc)
	var kv jetstream.KeyValue
	eventually(t, "make the bucket", func(ctx context.Context) (err error) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "STATE", Replicas: 3})
		return err
	})
	return bucket{js, kv}
}

func TestCluster(t *testing.T) {
	statetest.Run(t, store(t, replicated(t, jetstreamtest.StartCluster(t))))
}

// TestLeaderIsKilled kills the server that leads the bucket, twice, while owners save, half of whom start their saves. No save that was
// acknowledged is missing or there twice, none is out of order, and a fenced owner saves nothing.
func TestLeaderIsKilled(t *testing.T) {
	c := jetstreamtest.StartCluster(t)
	b := replicated(t, c)
	s := store(t, b)
	starting := statetest.Starting{Store: s}
	const keys = 8
	var acknowledged [keys]atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	stale := make([]state.Owner, keys)
	tokens := make([]uint64, keys)
	key := func(i int) string { return fmt.Sprint("key ", i) }
	for i := range keys {
		var o state.Owner
		var r state.Record
		eventually(t, "open", func(ctx context.Context) (err error) {
			stale[i], r, err = s.Open(ctx, key(i))
			return err
		})
		tokens[i] = r.Token
		eventually(t, "open again", func(ctx context.Context) (err error) {
			if i%2 == 0 {
				o, r, err = starting.Open(ctx, key(i))
			} else {
				o, r, err = s.Open(ctx, key(i))
			}
			return err
		})
		all.Go(func() {
			for seq := uint64(1); ; seq++ {
				select {
				case <-stop:
					return
				default:
				}
				w := state.Write{Token: r.Token, Seq: seq, Changes: [][]byte{fmt.Append(nil, seq)}}
				eventually(t, "save", func(ctx context.Context) error {
					err := o.Save(ctx, w)
					if errors.Is(err, actors.ErrFenced) {
						t.Errorf("%s is fenced, and has no other owner: %v", key(i), err)
						return nil
					}
					return err
				})
				acknowledged[i].Store(int64(seq))
				time.Sleep(2 * time.Millisecond) // each save writes all changes before it, too
			}
		})
	}
	goOn := func(what string) {
		t.Helper()
		for i := range keys {
			before := acknowledged[i].Load()
			eventually(t, what, func(context.Context) error {
				if got := acknowledged[i].Load() - before; got < 10 {
					return fmt.Errorf("%s: %d saves", key(i), got)
				}
				return nil
			})
		}
	}
	fenced := func() {
		t.Helper()
		for i, o := range stale {
			eventually(t, "be fenced", func(ctx context.Context) error {
				err := o.Save(ctx, state.Write{Token: tokens[i], Seq: 1, Snapshot: []byte("stale")})
				if err == nil {
					t.Errorf("a fenced owner of %s has saved", key(i))
				}
				if errors.Is(err, actors.ErrFenced) {
					return nil
				}
				return err
			})
		}
	}
	for range 2 {
		goOn("before the kill")
		leader := c.Leader(t.Context(), t, b, "KV_STATE")
		leader.Kill()
		fenced()
		goOn("while it is away")
		leader.Start()
		goOn("when it is back")
	}
	close(stop)
	all.Wait()
	fenced()
	for i := range keys {
		eventually(t, "read", func(ctx context.Context) error {
			_, r, err := s.Open(ctx, key(i))
			if err != nil {
				return err
			}
			if got, want := int64(len(r.Changes)), acknowledged[i].Load(); got != want || r.Snapshot != nil {
				t.Errorf("%s: %d changes of %d that were acknowledged, a snapshot %q", key(i), got, want, r.Snapshot)
			}
			for n, change := range r.Changes {
				if string(change) != fmt.Sprint(n+1) {
					t.Errorf("%s: change %d is %q", key(i), n+1, change)
				}
			}
			return nil
		})
	}
	t.Log("acknowledged: ", acknowledged[0].Load(), " of the first key")
}

// gate is a connection whose reads wait until it is opened.
type gate struct {
	net.Conn
	closed *atomic.Pointer[chan struct{}] // nil: it is open
}

func (g gate) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if c := g.closed.Load(); c != nil {
		<-*c
	}
	return n, err
}

// Dial is that of a nats.CustomDialer.
func (g gate) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	g.Conn = conn
	return g, err
}

// TestManySaveAtATime: saves of many keys are on their way together. None waits for the answer of another.
func TestManySaveAtATime(t *testing.T) {
	srv := startServer(t, nil)
	g := gate{closed: new(atomic.Pointer[chan struct{}])}
	other := clientOf(t, connect(t, srv))
	s := store(t, bucketOf(t, clientOf(t, connect(t, srv, nats.SetCustomDialer(g)))))
	const n = 500
	owners, tokens := make([]state.Owner, n), make([]uint64, n)
	for i := range owners {
		o, r, err := s.Open(t.Context(), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		owners[i], tokens[i] = o, r.Token
	}
	stored := func() uint64 {
		t.Helper()
		stream, err := other.Stream(t.Context(), "KV_STATE")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.LastSeq
	}
	before := stored()
	closed := make(chan struct{})
	g.closed.Store(&closed)
	var all sync.WaitGroup
	for i, o := range owners {
		all.Go(func() {
			saveSlowly(t, o, state.Write{Token: tokens[i], Seq: 1, Snapshot: []byte("x")})
		})
	}
	for stored() < before+n {
		select {
		case <-t.Context().Done():
			t.Fatalf("%d of %d saves are stored while none is answered", stored()-before, n)
		case <-time.After(time.Millisecond):
		}
	}
	close(closed)
	all.Wait()
	if got := stored() - before; got != n {
		t.Errorf("%d saves took %d writes", n, got)
	}
}
