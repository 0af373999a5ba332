// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/supervision"
)

// errStopping: the supervisor is stopping and starts nothing any more. It is an
// actors.ErrStopping, and not that itself: a child that fails of that is no stop.
var errStopping error = stoppingError{}

type stoppingError struct{}

func (stoppingError) Error() string { return "supervisor: stopping, and starts nothing any more" }
func (stoppingError) Unwrap() error { return actors.ErrStopping }

// Errors of this package. What a supervisor that is stopping refuses fails with
// [actors.ErrStopping].
var (
	// ErrDoNotRestart, returned by a Main, a Background or setup of a child, or given to
	// [actors.Task.Exit], asks its supervisor to let it end, whatever its [Restart] type is.
	// A worker without a parent that fails of it does not restart itself.
	ErrDoNotRestart = supervision.ErrDoNotRestart
	// ErrEscalate, returned likewise, asks the supervisor to fail upward, with an
	// [*EscalateError].
	ErrEscalate = supervision.ErrEscalate
	// ErrUnknownChild: there is no child of that name.
	ErrUnknownChild = errors.New("supervisor: no such child")
	// ErrChanged: what a [Ref] names has been started anew since somebody looked.
	ErrChanged = errors.New("supervisor: it has been started anew since")
	// ErrNotStopping: nobody stops the child.
	ErrNotStopping = errors.New("supervisor: nobody stops the child")
	// ErrExists: a child of that name is there. As an [*ExistsError] it has its PID.
	ErrExists = errors.New("supervisor: a child of that name exists")
	// ErrInSetup: the call came from a child's setup and would wait for the end
	// of that: one of the group, if children restart together. It can be made
	// once the child is up, in a Background for instance.
	ErrInSetup = errors.New("supervisor: the child that calls is starting, and would wait for itself")
	// ErrStartTimeout: setup has not ended within StartTimeout.
	ErrStartTimeout = errors.New("supervisor: setup did not end within StartTimeout")
	// ErrEnded: the child ended before it was up.
	ErrEnded = errors.New("supervisor: the child ended while it started")
	// ErrShutdown is why a supervisor stops whose significant children have
	// ended, in its StopPhase. It is a normal end: Err is nil.
	ErrShutdown = errors.New("supervisor: significant children have ended")
)

// ExistsError is an [ErrExists]: Add or Start of a name that a child has (OTP:
// {already_started, Child}).
type ExistsError struct {
	Supervisor string // id of its PID
	Child      string
	PID        *actor.PID // of the child that is there; nil while it has no actor
}

// Error names the child.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("%v: %q of %s", ErrExists, e.Child, e.Supervisor)
}

// Is matches ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// StartError says which child did not start, and why.
type StartError struct {
	Supervisor string
	Child      string // empty: the supervisor's own actor
	Err        error
	// Report is that of [Start]: of the stop of those that were up. Else it is
	// zero.
	Report Report
}

// Error names the child and says why.
func (e *StartError) Error() string {
	if e.Child == "" {
		return fmt.Sprintf("supervisor: %s did not start: %v", e.Supervisor, e.Err)
	}
	return fmt.Sprintf("supervisor: %s: child %q did not start: %v", e.Supervisor, e.Child, e.Err)
}

// Unwrap is why.
func (e *StartError) Unwrap() error { return e.Err }

// IntensityError ends a supervisor whose children fail too often.
type IntensityError struct {
	Supervisor  string
	Child       string // whose end was one too many
	MaxRestarts int
	Within      time.Duration
	Err         error // what it failed of; nil: its Main has returned
}

// Error names the child that ended last, and says of what.
func (e *IntensityError) Error() string {
	text := fmt.Sprintf("supervisor: %s: more than %d restarts within %v; the last to end was %q",
		e.Supervisor, e.MaxRestarts, e.Within, e.Child)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap is what the last child failed of.
func (e *IntensityError) Unwrap() error { return e.Err }

// EscalateError ends a supervisor because a child has asked for that, by
// [ErrEscalate].
type EscalateError struct {
	Supervisor, Child string
	Err               error
}

// Error names the child and its error.
func (e *EscalateError) Error() string {
	return fmt.Sprintf("supervisor: %s: child %q escalated: %v", e.Supervisor, e.Child, e.Err)
}

// Unwrap is the child's error.
func (e *EscalateError) Unwrap() error { return e.Err }

// AbandonedError says that a stop had to abandon something.
type AbandonedError struct {
	// Tasks are the paths of the children, a colon and the task's name.
	Tasks []string
}

// Error names what was abandoned.
func (e *AbandonedError) Error() string {
	return fmt.Sprintf("supervisor: %d abandoned: %s", len(e.Tasks), strings.Join(e.Tasks, ", "))
}
