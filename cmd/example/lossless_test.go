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
	"sync/atomic"
	"testing"
	"time"

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
	cut(d time.Duration)
}

// trial is one such run.
type trial struct {
	items              int
	kills, stops, cuts int
	queue              trialQueue

	service  *running
	poison   []string
	accepted atomic.Int64

	mu   sync.Mutex
	keys map[string]bool // of items that were accepted; true: removed since
}

// writers is how many clients add at a time.
const writers = 8

func (tr *trial) run(t *testing.T) {
	tr.keys = map[string]bool{}
	tr.service = newService(t, append([]string{"-lease", "2s", "-tries", "1000", "-grace", "5s"}, tr.queue.flags()...)...)
	tr.service.env = []string{"PROTOLOOP_TEST_FAULTS=0.05"}
	tr.spoil(t)
	tr.service.start()

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
	tr.disturb(t)
	adding.Wait()
	for len(seen) > 0 && !t.Failed() {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-removed
	tr.check(t)
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
		tr.await(t, at[i])
		switch event {
		case "kill":
			tr.service.kill()
			tr.service.start()
		case "stop":
			tr.service.stop()
			tr.spoil(t)
			tr.service.start()
		case "cut":
			tr.queue.cut(2 * time.Second)
		}
	}
}

// await waits until that many items have been accepted.
func (tr *trial) await(t *testing.T, n int64) {
	t.Helper()
	last, since := tr.accepted.Load(), time.Now()
	for tr.accepted.Load() < n {
		if now := tr.accepted.Load(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > time.Minute {
			t.Fatalf("no item was accepted for a minute, after %d: %s", last, tr.service.p.err.String())
		}
		time.Sleep(time.Millisecond)
	}
}

// add has each item accepted: it is sent again, with its key, until then.
func (tr *trial) add(t *testing.T, todo <-chan int) {
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for n := range todo {
		item := map[string]string{"key": fmt.Sprintf("item-%d", n), "text": fmt.Sprintf("Number %d", n)}
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			if c == nil {
				c, _ = dial(ctx, tr.service.addr, nil)
			}
			err := errCut
			if c != nil {
				var got struct{ Key string }
				err = c.call(ctx, "add", item, &got)
			}
			cancel()
			if err == nil {
				break
			}
			if no, ok := errors.AsType[*refusal](err); ok && !no.Data.Retry {
				t.Errorf("%s was refused: %v", item["key"], err)
				return
			} else if !ok && c != nil {
				c.close()
				c = nil
			}
			if t.Context().Err() != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		tr.mu.Lock()
		if _, known := tr.keys[item["key"]]; !known { // not removed already
			tr.keys[item["key"]] = false
		}
		tr.mu.Unlock()
		tr.accepted.Add(1)
	}
}

// remove removes each tenth item that it is told of.
func (tr *trial) remove(ctx context.Context, seen chan string) {
	for ctx.Err() == nil {
		c, err := dial(ctx, tr.service.addr, func(event string, body json.RawMessage) {
			var i struct{ Key string }
			if event == "item_added" && json.Unmarshal(body, &i) == nil && strings.HasSuffix(i.Key, "7") {
				seen <- i.Key
			}
		})
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		tr.removeBy(ctx, c, seen)
		c.close()
	}
}

// removeBy removes until the connection is gone.
func (tr *trial) removeBy(ctx context.Context, c *client, seen chan string) {
	for {
		select {
		case key := <-seen:
			// Not with ctx: a removal that has begun is seen through. One that was
			// not there was removed before, and the answer was lost.
			var got struct{ Removed bool }
			if err := c.call(context.WithoutCancel(ctx), "item_removed", map[string]string{"key": key}, &got); err != nil {
				seen <- key
				return
			}
			tr.mu.Lock()
			tr.keys[key] = true
			tr.mu.Unlock()
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// check looks at the end of a run.
func (tr *trial) check(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	deadline := time.Now().Add(2 * time.Minute)
	items, total := shown(t, tr.service.addr)
	for total != tr.left() && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
		items, total = shown(t, tr.service.addr)
	}
	if total != tr.left() || len(items) != total {
		t.Errorf("%d items are shown of a list of %d; %d were acknowledged and not removed", len(items), total, tr.left())
	}
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
	tr.service.stop()
	waiting, dead := tr.queue.state(t, tr.service.data)
	for waiting > 0 && time.Now().Before(deadline) { // what is shown, but was not acked, by a fault
		tr.service.start()
		time.Sleep(2 * time.Second)
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
	t.Logf("%d items accepted, %d removed, %d shown, %d dead letters", tr.accepted.Load(), len(tr.keys)-tr.left(), len(items), len(dead))
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
