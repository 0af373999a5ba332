// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

func newPartitions(t *testing.T, nc *nats.Conn, n int) *jetstream.Partitions {
	t.Helper()
	p, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "ITEMS", Wait: 5 * time.Second, Lease: time.Minute}, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// numberedMessages are messages of a group, with their numbers as bodies.
func numberedMessages(group string, from, to int) (ms []consumer.Message) {
	for i := from; i < to; i++ {
		ms = append(ms, consumer.Message{Group: group, Body: []byte(strconv.Itoa(i))})
	}
	return ms
}

// openPart opens the part of a group.
func openPart(t *testing.T, p *jetstream.Partitions, group string, owner uint64) consumer.Source {
	t.Helper()
	src, err := p.Opener(p.PartOf(group), owner)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close(context.Background()) }) // it may have been taken over
	return src
}

func receiveAll(t *testing.T, src consumer.Source, n int) (ms []*consumer.Message) {
	t.Helper()
	for len(ms) < n {
		got, err := src.Receive(t.Context(), n-len(ms))
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, got...)
	}
	return ms
}

func bodiesOf(ms []*consumer.Message) string {
	var all []string
	for _, m := range ms {
		all = append(all, string(m.Body))
	}
	return strings.Join(all, " ")
}

// TestPartitionOfAGroup: all messages of a group are in one part, in order, and all parts are used. One without a group goes by
// its key.
func TestPartitionOfAGroup(t *testing.T) {
	p := newPartitions(t, connectEmbedded(t, t.TempDir()), 4)
	if parts := p.Parts(); !slices.Equal(parts, []string{"0", "1", "2", "3"}) {
		t.Error(parts)
	}
	used := map[string]int{}
	for i := range 40 {
		group := fmt.Sprint("group ", i)
		used[p.PartOf(group)]++
		if err := p.Send(t.Context(), numberedMessages(group, 0, 5)...); err != nil {
			t.Fatal(err)
		}
	}
	if len(used) != 4 {
		t.Errorf("40 groups are in the parts %v", used)
	}
	for part, groups := range used {
		src, err := p.Opener(part, 0)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		next := map[string]int{}
		for _, m := range receiveAll(t, src, 5*groups) {
			if p.PartOf(m.Group) != part || string(m.Body) != strconv.Itoa(next[m.Group]) {
				t.Errorf("part %s has %s of %s, want %d", part, m.Body, m.Group, next[m.Group])
			}
			next[m.Group]++
		}
		if err := src.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	done := make(chan error, 1)
	p.SendAsync(consumer.Message{Key: "group 1", Body: []byte("by key")}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	src := openPart(t, p, "group 1", 1)
	if got := bodiesOf(receiveAll(t, src, 5*used[p.PartOf("group 1")]+1)); !strings.HasSuffix(got, "by key") {
		t.Error(got)
	}
}

// TestPartitionIsTakenOver: the later owner gets all that the former one has not acked, in order. That one's source ends, what it acks
// stays, and it cannot take the part back.
func TestPartitionIsTakenOver(t *testing.T) {
	p := newPartitions(t, connectEmbedded(t, t.TempDir()), 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 6)...); err != nil {
		t.Fatal(err)
	}
	first := openPart(t, p, "a", 3)
	held := receiveAll(t, first, 4)
	if err := first.Ack(t.Context(), held[:1]); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		for { // if it asks just then, it finds nobody at first
			if _, err := first.Receive(t.Context(), 10); errors.Is(err, consumer.ErrClosed) || t.Context().Err() != nil {
				waits <- err
				return
			}
		}
	}()
	second := openPart(t, p, "a", 7)
	if err := <-waits; !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("the former owner's Receive ends with %v", err)
	}
	if err := first.Ack(t.Context(), held[1:2]); err == nil {
		t.Error("the former owner has acked a message")
	}
	if _, err := p.Opener(p.PartOf("a"), 3)(t.Context()); !errors.Is(err, actors.ErrFenced) || !strings.Contains(err.Error(), "owner 7") {
		t.Errorf("the former owner opens it again: %v", err)
	}
	ms := receiveAll(t, second, 5)
	if got := bodiesOf(ms); got != "1 2 3 4 5" {
		t.Errorf("the later owner gets %s", got)
	}
	again := openPart(t, p, "a", 7) // its worker was started anew
	if got := bodiesOf(receiveAll(t, again, 5)); got != "1 2 3 4 5" {
		t.Errorf("it gets %s when it opens it again", got)
	}
}

// stealNext has the server deliver the next message to somebody else, by the consumers of ITEMS.
func stealNext(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "ITEMS")
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if _, err := nc.RequestWithContext(t.Context(), "$JS.API.CONSUMER.MSG.NEXT.ITEMS."+name, []byte(`{"batch":1}`)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLostDelivery: a delivery of a part that has not come, as when it was on its way from a server that is lost, ends the source, and
// nothing behind it is received. The next source begins with it.
func TestLostDelivery(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	p := newPartitions(t, nc, 4)
	steal := func() { stealNext(t, nc) }
	send := func(from, to int) {
		t.Helper()
		if err := p.Send(t.Context(), numberedMessages("a", from, to)...); err != nil {
			t.Fatal(err)
		}
	}
	gets := func(src consumer.Source, n int, want string) {
		t.Helper()
		if got := bodiesOf(receiveAll(t, src, n)); got != want {
			t.Errorf("received %s, want %s", got, want)
		}
	}
	ends := func(src consumer.Source) {
		t.Helper()
		for range 2 {
			if ms, err := src.Receive(t.Context(), 10); !errors.Is(err, consumer.ErrClosed) {
				t.Errorf("received %s, %v", bodiesOf(ms), err)
			}
		}
	}

	send(0, 3)
	src := openPart(t, p, "a", 1)
	steal()
	ends(src)
	gets(openPart(t, p, "a", 1), 3, "0 1 2")

	src = openPart(t, p, "a", 1)
	gets(src, 1, "0")
	steal()
	ends(src)

	src = openPart(t, p, "a", 1)
	gets(src, 3, "0 1 2")
	send(3, 4)
	steal()
	ends(src) // nothing comes behind it: the heartbeats tell
	gets(openPart(t, p, "a", 1), 4, "0 1 2 3")
}

// TestAckAfterALostDelivery: what a handler ends long after its source has is acked, and does not come again, if the consumer is as it was.
func TestAckAfterALostDelivery(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 3)...); err != nil {
		t.Fatal(err)
	}
	src := openPart(t, p, "a", 1)
	held := receiveAll(t, src, 1)
	if _, err := src.(consumer.Streamer).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	stealNext(t, nc)
	if ms, err := src.Receive(t.Context(), 10); !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("received %s, %v", bodiesOf(ms), err)
	}
	time.Sleep(time.Second)
	if err := src.Ack(t.Context(), held); err != nil {
		t.Error(err)
	}
	if got := bodiesOf(receiveAll(t, openPart(t, p, "a", 1), 2)); got != "1 2" {
		t.Errorf("the next source gets %s", got)
	}
}

// TestConformancePartition: a part is a queue as any other.
func TestConformancePartition(t *testing.T) {
	t.Parallel() // it waits for leases to end
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		nc := connectEmbedded(t, t.TempDir())
		q := under(t, nc, lease)
		p, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "PARTS", DeadLetters: "ITEMS_DEAD", Lease: lease, Wait: 5 * time.Second}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.Open, q.Send = p.Opener("0", 0), p.Send
		q.OneSource, q.NoCount = true, true // each source is a new owner
		q.Len = func(ctx context.Context) (int, error) { return lenOf(ctx, nc, "PARTS") }
		return q
	})
}

// TestPartitionsOptions: what is refused, with all that is wrong.
func TestPartitionsOptions(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	_, err := jetstream.NewPartitions(nc, jetstream.Options{Durable: "d"}, 0)
	for _, want := range []string{"n is", "Durable", "Name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	p := newPartitions(t, nc, 4)
	for _, part := range []string{"", "4", "-1", "03", "x"} {
		if _, err := p.Opener(part, 0)(t.Context()); err == nil || !strings.Contains(err.Error(), "0 to 3") {
			t.Errorf("part %q: %v", part, err)
		}
	}
}

// TestPartitionsOfManyNodes: the nodes of a cluster share the parts, while one of them drains, one is cut off, and one begins. Each message is handled,
// and within its group none begins before all that were sent before it have been handled.
func TestPartitionsOfManyNodes(t *testing.T) {
	const parts, groups = 8, 20
	each := 60
	if testing.Short() {
		each = 20
	}
	nc := connectEmbedded(t, t.TempDir())
	p := newPartitions(t, nc, parts)
	c := gridtest.New(gridtest.Options{Seed: uint64(time.Now().UnixNano())})

	var mu sync.Mutex
	next := map[string]int{}   // by group: all before were handled
	at := map[string]string{}  // by part: the node that handles it
	moved := map[string]bool{} // parts
	handle := func(node string) consumer.Handler {
		return func(t2 *actors.Task, m consumer.Message) error {
			if err := t2.Sleep(time.Millisecond); err != nil {
				return err
			}
			n, err := strconv.Atoi(string(m.Body))
			if err != nil {
				return consumer.Poison(err)
			}
			mu.Lock()
			defer mu.Unlock()
			part := p.PartOf(m.Group)
			if before := at[part]; before != "" && before != node {
				moved[part] = true
			}
			at[part] = node
			if n > next[m.Group] {
				t.Errorf("%s: %d of %s before %d", node, n, m.Group, next[m.Group])
			}
			next[m.Group] = max(next[m.Group], n+1)
			return nil
		}
	}
	start := func(name string) (*gridtest.Node, *grid.Grid) {
		node := c.Node(name)
		kind := ordersKind(p, handle(name), byToken)
		kind.Options.StopGrace = 10 * time.Second
		g, err := grid.Start(t.Context(), actortest.NewSystem(t), grid.Options{
			Store: node, Node: name, Shards: 64, Lease: time.Second, Settle: 200 * time.Millisecond,
			Kinds: []grid.Kind{kind},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := g.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return node, g
	}
	_, first := start("first")
	second, _ := start("second")
	start("third")

	send := func(from, to int) {
		for i := from; i < to; i++ {
			for g := range groups {
				if err := p.Send(t.Context(), numberedMessages(fmt.Sprint("group ", g), i, i+1)...); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	send(0, each/4)
	drained := make(chan error, 1)
	go func() {
		_, err := first.Drain(context.Background())
		drained <- err
	}()
	send(each/4, each/2)
	second.Cut(gridtest.All)
	send(each/2, 3*each/4)
	start("fourth")
	send(3*each/4, each)
	second.Heal()
	actortest.Eventually(t, "all messages to be handled", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for g := range groups {
			if next[fmt.Sprint("group ", g)] < each {
				return false
			}
		}
		return true
	})
	actortest.Eventually(t, "the queue to be empty", func() bool { n, err := lenOf(t.Context(), nc, "ITEMS"); return n == 0 && err == nil })
	if err := <-drained; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(moved) == 0 {
		t.Error("no part has moved")
	}
}
