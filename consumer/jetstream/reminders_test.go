// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream/jetstreamtest"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid/remind"
	"github.com/protoloop/protoloop/grid/remind/remindtest"
)

// replicated is a store on a cluster, whose streams are made.
func replicated(t *testing.T, nc *nats.Conn, name string) *reminders.Store {
	t.Helper()
	s, err := reminders.New(nc, reminders.Options{Name: name, Replicas: 3, Lease: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	jetstreamtest.Patiently(t.Context(), t, "make the streams", s.Ensure)
	return s
}

func TestRemindersOfACluster(t *testing.T) {
	c := jetstreamtest.StartCluster(t)
	one, two := connect(t, c), connect(t, c)
	var n atomic.Int64
	remindtest.Run(t, func(t *testing.T) remindtest.Stores {
		name := fmt.Sprint("REMINDERS", n.Add(1))
		return remindtest.Stores{One: replicated(t, one, name), Two: replicated(t, two, name), Dead: func(t *testing.T) (all []consumer.Message) {
			js, err := natsjs.New(one)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := js.Stream(t.Context(), name+"_DEAD")
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
				m, err := stream.GetMsg(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, consumer.Message{Body: m.Data, Attributes: map[string]string{consumer.AttrReason: m.Header.Get(consumer.AttrReason)}})
			}
			return all
		}}
	}, nil)
}

// TestRemindersWhenTheLeaderIsKilled: what was set before the server is killed that leads the stream, and while
// it is away, comes; what was cancelled does not, and one that repeats goes on.
func TestRemindersWhenTheLeaderIsKilled(t *testing.T) {
	c := jetstreamtest.StartCluster(t)
	nc := connect(t, c)
	s := replicated(t, nc, "REMINDERS")
	entry := func(name string, in, every time.Duration) remind.Entry {
		return remind.Entry{Key: remind.Key{Kind: "kind", ID: "id", Name: name}, At: time.Now().Add(in).UTC(), Every: every, Type: "type"}
	}
	set := func(e remind.Entry) {
		t.Helper()
		jetstreamtest.Patiently(t.Context(), t, "set", func(ctx context.Context) error { return s.Set(ctx, e) })
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("before ", i), fmt.Sprint("while ", i))
		set(entry(fmt.Sprint("before ", i), time.Duration(i)*200*time.Millisecond, 0))
		set(entry(fmt.Sprint("canceled ", i), time.Hour, 0))
	}
	set(entry("again", 0, 500*time.Millisecond))
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	leader := c.Leader(t.Context(), t, js, "REMINDERS")
	leader.Kill()
	for i := range 20 {
		set(entry(fmt.Sprint("while ", i), 0, 0))
		jetstreamtest.Patiently(t.Context(), t, "cancel", func(ctx context.Context) error {
			_, err := s.Cancel(ctx, entry(fmt.Sprint("canceled ", i), 0, 0).Key)
			return err
		})
	}
	came := map[string]int{}
	missing := func() (missing []string) {
		for _, name := range want {
			if came[name] == 0 {
				missing = append(missing, name)
			}
		}
		return missing
	}
	again, back := 0, false
	for !back || came["again"] < again+3 {
		jetstreamtest.Patiently(t.Context(), t, fmt.Sprintf("receive %v", missing()), func(ctx context.Context) error {
			src, err := s.Open(ctx)
			if err != nil {
				return err
			}
			defer src.Close(context.WithoutCancel(ctx))
			for {
				ms, err := src.Receive(ctx, 10)
				if err != nil {
					return err
				}
				for _, m := range ms {
					stands, err := s.Stands(ctx, *m)
					if err != nil {
						return err
					}
					if e, err := remind.EntryOf(*m); err != nil {
						t.Error(err)
					} else if stands {
						came[e.Name]++
					}
				}
				if err := src.Ack(ctx, ms); err != nil || len(missing()) == 0 { // nil at last when all came
					return err
				}
			}
		})
		if !back {
			again, back = came["again"], true
			leader.Start() // it goes on when that is back
		}
	}
	for i := range 20 {
		if name := fmt.Sprint("canceled ", i); came[name] > 0 {
			t.Errorf("%s came", name)
		}
	}
	jetstreamtest.Patiently(t.Context(), t, "list", func(ctx context.Context) error {
		all, err := s.List(ctx, "kind", "id")
		if err == nil && (len(all) != 1 || all[0].Name != "again") {
			t.Errorf("%+v are set", all)
		}
		return err
	})
}
