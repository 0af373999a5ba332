// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/cmd/example/internal/service"
	"github.com/protoloop/protoloop/consumer"
)

// fullVariable has the test run at its full size: 20,000 items, 5 times killed
// and 5 times stopped.
const fullVariable = "PROTOLOOP_TEST_FULL"

// TestNothingLost adds and removes items while the process is killed and
// stopped, handlers fail, the queue is cut off, and what is no item gets into
// the queue. In the end a fresh client is shown each item that was accepted,
// and not removed, exactly once, and the dead letters are what was no item.
func TestNothingLost(t *testing.T) {
	items, kills, stops, cuts := 600, 1, 1, 1
	if os.Getenv(fullVariable) != "" {
		items, kills, stops, cuts = 20_000, 5, 5, 2
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		(&trial{items: items, kills: kills, stops: stops, queue: &embeddedQueue{}}).run(t)
	})
	t.Run("outside", func(t *testing.T) {
		t.Parallel()
		(&trial{items: items, kills: kills, stops: stops, cuts: cuts, queue: newOutsideQueue(t)}).run(t)
	})
}

// trialQueue is the queue of a trial, as the test gets at it while the service
// is down.
type trialQueue interface {
	flags() []string
	// put sends a body past the service.
	put(t *testing.T, data string, bodies ...string)
	// state returns how many messages wait in the queue, and the dead letters.
	state(t *testing.T, data string) (waiting int, dead []consumer.Message)
	// cut cuts the service off from it, until mend is called.
	cut() (mend func())
}

// trial is one such run.
type trial struct {
	items              int
	kills, stops, cuts int
	queue              trialQueue

	service *running
	addr    string // where clients find it
	poison  []string

	mu       sync.Mutex
	keys     map[string]bool // of items that were accepted; true: removed since
	accepted int
	more     chan struct{} // closed when another item is accepted
	up       chan struct{} // closed when the service can be used (again)
}

// writers is how many clients add at a time.
const writers = 8

func (tr *trial) init() {
	tr.keys, tr.more, tr.up = map[string]bool{}, make(chan struct{}), make(chan struct{})
}

func (tr *trial) run(t *testing.T) {
	tr.init()
	tr.service = newService(t, append([]string{"-lease", "2s", "-tries", "1000", "-grace", "5s"}, tr.queue.flags()...)...)
	tr.service.env = []string{"PROTOLOOP_TEST_FAULTS=0.05"}
	tr.addr = tr.service.addr
	tr.spoil(t)
	tr.service.start()
	close(tr.up)
	tr.load(t, func() { tr.disturb(t) })
	tr.check(t)
}

// load adds all items, and removes some, while disturb runs.
func (tr *trial) load(t *testing.T, disturb func()) {
	todo := make(chan int)
	go func() {
		defer close(todo)
		for n := range tr.items {
			todo <- n
		}
	}()
	var adding sync.WaitGroup
	for range writers {
		adding.Go(func() { tr.add(t, todo) })
	}
	seen := make(chan string, tr.items) // keys that a client has been told of
	removing, stop := context.WithCancel(t.Context())
	removed := make(chan struct{})
	go func() { defer close(removed); tr.remove(removing, seen) }()
	disturb()
	adding.Wait()
	actortest.Eventually(t, "all removals", func() bool { return len(seen) == 0 || t.Failed() })
	stop()
	<-removed
}

// spoil puts into the queue what is no item.
func (tr *trial) spoil(t *testing.T) {
	n := len(tr.poison)
	bodies := []string{
		fmt.Sprintf("no JSON %d", n), fmt.Sprintf(`{"key":"empty-%d","text":"  "}`, n), fmt.Sprintf(`{"key":%d}`, n),
		fmt.Sprintf(`{"key":"long-%d","text":"%s"}`, n, strings.Repeat("x", 501)),
	}
	tr.queue.put(t, tr.service.data, bodies...)
	tr.poison = append(tr.poison, bodies...)
}

// disturb kills and stops the service and cuts off its queue, in random order,
// at random places of the run.
func (tr *trial) disturb(t *testing.T) {
	events := slices.Concat(slices.Repeat([]string{"kill"}, tr.kills), slices.Repeat([]string{"stop"}, tr.stops), slices.Repeat([]string{"cut"}, tr.cuts))
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	at := make([]int64, len(events))
	for i := range at {
		at[i] = int64(float64(tr.items) * (0.05 + 0.9*rand.Float64()))
	}
	slices.Sort(at)
	t.Logf("events %v at %v", events, at)
	for i, event := range events {
		tr.await(t, int(at[i]))
		up := tr.down()
		switch event {
		case "kill":
			tr.service.kill()
			tr.service.start()
		case "stop":
			tr.service.stop()
			tr.spoil(t)
			tr.service.start()
		case "cut":
			tr.cut(t, i)
		}
		up()
	}
}

// down has the clients wait after their next failure, until up is called.
func (tr *trial) down() (up func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.up = make(chan struct{})
	return func() { close(tr.up) }
}

// await waits until that many items have been accepted.
func (tr *trial) await(t *testing.T, n int) {
	t.Helper()
	for {
		tr.mu.Lock()
		now, more := tr.accepted, tr.more
		tr.mu.Unlock()
		if now >= n {
			return
		}
		select {
		case <-more:
		case <-time.After(5 * time.Minute):
			t.Fatalf("no item was accepted for five minutes, after %d: %s", now, tr.service.p.err.String())
		}
	}
}

// accept notes that an item was accepted.
func (tr *trial) accept(key string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if _, known := tr.keys[key]; !known { // not removed already
		tr.keys[key] = false
	}
	tr.accepted++
	close(tr.more)
	tr.more = make(chan struct{})
}

// cut cuts the queue off until an add is refused for it, and waits until the
// same add is accepted. What the adds of others meet is up to chance.
func (tr *trial) cut(t *testing.T, n int) {
	t.Helper()
	key := fmt.Sprintf("cut-%d", n)
	item := map[string]string{"key": key, "text": "Number " + key}
	c, err := dial(t.Context(), tr.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	add := func() error { return c.call(t.Context(), "add", item, &struct{}{}) }
	mend := tr.queue.cut()
	actortest.Eventually(t, "an add to be refused", func() bool {
		no, ok := errors.AsType[*refusal](add())
		return ok && no.Data.Retry
	})
	mend()
	actortest.Eventually(t, "an add to be accepted", func() bool { return add() == nil })
	tr.accept(key)
}

// check looks at the end of a run.
func (tr *trial) check(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	items, total := tr.settled(t)
	if total != tr.left() || len(items) != total {
		t.Errorf("%d items are shown of a list of %d; %d were acknowledged and not removed", len(items), total, tr.left())
	}
	tr.checkItems(t, items)
	tr.service.stop()
	waiting, dead := tr.queue.state(t, tr.service.data)
	for tries := 0; waiting > 0 && tries < 5; tries++ { // what is shown, but was not acked, by a fault
		tr.service.env = nil
		tr.service.start()
		actortest.Eventually(t, "what is in the queue to be handled", func() bool {
			s := tr.service.consumed()
			return s.Received >= int64(waiting) && s.InFlight == 0
		})
		tr.service.stop()
		waiting, dead = tr.queue.state(t, tr.service.data)
	}
	if waiting != 0 {
		t.Errorf("%d messages are in the queue", waiting)
	}
	var bodies []string
	for _, m := range dead {
		bodies = append(bodies, string(m.Body))
		if m.Attributes[consumer.AttrReason] == "" {
			t.Errorf("a dead letter has no reason: %s, %v", m.Body, m.Attributes)
		}
	}
	slices.Sort(bodies)
	slices.Sort(tr.poison)
	if !slices.Equal(bodies, tr.poison) {
		t.Errorf("%d dead letters, want %d:\n%q\n%q", len(bodies), len(tr.poison), bodies, tr.poison)
	}
	t.Logf("%d items accepted, %d removed, %d shown, %d dead letters", tr.accepted, len(tr.keys)-tr.left(), len(items), len(dead))
}

// checkItems: each item that was accepted is there once, unless it was removed.
func (tr *trial) checkItems(t *testing.T, items []service.Item) {
	t.Helper()
	times := map[string]int{}
	for _, i := range items {
		times[i.Key]++
		if want := "Number " + strings.TrimPrefix(i.Key, "item-"); i.Text != want {
			t.Errorf("%s has the text %q, want %q", i.Key, i.Text, want)
		}
	}
	for key, removed := range tr.keys {
		if n := times[key]; removed && n != 0 || !removed && n != 1 {
			t.Errorf("%s is shown %d times; removed: %v", key, n, removed)
		}
	}
}

// settled returns what a fresh client is shown once that is as many items as
// it has to be, or when nothing has been added for long.
func (tr *trial) settled(t *testing.T) (items []service.Item, total int) {
	t.Helper()
	added := make(chan struct{}, 1)
	c, err := dial(t.Context(), tr.addr, func(string, json.RawMessage) {
		select {
		case added <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for {
		if items, total = shown(t, tr.addr); total == tr.left() {
			return items, total
		}
		select {
		case <-added:
		case <-time.After(2 * time.Minute):
			return items, total
		}
	}
}

// left is how many items have to be shown.
func (tr *trial) left() (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, removed := range tr.keys {
		if !removed {
			n++
		}
	}
	return n
}
