// SPDX-License-Identifier: Apache-2.0

package console

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/view"
)

//go:embed assets
var assets embed.FS

// pages are the paths that a browser may have in its address; the page itself looks at
// the address.
var pages = []string{"waits", "workers", "worker", "supervision", "queues", "sockets", "captures", "stop"}

// routes is all that is served.
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	for _, p := range pages {
		mux.HandleFunc("GET /"+p, servePage)
	}
	mux.HandleFunc("GET /assets/{file}", serveAsset)
	mux.HandleFunc("GET /api/stream", c.serveStream)
	mux.HandleFunc("GET /api/capture", c.serveCapture)
	mux.HandleFunc("GET /api/{view}", c.serveView)
	c.routeActions(mux)
	return mux
}

func servePage(w http.ResponseWriter, r *http.Request) { sendAsset(w, r, "index.html") }

func serveAsset(w http.ResponseWriter, r *http.Request) { sendAsset(w, r, r.PathValue("file")) }

// types are those of the files that there are: what mime knows depends on the machine.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

func sendAsset(w http.ResponseWriter, r *http.Request, name string) {
	b, err := assets.ReadFile("assets/" + name)
	kind := types[path.Ext(name)]
	if err != nil || kind == "" {
		refuse(w, http.StatusNotFound, "there is no "+r.URL.Path)
		return
	}
	w.Header().Set("Content-Type", kind)
	_ = send(w, b) // the error is the client's: it has gone
}

// errUnknown says that there is no such thing: 404.
type errUnknown struct{ what string }

func (e errUnknown) Error() string { return e.what }

// serveView answers with one page.
func (c *Console) serveView(w http.ResponseWriter, r *http.Request) {
	a, err := c.answer(r, r.PathValue("view"), r.URL.Query())
	var unknown errUnknown
	switch {
	case errors.As(err, &unknown):
		refuse(w, http.StatusNotFound, err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		writeJSON(w, http.StatusOK, a)
	}
}

// answer is one page for whoever has sent r.
func (c *Console) answer(r *http.Request, page string, q url.Values) (*view.Answer, error) {
	s := c.look.look()
	v, err := c.view(s, page, q)
	if err != nil {
		return nil, err
	}
	if about, is := v.(view.About); is {
		about.Actions = grantOf(r).Act
		v = about
	}
	return &view.Answer{Page: page, At: s.At, Age: time.Since(s.At).Round(time.Millisecond).Seconds(), Seq: s.Seq, Verdict: view.VerdictOf(s.lints), View: v}, nil
}

// view is what a page shows of what was seen.
func (c *Console) view(s *seen, page string, q url.Values) (any, error) {
	switch page {
	case "about":
		about := s.About
		about.Recorder, _ = c.captures.recording.state()
		return about, nil
	case "overview":
		return s.Overview(s.lints), nil
	case "waits":
		return c.waits(s, q)
	case "workers":
		sort := q.Get("sort")
		if sort != "" && !view.IsColumn(sort) {
			return nil, fmt.Errorf("there is no column %q", sort)
		}
		return s.Workers(sort, q.Get("q")), nil
	case "worker":
		return c.worker(s, q)
	case "supervision":
		return s.Supervision(c.timeline.newest(maxTimeline, func(r *view.Record) bool { return r.Supervisor != "" })), nil
	case "queues":
		dead := c.timeline.newest(maxTimeline, func(r *view.Record) bool { return r.What == string(inspect.DeadLetter) })
		return s.Queues(c.lags.of(s.consumers), dead), nil
	case "sockets":
		return s.Sockets(c.sockets.ofLook(&c.look, s, c.lookAtSockets), q.Get("q")), nil
	case "captures":
		return c.captures.list(), nil
	case "stop":
		return s.Stop(func(w *inspect.Worker) []inspect.Task {
			if with, ok := c.look.lookAt(w.PID, inspect.Options{Tasks: view.MaxWaited}); ok {
				return with.Tasks
			}
			return nil
		}), nil
	case "stacks":
		one := c.stacks.ofLook(&c.look, s, stacks)
		return one.view, one.err
	case "log":
		return c.timeline.newest(maxRecords, nil), nil
	}
	return nil, errUnknown{"there is no page " + page + ": about, overview, " + strings.Join(pages, ", ") + ", stacks, log"}
}

// maxTimeline is how many records the page of supervision has.
const maxTimeline = 100

// waits is the page of that name. With lines=1 it has where each group awaits, which costs some
// microseconds for each goroutine.
func (c *Console) waits(s *seen, q url.Values) (any, error) {
	if q.Get("lines") == "" {
		return s.Waits(), nil
	}
	with := *s.State
	look := c.withLines.ofLook(&c.look, s, func() inspect.Snapshot {
		return inspect.Look(c.sys, inspect.Options{Tasks: -1, Groups: true, Roots: true, Lines: true})
	})
	with.Snapshot.Groups, with.Snapshot.Roots = look.Groups, look.Roots
	return with.Waits(), nil
}

// worker is the page of that name: of the worker id, with its tasks behind after, or with those alone
// that are called task.
func (c *Console) worker(s *seen, q url.Values) (any, error) {
	id := q.Get("id")
	of, err := s.FindWorker(id)
	if err != nil {
		return nil, errUnknown{err.Error()}
	}
	var o inspect.Options
	if text := q.Get("after"); text != "" {
		if o.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("after=%q is no number of a task", text)
		}
	}
	w, ok := c.look.lookAt(of.PID, o)
	if !ok {
		return nil, errUnknown{fmt.Sprintf("worker %q has ended", id)}
	}
	return s.Worker(w), nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, why string) {
	writeJSON(w, status, view.Problem{Error: why})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // as with a number that JSON has not
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = send(w, append(b, '\n')) // the error is the client's: it has gone
}
