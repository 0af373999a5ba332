// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/oneline"
	"github.com/protoloop/protoloop/internal/supervision"
)

// Report accounts for everything that a supervisor's children had accepted. In its
// accounts Pending is 0 once everything has stopped, but for what a worker that was
// abandoned, or is one to Abandon, had not ended by then.
type Report struct {
	Supervisor string        `json:"supervisor"` // id of its PID
	Total      actors.Counts `json:"total"`      // of all children that are counted
	Children   []ChildReport `json:"children"`   // in the order of the Spec
	Phases     []Phase       `json:"phases"`     // of the stop as a whole
}

// ChildReport is a child's part. In that of a supervisor Counts is the sum of
// its own Children.
type ChildReport struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Counted: the child has an exact account. A plain actor without an
	// EventLoop has none; its Counts are zero and in no sum. Nor has a
	// supervisor that nobody has waited for. The child that drains a grid has the
	// account of all its keys, and what those have abandoned.
	Counted   bool          `json:"counted"`
	Counts    actors.Counts `json:"counts"`
	Restarts  int           `json:"restarts"`
	Abandoned []Abandoned   `json:"abandoned,omitempty"`
	Phases    []Phase       `json:"phases,omitempty"`
	Children  []ChildReport `json:"children,omitempty"`
}

// Kind says what a child is.
type Kind string

// The kinds of children.
const (
	KindWorker     Kind = "worker"     // an actor with an event loop
	KindSupervisor Kind = "supervisor" // of this package
	KindPlain      Kind = "plain"      // an actor without an event loop
	KindPast       Kind = "past"       // those that were gone, and forgotten, before the stop
)

// Abandoned is a task that did not return when it was told to end, or a whole
// plain actor. Go can end no goroutine: it goes on.
type Abandoned struct {
	Name  string    // of the task
	Since time.Time // it was seen in the same turn, or was told to end
	Stack []byte    // nil where it could not be taken, as of an offloaded function
}

// MarshalJSON has the stack as text.
func (a Abandoned) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name  string    `json:"name"`
		Since time.Time `json:"since"`
		Stack string    `json:"stack,omitempty"`
	}{a.Name, a.Since, string(a.Stack)})
}

// Phase is a step of a stop and how long it took.
//
// Of a worker: "drain" from the stop event until nothing was left to do or the
// grace was over, "unwind" until all tasks had ended, "hooks" (OnStop),
// "release" until its own children had stopped. Of a plain actor and a
// supervisor: "stop".
type Phase struct {
	Name string
	Took time.Duration
}

// MarshalJSON has the time in seconds.
func (p Phase) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name string  `json:"name"`
		Took float64 `json:"took_s"`
	}{p.Name, p.Took.Seconds()})
}

func abandonedOf(all []supervision.Abandoned) []Abandoned {
	var out []Abandoned
	for _, a := range all {
		out = append(out, Abandoned(a))
	}
	return out
}

// workerPhases is how many a worker's stop has.
const workerPhases = 4

func phasesOf(e *supervision.Ended) [workerPhases]Phase {
	return [...]Phase{{"drain", e.Drain}, {"unwind", e.Unwind}, {"hooks", e.Hooks}, {"release", e.Release}}
}

// MarshalJSON is the report as one object, with the words of the table in lower
// case and whether anything was abandoned; times are seconds.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report // without this method
	return json.Marshal(struct {
		plain
		Clean bool `json:"clean"` // nothing was abandoned
	}{plain(r), r.Err() == nil})
}

// Err is an [*AbandonedError] if something had to be abandoned, and else
// nil. What failed during the stop, a handler or an OnStop hook, has left nothing
// behind: it is logged, and not in the report.
func (r Report) Err() error {
	var left []string
	walkReports("", r.Children, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			left = append(left, path+": "+a.Name)
		}
	})
	if left == nil {
		return nil
	}
	return &AbandonedError{left}
}

// walkReports visits a tree of reports, parents first.
func walkReports(prefix string, all []ChildReport, f func(path string, c *ChildReport)) {
	for i := range all {
		c := &all[i]
		f(prefix+c.Name, c)
		walkReports(prefix+c.Name+"/", c.Children, f)
	}
}

// maxShownChildren is how many children of one supervisor String shows: a Dynamic
// may have ten thousand.
const maxShownChildren = 50

// String is the report as a table, and below it the stacks of what was
// abandoned. It shows 50 children of a supervisor at most, first of all those that
// have something abandoned, then those with something else than finished work, and
// says how many more there are. The sums have all.
func (r Report) String() string {
	rows := [][]string{{"child", "accepted", "finished", "failed", "canceled", "abandoned", "dead letters", "pending", "refused", "restarts", "stop"}}
	row := func(name string, counted bool, c actors.Counts, restarts string, took time.Duration) {
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
	var addRows func(prefix string, all []ChildReport)
	addRows = func(prefix string, all []ChildReport) {
		shown, more := shownReports(all)
		for _, c := range shown {
			path := prefix + oneline.Name(c.Name)
			row(path, c.Counted, c.Counts, strconv.Itoa(c.Restarts), sumPhases(c.Phases))
			addRows(path+"/", c.Children)
		}
		if more > 0 {
			rows = append(rows, []string{fmt.Sprintf("%sand %d more", prefix, more)})
		}
	}
	addRows("", r.Children)
	row("total", true, r.Total, "", sumPhases(r.Phases))

	var b strings.Builder
	fmt.Fprintf(&b, "stopped %s\n", r.Supervisor)
	writeTable(&b, rows)
	walkReports("", r.Children, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			fmt.Fprintf(&b, "\nabandoned: %s: %s, since %s\n", oneline.Name(path), oneline.Name(a.Name), a.Since.Format(time.RFC3339Nano))
			if stack := strings.TrimRight(string(a.Stack), "\n"); stack != "" {
				b.WriteString(stack + "\n")
			}
		}
	})
	return b.String()
}

// shownReports is which of the children of one supervisor String shows, and how
// many it does not.
func shownReports(all []ChildReport) (shown []*ChildReport, more int) {
	for i := range all {
		shown = append(shown, &all[i])
	}
	if more = len(all) - maxShownChildren; more <= 0 {
		return shown, 0
	}
	slices.SortStableFunc(shown, func(a, b *ChildReport) int { return cmp.Compare(a.rank(), b.rank()) })
	return shown[:maxShownChildren], more
}

// rank is how little a child matters to somebody who looks for what went wrong.
func (c *ChildReport) rank() int {
	n := &c.Counts
	switch {
	case len(c.Abandoned) > 0 || n.Abandoned > 0 || n.Pending > 0:
		return 0
	case n.Finished < n.Offered || c.Restarts > 0 || !c.Counted:
		return 1
	}
	return 2
}

// writeTable writes names to the left and figures to the right, for which
// text/tabwriter has one alignment only.
func writeTable(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range rows {
		if len(cells) == 1 {
			b.WriteString(cells[0] + "\n")
			continue
		}
		fmt.Fprintf(b, "%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
}

func sumPhases(phases []Phase) (d time.Duration) {
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
