// SPDX-License-Identifier: Apache-2.0

package life

// Supervisor is the end of one incarnation of a supervisor. On is the only writer;
// the zero value runs.
//
// What leads from one state to another (generated from life.Supervisor by go generate):
//
//	running               → stopping               stop asked
//	                      → running without grace  grace over
//	                      → forced stop            cut off
//	                      → over                   has stopped
//	stopping              → forced stop            grace over
//	                                               cut off
//	                      → over                   has stopped
//	running without grace → forced stop            stop asked
//	                                               cut off
//	                      → over                   has stopped
//	forced stop           → over                   has stopped
type Supervisor struct{ state SupervisorState }

// State is how far it has come.
func (s Supervisor) State() SupervisorState { return s.state }

// SupervisorState is how far a supervisor has come. Later ones are greater.
type SupervisorState uint8

const (
	SupervisorRunning  SupervisorState = iota // it starts and restarts its children
	SupervisorNoGrace                         // it runs, and whoever stops from now on has no grace
	SupervisorStopping                        // its children stop
	SupervisorForced                          // … without any grace
	SupervisorOver                            // all are gone or abandoned
)

// IsStopping reports whether the stop has begun: nothing is started, and nobody
// restarted, any more.
func (s SupervisorState) IsStopping() bool { return s >= SupervisorStopping }

// HasNoGrace reports whether all grace is over.
func (s SupervisorState) HasNoGrace() bool { return s == SupervisorNoGrace || s == SupervisorForced }

// SupervisorEvent is what happens to a supervisor.
type SupervisorEvent uint8

const (
	SupervisorStopAsked  SupervisorEvent = iota // the stop event, or the end after a failure
	SupervisorGraceOver                         // all grace is over, of this stop or the next
	SupervisorCutOff                            // its own actor ends at once
	SupervisorHasStopped                        // all children are gone or abandoned
	supervisorEvents
)

// SupervisorEffects is what is to be done, in the order of the constants.
type SupervisorEffects uint8

const (
	SupervisorTellStopping SupervisorEffects = 1 << iota // its stop begins
	SupervisorWakeAll                                    // who waits for a child has to look again
	SupervisorStopAll                                    // stop the children, one after the other
	SupervisorTellOver                                   // answer who waits for the end
)

// Has reports whether one is among them.
func (do SupervisorEffects) Has(one SupervisorEffects) bool { return do&one != 0 }

// On is the supervisor after an event, and what is to be done.
func (s Supervisor) On(e SupervisorEvent) (Supervisor, SupervisorEffects) {
	if s.state == SupervisorOver {
		return s, 0
	}
	switch e {
	case SupervisorStopAsked:
		switch s.state {
		case SupervisorRunning:
			return Supervisor{SupervisorStopping}, SupervisorTellStopping | SupervisorWakeAll | SupervisorStopAll
		case SupervisorNoGrace:
			return Supervisor{SupervisorForced}, SupervisorTellStopping | SupervisorWakeAll | SupervisorStopAll
		}
	case SupervisorGraceOver:
		switch s.state {
		case SupervisorRunning:
			return Supervisor{SupervisorNoGrace}, SupervisorWakeAll
		case SupervisorStopping:
			return Supervisor{SupervisorForced}, SupervisorWakeAll
		}
	case SupervisorCutOff: // whoever cuts off stops the children, and nobody is left to be woken
		if !s.state.IsStopping() {
			return Supervisor{SupervisorForced}, SupervisorTellStopping
		}
		return Supervisor{SupervisorForced}, 0
	case SupervisorHasStopped:
		return Supervisor{SupervisorOver}, SupervisorTellOver
	}
	return s, 0
}
