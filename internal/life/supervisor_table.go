package life

import (
	"strings"

	"github.com/protoloop/protoloop/internal/life/table"
)

func (s SupervisorState) String() string {
	return [supervisorStates]string{"running", "running without grace", "stopping", "forced stop", "over"}[s]
}

func (e SupervisorEvent) String() string {
	return [supervisorEvents]string{"stop asked", "grace over", "cut off", "has stopped"}[e]
}

var supervisorEffectNames = []string{"tell stopping", "wake all", "stop all", "tell over"}

func (e SupervisorEffects) String() string {
	var all []string
	for i, name := range supervisorEffectNames {
		if e&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// SupervisorTable is the table of [Supervisor], for tests and diagrams.
func SupervisorTable() *table.Table[Supervisor, SupervisorEvent] {
	t := &table.Table[Supervisor, SupervisorEvent]{
		Name: "life.Supervisor",
		On: func(s Supervisor, e SupervisorEvent) (Supervisor, string, bool) {
			to, effects := s.On(e)
			return to, effects.String(), s.state != SupervisorOver
		},
		State: func(s Supervisor) string { return s.state.String() },
		Event: SupervisorEvent.String,
		Node:  func(s Supervisor) string { return s.state.String() },
		Label: SupervisorEvent.String,
		Ends:  func(s Supervisor) bool { return s.state == SupervisorOver },
	}
	for e := range supervisorEvents {
		t.Events = append(t.Events, e)
	}
	return t
}
