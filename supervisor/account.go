package supervisor

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

func newPast() ChildReport { return ChildReport{Name: "(gone before)", Kind: KindPast, Counted: true} }

// report is what the child has done, all its actors together.
func (k *child) report() ChildReport {
	r := ChildReport{Name: k.name, Counted: true}
	if k.account != nil {
		r = *k.account
	}
	r.Kind, r.Restarts = k.kind, k.restarts()
	return r
}

// settle adds what one actor of this child has done.
func (k *child) settle(e link.Ended) {
	if k.account == nil {
		k.account = &ChildReport{Name: k.name, Counted: true}
	}
	a := k.account
	a.Abandoned = append(a.Abandoned, abandonedOf(e.Abandoned)...)
	switch k.kind {
	case KindWorker:
		a.Counts = a.Counts.Plus(actors.Counts(e.Counts))
		phases := phasesOf(&e)
		a.Phases = append(k.core.sheet.phasesOfOne(), phases[:]...)
	case KindPlain:
		a.Counted = false
		a.Phases = []Phase{{"stop", e.Release}}
	case KindSupervisor:
		a.Phases = []Phase{{"stop", e.Drain + e.Unwind + e.Hooks + e.Release}}
		switch r, ended := k.node.final(); {
		case ended:
			a.Counts = a.Counts.Plus(r.Total)
			a.Children = merge(a.Children, r.Children)
		case k.node != nil: // it goes on, and its loop has the account
			a.Counted = false
		}
	}
	for _, lost := range e.Abandoned {
		emit(k.core.out, TaskAbandoned{k.at(), lost.Name, lost.Since, lost.Stack})
	}
}

// merge adds the account of a supervisor's next actor: the children's of the
// former are one row.
func merge(before, now []ChildReport) []ChildReport {
	if before == nil {
		return now
	}
	past := newPast()
	for _, r := range before {
		past.add(r)
	}
	if len(now) > 0 && now[0].Kind == KindPast {
		past.add(now[0])
		now = now[1:]
	}
	return append([]ChildReport{past}, now...)
}

// add puts a child's account into a row of several.
func (r *ChildReport) add(o ChildReport) {
	if o.Counted {
		r.Counts = r.Counts.Plus(o.Counts)
	}
	r.Restarts += o.Restarts
	walk("", []ChildReport{o}, func(path string, c *ChildReport) {
		for _, a := range c.Abandoned {
			if c.Kind != KindPast { // that names them already
				a.Name = path + ": " + a.Name
			}
			r.Abandoned = append(r.Abandoned, a)
		}
	})
}
