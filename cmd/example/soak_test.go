// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakVariable has the service run for that long under a steady load.
const soakVariable = "PROTOLOOP_TEST_SOAK"

// TestSoak adds 200 items a second and removes them, with 20 clients that
// listen, and looks at the memory and the goroutines of the process: when what
// is remembered of removals has reached its bound, which takes two minutes, there
// must be no more of them.
func TestSoak(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv(soakVariable))
	if err != nil {
		t.Skipf("set %s=10m, and -timeout 15m, to run it", soakVariable)
	}
	const rate, parts = 200, 10
	r := newService(t)
	profiles := freePorts(t, 1)
	r.env = []string{"PROTOLOOP_PPROF=" + profiles}
	r.start()
	items := int(d.Seconds()) * rate / parts
	l := newLoad(t, r.addr, 20, items*parts)
	l.removes = true
	began := time.Now()
	var early, late footprint
	for part := range parts {
		l.steady(items, time.Second/rate)
		late = footprintOf(t, r.p.Process.Pid, profiles)
		t.Logf("after %4v: %v", time.Since(began).Round(time.Second), late)
		if part == parts/3 {
			early = late
		}
	}
	if late.own() > early.own()+4<<20 {
		t.Errorf("the live heap but for the server's buffers has grown from %d MB to %d MB", early.own()>>20, late.own()>>20)
	}
	if late.buffers > 64<<20 {
		t.Errorf("the server has %d MB of buffers", late.buffers>>20)
	}
	if was, is := early.goroutines-early.idle, late.goroutines-late.idle; is > was+10 {
		t.Errorf("there are %d goroutines that are not in the pool, there were %d", is, was)
	}
	if late.idle > early.idle+100 {
		t.Errorf("there are %d coroutines in the pool, there were %d", late.idle, early.idle)
	}
	l.close()
	r.stop()
}

// footprint is what a process has.
type footprint struct {
	resident, heap int // bytes; the heap after a collection
	buffers        int // of the heap, the embedded server's for blocks of its files: up to 8 MB each, they come and go
	goroutines     int
	idle           int // of those, coroutines that wait for work in the pool
}

// own is the live heap but for the server's buffers.
func (u footprint) own() int { return u.heap - u.buffers }

func (u footprint) String() string {
	return fmt.Sprintf("resident %d MB, live heap %.1f MB, %d of them buffers of the server, %d goroutines, %d of them idle coroutines",
		u.resident>>20, float64(u.heap)/(1<<20), u.buffers>>20, u.goroutines, u.idle)
}

// idleCoroutine is the stack of one that has nothing to run.
var idleCoroutine = regexp.MustCompile(`Yield[^\n]*\n[^\n]*loop\.\(\*coroutine\)\.main`)

func footprintOf(t *testing.T, pid int, profiles string) footprint {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	heap := get(t, "http://"+profiles+"/debug/pprof/heap?gc=1&debug=1")
	goroutines := get(t, "http://"+profiles+"/debug/pprof/goroutine?debug=1")
	u := footprint{
		resident:   number(t, `VmRSS:\s+(\d+) kB`, string(status)) << 10,
		heap:       number(t, `# HeapAlloc = (\d+)`, heap),
		goroutines: number(t, `goroutine profile: total (\d+)`, goroutines),
	}
	for record := range strings.SplitSeq(heap, "\n\n") {
		if strings.Contains(record, "server.getMsgBlockBuf") { // too large to be sampled: all are there
			u.buffers += number(t, `(?m)^\d+: (\d+) \[`, record)
		}
	}
	for stack := range strings.SplitSeq(goroutines, "\n\n") {
		if idleCoroutine.MatchString(stack) {
			u.idle += number(t, `(?m)^(\d+) @`, stack)
		}
	}
	return u
}

func number(t *testing.T, pattern, text string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %.300s", pattern, text)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
