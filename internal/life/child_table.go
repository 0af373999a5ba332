// SPDX-License-Identifier: Apache-2.0

package life

import (
	"strings"

	"github.com/protoloop/protoloop/internal/life/table"
)

// String is the word for it in the table.
func (w ChildWant) String() string {
	return word(w, "nothing", "start", "decision", "decision and start")
}

// String is the word for it in the table.
func (e ChildEvent) String() string {
	return word(e, "start asked", "spawned", "spawn failed", "set up", "leaves", "start timed out", "crashed", "ended",
		"decision due", "decided", "restart due", "let go", "quiesce asked", "quiesced", "quiesce over",
		"stop asked", "grace over", "cut off", "abandoned", "forgotten")
}

// String is the word for it in the table.
func (s ChildShutdown) String() string { return word(s, "grace", "kill", "abandon") }

var childEffectWords = []string{"enter", "start up", "start failed", "tell stopping", "tell stopped", "spawn", "restart", "quiesce",
	"stop graceful", "end grace", "stop now", "stop unwaited", "abandon", "ask decision"}

// String lists them, in their order.
func (do ChildEffects) String() string { return bits(uint32(do), childEffectWords) }

// String has all that is remembered of the child, for the table.
func (c Child) String() string {
	return strings.Join(notEmpty([]string{c.state.String(), word(c.want, "", "wants start", "wants decision", "wants decision and start")}), ", ")
}

// ChildMoment is an event with its facts.
type ChildMoment struct {
	Event ChildEvent
	Facts ChildFacts
}

// String is the event, with its facts if it has any.
func (m ChildMoment) String() string {
	var facts []string
	if m.Event == ChildStopAsked {
		facts = append(facts, m.Facts.Shutdown.String())
	}
	if m.Facts.Stopping {
		facts = append(facts, "supervisor stops")
	}
	if m.Facts.Drains {
		facts = append(facts, "drains")
	}
	if m.Facts.Forced {
		facts = append(facts, "forced")
	}
	if facts == nil {
		return m.Event.String()
	}
	return m.Event.String() + "{" + strings.Join(facts, ", ") + "}"
}

// childMoments are all events, each with every fact that On looks at.
func childMoments() (all []ChildMoment) {
	for e := range childEvents {
		facts := []ChildFacts{{}}
		switch e {
		case ChildCrashed:
			facts = []ChildFacts{{}, {Stopping: true}, {Drains: true}, {Stopping: true, Drains: true}}
		case ChildEnded:
			facts = []ChildFacts{{}, {Stopping: true}}
		case ChildStopAsked:
			facts = nil
			for how := range childShutdowns {
				for i := range 4 {
					facts = append(facts, ChildFacts{Shutdown: how, Forced: i&1 != 0, Drains: i&2 != 0})
				}
			}
		}
		for _, f := range facts {
			all = append(all, ChildMoment{e, f})
		}
	}
	return all
}

// canHear reports whether the event can happen: a setup is one of a child that starts,
// and nobody starts what has not ended.
func (c Child) canHear(e ChildEvent) bool {
	switch e {
	case ChildSpawned, ChildSpawnFailed:
		return c.state == ChildSpawning
	case ChildStartAsked:
		return c.state == ChildGone || c.state == ChildStarting || c.state == ChildQuiesced || c.state.HasFailed()
	case ChildStartTimedOut:
		return c.state == ChildStarting
	case ChildSetUp, ChildLeaves, ChildCrashed, ChildEnded, ChildQuiesceAsked, ChildHasQuiesced, ChildAbandoned:
		return c.state.HasActor()
	case ChildGraceOver, ChildCutOff:
		return c.state.IsEnding()
	case ChildForgotten:
		return c.state == ChildGone
	}
	return c.state != ChildRemoved && c.state != ChildSpawning
}

// childLabel is what a step means to a user.
func childLabel(r table.Row[Child, ChildMoment]) string {
	switch r.Event.Event {
	case ChildStartAsked:
		if r.From.state == ChildGone {
			return "its start"
		}
		return "its restart"
	case ChildSpawned:
		return "it is spawned"
	case ChildSpawnFailed:
		return "Spawn fails"
	case ChildSetUp:
		return "setup succeeds"
	case ChildLeaves:
		return "its stop event is set, by itself or somebody else"
	case ChildStartTimedOut:
		return "setup takes longer than StartTimeout"
	case ChildCrashed:
		if r.To.state == ChildRecovering {
			return "it fails, and its Restart says so"
		}
		return "it fails"
	case ChildEnded:
		if r.From.state == ChildUp {
			return "it ends by itself, or somebody else stops it"
		}
		return "it ends"
	case ChildHasQuiesced:
		return "nothing of it runs any more, for a restart"
	case ChildStopAsked:
		if r.To.state == ChildRecovering {
			return "its stop, before anybody has dealt with its failure"
		}
		return "its stop"
	case ChildGraceOver:
		return "its grace is over"
	case ChildCutOff:
		return "its supervisor is cut off"
	case ChildAbandoned:
		return "it does not end, and is abandoned"
	case ChildForgotten:
		return "it is removed"
	}
	return ""
}

// ChildTable is the table of [Child], for tests and diagrams.
func ChildTable() *table.Table[Child, ChildMoment] {
	return &table.Table[Child, ChildMoment]{
		Name:   "life.Child",
		Start:  NewChild(),
		Events: childMoments(),
		On: func(c Child, m ChildMoment) (Child, string, bool) {
			if !c.canHear(m.Event) {
				return c, "", false
			}
			to, effects := c.On(m.Event, m.Facts)
			return to, effects.String(), true
		},
		State: Child.String,
		Event: ChildMoment.String,
		Node:  func(c Child) string { return c.state.String() },
		Label: childLabel,
		Ends:  func(c Child) bool { return c.state == ChildRemoved },
	}
}

// ChildTableShown is the same with the states that users see.
func ChildTableShown() *table.Table[Child, ChildMoment] {
	t := ChildTable()
	t.Node = func(c Child) string { return c.state.Shown() }
	return t
}
