// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/protoloop/protoloop/actortest"
)

// TestServeStops: clients are told of a stop before they are let go.
func TestServeStops(t *testing.T) {
	t.Parallel()
	r := newService(t)
	r.start()
	events := make(chan string, 10)
	c, err := dial(t.Context(), r.addr, func(event string, _ json.RawMessage) { events <- event })
	if err != nil {
		t.Fatal(err)
	}
	got := []string{<-events} // else it may hear of the stop before it has the list
	r.stop()
	<-c.ended
	close(events)
	for e := range events {
		got = append(got, e)
	}
	if strings.Join(got, " ") != "items stopping" {
		t.Errorf("the client heard %v", got)
	}
}

// stoppingService is one that was told to stop while it handles an item, called slow, that takes for ever. It goes on until it
// is told again.
func stoppingService(t *testing.T, more ...func(r *running)) *running {
	t.Helper()
	r := newService(t, "-grace", "10m", "-lease", "1h")
	r.env = []string{"PROTOLOOP_TEST_SLOW=1h"}
	for _, f := range more {
		f(r)
	}
	r.start()
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	if err := c.call(t.Context(), "add", map[string]string{"text": "slow"}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	if !r.p.err.await(r.p.ctx, "a handler waits") {
		t.Fatal("the item is not in flight")
	}
	if err := r.p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestServeSecondSignal stops the service while an item is handled that takes
// for ever. /readyz says that it stops; the second signal ends the grace, and
// the item goes back to the queue, from where it comes when the service is
// started again, long before its lease would be over.
func TestServeSecondSignal(t *testing.T) {
	t.Parallel()
	r := stoppingService(t)
	actortest.Eventually(t, "/readyz to say that it stops", func() bool { return r.status("/readyz") == http.StatusServiceUnavailable })
	if got := r.status("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d while it stops", got)
	}
	r.p.signalAgain(t)
	out := r.ended()
	if !strings.Contains(out, "received 1 = acked 0 (drained 0) + retried 0 + deferred 0 + dead-lettered 0 + returned 1 + lost 0") {
		t.Errorf("the item was not given back: %s", out)
	}
	r.env = nil
	r.start()
	actortest.Eventually(t, "the item", func() bool { items, _ := shown(t, r.addr); return len(items) == 1 && items[0].Text == "slow" })
	r.stop()
}

// TestServeFull: a list at its limit refuses adds until something is removed.
func TestServeFull(t *testing.T) {
	t.Parallel()
	r := newService(t, "-max-items", "2")
	r.start()
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	add := func(key string) error {
		return c.call(t.Context(), "add", map[string]string{"key": key, "text": key}, &struct{}{})
	}
	for i, key := range []string{"a", "b"} {
		if err := add(key); err != nil {
			t.Fatal(err)
		}
		actortest.Eventually(t, key, func() bool { _, total := shown(t, r.addr); return total == i+1 })
	}
	if err := add("c"); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a full list: %v", err)
	}
	var got struct{ Removed bool }
	if err := c.call(t.Context(), "item_removed", map[string]string{"key": "a"}, &got); err != nil || !got.Removed {
		t.Errorf("remove: %v, %v", got, err)
	}
	actortest.Eventually(t, "room", func() bool { _, total := shown(t, r.addr); return total == 1 })
	// One that was removed does not come back with its old key, which the queue
	// itself may have forgotten by then.
	for _, key := range []string{"a", "c"} {
		if err := add(key); err != nil {
			t.Error(err)
		}
	}
	actortest.Eventually(t, "c", func() bool { items, _ := shown(t, r.addr); return len(items) == 2 && items[0].Key == "c" })
	r.stop()
}
