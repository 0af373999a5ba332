// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// TestPollerStops sends SIGTERM while the queue works well and badly: what was
// taken is handled or given back, and the sums agree.
func TestPollerStops(t *testing.T) {
	t.Parallel()
	for _, faults := range []string{"0", "0.1", "0.3"} {
		t.Run(faults, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, "poller", "-json", "-every", "10ms", "-faults", faults)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			p.await(t, "item_added 2\n")
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := p.exitCode(t); code != 0 {
				t.Errorf("exit code %d: %s", code, p.err.String())
			}
			r := reportIn(t, p.out.String())
			checkPoller(t, p.out.String(), r)
			if r.Total.Abandoned != 0 {
				t.Errorf("abandoned: %+v", r.Total)
			}
		})
	}
}

// TestPollerEnds lets it come to its own end, and reads the report as people
// do.
func TestPollerEnds(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "poller", "-items", "5", "-every", "0s", "-faults", "0.2")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err.String())
	}
	out := p.out.String()
	for _, want := range []string{"item_added 1\n", "item_added 5\n", "stopped app\nchild ", "\nlist ", "\npoller ", "\ntotal ", "\nqueue: "} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// TestPollerSecondSignal stops it while a task refuses to return. The second
// signal ends the grace, which is far longer than this test; the task is
// abandoned, with its stack, and the exit code says so.
func TestPollerSecondSignal(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "poller", "-json", "-stubborn", "-every", "1ms", "-faults", "0", "-grace", "10m")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.await(t, "item 3 is never handled\n")
	p.await(t, "polling")
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await(t, "poller stopping\n")
	p.signalAgain(t)
	_ = p.Wait() // not exitCode: here the log has to say something
	ended := time.Now()
	code := p.ProcessState.ExitCode()
	if code != 1 || !strings.Contains(p.err.String(), "abandoned: list: main.item") {
		t.Errorf("exit code %d, stderr %s", code, p.err.String())
	}
	r := reportIn(t, p.out.String())
	checkPoller(t, p.out.String(), r)
	if r.Total.Abandoned != 1 || len(r.Children[0].Abandoned) != 1 {
		t.Fatalf("want one abandoned task: %+v", r)
	}
	a := r.Children[0].Abandoned[0]
	if a.Name != "main.item" || !strings.Contains(a.Stack, "time.Sleep") || a.Since.IsZero() || a.Since.After(ended) { // it is when the turn was first seen: late, if the machine is busy
		t.Errorf("abandoned: %+v", a)
	}
}

// reportJSON is the report as the command prints it.
type reportJSON struct {
	Supervisor string
	Total      actors.Counts
	Children   []struct {
		Name      string
		Counted   bool
		Counts    actors.Counts
		Restarts  int
		Abandoned []struct {
			Name  string
			Since time.Time
			Stack string
		}
		Phases []struct {
			Name string
			Took float64 `json:"took_s"`
		}
	}
}

func reportIn(t *testing.T, out string) (r reportJSON) {
	t.Helper()
	_, text, _ := strings.Cut(out, "\n{")
	if err := json.NewDecoder(strings.NewReader("{" + text)).Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// checkPoller checks what must hold however a run has gone.
func checkPoller(t *testing.T, out string, r reportJSON) {
	t.Helper()
	if r.Supervisor != "app" || len(r.Children) != 2 || r.Children[0].Name != "list" || r.Children[1].Name != "poller" {
		t.Fatalf("the report is %+v", r)
	}
	var sum int64
	for _, c := range r.Children {
		if !c.Counts.Agree() || c.Counts.Pending != 0 || !c.Counted || len(c.Phases) == 0 {
			t.Errorf("%s: %+v", c.Name, c.Counts)
		}
		sum += c.Counts.Accepted
	}
	if !r.Total.Agree() || r.Total.Accepted != sum || r.Total.Pending != 0 {
		t.Errorf("total %+v, children accepted %d", r.Total, sum)
	}
	var taken, handled, back int
	_, line, _ := strings.Cut(out, "\nqueue: ")
	if _, err := fmt.Sscanf(line, "%d taken, %d handled, %d given back", &taken, &handled, &back); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if int64(handled) != r.Children[0].Counts.Finished {
		t.Errorf("%d acked, the list handled %d", handled, r.Children[0].Counts.Finished)
	}
	if taken != handled+back {
		t.Errorf("%d taken, but %d handled and %d given back", taken, handled, back)
	}
	for n := 1; n <= handled-3; n++ { // nothing is left out but what was given back last
		if !strings.Contains(out, "item_added "+strconv.Itoa(n)+"\n") {
			t.Errorf("item %d was never added", n)
		}
	}
}
