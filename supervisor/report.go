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
	"github.com/protoloop/protoloop/internal/life"
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

func newPast() ChildReport { return ChildReport{Name: "(gone before)", Kind: KindPast, Counted: true} }

// accountSoFar is what the child has done, all its actors together.
func (k *child) accountSoFar() ChildReport {
	r := ChildReport{Name: k.name, Counted: true}
	if k.account != nil {
		r = *k.account
	}
	r.Kind, r.Restarts = k.kind, k.restartCount()
	return r
}

// addAccount adds what one actor of this child has done.
func (k *child) addAccount(e supervision.Ended) {
	if k.account == nil {
		k.account = &ChildReport{Name: k.name, Counted: true}
	}
	a := k.account
	a.Abandoned = append(a.Abandoned, abandonedOf(e.Abandoned)...)
	switch k.kind {
	case KindWorker:
		a.Counts = a.Counts.Plus(actors.Counts(e.Counts))
		phases := phasesOf(&e)
		a.Phases = append(k.core.rows.takePhases(), phases[:]...)
	case KindPlain:
		a.Counted = false
		a.Phases = []Phase{{"stop", e.Release}}
	case KindSupervisor:
		a.Phases = []Phase{{"stop", e.Drain + e.Unwind + e.Hooks + e.Release}}
		switch r, ended := k.node.finalReport(); {
		case ended:
			a.Counts = a.Counts.Plus(r.Total)
			a.Children = mergeReports(a.Children, r.Children)
		case k.node != nil: // it goes on, and its loop has the account
			a.Counted = false
		}
	}
	for _, lost := range e.Abandoned {
		emitEvent(k.core.events, TaskAbandoned{k.eventPlace(), lost.Name, lost.Since, lost.Stack})
	}
}

// mergeReports adds the account of a supervisor's next actor: the children's of the
// former are one row.
func mergeReports(before, now []ChildReport) []ChildReport {
	if before == nil {
		return now
	}
	past := newPast()
	for _, r := range before {
		past.addReport(r)
	}
	if len(now) > 0 && now[0].Kind == KindPast {
		past.addReport(now[0])
		now = now[1:]
	}
	return append([]ChildReport{past}, now...)
}

// addReport puts a child's account into a row of several.
func (c *ChildReport) addReport(o ChildReport) {
	if o.Counted {
		c.Counts = c.Counts.Plus(o.Counts)
	}
	c.Restarts += o.Restarts
	walkReports("", []ChildReport{o}, func(path string, each *ChildReport) {
		for _, a := range each.Abandoned {
			if each.Kind != KindPast { // that names them already
				a.Name = path + ": " + a.Name
			}
			c.Abandoned = append(c.Abandoned, a)
		}
	})
}

// reportRows tracks the rows of the final report: each child's account is written
// into its own from the stop on. Made one by one, and copied into the report in
// the end, they were a fifth of the time that 10,000 workers take to stop
// (bench: stop/workers).
type reportRows struct {
	rows   []ChildReport // the first is that of those that are gone and forgotten
	phases []Phase       // that no row has yet
}

// makeRows makes the rows, of all children there are.
func (s *reportRows) makeRows(all []*child) {
	s.rows, s.phases = make([]ChildReport, 1+len(all)), make([]Phase, workerPhases*len(all))
	for i, k := range all {
		row := &s.rows[1+i]
		*row = k.accountSoFar()
		k.account = row
	}
}

// takePhases returns room for the phases of one row.
func (s *reportRows) takePhases() []Phase {
	if len(s.phases) < workerPhases {
		return nil
	}
	room := s.phases[:0:workerPhases]
	s.phases = s.phases[workerPhases:]
	return room
}

// finalReport is the report of an incarnation, so far. It is the last that is asked
// of it: the rows are the caller's.
func (c *core) finalReport() Report {
	if c.rows.rows == nil { // there was no stop
		c.childrenAtStop = c.orderedChildren()
		c.rows.makeRows(c.childrenAtStop)
	}
	rows := c.rows.rows
	c.rows = reportRows{}
	r := Report{Supervisor: c.node.pid.Id, Phases: []Phase{{"stop", c.stopTook}}}
	n := 1
	for i, k := range c.childrenAtStop {
		row := &rows[1+i]
		k.account = nil // whatever ends later is in no report
		if k.life.State() == life.ChildRemoved {
			continue // its account is in the past
		}
		row.Kind, row.Restarts = k.kind, k.restartCount()
		if n <= i { // one before it was removed
			rows[n] = *row
		}
		n++
		if row.Counted {
			r.Total = r.Total.Plus(row.Counts)
		}
	}
	r.Children = rows[1:n]
	if p := c.formerChildren; p.Counts != (actors.Counts{}) || p.Restarts > 0 || len(p.Abandoned) > 0 {
		rows[0], r.Children = p, rows[:n]
		r.Total = r.Total.Plus(p.Counts)
	}
	return r
}
