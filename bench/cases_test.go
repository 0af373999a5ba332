// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for the program when a case is
// measured.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && (os.Args[1] == "-"+processFlag || os.Args[1] == "-"+childFlag) {
		os.Exit(bench(os.Args[1:], os.Stdout, os.Stderr))
	}
	flag.Parse()
	requestTimeout, orderTimeout = time.Hour, time.Hour // no test is about them
	os.Exit(m.Run())
}

func allCases() (cases []*benchCase) {
	for _, g := range groups() {
		cases = append(cases, g.cases...)
	}
	return cases
}

// TestCases runs two batches of each case; do compares the sum of their
// results.
func TestCases(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && large(c) {
				t.Skip("large")
			}
			e := newEnv()
			r, err := c.open(e)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.do(r, c.batch+1); err != nil || n != 2*c.batch {
				t.Errorf("do(%d) = %d, %v", c.batch+1, n, err)
			}
			taken := len(e.latencies)
			if strings.HasPrefix(c.name, "overload/") {
				// Only what is late has one, and how much of it is late is the machine's.
				if taken > 2*c.batch {
					t.Errorf("%d latencies of %d operations", taken, 2*c.batch)
				}
			} else if taken != 0 && taken != 2*c.batch {
				t.Errorf("%d latencies of %d operations", taken, 2*c.batch)
			}
			if err := e.close(); err != nil {
				t.Error("close:", err)
			}
		})
	}
}

// large reports whether a case makes so much that a test of it takes seconds.
func large(c *benchCase) bool {
	set := []string{"inspect/all", fmt.Sprintf("beside/%d", many), fmt.Sprintf("blocked/%d", manyBlocked)}
	return c.batch > manyWorkers || slices.Contains(set, c.name) || strings.HasPrefix(c.name, "console/") || startsCluster(c)
}

// startsCluster reports whether a case starts servers in processes of their own. Of those that differ in numbers only one is
// tested with -short.
func startsCluster(c *benchCase) bool {
	for _, of := range []string{"asks/", "topics/", "state/"} {
		if strings.HasPrefix(c.name, of) {
			return !slices.Contains([]string{"asks/remote-64", "asks/far-64", "topics/bare-8", "topics/grid-8", "state/kv", "state/async", "state/save"}, c.name)
		}
	}
	return false
}

// TestDoNoticesWrongResults keeps TestCases honest.
func TestDoNoticesWrongResults(t *testing.T) {
	c := &benchCase{name: "wrong", batch: 10}
	if _, err := c.do(func(int) (int, error) { return 44, nil }, 10); err == nil {
		t.Error("a sum of 44 was taken for 0 + 1 + … + 9")
	}
	if _, err := c.do(func(int) (int, error) { return 45, io.ErrUnexpectedEOF }, 10); err == nil {
		t.Error("an error was lost")
	}
}

// TestMemoryCases does not look at the memory: in a process that has run other
// cases, what those give back may be more than some hundred of these take.
// TestProcess does.
func TestMemoryCases(t *testing.T) {
	n := 500
	if testing.Short() {
		n = 100
	}
	for _, c := range memoryCases() {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.measure(n)
			if err != nil || s.Wall <= 0 {
				t.Errorf("measure(%d) = %+v, %v", n, s, err)
			}
		})
	}
}

// TestRulesNameCases keeps a typo from turning a requirement off.
func TestRulesNameCases(t *testing.T) {
	known := map[string]int{}
	for _, c := range allCases() {
		known[c.name]++
	}
	for _, c := range memoryCases() {
		known[c.name]++
	}
	for _, c := range neighbourCases() {
		known[c.name]++
	}
	for _, c := range fairCases() {
		known[c.name]++
	}
	for name, n := range known {
		if n != 1 {
			t.Errorf("%d cases are called %s", n, name)
		}
	}
	for _, r := range rules() {
		for _, name := range []string{r.of, r.against, r.ofAlone, r.againstAlone} {
			if name != "" && known[name] == 0 {
				t.Errorf("a rule is about %q: no such case", name)
			}
		}
	}
}

// TestNeighbourCases runs those with few neighbours, for a short time.
func TestNeighbourCases(t *testing.T) {
	for _, c := range neighbourCases() {
		if n := c.neighbours.computing + c.neighbours.busy; n > 3 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s, err := c.measure(time.Millisecond)
			if err != nil || s.Wall <= 0 || s.P99 <= 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	c := &neighbourCase{name: "busy", procs: 2, neighbours: neighbours{busy: 4}, open: workerAsks}
	if s, err := c.measure(time.Millisecond); err != nil || s.Wall <= 0 {
		t.Errorf("beside busy workers: %+v, %v", s, err)
	}
}

func TestFairCases(t *testing.T) {
	for _, c := range fairCases() {
		c.busy.queued = min(c.busy.queued, 1000)
		t.Run(c.name, func(t *testing.T) {
			s, err := c.measure(3)
			if err != nil || s.Wall <= 0 || s.P99 <= 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	res := results{
		"a-alone": {{Wall: 5}, {Wall: 10}, {Wall: 5}},
		"b-alone": {{Wall: 10}, {Wall: 20}, {Wall: 10}},
		"a":       {{Wall: 10, CPU: 9, Allocs: 2.04}, {Wall: 30, CPU: 9, Allocs: 2.04}, {Wall: 20, CPU: 9, Allocs: 2.04}},
		"b":       {{Wall: 20, CPU: 3, P99: 1}, {Wall: 20, CPU: 3, P99: 1}, {Wall: 20, CPU: 3, P99: 1}},
	}
	for _, c := range []struct {
		rule   rule
		value  float64
		failed bool
	}{
		{rule{of: "a", against: "b", figure: wall, limit: 1}, 1, false},
		{rule{of: "a", against: "b", figure: wall, limit: 1, below: true}, 1, true},
		{rule{of: "a", against: "b", figure: wall, limit: 0.9}, 1, true},
		{rule{of: "a", against: "b", figure: wall}, 1, false},
		{rule{of: "a", figure: allocs, limit: 2}, 2.04, false},
		{rule{of: "a", figure: allocs, limit: 1}, 2.04, true},
		{rule{of: "a", against: "b", ofAlone: "a-alone", againstAlone: "b-alone", figure: wall, limit: 2}, 2, false},
		{rule{of: "c", against: "b", figure: wall, limit: 1}, math.NaN(), true},
	} {
		v := c.rule.apply(res)
		if same := v.value == c.value || math.IsNaN(v.value) && math.IsNaN(c.value); !same || v.failed() != c.failed {
			t.Errorf("%+v: value %v, failed %v, want %v, %v", c.rule, v.value, v.failed(), c.value, c.failed)
		}
	}
}

func TestMedianAndPercentile(t *testing.T) {
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Error("median of 1 to 4 is", got)
	}
	d := make([]time.Duration, 101)
	for i := range d {
		d[i] = time.Duration(100 - i)
	}
	if got := percentile(d, 0.99); got != 99 {
		t.Error("99th percentile of 0 to 100 is", got)
	}
}

func TestChooseBringsBaselines(t *testing.T) {
	s, err := choose(regexp.MustCompile("^seq/submit$|^memory/task$"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range s.cases {
		names = append(names, c.name)
	}
	for _, c := range s.memory {
		names = append(names, c.name)
	}
	want := []string{"seq/chan", "seq/bare", "seq/least", "seq/engine", "seq/submit", "memory/goroutine", "memory/goroutine-chan", "memory/task"}
	if !slices.Equal(names, want) {
		t.Errorf("chose %v, want %v", names, want)
	}
}

// TestTurns checks that all cases are measured in each round,
// and that each round begins with another one.
func TestTurns(t *testing.T) {
	cases := []*benchCase{{name: "a"}, {name: "b"}, {name: "c"}}
	var order strings.Builder
	res := results{}
	err := res.turns(cases, 3, false, func(string) (sample, error) { return sample{}, nil }, &order)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if len(res[c.name]) != 3 {
			t.Errorf("%d samples of %s, want 3", len(res[c.name]), c.name)
		}
	}
	var names []string
	for step := range strings.SplitSeq(order.String(), "round ") {
		names = append(names, step[strings.IndexByte(step, ':')+1:])
	}
	if got := strings.TrimSpace(strings.NewReplacer("\r", "", "\x1b[K", "").Replace(strings.Join(names, ""))); got != "a b c b c a c a b" {
		t.Error("order", got)
	}
}

// TestOther: with another build each case is measured in both, in turns that change, and compared.
func TestOther(t *testing.T) {
	cases := []*benchCase{{name: "burst/submit"}, {name: "b"}}
	var order []string
	res := results{}
	err := res.turns(cases, 2, true, func(name string) (sample, error) {
		order = append(order, name)
		s := sample{Wall: 10, Allocs: 2, Bytes: 100}
		if strings.HasSuffix(name, ofOther) {
			s = sample{Wall: 8, Allocs: 1, Bytes: 100}
		}
		return s, nil
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"burst/submit", "burst/submit" + ofOther, "b", "b" + ofOther, "b" + ofOther, "b", "burst/submit" + ofOther, "burst/submit"}
	if !slices.Equal(order, want) {
		t.Errorf("measured %q", order)
	}
	var missed []string
	for _, r := range otherRules(cases) {
		if v := r.apply(res); v.failed() {
			missed = append(missed, fmt.Sprintf("%s%s %v", v.of, v.figure.name, v.value))
		}
	}
	if got := fmt.Sprint(missed); got != "[burst/submit 1.25 burst/submitallocs more 1]" {
		t.Errorf("missed %s", got)
	}
}

// TestOtherIsAProgram: what is measured in the other build comes from there.
func TestOtherIsAProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := bench([]string{"-rounds", "1", "-sample", "1ms", "-run", "^seq/least$", "-other", self}, &out, &errs); code != 0 || !strings.Contains(out.String(), "the other build, allocs more") {
		t.Errorf("code %d: %s\n%s", code, errs.String(), out.String())
	}
	if code := bench([]string{"-rounds", "1", "-sample", "1ms", "-run", "^seq/least$", "-other", self + "-not"}, &out, &errs); code != 1 {
		t.Errorf("code %d without a program", code)
	}
}

// TestComputing: goroutines compute beside what is measured, and take processors.
func TestComputing(t *testing.T) {
	var out, errs strings.Builder
	if code := bench([]string{"-rounds", "1", "-sample", "100ms", "-run", "^seq/least$", "-computing", "1", "-json"}, &out, &errs); code != 0 {
		t.Fatalf("code %d: %s", code, errs.String())
	}
	var all results
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil {
		t.Fatal(err)
	}
	if s := all["seq/least"]; len(s) != 1 || s[0].CPU == 0 {
		t.Errorf("it has found %v", all)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-h", 0, "-rounds"},
		{"-list", 0, "burst/submit\n"},
		{"-rounds 0", 2, "want at least 1"},
		{"-sample 0s", 2, "want more than 0"},
		{"-computing -1", 2, "want at least 0"},
		{"-run (", 2, "missing closing )"},
		{"-run nothing-like-it", 2, "matches no case"},
		{"-nonsense", 2, "not defined"},
		{"argument", 2, "unexpected argument"},
	} {
		var out strings.Builder
		if code := bench(strings.Fields(c.args), &out, &out); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("bench %s: code %d, output %q; want %d and %q", c.args, code, out.String(), c.code, c.says)
		}
		if strings.Contains(out.String(), processFlag) || strings.Contains(out.String(), childFlag) {
			t.Errorf("bench %s shows a hidden flag", c.args)
		}
	}
}

func TestTable(t *testing.T) {
	var out, errs strings.Builder
	if code := bench([]string{"-rounds", "1", "-sample", "1ms", "-run", "^seq/submit$"}, &out, &errs); code != 0 {
		t.Fatalf("code %d: %s", code, errs.String())
	}
	for _, want := range []string{"GOMAXPROCS", "ns/op", "unbuffered channel", "Submit + Wait", "[1.50]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestCheck runs a requirement that cannot be met.
func TestCheck(t *testing.T) {
	missed := verdict{rule: rule{limit: 1}, value: 2}
	if !missed.failed() {
		t.Error("2 is within a limit of 1")
	}
}

// TestProcess starts the test binary as a measurement does.
func TestProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 goroutines")
	}
	out, err := exec.Command(os.Args[0], "-"+processFlag, "no/such").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no case") {
		t.Errorf("%v, %s", err, out)
	}
	s, err := options{sample: time.Second}.spawn("memory/goroutine")
	if err != nil || s.Memory < 2000 {
		t.Errorf("%+v, %v: a goroutine's stack alone takes 2 KiB", s, err)
	}
}

func TestLoad(t *testing.T) {
	before, ok := parseLoad("cpu  100 0 100 800 0 0 0 0 0 0\n", time.Second)
	now, still := parseLoad("cpu  150 0 100 830 0 0 0 20 0 0\n", time.Second+500*time.Millisecond)
	if !ok || !still {
		t.Fatal("a line of /proc/stat was not understood")
	}
	if got := now.others(before); got != 0.2 {
		t.Errorf("others used %v, want 0.2: 0.7 s of 1 s were busy, 0.5 s ours", got)
	}
	if _, ok := parseLoad("intr 1 2 3", 0); ok {
		t.Error("nonsense was understood")
	}
}

// TestIdleWorkerBytes: an idle worker is small, so that there may be a million. What lives on the heap is the
// same in each run; what is in use, which the table tells, has 10 % of gaps besides.
func TestIdleWorkerBytes(t *testing.T) {
	s, err := options{sample: time.Second}.spawn("start/live")
	if err != nil {
		t.Fatal(err)
	}
	const most = 1350
	if s.Memory < 500 || s.Memory > most {
		t.Errorf("an idle worker has %.0f bytes on the heap, want at most %d", s.Memory, most)
	}
}

// TestSuspendedTaskAllocations: a suspended task has two objects more than a coroutine alone: itself with its future, and
// its function. What the loop knows of the coroutine is in the place of the function
// that each bare one has to begin with.
func TestSuspendedTaskAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 goroutines")
	}
	for name, most := range map[string]float64{"memory/coroutine": 8.1, "memory/task": 10.1} {
		s, err := options{sample: time.Second}.spawn(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Allocs > most {
			t.Errorf("%s: %.2f allocations each, want at most %v", name, s.Allocs, most)
		}
	}
}
