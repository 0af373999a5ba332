package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// ChildInfo is a child as it was at one moment: values only.
type ChildInfo struct {
	Name     string
	PID      *actor.PID // nil while there is no actor
	Kind     Kind
	State    string      // "gone", "starting", "up", "failed", "quiet" (at rest before a restart) or "stopping"
	Since    time.Time   // it is in that state
	Restarts int         // so far
	Err      error       // what it failed of last; nil: it never has
	Children []ChildInfo // of a supervisor
}
