// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	natsgo "github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/remind"
)

// TestReminders: with the certificate of a node, reminders are set, replaced, listed and cancelled, and another node delivers them, and buries
// what fails. A schedule of what is no reminder is refused.
func TestReminders(t *testing.T) {
	ca := authority(t)
	o := hub.Options{Dir: t.TempDir(), Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub")}
	start(t, o).Shutdown()
	o.Reminders = []string{"REMINDERS"} // added when it is started again
	h := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a machine may be slow
	defer cancel()
	connect := func(name string) (*hubclient.Client, *natsgo.Conn, *reminders.Store) {
		t.Helper()
		c := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, name)})
		nc, err := c.Queues()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		store, err := reminders.New(nc, reminders.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c, nc, store
	}
	_, _, store := connect("a")
	a, err := remind.New(remind.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	set := func(name, text string, at time.Time, every time.Duration) {
		t.Helper()
		if err := a.Set(ctx, remind.Reminder{Kind: "cart", ID: "ada", Name: name, At: at, Every: every, Message: wrapperspb.String(text)}); err != nil {
			t.Fatal(err)
		}
	}
	now, later := time.Now(), time.Now().Add(24*time.Hour)
	set("tea", "not this", later, 0)
	set("tea", "tea", now, 0) // replaces it
	set("cake", "cake", later, 0)
	set("again", "again", now, time.Second)
	set("fails", "fails", now, 0)
	if all, err := a.List(ctx, "cart", "ada"); err != nil || len(all) != 4 {
		t.Errorf("it has %v, %v", all, err)
	}
	if was, err := a.Cancel(ctx, "cart", "ada", "cake"); !was || err != nil {
		t.Errorf("cancelled: %v, %v", was, err)
	}

	c, nc, store := connect("b")
	heard := make(chan string, 1000)
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	t.Cleanup(sys.Shutdown)
	g, err := grid.Start(ctx, sys, grid.Options{
		Node: c.Node(), Store: c.Store(), Net: c.Net(), Shards: 8, Logger: quiet, Lease: time.Minute, // a slow machine is not to lose it
		Kinds: []grid.Kind{{
			Name: "cart", Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()},
			Setup: func(w *actors.Worker, id string) error {
				actors.On(w, func(_ *actors.Task, m *wrapperspb.StringValue) error {
					if m.Value == "fails" {
						return errors.New("no")
					}
					heard <- id + ": " + m.Value
					return nil
				})
				return nil
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = g.Drain(context.Background()) })
	b, err := remind.New(remind.Options{Store: store, Grid: g, Consumer: consumer.Options{MaxTries: 1}})
	if err != nil {
		t.Fatal(err)
	}
	pid := sys.Root.Spawn(b.Props())
	counts := map[string]int{}
	for counts["ada: tea"] < 1 || counts["ada: again"] < 2 {
		select {
		case what := <-heard:
			counts[what]++
		case <-ctx.Done():
			t.Fatalf("heard %v", counts)
		}
	}
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "what fails to be a dead letter", func() bool {
		s, err := js.Stream(ctx, "REMINDERS_DEAD")
		return err == nil && s.CachedInfo().State.Msgs == 1
	})
	actortest.Eventually(t, "what is done to be no reminder any more", func() bool {
		all, err := a.List(ctx, "cart", "ada")
		return err == nil && len(all) == 1 && all[0].Name == "again"
	})
	if was, err := a.Cancel(ctx, "cart", "ada", "again"); !was || err != nil {
		t.Errorf("cancelled: %v, %v", was, err)
	}
	actortest.Stop(t, sys.Root, pid, time.Minute)
	if len(counts) != 2 {
		t.Errorf("heard %v", counts)
	}

	// A schedule within the stream publishes within the stream.
	for _, target := range []string{"pl.shop.a.1.b", "_INBOX.a.x", "orders"} {
		m := natsgo.NewMsg("reminders.timer.x")
		m.Header.Set(natsjs.ScheduleHeader, "@at "+now.UTC().Format(time.RFC3339Nano))
		m.Header.Set(natsjs.ScheduleTargetHeader, target)
		if _, err := js.PublishMsg(ctx, m); err == nil || !strings.Contains(err.Error(), "schedule") {
			t.Errorf("a schedule of %s: %v", target, err)
		}
	}
}
