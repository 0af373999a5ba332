package supervisor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// String is the report as a table, and below it the stacks of what was
// abandoned.
func (r Report) String() string {
	rows := [][]string{{"child", "accepted", "finished", "failed", "canceled", "abandoned", "dead letters", "pending", "refused", "restarts", "stop"}}
	row := func(name string, counted bool, c Counts, restarts string, took time.Duration) {
		cells := []string{name}
		for _, n := range []int64{c.Accepted, c.Finished, c.Failed, c.Canceled, c.Abandoned, c.DeadLettered, c.Pending, c.Refused} {
			cell := "-"
			if counted {
				cell = strconv.FormatInt(n, 10)
			}
			cells = append(cells, cell)
		}
		rows = append(rows, append(cells, restarts, shortTime(took)))
	}
	walk("", r.Children, func(path string, c *ChildReport) {
		row(path, c.Counted, c.Counts, strconv.Itoa(c.Restarts), sum(c.Phases))
	})
	row("total", true, r.Total, "", sum(r.Phases))

	var b strings.Builder
	fmt.Fprintf(&b, "stopped %s\n", r.Supervisor)
	table(&b, rows)
	walk("", r.Children, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			fmt.Fprintf(&b, "\nabandoned: %s: %s, since %s\n", path, a.Name, a.Since.Format(time.RFC3339Nano))
			if stack := strings.TrimRight(string(a.Stack), "\n"); stack != "" {
				b.WriteString(stack + "\n")
			}
		}
	})
	return b.String()
}

// table writes names to the left and figures to the right, for which
// text/tabwriter has one alignment only.
func table(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range rows {
		fmt.Fprintf(b, "%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
}

func sum(phases []Phase) (d time.Duration) {
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
