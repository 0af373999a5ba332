// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/supervisor"
)

// hear has the timeline hear of failures and of what supervisors do, for as long as the actor system
// lives. It costs nothing until there is something to hear of.
func (c *Console) hear() {
	inspect.OnFailure(c.sys, c.noteFailure)
	supervisor.Subscribe(c.sys, 0, c.noteEvent)
}

// noteFailure adds a failure. What a supervisor does with it, it tells itself, with more to say.
func (c *Console) noteFailure(f inspect.Failure) {
	if f.Kind == inspect.BlockedTurn {
		c.keepWindow("blocked turn of " + c.redact().Worker(f.Worker, c.sys.Address()) + ": " + c.redact().Text(view.RedactTask, f.Task))
	}
	switch f.Kind {
	case inspect.WorkerFailure, inspect.WorkerRestart, inspect.AbandonedTask:
		if c.isSupervised(f.Worker) {
			return
		}
	}
	dropped := f.Dropped
	if f.Kind == inspect.DeadLetter {
		missed, admitted := c.dead.admitLetter(f)
		if !admitted {
			return
		}
		dropped += missed
	}
	level := view.Error
	if f.Kind == inspect.WorkerRestart {
		level = view.Warning
	}
	c.timeline.add(view.Record{
		At: f.At, Kind: view.RecordFailure, What: string(f.Kind), Level: level, Worker: c.redact().Worker(f.Worker, c.sys.Address()),
		Task: c.redact().Text(view.RedactTask, f.Task), Error: c.redact().Err(f.Err), Stack: string(f.Stack), Missed: dropped,
	})
}

// deadLetterEvery is how often the timeline has a dead letter of one type to one worker. A mailbox that is full makes thousands a second, and
// in moments all that has happened before would be forgotten for them.
const deadLetterEvery = time.Second

// maxDeadLetters is how many types and workers are told apart.
const maxDeadLetters = 1000

// deadLetters tracks the dead letters that the timeline has had last. On the goroutine of the failure hook alone.
type deadLetters map[deadLetterKey]*deadLetterSeen

type deadLetterKey struct{ worker, message string }

type deadLetterSeen struct {
	at     time.Time
	missed int
}

// admitLetter reports whether a dead letter is to be in the timeline, and how many like it before it are not.
func (l *deadLetters) admitLetter(f inspect.Failure) (missed int, admitted bool) {
	if *l == nil || len(*l) >= maxDeadLetters {
		*l = deadLetters{}
	}
	key := deadLetterKey{f.Worker.GetId(), f.Task}
	seen := (*l)[key]
	if seen == nil {
		seen = &deadLetterSeen{}
		(*l)[key] = seen
	}
	if f.At.Sub(seen.at) < deadLetterEvery {
		seen.missed += 1 + f.Dropped
		return 0, false
	}
	missed = seen.missed
	*seen = deadLetterSeen{at: f.At}
	return missed, true
}

// isSupervised reports whether a supervisor of package supervisor has the actor as a child.
func (c *Console) isSupervised(pid *actor.PID) bool {
	i := strings.LastIndexByte(pid.GetId(), '/')
	if i < 0 {
		return false
	}
	a := supervision.ActorAt(c.sys, actor.NewPID(pid.Address, pid.Id[:i]))
	return a != nil && a.Supervisor() != nil
}

// noteEvent adds an event of a supervisor.
func (c *Console) noteEvent(e supervisor.EventRecord) {
	redact := c.redact()
	parent, child := e.Event.Where()
	r := view.Record{
		At: e.At, Kind: view.RecordRestart, Level: view.Note, Missed: e.Dropped,
		Supervisor: redact.Text(view.RedactWorker, parent), Child: redact.Text(view.RedactWorker, child),
	}
	switch e := e.Event.(type) {
	case supervisor.ChildStarted:
		r.What, r.Text = "started", fmt.Sprintf("in %v", e.Took)
	case supervisor.ChildFailed:
		r.What, r.Level = "failed", view.Error
		r.Task, r.Error, r.Stack = redact.Text(view.RedactTask, e.Task), redact.Err(e.Err), string(e.Stack)
		if e.Message != "" {
			r.Text = "on a " + e.Message
		}
		if e.Retried {
			r.Text += ", which is to be handled anew"
		}
	case supervisor.ChildEnded:
		r.What, r.Error = "ended", redact.Err(e.Err)
	case supervisor.ChildRestarting:
		r.What, r.Level = "restarting", view.Warning
		r.Text = fmt.Sprintf("attempt %d, in %v", e.Attempt, e.Delay)
	case supervisor.ChildRestarted:
		r.What, r.Text = "restarted", fmt.Sprintf("for the %d. time, in %v", e.Restarts, e.Took)
	case supervisor.BudgetExceeded:
		r.What, r.Level, r.Error = "too many restarts", view.Error, redact.Err(e.Err)
		r.Text = fmt.Sprintf("more than %d within %v", e.MaxRestarts, e.Within)
	case supervisor.StopPhase:
		r.Kind, r.What, r.Error = view.RecordStop, cmp.Or(e.Phase, "stopping"), redact.Err(e.Err)
		if e.Took > 0 {
			r.Text = fmt.Sprintf("in %v", e.Took)
		}
	case supervisor.TaskAbandoned:
		r.What, r.Level = "abandoned a task", view.Error
		r.Task, r.Stack = redact.Text(view.RedactTask, e.Task), string(e.Stack)
	default:
		return // of a later version
	}
	c.timeline.add(r)
}
