// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Supervision is the trees of supervisors, and what has happened in them.
type Supervision struct {
	Supervisors []Supervisor `json:"supervisors"` // those without a parent; the others are below them
	Timeline    []Record     `json:"timeline"`    // of supervision, the newest first; 100 at most
}

// Supervisor is one that runs.
type Supervisor struct {
	ID          string         `json:"id"`              // of its PID
	Start       uint64         `json:"start"`           // see supervisor.Ref: the start that an action names
	Strategy    string         `json:"strategy"`        // "one_for_one", "one_for_all", "rest_for_one", "dynamic"
	State       string         `json:"state"`           // see supervisor.Info
	For         float64        `json:"for_s"`           // it has been stopping
	Error       string         `json:"error,omitempty"` // why it ends by itself
	MaxRestarts int            `json:"max_restarts"`    // allowed within Within; -1: no limit
	Within      float64        `json:"within_s"`
	Used        int            `json:"used"`      // restarts within Within, now
	Intensity   float64        `json:"intensity"` // used of what is allowed: beyond 1 it fails; 0: no limit
	Restarts    int64          `json:"restarts"`  // of all children, so far
	MaxChildren int            `json:"max_children,omitempty"`
	States      map[string]int `json:"states"`        // children by state
	Len         int            `json:"len"`           // children
	Children    []Child        `json:"children"`      // 200 at most, in the order of their starts; of more those that are not up, and restart most
	Last        []Restart      `json:"last_restarts"` // the newest first; 32 at most
}

// Child is a child of a supervisor.
type Child struct {
	Name        string      `json:"name"`
	Path        string      `json:"path"`  // id of its PID, also while it has none
	Kind        string      `json:"kind"`  // "worker", "supervisor", "plain"
	State       string      `json:"state"` // "gone", "starting", "up", "failed", "quiesced", "stopping"
	For         float64     `json:"for_s"` // it is in that state
	Start       uint64      `json:"start"` // see supervisor.Ref
	Restarts    int         `json:"restarts"`
	Restart     string      `json:"restart"`    // "permanent", "transient", "temporary"
	Shutdown    float64     `json:"shutdown_s"` // the grace of its stop; -1: it has no end
	Significant bool        `json:"significant,omitempty"`
	Error       string      `json:"error,omitempty"`      // what it failed of last
	Backoff     float64     `json:"backoff_left_s"`       // until its restart; 0: it waits for none
	GraceLeft   float64     `json:"grace_left_s"`         // of one that its supervisor stops; 0: it is over, or nobody stops it; -1: it has no end
	Supervisor  *Supervisor `json:"supervisor,omitempty"` // of a child that is one
}

// Restart is one that a supervisor has decided on.
type Restart struct {
	At      time.Time `json:"at"`
	Child   string    `json:"child"`
	Error   string    `json:"error,omitempty"`
	Line    string    `json:"line,omitempty"`
	Stack   string    `json:"stack,omitempty"` // of a panic
	Task    string    `json:"task,omitempty"`
	Attempt int       `json:"attempt"` // since it was last up for long; 1 is the first
	Delay   float64   `json:"delay_s"`
	With    []string  `json:"with,omitempty"` // siblings that restarted, too
	Counted bool      `json:"counted"`        // against MaxRestarts
}

// Supervision is the page of that name.
func (s *State) Supervision(timeline []Record) *Supervision {
	return &Supervision{Supervisors: s.trees(), Timeline: timeline}
}

// trees nests the supervisors: those without a parent, with the others at their children.
func (s *State) trees() []Supervisor {
	below := map[string][]*supervisor.Info{}
	there := map[string]bool{}
	for i := range s.Supervisors {
		there[s.Supervisors[i].PID.Id] = true
	}
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		up := n.Parent.GetId()
		if !there[up] {
			up = ""
		}
		below[up] = append(below[up], n)
	}
	out := []Supervisor{}
	for _, n := range below[""] {
		out = append(out, s.supervisor(n, below))
	}
	return out
}

func (s *State) supervisor(n *supervisor.Info, below map[string][]*supervisor.Info) Supervisor {
	v := Supervisor{
		ID: s.Redact.worker(n.PID.Id), Start: n.Ref.Start, Strategy: strategyOf(n), State: n.State, Error: s.Redact.Err(n.Err),
		MaxRestarts: n.MaxRestarts, Within: seconds(n.Within), Used: n.Restarted, Intensity: intensityOf(n), Restarts: n.RestartsTotal,
		MaxChildren: n.MaxChildren, States: n.States, Len: n.Len, Children: []Child{}, Last: []Restart{},
	}
	if !n.Since.IsZero() {
		v.For = s.since(n.Since)
	}
	for i := range n.Children {
		k := &n.Children[i]
		child := Child{
			Name: s.Redact.worker(k.Name), Path: s.Redact.worker(n.PID.Id + "/" + k.Name), Kind: string(k.Kind), State: k.State, For: s.since(k.Since),
			Start: k.Ref.Start, Restarts: k.Restarts, Restart: k.Restart.String(), Shutdown: graceOf(k.Shutdown), Significant: k.Significant,
			Error: s.Redact.Err(k.Err), Backoff: seconds(k.BackoffLeft), GraceLeft: graceOf(k.GraceLeft),
		}
		for _, inner := range below[n.PID.Id] {
			if inner.PID.Id == n.PID.Id+"/"+k.Name {
				one := s.supervisor(inner, below)
				child.Supervisor = &one
			}
		}
		v.Children = append(v.Children, child)
	}
	for i := len(n.Restarts) - 1; i >= 0; i-- {
		r := &n.Restarts[i]
		one := Restart{
			At: r.At, Child: s.Redact.worker(r.Child), Error: s.Redact.Err(r.Err), Line: LineOf(string(r.Stack)), Stack: string(r.Stack), Task: s.Redact.task(r.Task),
			Attempt: r.Attempt, Delay: seconds(r.Delay), Counted: r.Counted,
		}
		for _, name := range r.With {
			one.With = append(one.With, s.Redact.worker(name))
		}
		v.Last = append(v.Last, one)
	}
	return v
}

// since is how long ago something was.
func (s *State) since(at time.Time) float64 { return max(0, seconds(s.At.Sub(at))) }

// graceOf is a grace in seconds; -1 is one without an end.
func graceOf(g actors.Grace) float64 {
	if g == actors.Forever {
		return -1
	}
	return seconds(g)
}

func strategyOf(n *supervisor.Info) string {
	if n.Dynamic {
		return "dynamic"
	}
	return n.Strategy.String()
}

// intensityOf is how much of its restarts a supervisor has used.
func intensityOf(n *supervisor.Info) float64 {
	if n.MaxRestarts < 0 {
		return 0
	}
	return float64(n.Restarted) / float64(max(n.MaxRestarts, 1))
}

// The kinds of records.
const (
	RecordRestart = "restart" // and all else that supervisors do to their children
	RecordFailure = "failure" // what inspect.OnFailure tells
	RecordStop    = "stop"
	RecordLint    = "lint" // one that has come up, or is over; only while somebody looks
	RecordAction  = "action"
)

// Record is something that has happened, in the console's timeline. What it has forgotten
// begins at the numbers that are missing.
type Record struct {
	ID         uint64    `json:"id"` // 1, 2, …
	At         time.Time `json:"at"`
	Kind       string    `json:"kind"` // "restart", "failure", "stop", "lint", "action": see What
	What       string    `json:"what"` // "child failed", "blocked turn"
	Level      Level     `json:"level"`
	Supervisor string    `json:"supervisor,omitempty"`
	Child      string    `json:"child,omitempty"`
	Worker     string    `json:"worker,omitempty"`
	Task       string    `json:"task,omitempty"`
	Text       string    `json:"text,omitempty"` // more, on one line
	Error      string    `json:"error,omitempty"`
	Stack      string    `json:"stack,omitempty"`
	By         string    `json:"by,omitempty"`     // of an action: who
	Ended      bool      `json:"ended,omitempty"`  // of a lint: it is over
	Missed     int       `json:"missed,omitempty"` // so many before this one came too fast, and are not here
}
