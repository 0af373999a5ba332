package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Event is something that has happened in a supervisor: one of the types
// below, with values only. Switch on its type.
type Event interface {
	// Where is the id of the supervisor's PID, and the name of the child; the
	// latter is empty where the event is the supervisor's own.
	Where() (supervisor, child string)
	event()
}

// At is the place of an event; each has it.
type At struct {
	Supervisor string // id of its PID
	Child      string // name; may be empty
}

// Where is the place.
func (a At) Where() (supervisor, child string) { return a.Supervisor, a.Child }
func (At) event()                              {}

// ChildStarted: a child is up for the first time, or again after it was gone.
type ChildStarted struct {
	At
	PID  *actor.PID
	Took time.Duration // setup
}

// ChildFailed: a child has failed, or could not start.
type ChildFailed struct {
	At
	Err     error
	Stack   []byte // of a panic
	Task    string // that failed; empty if unknown
	Message string // type of the message it worked on; may be empty
	Retried bool   // that message will be handled anew
}

// ChildEnded: a child has ended by itself, or is not restarted after it has
// failed.
type ChildEnded struct {
	At
	Err error // nil: normally
}

// ChildRestarting: a child will be restarted after Delay.
type ChildRestarting struct {
	At
	Delay   time.Duration
	Attempt int      // since it was last up for long; 1 is the first
	With    []string // siblings that restart, too
}

// ChildRestarted: a child is up again.
type ChildRestarted struct {
	At
	Restarts int           // of this child in all
	Took     time.Duration // since it was told to
}

// BudgetExceeded: there have been more than MaxRestarts within Within. The
// supervisor stops its children and fails.
type BudgetExceeded struct {
	At
	MaxRestarts int
	Within      time.Duration
	Err         error
}

// StopPhase: a stop has come to its next step, of a child or of the whole
// supervisor.
type StopPhase struct {
	At
	Phase string        // "stopping", then "stopped"
	Took  time.Duration // since "stopping"
	Err   error         // of a supervisor that is not stopped but fails: why
}

// TaskAbandoned: a task, or a whole plain actor, did not return when it was
// told to.
type TaskAbandoned struct {
	At
	Task  string
	Since time.Time
	Stack []byte
}
