// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/supervisor"
)

// health answers /healthz and /readyz by what the supervision tree says.
type health struct {
	system   *actor.ActorSystem
	storage  *storage
	consumed func() consumer.Stats
	tree     atomic.Pointer[supervisor.Supervisor] // nil until all are up
}

// childHealth is a child in the answer.
type childHealth struct {
	Name     string  `json:"name"`
	State    string  `json:"state"`
	For      float64 `json:"for_s"` // it is in that state
	Restarts int     `json:"restarts"`
	Err      string  `json:"error,omitempty"`
}

// ready: all children are up, and the list's log can be reached.
func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	tree := h.tree.Load()
	if tree == nil {
		h.answer(w, false, "starting", nil)
		return
	}
	status, children := "ready", childrenOf(tree)
	for _, c := range children {
		if c.State != "up" {
			status = c.Name + " is " + c.State
			break
		}
	}
	if status == "ready" && !h.storage.connected() {
		status = "the list's log is not connected"
	}
	h.answer(w, status == "ready", status, children)
}

// whenUp serves nobody before all are up. A client that is told so tries again;
// one that is let in and then refused by what is not there yet does not, such as
// python-socketio's.
func (h *health) whenUp(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.tree.Load() == nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// blockedFor is how long a worker may be held up by one turn before the
// process is called unhealthy: then only a new one helps.
const blockedFor = time.Minute

// live: the tree has not failed, and no worker is stuck.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	if tree := h.tree.Load(); tree != nil && tree.Err() != nil {
		h.answer(w, false, "the supervisor has failed", childrenOf(tree))
		return
	}
	for _, i := range inspect.Blocked(h.system).Workers {
		if i.Blocked != nil && time.Since(i.Blocked.Since) > blockedFor {
			h.answer(w, false, i.PID.Id+" is blocked by "+i.Blocked.Task, nil)
			return
		}
	}
	h.answer(w, true, "alive", nil)
}

func childrenOf(tree *supervisor.Supervisor) []childHealth {
	var cs []childHealth
	for _, c := range tree.Children() {
		one := childHealth{Name: c.Name, State: c.State, For: time.Since(c.Since).Seconds(), Restarts: c.Restarts}
		if c.Err != nil && c.State != "up" {
			one.Err = c.Err.Error()
		}
		cs = append(cs, one)
	}
	return cs
}

func (h *health) answer(w http.ResponseWriter, good bool, status string, children []childHealth) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// The error is the client's: it has gone.
	_ = json.NewEncoder(w).Encode(struct {
		Status   string         `json:"status"`
		Children []childHealth  `json:"children,omitempty"`
		Queue    consumer.Stats `json:"queue"`
	}{status, children, h.consumed()})
}
