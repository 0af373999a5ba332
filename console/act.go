// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/supervisor"
)

// actTimeout is how long an answer waits for what an action leads to. A restart may take longer,
// and goes on.
const actTimeout = 10 * time.Second

// maxAction is how long the body of an action may be.
const maxAction = 16 << 10

// errConflict says that a target is not what whoever asks has seen: 409.
type errConflict struct{ what string }

func (e errConflict) Error() string { return e.what }

// action is something that somebody may do.
type action func(ctx context.Context, by string, target view.Target) (view.Done, error)

// routeActions adds the actions. Each is a POST of a view.Target.
func (c *Console) routeActions(mux *http.ServeMux) {
	for name, do := range c.actions() {
		mux.HandleFunc("POST /api/act/"+name, func(w http.ResponseWriter, r *http.Request) { c.act(w, r, name, do) })
	}
}

// act does something for whoever has sent r, and logs who, what and what came of it.
func (c *Console) act(w http.ResponseWriter, r *http.Request, name string, do action) {
	grant := grantOf(r)
	if !c.opts.Actions {
		refuse(w, http.StatusForbidden, "actions are switched off: see console.Options.Actions")
		return
	}
	if !grant.Act {
		c.audit(grant.Who, name, view.Target{}, errors.New("refused: they may only look"))
		refuse(w, http.StatusForbidden, "you may look, and not act")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "an action is a JSON object, of Content-Type application/json")
		return
	}
	var t view.Target
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAction))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		refuse(w, http.StatusBadRequest, "the target cannot be read: "+err.Error())
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), actTimeout, errSlow)
	defer cancel()
	done, err := do(ctx, grant.Who, t)
	c.look.expire()
	c.audit(grant.Who, name, t, err)
	var unknown errUnknown
	var conflict errConflict
	switch {
	case errors.Is(err, errSlow):
		writeJSON(w, http.StatusAccepted, view.Done{Text: "it has begun and goes on: " + err.Error()})
	case errors.As(err, &unknown):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.As(err, &conflict), errors.Is(err, errBusy):
		refuse(w, http.StatusConflict, err.Error())
	case err != nil:
		refuse(w, http.StatusUnprocessableEntity, err.Error())
	default:
		writeJSON(w, http.StatusOK, done)
	}
}

var errSlow = fmt.Errorf("it has taken longer than %v", actTimeout)

// audit leaves a record of an action, in the log and in the timeline.
func (c *Console) audit(who, name string, t view.Target, err error) {
	result := "done"
	level := slog.LevelInfo
	if err != nil {
		result, level = err.Error(), slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "console: action", "action", name, "by", who, "target", t.String(), "result", result)
	c.timeline.add(view.Record{
		Kind: view.RecordAction, What: name, Level: view.Note, Text: t.String() + ": " + result, By: who,
		Worker: t.Worker, Supervisor: t.Supervisor, Child: t.Child,
	})
}

// actions are what can be done, by the last part of the path.
func (c *Console) actions() map[string]action {
	return map[string]action{
		"cancel-task":       c.cancelTask,
		"restart-child":     c.onChild(supervisor.RestartChild, "it has restarted"),
		"stop-child":        c.onChild(supervisor.StopChild, "it has stopped"),
		"end-grace":         c.onChild(supervisor.EndGrace, "its grace has ended"),
		"disconnect-socket": c.disconnectSocket,
		"capture":           c.beginCapture,
	}
}

// errAsked is the cause of what somebody has ended by the console.
type errAsked struct{ by, why string }

func (e errAsked) Error() string {
	text := "console: canceled by " + e.by
	if e.why != "" {
		text += ": " + e.why
	}
	return text
}

// cancelTask ends the task that the target names.
func (c *Console) cancelTask(_ context.Context, by string, t view.Target) (view.Done, error) {
	if t.Worker == "" || t.Incarnation == 0 || t.Task == 0 {
		return view.Done{}, errors.New("the target has no worker, incarnation and task")
	}
	w, err := c.look.look().FindWorker(t.Worker)
	if err != nil {
		return view.Done{}, errUnknown{err.Error()}
	}
	ref := inspect.TaskRef{Worker: w.PID, Incarnation: t.Incarnation, ID: t.Task}
	if inspect.CancelTask(c.sys, ref, errAsked{by, t.Cause}) {
		return view.Done{Done: true, Text: "it was told to end"}, nil
	}
	if w.Incarnation != t.Incarnation {
		return view.Done{}, errConflict{fmt.Sprintf("%s is in incarnation %d by now, not %d", t.Worker, w.Incarnation, t.Incarnation)}
	}
	return view.Done{}, errConflict{"the task has ended, or was told to end before"}
}

// onChild is an action of package supervisor on what the target names.
func (c *Console) onChild(do func(context.Context, *actor.ActorSystem, supervisor.Ref) error, done string) action {
	return func(ctx context.Context, _ string, t view.Target) (view.Done, error) {
		if t.Supervisor == "" || t.Start == 0 {
			return view.Done{}, errors.New("the target has no supervisor and start")
		}
		ref := supervisor.Ref{Supervisor: t.Supervisor, Child: t.Child, Start: t.Start}
		if c.opts.Redact != nil || label.IsCut(t.Supervisor) || label.IsCut(t.Child) { // the names are not the real ones, but a start is of one only
			found, ok := c.look.look().FindSupervisor(t.Start)
			if !ok {
				return view.Done{}, errConflict{supervisor.ErrChanged.Error()}
			}
			ref = found
		}
		err := do(ctx, c.sys, ref)
		switch {
		case err == nil:
			return view.Done{Done: true, Text: done}, nil
		case errors.Is(err, supervisor.ErrUnknownChild):
			return view.Done{}, errUnknown{err.Error()}
		case errors.Is(err, supervisor.ErrChanged), errors.Is(err, supervisor.ErrNotStopping):
			return view.Done{}, errConflict{err.Error()}
		}
		return view.Done{}, err
	}
}

// beginCapture makes a capture of the target's kind. The answer does not wait for it.
func (c *Console) beginCapture(_ context.Context, by string, t view.Target) (view.Done, error) {
	one, err := c.captures.begin(context.Background(), t.Kind, "asked for by "+by)
	if err != nil {
		return view.Done{}, err
	}
	return view.Done{Done: true, Text: "it has begun", Capture: &one}, nil
}
