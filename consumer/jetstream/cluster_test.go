// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/jetstreamtest"
	"github.com/protoloop/protoloop/supervisor"
)

// connect connects as a user does.
func connect(t *testing.T, c *jetstreamtest.Cluster) *nats.Conn {
	t.Helper()
	nc, err := jetstream.Connect(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// TestReplicasOfTheStream: the consumer of a stream that somebody else has made is
// on as many servers as the stream, also when it gets more of them, so that the
// loss of one stops neither.
func TestReplicasOfTheStream(t *testing.T) {
	nc := connect(t, jetstreamtest.StartCluster(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]struct {
		retention natsjs.RetentionPolicy
		before    int // replicas when the consumer is made
	}{
		"WORK": {natsjs.WorkQueuePolicy, 3}, "LIMITS": {natsjs.LimitsPolicy, 3},
		"GROWN": {natsjs.WorkQueuePolicy, 1}, "GROWN_LIMITS": {natsjs.LimitsPolicy, 1},
	} {
		replicas := func(n int) {
			t.Helper()
			cfg := natsjs.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name)}, Retention: s.retention, Replicas: n}
			jetstreamtest.Patiently(ctx, t, fmt.Sprintf("give %s %d replicas", name, n), func(ctx context.Context) error {
				_, err := js.CreateOrUpdateStream(ctx, cfg)
				return err
			})
		}
		replicas(s.before)
		q, err := jetstream.New(nc, jetstream.Options{Name: name, NoDeadLetters: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Ensure(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		replicas(3)
		jetstreamtest.Patiently(ctx, t, "look at "+name, func(ctx context.Context) error {
			c, err := js.Consumer(ctx, name, "consumer")
			if err != nil {
				return err
			}
			if at := c.CachedInfo().Cluster; at == nil || len(at.Replicas) != 2 { // beside its leader
				return fmt.Errorf("the consumer is on %+v", at)
			}
			return nil
		})
	}
}

// TestFailover: a consumer and its producer share a connection to a cluster of
// three. The server that they are connected to is killed, and when it is back the
// one that they are connected to then: what was confirmed is handled, and the
// worker has not failed.
func TestFailover(t *testing.T) {
	c := jetstreamtest.StartCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	nc := connect(t, c)
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Replicas: 3, Lease: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	patiently := func(what string, f func(ctx context.Context) error) {
		t.Helper()
		jetstreamtest.Patiently(ctx, t, what, f)
	}
	patiently("make the streams", q.Ensure)

	var mu sync.Mutex
	handled := map[string][]string{} // by key: the ids, which are places in the stream
	work, err := consumer.New(q.Open, func(_ *actors.Task, m consumer.Message) error {
		mu.Lock()
		defer mu.Unlock()
		handled[m.Key] = append(handled[m.Key], m.ID)
		return nil
	}, consumer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer sys.Shutdown()
	s, err := supervisor.Start(ctx, sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "items", Props: work.Props(), StartTimeout: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	send := func(n int) {
		t.Helper()
		for range n {
			m := consumer.Message{Key: fmt.Sprint("item ", sent), Body: []byte("x")}
			patiently("send", func(ctx context.Context) error { return q.Send(ctx, m) })
			sent++
		}
	}
	missing := func() (keys []string) {
		mu.Lock()
		defer mu.Unlock()
		for i := range sent {
			if key := fmt.Sprint("item ", i); len(handled[key]) == 0 {
				keys = append(keys, key)
			}
		}
		return keys
	}
	for round := range 2 {
		send(20)
		lost := c.Find(nc.ConnectedAddr())
		for ; lost == nil; lost = c.Find(nc.ConnectedAddr()) { // it is being connected
			patiently("find a server", func(context.Context) error { return nc.FlushTimeout(time.Second) })
		}
		lost.Kill()
		send(20) // while it is away
		patiently(fmt.Sprintf("round %d: handle all", round), func(ctx context.Context) error {
			if m := missing(); len(m) > 0 {
				n, err := lenOf(ctx, nc, "ITEMS")
				mu.Lock()
				defer mu.Unlock()
				return fmt.Errorf("%d of %d are not handled, such as %s: %v; %d are in the stream (%v), of which came %v", len(m), sent, m[0], work.Stats(), n, err, handled)
			}
			return nil
		})
		lost.Start()
	}
	patiently("empty the queue", func(ctx context.Context) error {
		n, err := lenOf(ctx, nc, "ITEMS")
		if err == nil && n > 0 {
			err = fmt.Errorf("%d messages are left: %v", n, work.Stats())
		}
		return err
	})
	report, err := s.Stop(ctx)
	if err != nil || report.Err() != nil {
		t.Errorf("%v, %v", err, report)
	}
	if got := work.Stats(); got.Incarnations != 1 || got.DeadLettered != 0 || got.InFlight != 0 || !got.Agree() {
		t.Errorf("%v", got)
	}
	t.Log(work.Stats())
}
