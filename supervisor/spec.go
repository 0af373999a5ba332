// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/backoff"
)

// Strategy says who restarts when a child fails (OTP: strategy).
type Strategy int

const (
	// OneForOne restarts the failed child alone.
	OneForOne Strategy = iota
	// OneForAll restarts all children.
	OneForAll
	// RestForOne restarts the failed child and those that were started after it.
	RestForOne
)

// String is OTP's word for it.
func (s Strategy) String() string { return enumName(s, "one_for_one", "one_for_all", "rest_for_one") }

// Restart says when a child that has ended is restarted (OTP: restart).
type Restart int

const (
	// Permanent children are always restarted.
	Permanent Restart = iota
	// Transient ones are restarted if they failed. A Main that returns nil, an
	// Exit with a nil reason and a stop by somebody else are no failures.
	Transient
	// Temporary ones are never restarted, and forgotten when they have ended:
	// also if a sibling's failure is why.
	Temporary
)

// String is OTP's word for it.
func (r Restart) String() string { return enumName(r, "permanent", "transient", "temporary") }

// AutoShutdown says whether a supervisor ends when significant children have
// (OTP: auto_shutdown).
type AutoShutdown int

const (
	// Never: significant children are an error of the Spec.
	Never AutoShutdown = iota
	// AnySignificant: when the first of them has ended by itself.
	AnySignificant
	// AllSignificant: when the last of them has.
	AllSignificant
)

// String is OTP's word for it.
func (a AutoShutdown) String() string {
	return enumName(a, "never", "any_significant", "all_significant")
}

func enumName[T ~int | ~uint8](v T, names ...string) string {
	if int(v) >= 0 && int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d", v)
}

// Spec describes a supervisor. The zero value of each field but Name is
// usable.
type Spec struct {
	// Name is that of the supervisor's actor. For one that is a child, the
	// child's name counts.
	Name     string
	Strategy Strategy
	// MaxRestarts within Within, of all children together, are allowed; with one
	// more the supervisor stops its children and fails itself (OTP: intensity and
	// period). A row of failures of a child with a Backoff is one restart. 0 is 1
	// restart, as in OTP, which is little: see Restart intensity in the package doc.
	// Negative is none at all. A Within of 0 is 5 s.
	MaxRestarts  int
	Within       time.Duration
	AutoShutdown AutoShutdown
	// Children are started in this order and stopped in the reverse.
	Children []Child
	// Logger: the actor system's, if nil; in a tree the parent's.
	Logger *slog.Logger
	// OnEvent is called with each event, in order, on a goroutine of its own.
	// One that panics is logged and not called again. One that blocks holds up
	// the events behind it, and the end of the supervisor for a second at most.
	// In a tree a supervisor without one uses its parent's.
	OnEvent func(Event)

	dynamic *DynamicSpec // of which this is a part
}

// Child describes a child. The zero value of each field but Name and Props is
// usable.
type Child struct {
	// Name is unique among its siblings. The actor's PID is the supervisor's,
	// a slash and this name.
	Name string
	// Props are of a worker (actors.Props), a supervisor ([Props],
	// [DynamicProps]), a plain actor on an EventLoop, or any plain actor.
	Props   *actor.Props
	Restart Restart
	// Shutdown is the grace between the stop event and the end of contexts (OTP:
	// shutdown), those of OnStop hooks too, which have a worker's StopGrace at least.
	// 0 is 5 s, and for a supervisor, whose own children have limits,
	// [actors.Forever]. With [actors.NoGrace] contexts end at once; what does not
	// return is abandoned after the child's StopGrace.
	Shutdown actors.Grace
	// Abandon: a stop tells the child to stop, and waits for nothing: a daemon thread.
	// The report has its account as it was then. Shutdown is to be 0.
	Abandon bool
	// StartTimeout is how long setup may take: 0 is 30 s. When what has failed
	// restarts at once the tasks in flight have their StopGrace besides. A
	// supervisor has no limit: its children have theirs.
	StartTimeout time.Duration
	// Backoff is the wait before a restart; zero: at once. With a Backoff a row of
	// failures is one of MaxRestarts: see Restart intensity in the package doc.
	Backoff actors.Backoff
	// ResetAfter is how long a child with a Backoff has to be up for a row of failures
	// to be over: its next wait is Initial again, and its next failure counts again.
	// 0: as long as its longest wait.
	ResetAfter time.Duration
	// OnCrash says what becomes of a message whose handler panicked.
	OnCrash CrashPolicy
	// Significant children can end the supervisor, see AutoShutdown. A
	// Permanent one cannot be significant.
	Significant bool
}

// CrashPolicy says what becomes of a message whose handler panicked; zero: its
// asker gets the panic as an error.
type CrashPolicy struct {
	// Retries is how often the message is handled anew, first of all by the
	// next incarnation, before its asker gets the error. If there is no next
	// incarnation the asker gets the error then. All tries of a message are one
	// of MaxRestarts, whatever their number. A message that was
	// answered before the panic is not retried. A plain actor without an
	// EventLoop has no retries: its mailbox cannot take a message back.
	Retries int
	// DeadLetter, if not nil, is called when that is over, with one message
	// after the other, on a goroutine of its own. It gets each message whose
	// handler has panicked, or has failed its worker by Exit, and has not come to an end at a later try: also one
	// whose next try never comes, because the child or the supervisor ends, or
	// is cut off. One that panics is logged. The end of the supervisor waits
	// for it, for a second at most.
	DeadLetter func(Crash)
}

// Crash is a message whose handler panicked.
type Crash struct {
	Supervisor string // id of the supervisor's PID
	Child      string
	Message    any
	Sender     *actor.PID // nil if nobody had asked, or by a future
	Err        error      // *actors.PanicError, of the last try that has panicked; or what the handler has called Exit with
}

// mistake is one of a Spec; child is empty if it is not that of a child.
func mistake(supervisor, child, field string, value any, why string) error {
	of := fmt.Sprintf("supervisor: spec %q", supervisor)
	if child != "" {
		of += fmt.Sprintf(", child %q", child)
	}
	return &actors.OptionError{Of: of, Field: field, Value: value, Why: why}
}

// Validate reports all mistakes of a Spec at once, each an [*actors.OptionError]. It
// looks at the Spec alone and starts nothing.
func (s Spec) Validate() error { return errors.Join(s.listMistakes()...) }

func (s Spec) listMistakes() []error {
	var errs []error
	bad := func(child, field string, value any, why string) {
		errs = append(errs, mistake(s.Name, child, field, value, why))
	}
	checkName(s.Name, true, func(value any, why string) { bad("", "Name", value, why) })
	if s.Strategy < OneForOne || s.Strategy > RestForOne {
		bad("", "Strategy", int(s.Strategy), "is none")
	}
	if s.AutoShutdown < Never || s.AutoShutdown > AllSignificant {
		bad("", "AutoShutdown", int(s.AutoShutdown), "is none")
	}
	if s.Within < 0 {
		bad("", "Within", s.Within, "is negative")
	}
	seen := map[string]bool{}
	for i, c := range s.Children {
		id := cmp.Or(c.Name, fmt.Sprintf("#%d", i))
		errs = append(errs, c.listMistakes(s.Name, id, s.AutoShutdown)...)
		if c.Name != "" && seen[c.Name] {
			bad(id, "Name", nil, "is that of another child")
		}
		seen[c.Name] = true
	}
	return errs
}

func checkName(name string, mayBeEmpty bool, bad func(value any, why string)) {
	switch {
	case name == "" && !mayBeEmpty:
		bad(nil, "is missing")
	case strings.Contains(name, "/"):
		bad(name, "contains a slash, which separates the names of a path")
	}
}

func (c *Child) listMistakes(supervisor, id string, auto AutoShutdown) []error {
	return c.listMistakesAs(c.Name, supervisor, id, auto)
}

// listMistakesAs are those of a child that is called name.
func (c *Child) listMistakesAs(name, supervisor, id string, auto AutoShutdown) []error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, mistake(supervisor, id, field, value, why))
	}
	checkName(name, false, func(value any, why string) { bad("Name", value, why) })
	if c.Props == nil {
		bad("Props", nil, "is missing")
	}
	if c.Restart < Permanent || c.Restart > Temporary {
		bad("Restart", int(c.Restart), "is none")
	}
	if c.Shutdown < actors.NoGrace {
		bad("Shutdown", c.Shutdown, "is negative, and not actors.NoGrace, which is none at all")
	}
	if c.Abandon && c.Shutdown != 0 {
		bad("Abandon", nil, fmt.Sprintf("is set with a Shutdown of %v, for which nobody would wait", c.Shutdown))
	}
	if c.StartTimeout < 0 {
		bad("StartTimeout", c.StartTimeout, "is negative")
	}
	if c.OnCrash.Retries < 0 {
		bad("OnCrash.Retries", c.OnCrash.Retries, "is negative")
	}
	if c.Significant && c.Restart == Permanent {
		bad("Significant", nil, "is set, but a permanent child never ends by itself")
	}
	if c.Significant && auto == Never {
		bad("Significant", nil, "is set, but the supervisor's AutoShutdown is Never")
	}
	backoff.Backoff(c.Backoff).EachMistake(func(field string, value any, why string) { bad("Backoff."+field, value, why) })
	switch {
	case c.ResetAfter < 0:
		bad("ResetAfter", c.ResetAfter, "is negative")
	case c.ResetAfter > 0 && !c.hasBackoff():
		bad("ResetAfter", c.ResetAfter, "is set without a Backoff")
	}
	return errs
}

// shutdownGrace is the child's Shutdown with its default.
func (c *Child) shutdownGrace(isSupervisor bool) actors.Grace {
	switch {
	case c.Shutdown != 0:
		return c.Shutdown
	case isSupervisor:
		return actors.Forever
	}
	return 5 * time.Second
}

// hasBackoff reports whether it waits before a restart.
func (c *Child) hasBackoff() bool { return c.Backoff != actors.Backoff{} }

// resetAfter is the child's ResetAfter with its default.
func (c *Child) resetAfter() time.Duration {
	return cmp.Or(c.ResetAfter, backoff.Backoff(c.Backoff).Longest())
}

func (c *Child) startTimeout() time.Duration { return cmp.Or(c.StartTimeout, 30*time.Second) }
