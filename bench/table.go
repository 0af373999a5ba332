// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// The columns of the table. A width sets numbers to the right: a tabwriter
// sets all columns to the same side.
var columns = []struct {
	head  string
	width int
}{
	{"", 0}, {"ns/op", 6}, {"CPU ns", 6}, {"B/op", 6}, {"allocs", 6}, {"p99 µs", 6},
	{"against", 0}, {"ratio", 6}, {"by CPU", 6}, {"limit", 5}, {"aim", 6}, {"", 0},
}

// The first columns are figures of a case, those from here on of a rule.
const firstOfRule = 6

// tableWriter tracks a table while it is written.
type tableWriter struct {
	*tabwriter.Writer
	res    results
	rules  []rule
	missed int
}

// printTable prints what was measured and returns how many requirements are
// missed.
func printTable(w io.Writer, s selection, res results, rounds int) (missed int) {
	fmt.Fprintf(w, "%s, GOMAXPROCS %d, %s\n\n", cpuModel(), runtime.GOMAXPROCS(0), runtime.Version())
	t := &tableWriter{Writer: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0), res: res, rules: s.rules}
	var heads []string
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	t.line(heads...)
	for _, g := range s.groups {
		t.title(g.title)
		for _, c := range g.cases {
			t.row(c.name, c.label, timed(res.figures(c.name)))
		}
	}
	for i, c := range s.memory {
		if i == 0 || c.group != s.memory[i-1].group {
			t.title(c.group)
		}
		t.row(c.name, c.label, c.cells(res.figures(c.name)))
	}
	for i, c := range s.beside {
		if i == 0 || c.title() != s.beside[i-1].title() {
			t.title(c.title())
		}
		t.row(c.name, c.label, c.cells(res.figures(c.name)))
	}
	for i, c := range s.fair {
		if i == 0 || c.title() != s.fair[i-1].title() {
			t.title(c.title())
		}
		t.row(c.name, c.label, c.cells(res.figures(c.name)))
	}
	if err := t.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	fmt.Fprintf(w, "\n%s", notes(rounds))
	return t.missed
}

// line writes one line; every line has all the cells, for the alignment.
func (t *tableWriter) line(cells ...string) {
	for i, c := range columns {
		cell := ""
		if i < len(cells) {
			cell = cells[i]
		}
		fmt.Fprintf(t, "%*s", c.width, cell)
		if i < len(columns)-1 {
			fmt.Fprint(t, "\t")
		}
	}
	fmt.Fprintln(t)
}

func (t *tableWriter) title(s string) {
	t.line()
	t.line(strings.ToUpper(s))
}

// row prints a case, with a line for each of its rules.
func (t *tableWriter) row(name, label string, figures []string) {
	cells := make([]string, firstOfRule)
	copy(cells[1:], figures)
	cells[0] = "  " + label
	printed := false
	for _, r := range t.rules {
		if r.of != name {
			continue
		}
		t.line(append(cells, t.compared(r.apply(t.res))...)...)
		cells, printed = make([]string, firstOfRule), true
	}
	if !printed {
		t.line(cells...)
	}
}

// compared is the right half of a line.
func (t *tableWriter) compared(v verdict) []string {
	what, cpu, limit, aim, mark := v.figure.name, "", "", "", ""
	if v.against != "" {
		what = strings.TrimSuffix(v.as+", "+v.figure.name, ", ")
	}
	if v.cpu > 0 {
		cpu = fmt.Sprintf("%.2f", v.cpu)
	}
	if v.limit > 0 || v.zero {
		limit, mark = fmt.Sprintf("%.2f", v.limit), "ok"
		if v.aim > 0 {
			aim = fmt.Sprintf("[%.2f]", v.aim)
		}
		if v.failed() {
			t.missed++
			mark = "FAIL"
		}
	}
	return []string{what, fmt.Sprintf("%.3f", v.value), cpu, limit, aim, mark}
}

// timed has the cells of a case that took its turns.
func timed(s sample) []string {
	cells := []string{whole(s.Wall), whole(s.CPU), whole(s.Bytes), fmt.Sprintf("%.2f", s.Allocs), ""}
	if s.P99 > 0 {
		cells[4] = whole(s.P99 / 1000)
	}
	return cells
}

// cells has those of a case that is about memory. Of the cases that are
// measured once the time is told too; it includes a collection half-way.
func (c *memoryCase) cells(s sample) []string {
	if c.once || c.start || c.stop {
		return []string{whole(s.Wall), whole(s.CPU), whole(s.Memory), fmt.Sprintf("%.2f", s.Allocs)}
	}
	return []string{"", "", whole(s.Memory)}
}

// cells has those of a case with neighbours: what these use of processors and
// memory cannot be told from what it uses.
func (*neighbourCase) cells(s sample) []string {
	return []string{whole(s.Wall), "", "", "", whole(s.P99 / 1000)}
}

func whole(x float64) string { return fmt.Sprintf("%.0f", x) }

func notes(rounds int) string {
	return fmt.Sprintf(`ns/op, CPU ns (user and system, all threads), B/op, allocs and p99 are medians of %d rounds in which all cases took turns.
The ratio is the median of the rounds' own ratios of ns/op, or of the figure named; by CPU is that of CPU ns.
A limit is required, the aim in brackets is not. Limits on allocs allow 0.05 more: some allocations serve many operations.
Each measurement has a process of its own. Memory in use, of heap and stacks, is shown as B/op.
Proto.Actor's RequestFuture cannot do without a timeout: it has %v, and so have ours to plain actors.
`, rounds, requestTimeout)
}

// cpuModel is what Linux calls the processor, elsewhere its architecture.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}
