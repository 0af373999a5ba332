// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/supervisor"
)

// State is what was seen of a process at one moment.
type State struct {
	Seq         uint64
	At          time.Time
	About       About
	Redact      Redact
	Goroutines  int
	Snapshot    inspect.Snapshot // of all workers, with groups and roots, and without their tasks
	Kinds       []inspect.WorkerKind
	Shares      []inspect.Share   // since the look before
	Supervisors []supervisor.Info // each behind its parent
	Consumers   []consumer.Info   // by name
	Servers     []SocketLook      // with the slowest sessions alone
	Grid        *grid.Info        // nil: there is none
	Before      *State            // the look before, without its own; nil: this is the first, or that was long ago
	Past        *State            // the oldest of the last minute, without its workers and supervisors; nil: there is none
	Minute      Minute
}

// The bounds of what is shown.
const (
	maxRows  = 200 // of a table
	maxItems = 10  // of a lint
)

// home is the address of the actor system.
func (s *State) home() string { return s.About.Address }

// VerdictOf sums up lints.
func VerdictOf(lints []Lint) Verdict {
	v := Verdict{Level: OK, Text: "All is well"}
	for _, l := range lints {
		switch l.Level {
		case Error:
			v.Errors++
		case Warning:
			v.Warnings++
		default:
			v.Notes++
		}
	}
	errors, warnings := count(v.Errors, "error", "errors"), count(v.Warnings, "warning", "warnings")
	switch {
	case v.Errors > 0 && v.Warnings > 0:
		v.Level, v.Text = Error, errors+", "+warnings
	case v.Errors > 0:
		v.Level, v.Text = Error, errors
	case v.Warnings > 0:
		v.Level, v.Text = Warning, warnings
	}
	return v
}

// Overview is the page of that name.
func (s *State) Overview(lints []Lint) *Overview {
	return &Overview{Lints: lints, Totals: s.Totals(), Minute: s.Minute}
}

// Totals are the sums.
func (s *State) Totals() Totals {
	t := Totals{Workers: len(s.Snapshot.Workers), Goroutines: s.Goroutines}
	var sum actors.Counts
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		if w.Queued > 0 || w.Live > 0 {
			t.Working++
		}
		if w.Blocked != nil {
			t.Blocked++
		}
		t.Tasks += w.Live
		t.Queued += w.Queued
		t.Oldest = max(t.Oldest, seconds(w.OldestWait))
		t.Offloads += w.Offloads
		t.Waiting += w.OffloadsWaiting
		sum = sum.Plus(w.Counts)
	}
	t.Counts = countsOf(sum)
	for i := range s.Shares {
		t.Busy += s.Shares[i].Busy
	}
	t.Busy = min(1, t.Busy/float64(max(1, s.About.GOMAXPROCS)))
	for i := range s.Supervisors {
		t.Restarts += s.Supervisors[i].RestartsTotal
	}
	for i := range s.Consumers {
		t.Messages += s.Consumers[i].Stats.InFlight
	}
	for i := range s.Servers {
		for _, n := range s.Servers[i].Stats.Sockets {
			t.Sockets += n
		}
	}
	return t
}
