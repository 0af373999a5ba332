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

// ChildStarted says that a child is up for the first time.
type ChildStarted struct {
	At
	PID  *actor.PID
	Took time.Duration // setup
}

// ChildFailed says that a child has failed, or could not start.
type ChildFailed struct {
	At
	Err     error
	Stack   []byte // of a panic
	Task    string // that failed; empty if unknown
	Message string // type of the message it worked on; may be empty
	Retried bool   // that message is to be handled anew; see CrashPolicy.DeadLetter
}

// ChildEnded says that a child has ended by itself, is not restarted after it has
// failed, or is Temporary and has ended because a sibling failed.
type ChildEnded struct {
	At
	Err error // nil: normally
}

// ChildRestarting says that a child will be restarted after Delay. Restart, which a user
// calls, has none.
type ChildRestarting struct {
	At
	Delay   time.Duration
	Attempt int      // since it was last up for long; 1 is the first
	With    []string // names of the siblings that restart, too
}

// ChildRestarted says that a child is up again, after a failure, its end, or Restart.
type ChildRestarted struct {
	At
	Restarts int           // of this child in all
	Took     time.Duration // since it was told to, after Delay
}

// BudgetExceeded says that there have been more than MaxRestarts within Within. The
// supervisor stops its children and fails.
type BudgetExceeded struct {
	At
	MaxRestarts int
	Within      time.Duration
	Err         error
}

// StopPhase says that a stop has come to its next step, of a child or of the whole
// supervisor.
type StopPhase struct {
	At
	Phase string        // "stopping", then "stopped"
	Took  time.Duration // since "stopping"
	Err   error         // of a supervisor that ends by itself: why, ErrShutdown too
}

// TaskAbandoned says that a task, or a whole plain actor, did not return when it was
// told to.
type TaskAbandoned struct {
	At
	Task  string
	Since time.Time
	Stack []byte
}
