// SPDX-License-Identifier: Apache-2.0

package life

import "github.com/protoloop/protoloop/internal/life/table"

// String is the word for it in the table.
func (s SupervisorState) String() string {
	return word(s, "running", "running without grace", "stopping", "forced stop", "over")
}

// String is the word for it in the table.
func (e SupervisorEvent) String() string {
	return word(e, "stop asked", "grace over", "cut off", "has stopped")
}

var supervisorEffectWords = []string{"tell stopping", "wake all", "stop all", "tell over"}

// String lists them, in their order.
func (do SupervisorEffects) String() string { return bits(uint32(do), supervisorEffectWords) }

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
		Label: func(r table.Row[Supervisor, SupervisorEvent]) string { return r.Event.String() },
		Ends:  func(s Supervisor) bool { return s.state == SupervisorOver },
	}
	for e := range supervisorEvents {
		t.Events = append(t.Events, e)
	}
	return t
}
