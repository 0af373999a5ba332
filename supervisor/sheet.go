package supervisor

import "github.com/protoloop/protoloop/internal/life"

// sheet tracks the rows of the final report: each child's account is written
// into its own from the stop on. Made one by one, and copied into the report in
// the end, they were a fifth of the time that 10,000 workers take to stop.
type sheet struct {
	rows   []ChildReport // the first is that of those that are gone and forgotten
	phases []Phase       // that no row has yet
}

// open makes the rows, of all children there are.
func (s *sheet) open(all []*child) {
	s.rows, s.phases = make([]ChildReport, 1+len(all)), make([]Phase, workerPhases*len(all))
	for i, k := range all {
		row := &s.rows[1+i]
		*row = k.report()
		k.account = row
	}
}

// phasesOfOne is room for those of one row.
func (s *sheet) phasesOfOne() []Phase {
	if len(s.phases) < workerPhases {
		return nil
	}
	room := s.phases[:0:workerPhases]
	s.phases = s.phases[workerPhases:]
	return room
}

// account is the report of an incarnation, so far. It is the last that is asked
// of it: the rows are the caller's.
func (c *core) account() Report {
	if c.sheet.rows == nil { // it was not told to stop
		c.all = c.ordered()
		c.sheet.open(c.all)
	}
	rows := c.sheet.rows
	c.sheet = sheet{}
	r := Report{Supervisor: c.node.pid.Id, Phases: []Phase{{"stop", c.took}}}
	n := 1
	for i, k := range c.all {
		row := &rows[1+i]
		k.account = nil // what it settles all the same is told to nobody
		if k.life.State() == life.ChildRemoved {
			continue // its account is in the past
		}
		row.Kind, row.Restarts = k.kind, k.restarts()
		if n <= i { // one before it was removed
			rows[n] = *row
		}
		n++
		if row.Counted {
			r.Total = r.Total.Plus(row.Counts)
		}
	}
	r.Children = rows[1:n]
	if p := c.past; p.Counts != (Counts{}) || p.Restarts > 0 || len(p.Abandoned) > 0 {
		rows[0], r.Children = p, rows[:n]
		r.Total = r.Total.Plus(p.Counts)
	}
	return r
}
