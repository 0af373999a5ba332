package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
)

// speedVariable has the service measured beside the same in Python.
const speedVariable = "PROTOLOOP_TEST_SPEED"

// TestSpeed is one run: an item's way from the add to all clients, with 100 of
// them and with one, of the service, whose queue and list are on disk, and of
// testdata/article.py, whose queue is in memory.
func TestSpeed(t *testing.T) {
	if os.Getenv(speedVariable) == "" {
		t.Skipf("set %s=1 to measure", speedVariable)
	}
	for _, clients := range []int{100, 1} {
		r := newService(t)
		r.start()
		ours := measure(t, r.addr, clients)
		r.stop()

		addr := freePort(t)
		_, port, _ := net.SplitHostPort(addr)
		cmd := exec.Command(python(t), "testdata/article.py", port)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		actortest.Eventually(t, "the Python server", func() bool {
			resp, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			return resp.Body.Close() == nil
		})
		theirs := measure(t, addr, clients)
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it says that it was killed
		t.Logf("%3d clients: service %v", clients, ours)
		t.Logf("%3d clients: Python  %v", clients, theirs)
		t.Logf("%3d clients: %.1f times the items per second", clients, ours.rate/theirs.rate)
	}
}

// speed is what was measured.
type speed struct {
	rate     float64 // items per second that all clients have heard of
	p50, p99 time.Duration
}

func (s speed) String() string {
	return fmt.Sprintf("%6.0f items/s, p50 %v, p99 %v", s.rate, short(s.p50), short(s.p99))
}

// measure first adds as fast as the acknowledgements allow, 32 at a time, for
// the rate; then 100 items a second, for the latency.
func measure(t *testing.T, addr string, clients int) speed {
	t.Helper()
	var heard atomic.Int64
	var mu sync.Mutex
	var latencies []time.Duration
	for range clients {
		c, err := dial(t.Context(), addr, func(event string, body json.RawMessage) {
			if event != "item_added" {
				return
			}
			var i struct{ Text string }
			if json.Unmarshal(body, &i) == nil {
				if sent, err := time.Parse(time.RFC3339Nano, i.Text); err == nil {
					mu.Lock()
					latencies = append(latencies, time.Since(sent))
					mu.Unlock()
				}
			}
			heard.Add(1)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
	}
	adder, err := dial(t.Context(), addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer adder.close()
	add := func(n int, text string) {
		item := map[string]string{"key": fmt.Sprintf("item-%d", n), "text": text}
		if err := adder.call(t.Context(), "add", item, &struct{}{}); err != nil {
			t.Error(err)
		}
	}
	all := func(n int) func() bool { return func() bool { return heard.Load() == int64(n*clients) } }

	const burst, steady = 3000, 300
	began := time.Now()
	numbers := make(chan int)
	var adding sync.WaitGroup
	for range 32 {
		adding.Go(func() {
			for n := range numbers {
				add(n, "burst")
			}
		})
	}
	for n := range burst {
		numbers <- n
	}
	close(numbers)
	adding.Wait()
	actortest.Eventually(t, "all items at all clients", all(burst))
	took := time.Since(began)

	for n := range steady {
		add(burst+n, time.Now().Format(time.RFC3339Nano))
		time.Sleep(10 * time.Millisecond)
	}
	actortest.Eventually(t, "all items at all clients", all(burst+steady))
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(latencies)
	return speed{rate: burst / took.Seconds(), p50: percentile(latencies, 50), p99: percentile(latencies, 99)}
}
