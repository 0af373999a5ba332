// SPDX-License-Identifier: Apache-2.0

package view

import "github.com/protoloop/protoloop/actors"

// Overview is whether the process is well, and how busy it is.
type Overview struct {
	Lints  []Lint `json:"lints"` // the worst first; empty: all is well
	Totals Totals `json:"totals"`
	Minute Minute `json:"minute"`
}

// Totals are sums over all workers.
type Totals struct {
	Workers    int     `json:"workers"`
	Working    int     `json:"working"` // of these: that have work
	Blocked    int     `json:"blocked"` // of these: that a turn holds up
	Tasks      int     `json:"tasks"`   // that have started and not ended
	Queued     int64   `json:"queued"`
	Oldest     float64 `json:"oldest_s"` // the longest wait in a queue
	Busy       float64 `json:"busy"`     // share of the processors that turns take, 0 to 1
	Goroutines int     `json:"goroutines"`
	Offloads   int     `json:"offloads"`         // functions that run beside the loops
	Waiting    int     `json:"offloads_waiting"` // of Offload, for a place
	Counts     Counts  `json:"counts"`
	Restarts   int64   `json:"restarts"` // of all children
	Messages   int64   `json:"messages"` // that consumers have in flight
	Sockets    int     `json:"sockets"`  // that are connected
}

// Minute is the last minute, a value for each look, about one a second, the oldest first. It begins when somebody looks:
// nothing is measured before. All have the same length.
type Minute struct {
	Age      []float64 `json:"age_s"`    // how long ago each was
	Finished []float64 `json:"finished"` // tasks a second
	Failed   []float64 `json:"failed"`   // tasks a second
	Queued   []float64 `json:"queued"`
	Oldest   []float64 `json:"oldest_s"`
	Tasks    []float64 `json:"tasks"`
	Busy     []float64 `json:"busy"`
	Restarts []float64 `json:"restarts"` // in that second
}

// Counts is an account of work, and whether it adds up.
type Counts struct {
	actors.Counts
	Agrees bool `json:"agrees"`
}

func countsOf(c actors.Counts) Counts { return Counts{c, c.Agree()} }
