package supervisor

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// outlet tells events: to the log where they happen, and to OnEvent on a
// goroutine that lives only while there are some. A hook that blocks holds up
// the events behind it and nothing else.
type outlet struct {
	log  *slog.Logger
	hook func(Event)
	up   *outlet // the parent's, for one without a hook

	mu      sync.Mutex
	queue   []Event
	running bool
	broken  bool // the hook has panicked
	idle    *actors.Promise[struct{}]
}

func (o *outlet) emit(e Event) {
	o.write(e)
	o = o.hooked()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hook == nil || o.broken {
		return
	}
	o.queue = append(o.queue, e)
	if !o.running {
		o.running = true
		go o.deliver()
	}
}

// hooked is whose hook is called: the nearest there is.
func (o *outlet) hooked() *outlet {
	for o.hook == nil && o.up != nil {
		o = o.up
	}
	return o
}

func (o *outlet) deliver() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.broken {
			o.queue, o.running = nil, false
			if o.idle != nil {
				o.idle.Resolve(struct{}{})
				o.idle = nil
			}
			o.mu.Unlock()
			return
		}
		e := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		o.call(e)
	}
}

func (o *outlet) call(e Event) {
	returned := false
	defer func() {
		p := recover()
		if returned {
			return
		}
		o.mu.Lock()
		o.broken = true
		o.mu.Unlock()
		o.log.Error("supervisor: OnEvent panicked; it is not called again", "panic", p, "stack", string(debug.Stack()))
		if p == nil { // a Goexit goes on, and takes the goroutine with it
			go o.deliver()
		}
	}()
	o.hook(e)
	returned = true
}

// told is done when everything so far has been delivered.
func (o *outlet) told() *actors.Future[struct{}] {
	o = o.hooked()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle == nil {
		o.idle = actors.NewPromise[struct{}]()
	}
	f := o.idle.Future()
	if !o.running {
		o.idle.Resolve(struct{}{})
		o.idle = nil
	}
	return f
}

// write makes a record of an event.
func (o *outlet) write(e Event) {
	level, text, attrs := record(e)
	ctx := context.Background()
	if !o.log.Enabled(ctx, level) {
		return
	}
	supervisor, child := e.Where()
	all := []slog.Attr{slog.String("supervisor", supervisor)}
	if child != "" {
		all = append(all, slog.String("child", child))
	}
	o.log.LogAttrs(ctx, level, "supervisor: "+text, append(all, attrs...)...)
}

func record(e Event) (slog.Level, string, []slog.Attr) {
	switch e := e.(type) {
	case ChildStarted:
		return slog.LevelDebug, "child started", []slog.Attr{slog.Duration("took", e.Took)}
	case ChildFailed:
		return slog.LevelError, "child failed", []slog.Attr{slog.Any("error", e.Err), slog.String("task", e.Task),
			slog.String("message", e.Message), slog.Bool("retried", e.Retried), slog.String("stack", string(e.Stack))}
	case ChildEnded:
		return slog.LevelInfo, "child ended", []slog.Attr{slog.Any("error", e.Err)}
	case ChildRestarting:
		return slog.LevelInfo, "restarting", []slog.Attr{slog.Duration("delay", e.Delay), slog.Int("attempt", e.Attempt), slog.Any("with", e.With)}
	case ChildRestarted:
		return slog.LevelInfo, "restarted", []slog.Attr{slog.Int("restarts", e.Restarts), slog.Duration("took", e.Took)}
	case BudgetExceeded:
		return slog.LevelError, "too many restarts", []slog.Attr{slog.Int("max", e.MaxRestarts), slog.Duration("within", e.Within), slog.Any("error", e.Err)}
	case StopPhase:
		level := slog.LevelInfo
		if e.Child != "" {
			level = slog.LevelDebug
		}
		attrs := []slog.Attr{slog.Duration("took", e.Took)}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("error", e.Err))
		}
		return level, e.Phase, attrs
	case TaskAbandoned:
		return slog.LevelError, "abandoned", []slog.Attr{slog.String("task", e.Task), slog.Time("since", e.Since), slog.String("stack", string(e.Stack))}
	}
	return slog.LevelInfo, "event", []slog.Attr{slog.Any("event", e)}
}

// eventsLimit is how long the end of a supervisor waits for OnEvent.
const eventsLimit = time.Second
