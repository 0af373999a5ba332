// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
)

// Target is what an action is about: the body of its POST. Each action says which fields it
// has; others are to be absent.
type Target struct {
	// A task: a Ref. Cause is the reason that it gets, in words.
	Worker      string `json:"worker,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
	Task        uint64 `json:"task,omitempty"`
	Cause       string `json:"cause,omitempty"`
	// A supervisor, or its child if that is not empty, with the start that it was seen in.
	Supervisor string `json:"supervisor,omitempty"`
	Child      string `json:"child,omitempty"`
	Start      uint64 `json:"start,omitempty"`
	// A socket of a server.
	Server    string `json:"server,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Socket    string `json:"socket,omitempty"`
	// A capture.
	Kind string `json:"kind,omitempty"`
}

// Done is the answer to an action.
type Done struct {
	Done    bool     `json:"done"` // false: it goes on
	Text    string   `json:"text"`
	Capture *Capture `json:"capture,omitempty"` // that has begun
}

// String names it for a log, on one line.
func (t Target) String() string {
	var parts []string
	add := func(name string, v any, is bool) {
		if is {
			parts = append(parts, fmt.Sprintf("%s %q", name, fmt.Sprint(v)))
		}
	}
	add("worker", t.Worker, t.Worker != "")
	add("incarnation", t.Incarnation, t.Incarnation != 0)
	add("task", t.Task, t.Task != 0)
	add("supervisor", t.Supervisor, t.Supervisor != "")
	add("child", t.Child, t.Child != "")
	add("start", t.Start, t.Start != 0)
	add("server", t.Server, t.Server != "")
	add("namespace", t.Namespace, t.Namespace != "")
	add("socket", t.Socket, t.Socket != "")
	add("capture", t.Kind, t.Kind != "")
	return strings.Join(parts, ", ")
}
