// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// speedVariable has the service measured beside the same in Python, in as many
// rounds as it says. It also says that nothing else runs on this machine, so that a test may bound a time.
const speedVariable = "PROTOLOOP_TEST_SPEED"

// TestSpeed measures an item's way from the add to all clients, with 100 of
// them and with one: of the service, whose queue and list are on disk, of the
// service with a queue in memory, and of testdata/article.py, which has nothing
// on disk. Each round has all of them, one after the other, each in a new
// process; what is compared is within a round, and the median of the rounds.
func TestSpeed(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv(speedVariable))
	if rounds < 1 {
		t.Skipf("set %s=5 to measure in 5 rounds", speedVariable)
	}
	for _, clients := range []int{100, 1} {
		all := map[string][]speed{}
		for range rounds {
			rate := 0.0 // of Python, in this round
			for _, c := range contenders {
				s := c.measure(t, clients, rate)
				t.Logf("%3d clients: %-15s %v", clients, c.name, s)
				all[c.name] = append(all[c.name], s)
				if c.name == python3 {
					rate = s.rate
				}
			}
		}
		theirs := all[python3]
		for _, c := range contenders {
			ours := all[c.name]
			t.Logf("%3d clients, median of %d: %-15s %v", clients, rounds, c.name, median(ours))
			t.Logf("%3d clients, median of %d: %-15s has %.1f times Python's items/s, with %.2f times its p99; at the same rates it has %.2f and %.2f times its p99",
				clients, rounds, c.name,
				ratio(ours, theirs, func(s speed) float64 { return s.rate }),
				ratio(ours, theirs, func(s speed) float64 { return s.busy.p99.Seconds() }),
				ratio(ours, theirs, func(s speed) float64 { return s.brisk.p99.Seconds() }),
				ratio(ours, theirs, func(s speed) float64 { return s.quiet.p99.Seconds() }))
		}
	}
}

// python3 is the contender that the others are compared with.
const python3 = "Python"

// contenders are what is measured: Python first, since its rate is the others',
// too.
var contenders = []struct {
	name    string
	measure func(t *testing.T, clients int, rate float64) speed
}{
	{python3, measurePython},
	{"service", func(t *testing.T, clients int, rate float64) speed { return measureService(t, clients, rate) }},
	{"service, mem://", func(t *testing.T, clients int, rate float64) speed {
		return measureService(t, clients, rate, "-queue", "mem://items")
	}},
}

func measureService(t *testing.T, clients int, rate float64, args ...string) speed {
	t.Helper()
	r := newService(t, args...)
	r.start()
	s := measure(t, r.addr, clients, rate)
	r.stop()
	return s
}

func measurePython(t *testing.T, clients int, rate float64) speed {
	t.Helper()
	addr := freePorts(t, 1)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(python(t), "testdata/article.py", port)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it says that it was killed
	}()
	actortest.Eventually(t, "the Python server", func() bool {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	return measure(t, addr, clients, rate)
}

// speed is what was measured.
type speed struct {
	rate  float64       // items per second that all clients have heard of
	busy  latency       // at that rate
	brisk latency       // at two thirds of what Python manages
	quiet latency       // at 100 items per second
	load  time.Duration // of processor time, per item, that it took to measure the rate
}

// latency is how long it takes from the add until a client has heard of it.
type latency struct{ p50, p99 time.Duration }

func latencyOf(sorted []time.Duration) latency {
	return latency{percentile(sorted, 50), percentile(sorted, 99)}
}

func (l latency) String() string { return fmt.Sprintf("p50 %v, p99 %v", short(l.p50), short(l.p99)) }

func (s speed) String() string {
	return fmt.Sprintf("%6.0f items/s with %v; at two thirds of Python's rate %v; at 100 items/s %v (the clients take %v an item)", s.rate, s.busy, s.brisk, s.quiet, short(s.load))
}

// measure first adds as fast as the acknowledgements allow, 32 at a time; then
// at two thirds of a rate, or of what that was if it is 0, and then 100 items a
// second.
func measure(t *testing.T, addr string, clients int, rate float64) speed {
	t.Helper()
	const warm, steady = 300, 500
	burst, brisk := 2000, 500
	if clients == 1 { // seconds each, so that what garbage costs is in it
		burst, brisk = 40_000, 20_000
	}
	l := newLoad(t, addr, clients, warm+burst+brisk+steady)
	defer l.close()
	l.burst(warm, 32)
	before := testtools.ProcessorTime(t)
	took, busy := l.burst(burst, 32)
	used := testtools.ProcessorTime(t) - before
	s := speed{rate: float64(burst) / took.Seconds(), load: used / time.Duration(burst), busy: latencyOf(busy)}
	every := time.Duration(1.5 / cmp.Or(rate, s.rate) * float64(time.Second))
	s.brisk = latencyOf(l.steady(brisk, every))
	s.quiet = latencyOf(l.steady(steady, 10*time.Millisecond))
	return s
}

// median is that of each figure.
func median(all []speed) speed {
	of := func(figure func(s speed) time.Duration) time.Duration { return middle(all, figure) }
	return speed{
		rate:  middle(all, func(s speed) float64 { return s.rate }),
		busy:  latency{of(func(s speed) time.Duration { return s.busy.p50 }), of(func(s speed) time.Duration { return s.busy.p99 })},
		brisk: latency{of(func(s speed) time.Duration { return s.brisk.p50 }), of(func(s speed) time.Duration { return s.brisk.p99 })},
		quiet: latency{of(func(s speed) time.Duration { return s.quiet.p50 }), of(func(s speed) time.Duration { return s.quiet.p99 })},
		load:  of(func(s speed) time.Duration { return s.load }),
	}
}

// ratio is the median of what a figure is to that of the same round.
func ratio(ours, theirs []speed, figure func(s speed) float64) float64 {
	var rs []float64
	for i := range ours {
		rs = append(rs, figure(ours[i])/figure(theirs[i]))
	}
	return middle(rs, func(r float64) float64 { return r })
}

func middle[S any, T cmp.Ordered](all []S, figure func(S) T) T {
	var fs []T
	for _, s := range all {
		fs = append(fs, figure(s))
	}
	slices.Sort(fs)
	return fs[len(fs)/2]
}
