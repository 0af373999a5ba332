// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/supervisor"
)

// look reads a page, as somebody at the socket.
func look(t testing.TB, h http.Handler, page string, into any) {
	t.Helper()
	w := ask(h, from(socket, "@", "GET", "/api/"+page))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d: %s", page, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &view.Answer{View: into}); err != nil {
		t.Fatal(err)
	}
}

// do posts an action.
func do(t testing.TB, h http.Handler, name string, target view.Target) (status int, done view.Done, problem string) {
	t.Helper()
	b, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	r := from(socket, "@", "POST", "/api/act/"+name, "Content-Type", "application/json")
	body := httptest.NewRequest("POST", "/", bytes.NewReader(b))
	r.Body, r.ContentLength = body.Body, body.ContentLength
	w := ask(h, r)
	var p view.Problem
	_, _ = json.Unmarshal(w.Body.Bytes(), &p), json.Unmarshal(w.Body.Bytes(), &done)
	return w.Code, done, p.Error
}

// world is an actor system with a supervisor of one worker, and a console that may act.
func world(t *testing.T, sys *actor.ActorSystem, o Options) (*Console, http.Handler, *supervisor.Supervisor) {
	t.Helper()
	o.Actions = true
	c := newConsoleOf(t, sys, o)
	tree, err := supervisor.Start(context.Background(), sys, supervisor.Spec{
		Name: "tree", Children: []supervisor.Child{{Name: "w", Props: actors.Props(func(*actors.Worker) error { return nil })}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = tree.Stop(context.Background()) })
	return c, c.Handler(), tree
}

// TestCancelTask: a task ends with a cause that says who it was; again it is refused, and so is one of another
// incarnation.
func TestCancelTask(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	_, h, tree := world(t, sys, Options{})
	f := actors.Submit(sys.Root, tree.Child("w"), func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
	var w view.Worker
	actortest.Eventually(t, "the task", func() bool {
		look(t, h, "worker?id=tree/w", &w)
		return len(w.Tasks) == 1 && w.Tasks[0].Ref.ID != 0
	})
	ref := w.Tasks[0].Ref
	target := view.Target{Worker: ref.Worker, Incarnation: ref.Incarnation + 1, Task: ref.ID, Cause: "it hangs"}
	if status, _, problem := do(t, h, "cancel-task", target); status != http.StatusConflict || !strings.Contains(problem, "incarnation") {
		t.Errorf("another incarnation: %d, %s", status, problem)
	}
	target.Incarnation--
	if status, done, problem := do(t, h, "cancel-task", target); status != http.StatusOK || !done.Done {
		t.Fatalf("%d, %s", status, problem)
	}
	if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrCanceled) || !strings.Contains(err.Error(), "it hangs") {
		t.Errorf("it ended with %v", err)
	}
	if status, _, problem := do(t, h, "cancel-task", target); status != http.StatusConflict {
		t.Errorf("again: %d, %s", status, problem)
	}
	if status, _, _ := do(t, h, "cancel-task", view.Target{Worker: "none", Incarnation: 1, Task: 1}); status != http.StatusNotFound {
		t.Errorf("of nobody: %d", status)
	}
	if status, _, _ := do(t, h, "cancel-task", view.Target{Worker: "tree/w"}); status != http.StatusUnprocessableEntity {
		t.Errorf("no task: %d", status)
	}
	records := log.Find(0, "console: action")
	if len(records) != 5 || records[1].Attr("by") != "unix socket" || records[1].Attr("action") != "cancel-task" || records[1].Attr("result") != "done" {
		t.Errorf("the log: %v", records)
	}
}

// TestActOnChild: a child restarts, and stops; a start that was another one is refused.
func TestActOnChild(t *testing.T) {
	for _, redact := range []func(Text, string) string{nil, func(what Text, text string) string { return fmt.Sprintf("<%s of %d>", what, len(text)) }} {
		sys := actortest.NewSystem(t)
		_, h, _ := world(t, sys, Options{Redact: redact})
		child := func() (string, view.Child) {
			var s view.Supervision
			look(t, h, "supervision", &s)
			return s.Supervisors[0].ID, s.Supervisors[0].Children[0]
		}
		id, k := child()
		if (redact != nil) != strings.HasPrefix(id, "<worker") {
			t.Errorf("the supervisor is shown as %q", id)
		}
		target := view.Target{Supervisor: id, Child: k.Name, Start: k.Start}
		if status, _, problem := do(t, h, "restart-child", target); status != http.StatusOK {
			t.Fatalf("restart: %d, %s", status, problem)
		}
		for _, name := range []string{"restart-child", "stop-child", "end-grace"} {
			if status, _, problem := do(t, h, name, target); status != http.StatusConflict {
				t.Errorf("%s of the start before: %d, %s", name, status, problem)
			}
		}
		_, k = child()
		if k.State != "up" || k.Start == target.Start {
			t.Errorf("after the restart: %+v", k)
		}
		target.Start = k.Start
		if status, _, problem := do(t, h, "end-grace", target); status != http.StatusConflict {
			t.Errorf("the grace of one that does not stop: %d, %s", status, problem)
		}
		if status, _, problem := do(t, h, "stop-child", target); status != http.StatusOK {
			t.Errorf("stop: %d, %s", status, problem)
		}
		if _, k = child(); k.State != "gone" {
			t.Errorf("after the stop: %+v", k)
		}
	}
}

// TestCaptures: of each kind one can be made, one at a time, and downloaded.
func TestCaptures(t *testing.T) {
	sys := actortest.NewSystem(t)
	_, h, _ := world(t, sys, Options{})
	if status, _, problem := do(t, h, "capture", view.Target{Kind: "recording"}); status != http.StatusUnprocessableEntity || !strings.Contains(problem, "Record") {
		t.Errorf("a recording without a recorder: %d, %s", status, problem)
	}
	if status, _, _ := do(t, h, "capture", view.Target{Kind: "core"}); status != http.StatusNotFound {
		t.Errorf("an unknown kind: %d", status)
	}
	for _, kind := range []string{"heap", "goroutines", "cpu"} {
		status, done, problem := do(t, h, "capture", view.Target{Kind: kind})
		if status != http.StatusOK || done.Capture == nil {
			t.Fatalf("%s: %d, %s", kind, status, problem)
		}
		if kind == "cpu" {
			if status, _, _ := do(t, h, "capture", view.Target{Kind: "heap"}); status != http.StatusConflict {
				t.Errorf("beside another: %d", status)
			}
		}
		w := ask(h, from(socket, "@", "GET", "/api/capture?id="+done.Capture.ID))
		if w.Code != http.StatusOK || !bytes.HasPrefix(w.Body.Bytes(), []byte{0x1f, 0x8b}) || !strings.Contains(w.Header().Get("Content-Disposition"), done.Capture.File) {
			t.Errorf("%s: %d, %d bytes, %v", kind, w.Code, w.Body.Len(), w.Header())
		}
	}
	var list view.Captures
	look(t, h, "captures", &list)
	if len(list.Kept) != 3 || list.Kept[0].Kind != "cpu" || list.Kept[0].Bytes == 0 || list.Running != nil {
		t.Errorf("kept are %+v", list)
	}
	if w := ask(h, from(socket, "@", "GET", "/api/capture?id=99")); w.Code != http.StatusNotFound {
		t.Errorf("an unknown capture: %d", w.Code)
	}
}

// TestCapturesAreBounded: the oldest are forgotten.
func TestCapturesAreBounded(t *testing.T) {
	c := newConsole(t, Options{})
	for range maxKept + 3 {
		one, err := c.captures.begin(t.Context(), heapProfile, "")
		if err != nil {
			t.Fatal(err)
		}
		<-c.captures.find(one.ID).done
	}
	if list := c.captures.list(); len(list.Kept) != maxKept || list.Kept[0].ID != fmt.Sprint(maxKept+3) {
		t.Errorf("%d are kept", len(list.Kept))
	}
}

// TestRecordingOfABlockedTurn: what the flight recorder has at a blocked turn is kept, with whose it was, and can be
// read when the turn is long over.
func TestRecordingOfABlockedTurn(t *testing.T) {
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{Addr: "127.0.0.1:0", Record: time.Second, RecordLimit: -1})
	actortest.Spawn(t, sys.Root, "console", c.Setup, actors.Options{})
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	captures := func() (list view.Captures) {
		get(t, client, c.URL()+"api/captures", &view.Answer{View: &list})
		return list
	}
	actortest.Eventually(t, "the recorder runs", func() bool { return captures().Recorder.On })
	if list := captures(); len(list.Kept) > 0 {
		t.Errorf("before: %+v", list.Kept)
	}
	hold := make(chan struct{})
	pid := actortest.Spawn(t, sys.Root, "slow", func(*actors.Worker) error { return nil }, actors.Options{BlockedTurn: 20 * time.Millisecond})
	f := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { <-hold; return 1, nil }, actors.Name("read disk"))
	actortest.Eventually(t, "a recording is kept", func() bool { return len(captures().Kept) == 1 })
	close(hold)
	if _, err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	one := captures().Kept[0]
	if one.Kind != flightRecord || one.Why != "blocked turn of slow: read disk" || one.Error != "" || one.Open != "go tool trace "+one.File {
		t.Errorf("kept is %+v", one)
	}
	resp, err := client.Get(c.URL() + "api/capture?id=" + one.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	file := filepath.Join(t.TempDir(), one.File)
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil || len(b) != one.Bytes {
		t.Fatalf("%d bytes of %d, %v", len(b), one.Bytes, err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "tool", "trace", "-d=parsed", file).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("TestRecordingOfABlockedTurn")) { // the stack of what has blocked
		t.Errorf("go tool trace: %v, %d bytes: %.500s", err, len(out), out)
	}
}

// TestStream: a stream has the page at once, and what happens; who comes again gets what they have missed.
func TestStream(t *testing.T) {
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{Addr: "127.0.0.1:0"})
	actortest.Spawn(t, sys.Root, "console", c.Setup, actors.Options{})
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	open := func(query, last string) (next func() (id, kind, data string), end func()) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := http.NewRequestWithContext(ctx, "GET", c.URL()+"api/stream?page="+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("it is %q", got)
		}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		next = func() (id, kind, data string) {
			for lines.Scan() {
				name, value, _ := strings.Cut(lines.Text(), ": ")
				switch {
				case name == "id":
					id = value
				case name == "event":
					kind = value
				case name == "data":
					data = value
				case name == "" && kind != "":
					return id, kind, data
				}
			}
			t.Fatalf("the stream has ended: %v", lines.Err())
			return
		}
		return next, func() { cancel(); resp.Body.Close() }
	}
	next, end := open("overview", "")
	if _, kind, data := next(); kind != "view" || !strings.Contains(data, `"page":"overview"`) {
		t.Errorf("first comes %s: %s", kind, data)
	}
	c.timeline.add(view.Record{What: "one"})
	for {
		id, kind, data := next()
		if kind == "log" {
			if id != "1" || !strings.Contains(data, `"what":"one"`) {
				t.Errorf("record %s: %s", id, data)
			}
			break
		}
	}
	end()
	c.timeline.add(view.Record{What: "two"})
	// A page may have an after of its own, which is of tasks.
	for _, again := range []struct{ query, last string }{{"overview", "1"}, {"overview&since=1", ""}, {"worker&id=console&after=1000&since=1", ""}} {
		next, end = open(again.query, again.last)
		for {
			id, kind, data := next()
			if kind == "log" {
				if id != "2" || !strings.Contains(data, `"what":"two"`) {
					t.Errorf("%v: record %s: %s", again, id, data)
				}
				break
			}
		}
		end()
	}
}

// TestTimelineForgets: the oldest records go, and a reader is told how many were missed.
func TestTimelineForgets(t *testing.T) {
	var l timeline
	for range maxRecords + 10 {
		l.add(view.Record{Stack: strings.Repeat("x", 2*maxStack)})
	}
	got := l.after(5, 3)
	if len(got) != 3 || got[0].ID != 11 || got[0].Missed != 5 || got[1].Missed != 0 || len(got[0].Stack) > maxStack+10 {
		t.Errorf("%d records, the first is %d, missed %d", len(got), got[0].ID, got[0].Missed)
	}
	if all := l.newest(2*maxRecords, nil); len(all) != maxRecords || all[0].ID != maxRecords+10 {
		t.Errorf("%d are left", len(all))
	}
	if at := l.start("99999"); at != 0 {
		t.Errorf("an id of another process begins at %d", at)
	}
	select {
	case <-l.changed(l.last - 1):
	default:
		t.Error("there is one more, and it says that there is none")
	}
}

// TestRedacted: no name and no error is shown as it is.
func TestRedacted(t *testing.T) {
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{Redact: func(Text, string) string { return "x" }})
	h := c.Handler()
	pid := actortest.Spawn(t, sys.Root, "secret-worker", func(*actors.Worker) error { return nil }, actors.Options{Kind: "kind"})
	started := make(chan struct{})
	f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
		return 0, t.Await(t.Go(func(t *actors.Task) error { close(started); return t.Sleep(time.Hour) }, actors.Name("secret-task")))
	})
	<-started
	c.timeline.add(view.Record{Error: c.redact().Err(errors.New("secret-error"))})
	for _, page := range []string{"overview", "waits", "workers", "worker?id=x", "supervision", "queues", "sockets", "stop", "log"} {
		w := ask(h, from(socket, "@", "GET", "/api/"+page))
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d: %s", page, w.Code, w.Body)
		}
	}
	f.Cancel()
}

// TestStacks: goroutines are grouped, with the program's line.
func TestStacks(t *testing.T) {
	hold := make(chan struct{})
	for range 7 {
		go func() { <-hold }()
	}
	defer close(hold)
	var s view.Stacks
	h := newConsole(t, Options{}).Handler()
	actortest.Eventually(t, "seven of one kind", func() bool {
		look(t, h, "stacks", &s)
		for _, g := range s.Groups {
			if g.N == 7 && strings.HasPrefix(g.Line, "act_test.go:") {
				return true
			}
		}
		return false
	})
	v := parseStacks("goroutine profile: total 3\n2 @ 0x1 0x2\n# labels: {\"a b\":\"c, \\\"d\\\"\", \"e\":\"f\"}\n#\t0x1\tmain.work[...]+0x56\t/src/main.go:12\n\n1 @ 0x3\n#\t0x3\truntime.gopark+0x1\t/go/proc.go:3\n" +
		"1 @ 0x1 0x4\n# labels: {\"a b\":\"c, \\\"d\\\"\", \"e\":\"f\"}\n#\t0x4\tmain.work[...]+0x60\t/src/main.go:12\n") // at another instruction
	if v.Goroutines != 4 || len(v.Groups) != 2 || v.Groups[0].N != 3 || v.Groups[0].Labels["a b"] != `c, "d"` || v.Groups[0].Line != "main.go:12 main.work[...]" || v.Groups[1].Line != "proc.go:3 runtime.gopark" {
		t.Errorf("%+v", v)
	}
}
