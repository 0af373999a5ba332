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
	// period). 0 is 1 restart, as in OTP, which is little: see Restart intensity
	// in the package doc. Negative is none at all. A Within of 0 is 5 s.
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
	// Backoff is the wait before a restart; zero: at once.
	Backoff Backoff
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

// SpecError is a mistake in a Spec. Those of one Spec are joined
// ([errors.Join]).
type SpecError struct {
	Supervisor, Child string // Child may be empty
	Field             string
	Problem           string
}

// Error names child, field and what is wrong.
func (e *SpecError) Error() string {
	where := fmt.Sprintf("spec %q", e.Supervisor)
	if e.Child != "" {
		where += fmt.Sprintf(", child %q", e.Child)
	}
	return fmt.Sprintf("supervisor: %s: %s: %s", where, e.Field, e.Problem)
}

// Validate reports all mistakes of a Spec at once, each a [*SpecError]. It
// looks at the Spec alone and starts nothing.
func (s Spec) Validate() error { return errors.Join(s.listMistakes()...) }

func (s Spec) listMistakes() []error {
	var errs []error
	bad := func(child, field, problem string, args ...any) {
		errs = append(errs, &SpecError{s.Name, child, field, fmt.Sprintf(problem, args...)})
	}
	checkName(s.Name, true, func(p string) { bad("", "Name", "%s", p) })
	if s.Strategy < OneForOne || s.Strategy > RestForOne {
		bad("", "Strategy", "%d is none", s.Strategy)
	}
	if s.AutoShutdown < Never || s.AutoShutdown > AllSignificant {
		bad("", "AutoShutdown", "%d is none", s.AutoShutdown)
	}
	if s.Within < 0 {
		bad("", "Within", "%v is negative", s.Within)
	}
	seen := map[string]bool{}
	for i, c := range s.Children {
		id := cmp.Or(c.Name, fmt.Sprintf("#%d", i))
		errs = append(errs, c.listMistakes(s.Name, id, s.AutoShutdown)...)
		if c.Name != "" && seen[c.Name] {
			bad(id, "Name", "another child has it")
		}
		seen[c.Name] = true
	}
	return errs
}

func checkName(name string, mayBeEmpty bool, bad func(string)) {
	switch {
	case name == "" && !mayBeEmpty:
		bad("missing")
	case strings.Contains(name, "/"):
		bad("contains a slash, which separates the names of a path")
	}
}

func (c *Child) listMistakes(supervisor, id string, auto AutoShutdown) []error {
	return c.listMistakesAs(c.Name, supervisor, id, auto)
}

// listMistakesAs are those of a child that is called name.
func (c *Child) listMistakesAs(name, supervisor, id string, auto AutoShutdown) []error {
	var errs []error
	bad := func(field, problem string, args ...any) {
		errs = append(errs, &SpecError{supervisor, id, field, fmt.Sprintf(problem, args...)})
	}
	checkName(name, false, func(p string) { bad("Name", "%s", p) })
	if c.Props == nil {
		bad("Props", "missing")
	}
	if c.Restart < Permanent || c.Restart > Temporary {
		bad("Restart", "%d is none", c.Restart)
	}
	if c.Shutdown < actors.NoGrace {
		bad("Shutdown", "%v is negative: none at all is actors.NoGrace", c.Shutdown)
	}
	if c.Abandon && c.Shutdown != 0 {
		bad("Abandon", "the child has a Shutdown of %v, for which nobody would wait", c.Shutdown)
	}
	if c.StartTimeout < 0 {
		bad("StartTimeout", "%v is negative", c.StartTimeout)
	}
	if c.OnCrash.Retries < 0 {
		bad("OnCrash.Retries", "%d is negative", c.OnCrash.Retries)
	}
	if c.Significant && c.Restart == Permanent {
		bad("Significant", "a permanent child never ends by itself")
	}
	if c.Significant && auto == Never {
		bad("Significant", "the supervisor's AutoShutdown is Never")
	}
	c.Backoff.listMistakes(func(field, problem string, args ...any) { bad("Backoff."+field, problem, args...) })
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

func (c *Child) startTimeout() time.Duration { return cmp.Or(c.StartTimeout, 30*time.Second) }
