// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/supervisor"
)

// Stop is how stops go on: of the trees of supervisors, and of single children.
type Stop struct {
	Stopping bool       `json:"stopping"` // something does
	Trees    []StopTree `json:"trees"`
}

// StopTree is a supervisor without a parent, with all below it in a row.
type StopTree struct {
	ID       string      `json:"id"`
	Start    uint64      `json:"start"`    // see supervisor.Ref, for an action
	State    string      `json:"state"`    // see supervisor.Info
	For      float64     `json:"for_s"`    // since the stop event
	Total    int         `json:"total"`    // children of that supervisor
	Gone     int         `json:"gone"`     // of these: that have ended
	Draining []StopChild `json:"draining"` // that are stopping now, of whichever supervisor; 200 at most
	Next     []string    `json:"next"`     // children that will be told to stop, in that order; 50 at most
	More     int         `json:"more_next"`
}

// StopChild is a child that was told to stop and has not ended.
type StopChild struct {
	Path       string  `json:"path"`       // of its PID: "service/consumer"
	Supervisor string  `json:"supervisor"` // with Child and Start it is the target of an action
	Child      string  `json:"child"`
	Start      uint64  `json:"start"`
	Kind       string  `json:"kind"`
	State      string  `json:"state,omitempty"` // of its worker: "stopping", "unwinding", "stop hooks", "released"
	For        float64 `json:"for_s"`
	GraceLeft  float64 `json:"grace_left_s"` // 0: it is over; -1: it has no end
	Pending    int64   `json:"pending"`      // accepted and not ended; -1: it has no account
	Queued     int64   `json:"queued"`       // of these: that have not started
	Tasks      int     `json:"tasks"`        // of these: that have
	Offloads   int     `json:"offloads"`     // functions that run for it
	WaitsFor   []Task  `json:"waits_for"`    // its tasks, the oldest first; 20 at most
}

// The bounds of a Stop.
const (
	maxNext   = 50
	MaxWaited = 20 // tasks of a worker that drains
)

// Stop is the page of that name. tasksOf are the tasks of a worker, the oldest first; it is asked for
// those alone that are shown.
func (s *State) Stop(tasksOf func(w *inspect.Worker) []inspect.Task) *Stop {
	v := &Stop{Trees: []StopTree{}}
	refs := map[string]supervisor.Ref{}
	for i := range s.Supervisors {
		refs[s.Supervisors[i].PID.Id] = s.Supervisors[i].Ref
	}
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		if _, inner := refs[n.Parent.GetId()]; inner {
			continue
		}
		t := StopTree{ID: s.Redact.worker(n.PID.Id), Start: n.Ref.Start, State: n.State, Total: n.Len, Draining: []StopChild{}, Next: []string{}}
		if !n.Since.IsZero() {
			t.For = s.since(n.Since)
		}
		for _, k := range slices.Backward(n.Children) {
			switch {
			case k.State == "gone":
			case k.State != "stopping" && len(t.Next) < maxNext:
				t.Next = append(t.Next, s.Redact.worker(k.Name))
			case k.State != "stopping":
				t.More++
			}
		}
		t.Gone = n.States["gone"]
		for j := range n.Waits {
			t.Draining = append(t.Draining, s.stopChild(&n.Waits[j], tasksOf))
		}
		v.Stopping = v.Stopping || t.For > 0 || len(t.Draining) > 0
		v.Trees = append(v.Trees, t)
	}
	return v
}

func (s *State) stopChild(k *supervisor.StopWait, tasksOf func(w *inspect.Worker) []inspect.Task) StopChild {
	c := StopChild{
		Path: s.Redact.worker(k.Ref.Supervisor + "/" + k.Ref.Child), Supervisor: s.Redact.worker(k.Ref.Supervisor), Child: s.Redact.worker(k.Ref.Child), Start: k.Ref.Start,
		Kind: string(k.Kind), For: s.since(k.Since), GraceLeft: graceOf(k.GraceLeft), Pending: k.Pending, WaitsFor: []Task{},
	}
	w := s.worker(k.PID.GetId())
	if w == nil {
		return c
	}
	c.State, c.Queued, c.Tasks, c.Offloads = w.State, w.Queued, w.Live, w.Offloads
	for _, t := range tasksOf(w) {
		if len(c.WaitsFor) == MaxWaited {
			break
		}
		c.WaitsFor = append(c.WaitsFor, s.task(&t))
	}
	return c
}

// worker is the one of an id; nil: there is none. s may be nil.
func (s *State) worker(id string) *inspect.Worker {
	if s == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.Snapshot.Workers, id, func(w inspect.Worker, id string) int { return strings.Compare(w.PID.Id, id) })
	if !ok {
		return nil
	}
	return &s.Snapshot.Workers[i]
}

// FindWorker is the worker that is shown by that name.
func (s *State) FindWorker(name string) (*inspect.Worker, error) {
	if s.Redact == nil && !label.IsCut(name) {
		if w := s.worker(name); w != nil {
			return w, nil
		}
		return nil, fmt.Errorf("there is no worker %q", name)
	}
	var found *inspect.Worker
	for i := range s.Snapshot.Workers {
		if w := &s.Snapshot.Workers[i]; s.Redact.worker(w.PID.Id) == name {
			if found != nil {
				return nil, fmt.Errorf("several workers are shown as %q", name)
			}
			found = w
		}
	}
	if found == nil {
		return nil, fmt.Errorf("there is no worker %q", name)
	}
	return found, nil
}

// FindSupervisor is the supervisor, or the child of one, of that start, as it is named for an action.
func (s *State) FindSupervisor(start uint64) (supervisor.Ref, bool) {
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		if n.Ref.Start == start {
			return n.Ref, true
		}
		for j := range n.Children {
			if n.Children[j].Ref.Start == start {
				return n.Children[j].Ref, true
			}
		}
	}
	return supervisor.Ref{}, false
}
