// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/supervision"
)

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
