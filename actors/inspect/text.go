// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/protoloop/protoloop/internal/oneline"
)

// How much of a snapshot String prints: a system in trouble may have a million
// tasks, and somebody is to read it.
const (
	maxShownWorkers = 50
	maxShownTasks   = 20 // of a worker
	maxShownFrames  = 40 // lines of a stack
	maxShownName    = 60 // characters
)

// String is the snapshot for somebody in an incident: a table of the workers
// that matter, those with a blocked turn first, then those on the way to their
// end, then those that have work, the longest wait first; and how many are
// idle. Below a worker come its tasks, each with its state, its age, what it
// awaits of whom and what is left of its budget, and the stack of a blocked
// turn. A PID is an id, with the address before it if that is another
// machine's.
//
// It shows 50 workers and 20 tasks of each at most, and says how many more
// there are.
func (s Snapshot) String() string {
	var b strings.Builder
	shown := make([]*Worker, 0, len(s.Workers))
	var n [rankIdle + 1]int
	for i := range s.Workers {
		w := &s.Workers[i]
		if n[w.rank()]++; w.rank() < rankIdle {
			shown = append(shown, w)
		}
	}
	slices.SortStableFunc(shown, func(a, b *Worker) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), -cmp.Compare(a.OldestWait, b.OldestWait))
	})
	fmt.Fprintf(&b, "%s: %d workers: %d blocked, %d ending, %d with work, %d idle\n",
		s.At.Format("2006-01-02T15:04:05.000Z07:00"), len(s.Workers), n[rankBlocked], n[rankEnding], n[rankWorking], n[rankIdle])
	if len(shown) == 0 {
		return b.String()
	}
	more := max(0, len(shown)-maxShownWorkers)
	shown = shown[:len(shown)-more]
	rows := [][]string{{"worker", "state", "incarnation", "queued", "oldest", "in flight", "account"}}
	for _, w := range shown {
		rows = append(rows, w.cells(s.home()))
	}
	b.WriteByte('\n')
	lines := aligned(rows, "", 2, 3, 4, 5)
	b.WriteString(lines[0])
	for i, w := range shown {
		b.WriteString(lines[i+1])
		w.details(&b, s.At, s.home())
	}
	if more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

// home is the address of the machine that the snapshot is of.
func (s *Snapshot) home() string {
	if len(s.Workers) == 0 {
		return ""
	}
	return s.Workers[0].PID.GetAddress()
}

// how much a worker matters to somebody who looks for what is wrong
const (
	rankBlocked = iota
	rankEnding
	rankWorking
	rankIdle
)

func (w *Worker) rank() int {
	switch {
	case w.Blocked != nil:
		return rankBlocked
	case w.State == "stopping", w.State == "unwinding", w.State == "stop hooks", w.State == "quiesced", w.State == "released":
		return rankEnding
	case w.State != "running", w.Queued > 0, len(w.Tasks) > 0:
		return rankWorking
	}
	return rankIdle
}

func (w *Worker) cells(home string) []string {
	state, incarnation, inFlight := w.State, fmt.Sprint(w.Incarnation), fmt.Sprint(len(w.Tasks))
	switch {
	case w.Blocked != nil:
		state += ", blocked"
	case w.State == "busy": // nobody could look
		incarnation, inFlight = "?", "?"
	}
	return []string{oneline.PID(w.PID, home), state, incarnation, fmt.Sprint(w.Queued), briefly(w.OldestWait), inFlight, w.account()}
}

// account is what of the worker's counts is not zero.
func (w *Worker) account() string {
	c := &w.Counts
	var parts []string
	for _, p := range []struct {
		what string
		n    int64
	}{
		{"accepted", c.Accepted},
		{"refused", c.Refused},
		{"finished", c.Finished},
		{"failed", c.Failed},
		{"canceled", c.Canceled},
		{"abandoned", c.Abandoned},
		{"dead letters", c.DeadLettered},
		{"pending", c.Pending},
		{"blocked turns", w.BlockedTurns},
	} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.what, p.n))
		}
	}
	return strings.Join(parts, ", ")
}

// details is what comes below a worker's line.
func (w *Worker) details(b *strings.Builder, at time.Time, home string) {
	if t := w.Blocked; t != nil {
		fmt.Fprintf(b, "    blocked for %s, since %s, by %s\n", briefly(at.Sub(t.Since)), t.Since.Format("15:04:05.000"), shortName(t.Task))
		lines := strings.Split(strings.TrimRight(string(t.Stack), "\n"), "\n")
		if len(t.Stack) == 0 {
			lines = []string{"no stack: it was not found"}
		}
		more := max(0, len(lines)-maxShownFrames)
		for _, line := range lines[:len(lines)-more] {
			b.WriteString("        " + line + "\n")
		}
		if more > 0 {
			fmt.Fprintf(b, "        and %d more lines\n", more)
		}
	}
	if w.Exclusive != "" {
		fmt.Fprintf(b, "    all others wait for %s, which is exclusive\n", shortName(w.Exclusive))
	}
	if w.Delayed > 0 {
		fmt.Fprintf(b, "    %d delayed by After, the next until %s\n", w.Delayed, w.NextDelayed.Format("2006-01-02T15:04:05.000"))
	}
	more := max(0, len(w.Tasks)-maxShownTasks)
	var rows [][]string
	for i := range w.Tasks[:len(w.Tasks)-more] {
		rows = append(rows, w.Tasks[i].cells(home))
	}
	for _, line := range aligned(rows, "    ", 2) {
		b.WriteString(line)
	}
	if more > 0 {
		fmt.Fprintf(b, "    and %d more tasks\n", more)
	}
}

func (t *Task) cells(home string) []string {
	var what []string
	switch {
	case t.Awaits != "" && t.On != nil:
		what = append(what, fmt.Sprintf("for %s of %s", shortName(t.Awaits), oneline.PID(t.On, home)))
	case t.Awaits != "":
		what = append(what, "for "+shortName(t.Awaits))
	}
	if t.Budget > 0 {
		what = append(what, briefly(t.Budget)+" left")
	}
	return []string{shortName(t.Name), t.State, briefly(t.Age), strings.Join(what, ", ")}
}

// aligned makes lines of rows that have the same columns, with those of
// figures to the right, for which text/tabwriter has one alignment only.
func aligned(rows [][]string, indent string, figures ...int) (lines []string) {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range rows {
		line := indent
		for i, cell := range cells {
			if i > 0 {
				line += "  "
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if slices.Contains(figures, i) {
				line += pad + cell
			} else {
				line += cell + pad
			}
		}
		lines = append(lines, strings.TrimRight(line, " ")+"\n")
	}
	return lines
}

// shortName is a name that a user may have chosen, in one line that is not
// too long.
func shortName(name string) string {
	name = oneline.Name(name)
	if utf8.RuneCountInString(name) <= maxShownName {
		return name
	}
	return string([]rune(name)[:maxShownName-1]) + "…"
}

// briefly has three digits or so.
func briefly(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return max(d.Round(10*time.Microsecond), time.Microsecond).String()
}
