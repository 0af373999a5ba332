package life

import (
	"strings"

	"github.com/protoloop/protoloop/internal/life/table"
)

func (w ChildWant) String() string {
	return [childWants]string{"nothing", "start", "decision", "decision and start"}[w]
}

func (e ChildEvent) String() string {
	return [childEvents]string{
		"start asked", "spawned", "spawn failed", "set up", "start timed out", "crashed", "ended",
		"decision due", "decided", "restart due", "let go", "quiesce asked", "quiesced", "quiesce over",
		"stop asked", "grace over", "cut off", "left behind", "forgotten",
	}[e]
}

func (s ChildShutdown) String() string {
	return [childShutdowns]string{"grace", "kill", "abandon"}[s]
}

var childEffectNames = []string{
	"enter", "start up", "start failed", "tell stopping", "tell stopped", "spawn", "restart", "quiesce",
	"stop graceful", "end grace", "stop now", "stop unwaited", "leave", "ask decision",
}

func (e ChildEffects) String() string {
	var all []string
	for i, name := range childEffectNames {
		if e&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

func (c Child) String() string {
	if c.want == ChildWantNothing {
		return c.state.String()
	}
	return c.state.String() + ", wants " + c.want.String()
}

// ChildMoment is an event with its facts.
type ChildMoment struct {
	Event ChildEvent
	Facts ChildFacts
}

func (m ChildMoment) String() string {
	var facts []string
	if m.Facts.Stopping {
		facts = append(facts, "supervisor stops")
	}
	if m.Facts.Drains {
		facts = append(facts, "drains")
	}
	if m.Facts.Forced {
		facts = append(facts, "forced")
	}
	if m.Event == ChildStopAsked {
		facts = append(facts, m.Facts.Shutdown.String())
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
		return c.state == ChildGone || c.state == ChildStarting || c.state == ChildQuiet || c.state.HasFailed()
	case ChildStartTimedOut:
		return c.state == ChildStarting
	case ChildSetUp, ChildCrashed, ChildEnded, ChildQuiesceAsked, ChildQuiesced, ChildLeftBehind:
		return c.state.HasActor()
	case ChildGraceOver, ChildCutOff:
		return c.state.IsEnding()
	case ChildForgotten:
		return c.state == ChildGone
	}
	return c.state != ChildRemoved && c.state != ChildSpawning
}

// childLabel is what a step means to a user.
func childLabel(from ChildState, m ChildMoment) string {
	switch m.Event {
	case ChildStartAsked:
		if from == ChildGone {
			return "it is to start"
		}
		return "its restart"
	case ChildSpawned:
		return "Spawn has returned"
	case ChildSpawnFailed:
		return "Spawn has failed"
	case ChildSetUp:
		return "setup has succeeded"
	case ChildStartTimedOut:
		return "setup takes longer than StartTimeout"
	case ChildCrashed:
		if from.IsEnding() {
			return "it fails"
		}
		return "a failure"
	case ChildEnded:
		return "its end"
	case ChildQuiesced:
		return "it is at rest before a restart"
	case ChildStopAsked:
		return "its stop"
	case ChildGraceOver:
		return "the end of its grace"
	case ChildCutOff:
		return "the end of its supervisor"
	case ChildLeftBehind:
		return "it does not end, and is left behind"
	case ChildForgotten:
		return "Remove, or the end of a Temporary one"
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
		Label: func(m ChildMoment) string { return childLabel(ChildUp, m) },
		Ends:  func(c Child) bool { return c.state == ChildRemoved },
	}
}

// ChildTableShown is the same with the states that users see.
func ChildTableShown() *table.Table[Child, ChildMoment] {
	t := ChildTable()
	t.Node = func(c Child) string { return c.state.Shown() }
	return t
}
