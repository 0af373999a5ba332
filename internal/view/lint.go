// SPDX-License-Identifier: Apache-2.0

package view

// Level says how much something matters.
type Level string

// The levels, the worst first.
const (
	Error   Level = "error"   // work stands still, is lost, or will fail
	Warning Level = "warning" // it gets there, or waits for longer than it should
	Note    Level = "note"    // worth knowing; the verdict is ok all the same
	OK      Level = "ok"
)

// Lint is one thing that is not as it should be, with all places where it is so.
type Lint struct {
	ID    string     `json:"id"` // "blocked-turn": see the constants
	Level Level      `json:"level"`
	Title string     `json:"title"` // in words: "1 turn is blocked; 41 tasks of 3 workers wait for it"
	Hint  string     `json:"hint"`  // what to do about it
	N     int        `json:"n"`     // places
	Items []LintItem `json:"items"` // of these: 10 at most, the worst first
}

// LintItem is one place.
type LintItem struct {
	Text       string  `json:"text"` // in words, whole
	Worker     string  `json:"worker,omitempty"`
	Kind       string  `json:"kind,omitempty"`
	Task       string  `json:"task,omitempty"`
	Line       string  `json:"line,omitempty"` // "list.go:141 service.(*list).add"
	Supervisor string  `json:"supervisor,omitempty"`
	Child      string  `json:"child,omitempty"`
	Queue      string  `json:"queue,omitempty"`
	Socket     string  `json:"socket,omitempty"`
	For        float64 `json:"for_s"`
	N          int64   `json:"n,omitempty"`
	Tasks      int     `json:"tasks,omitempty"`   // that wait for it in the end
	Workers    int     `json:"workers,omitempty"` // whose tasks these are
	Page       string  `json:"page,omitempty"`    // that shows more, relative: "worker?id=service/list"
}

// The ids of lints.
const (
	LintBlocked   = "blocked-turn"
	LintRing      = "ring"
	LintAccount   = "account"
	LintFailed    = "supervisor-failed"
	LintIntensity = "restart-intensity"
	LintFull      = "mailbox-full"
	LintOldQueue  = "old-queue"
	LintTold      = "told-to-end"
	LintBudget    = "over-budget"
	LintOffload   = "offload-full"
	LintDown      = "child-down"
	LintLost      = "lost-messages"
	LintDead      = "dead-letters"
	LintBreaker   = "breaker-open"
	LintSlow      = "slow-clients"
	LintKeys      = "keys-fail"
	LintGrid      = "grid-lost"
	LintPromise   = "promise"
	LintStop      = "stop"
)
