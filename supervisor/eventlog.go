package supervisor

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/safelog"
)

// outlet tells events: to the log where they happen, and to OnEvent in its
// own time. A hook that blocks holds up the events behind it and nothing else.
type outlet struct {
	log   *slog.Logger
	hook  func(Event)
	calls serial  // of the hook
	up    *outlet // the parent's, for one without a hook

	broken atomic.Bool // the hook has panicked
}

// newOutlet is where the events of n go: what its Spec leaves open is the
// parent's.
func newOutlet(n *node, spec Spec, parent *node) *outlet {
	o := &outlet{log: spec.Logger, hook: spec.OnEvent}
	if parent != nil {
		o.up = parent.core.Load().out
		if o.log == nil {
			o.log = o.up.log
		}
	}
	o.log = safelog.Contain(cmp.Or(o.log, n.sys.Logger(), slog.Default())) // a supervisor's loop must survive a handler of the user's
	return o
}

// emit tells an event, if anybody wants to hear of it: most are neither logged
// nor does anybody hook on, and making an Event of each took 5 % of a restart.
func emit[E Event](o *outlet, e E) {
	if o.hears(e) {
		o.tell(e)
	}
}

// hears reports whether an event is logged, or a hook wants it.
func (o *outlet) hears(e Event) bool {
	for at := o; at != nil; at = at.up {
		if at.hook != nil {
			return true
		}
	}
	return o.logs(levelOf(e))
}

func (o *outlet) logs(level slog.Level) (yes bool) {
	return o.log.Enabled(context.Background(), level)
}

func (o *outlet) tell(e Event) {
	o.write(e)
	for o.hook == nil && o.up != nil { // the nearest hook there is
		o = o.up
	}
	if o.hook == nil || o.broken.Load() {
		return
	}
	o.calls.call(func() {
		if !o.broken.Load() {
			o.hook(e)
		}
	}, func(v any, stack []byte) {
		o.broken.Store(true)
		o.error("supervisor: OnEvent panicked; it is not called again", "panic", v, "stack", string(stack))
	})
}

// error logs what went wrong beside the events.
func (o *outlet) error(text string, args ...any) {
	o.log.Error(text, args...)
}

// write makes a record of an event.
func (o *outlet) write(e Event) {
	if !o.logs(levelOf(e)) {
		return
	}
	text, attrs := record(e)
	supervisor, child := e.Where()
	all := []slog.Attr{slog.String("supervisor", supervisor)}
	if child != "" {
		all = append(all, slog.String("child", child))
	}
	o.log.LogAttrs(context.Background(), levelOf(e), "supervisor: "+text, append(all, attrs...)...)
}

func levelOf(e Event) slog.Level {
	switch e := e.(type) {
	case ChildFailed, BudgetExceeded, TaskAbandoned:
		return slog.LevelError
	case ChildStarted:
		return slog.LevelDebug
	case StopPhase:
		if e.Child != "" {
			return slog.LevelDebug
		}
	}
	return slog.LevelInfo
}

func record(e Event) (string, []slog.Attr) {
	switch e := e.(type) {
	case ChildStarted:
		return "child started", []slog.Attr{slog.Duration("took", e.Took)}
	case ChildFailed:
		return "child failed", []slog.Attr{slog.Any("error", e.Err), slog.String("task", e.Task),
			slog.String("message", e.Message), slog.Bool("retried", e.Retried), slog.String("stack", string(e.Stack))}
	case ChildEnded:
		return "child ended", []slog.Attr{slog.Any("error", e.Err)}
	case ChildRestarting:
		return "restarting", []slog.Attr{slog.Duration("delay", e.Delay), slog.Int("attempt", e.Attempt), slog.Any("with", e.With)}
	case ChildRestarted:
		return "restarted", []slog.Attr{slog.Int("restarts", e.Restarts), slog.Duration("took", e.Took)}
	case BudgetExceeded:
		return "too many restarts", []slog.Attr{slog.Int("max", e.MaxRestarts), slog.Duration("within", e.Within), slog.Any("error", e.Err)}
	case StopPhase:
		attrs := []slog.Attr{slog.Duration("took", e.Took)}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("error", e.Err))
		}
		return e.Phase, attrs
	case TaskAbandoned:
		return "abandoned", []slog.Attr{slog.String("task", e.Task), slog.Time("since", e.Since), slog.String("stack", string(e.Stack))}
	}
	return "event", []slog.Attr{slog.Any("event", e)}
}
