package supervisor

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// String is the report as a table, and below it the stacks of what was
// abandoned.
func (r Report) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "child\taccepted\tfinished\tfailed\tcanceled\tabandoned\tdead letters\tpending\trefused\trestarts\tstop\t")
	row := func(name string, counted bool, c Counts, restarts string, took time.Duration) {
		fmt.Fprintf(w, "%s\t", name)
		if counted {
			for _, n := range []int64{c.Accepted, c.Finished, c.Failed, c.Canceled, c.Abandoned, c.DeadLettered, c.Pending, c.Refused} {
				fmt.Fprintf(w, "%d\t", n)
			}
		} else {
			fmt.Fprint(w, strings.Repeat("-\t", 8))
		}
		fmt.Fprintf(w, "%s\t%s\t\n", restarts, shortTime(took))
	}
	walk("", r.Children, func(path string, c *ChildReport) {
		row(path, c.Counted, c.Counts, fmt.Sprint(c.Restarts), total(c.Phases))
	})
	row("total", true, r.Total, "", total(r.Phases))
	w.Flush()
	out := "stopped " + r.Supervisor + "\n" + leftFirst(b.String())
	walk("", r.Children, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			out += fmt.Sprintf("\nabandoned: %s: %s, since %s\n", path, a.Name, a.Since.Format(time.RFC3339Nano))
			if len(a.Stack) > 0 {
				out += strings.TrimRight(string(a.Stack), "\n") + "\n"
			}
		}
	})
	return out
}

// leftFirst aligns the first column, names, to the left: a tabwriter aligns
// all of them alike.
func leftFirst(table string) string {
	lines := strings.SplitAfter(table, "\n")
	for i, l := range lines {
		name := strings.TrimLeft(l, " ")
		pad := len(l) - len(name)
		if first, rest, ok := strings.Cut(name, "  "); ok {
			lines[i] = first + strings.Repeat(" ", pad) + "  " + rest
		}
	}
	return strings.Join(lines, "")
}

func total(phases []Phase) (d time.Duration) {
	for _, p := range phases {
		d += p.Took
	}
	return d
}

// shortTime has three digits or so.
func shortTime(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
