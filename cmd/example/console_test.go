// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/internal/view"
)

// consoleOf asks the console of a service at its socket.
type consoleOf struct {
	t      *testing.T
	client *http.Client
}

// withConsole is a service whose sockets are in a folder of their own.
func withConsole(t *testing.T, r *running) {
	t.Helper()
	r.env = append(r.env, "XDG_RUNTIME_DIR="+t.TempDir())
}

// console is that of the service that runs.
func (r *running) console() *consoleOf {
	dir := strings.TrimPrefix(r.env[len(r.env)-1], "XDG_RUNTIME_DIR=")
	path := filepath.Join(dir, "protoloop", fmt.Sprint(r.p.Process.Pid, ".sock"))
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &consoleOf{r.t, &http.Client{Transport: tr}}
}

// get reads a page.
func (c *consoleOf) get(page string, into any) {
	c.t.Helper()
	resp, err := c.client.Get("http://localhost/api/" + page)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s, %v: %s", page, resp.Status, err, b)
	}
	if err := json.Unmarshal(b, &view.Answer{View: into}); err != nil {
		c.t.Fatalf("%s: %v: %s", page, err, b)
	}
}

// TestConsoleFindsBlockedTurn: with a sleep in the list's handler the overview names the worker, the line, and how
// many tasks wait for it, while the sleep goes on, and protoloop doctor says the same. How long that took, and the slowest
// answer, are logged; they are bounded where speedVariable says that the machine is quiet.
func TestConsoleFindsBlockedTurn(t *testing.T) {
	t.Parallel()
	r := newService(t)
	r.env = []string{"PROTOLOOP_TEST_BLOCK=1h", "PROTOLOOP_TEST_SLOW=1ms"}
	withConsole(t, r)
	r.start()
	console := r.console()
	actortest.Eventually(t, "an overview without lints", func() bool { // a slow start has some
		var quiet view.Overview
		console.get("overview", &quiet)
		return len(quiet.Lints) == 0
	})
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for i := range 5 {
		if err := c.call(t.Context(), "add", map[string]string{"text": fmt.Sprint("item ", i)}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	added := time.Now()
	var found view.LintItem
	var slowest time.Duration
	actortest.Eventually(t, "the overview to name the turn", func() bool {
		var o view.Overview
		asked := time.Now()
		console.get("overview", &o)
		slowest = max(slowest, time.Since(asked))
		if len(o.Lints) == 0 || o.Lints[0].ID != view.LintBlocked || o.Lints[0].Items[0].Tasks == 0 {
			return false
		}
		found = o.Lints[0].Items[0]
		return true
	})
	took := time.Since(added)
	t.Logf("after %v, and answers within %v: %s", took, slowest, found.Text)
	if os.Getenv(speedVariable) != "" && (took > 3*time.Second || slowest > time.Second) {
		t.Error("that is more than 3 s, or an answer took more than one")
	}
	if found.Worker != "service/list" || !strings.HasPrefix(found.Line, "faults.go:") || found.Workers != 1 {
		t.Errorf("found %+v", found)
	}
	doctor := testtools.Program(t, "cmd/protoloop")
	actortest.Eventually(t, "doctor to say the same", func() bool {
		cmd := exec.Command(doctor, "doctor", fmt.Sprint(r.p.Process.Pid))
		cmd.Env = r.env
		out, err := cmd.Output()
		var code *exec.ExitError
		if !errors.As(err, &code) || code.ExitCode() != 1 {
			t.Fatalf("doctor: %v\n%s", err, out)
		}
		var o view.Overview
		console.get("overview", &o) // more may wait for it than before
		last := o.Lints[0].Items[0]
		_, waiting, _ := strings.Cut(last.Text, "; ")
		return strings.Contains(string(out), "error: 1 turn is blocked") && strings.Contains(string(out), last.Line) &&
			strings.Contains(string(out), last.Worker+" has been in a turn") && strings.Contains(waiting, " of 1 worker ") && strings.Contains(string(out), waiting)
	})
	_ = r.p.Process.Kill() // not by r.kill: the log has the blocked turn, as it ought to
	_ = r.p.Wait()
}

// TestConsoleDuringStop: it shows what a stop waits for, until the end.
func TestConsoleDuringStop(t *testing.T) {
	t.Parallel()
	r := stoppingService(t, func(r *running) { withConsole(t, r) })
	console := r.console()
	var s view.Stop
	actortest.Eventually(t, "the consumer to drain", func() bool {
		console.get("stop", &s)
		return len(s.Trees) == 1 && len(s.Trees[0].Draining) == 1 && len(s.Trees[0].Draining[0].WaitsFor) > 0
	})
	d := s.Trees[0].Draining[0]
	if !s.Stopping || d.Path != "service/consumer" || d.GraceLeft <= 0 || s.Trees[0].Next[len(s.Trees[0].Next)-1] != "console" {
		t.Errorf("the stop: %+v", s)
	}
	r.p.signalAgain(t)
	r.ended()
}

// TestConsoleLink: the page links to a console on loopback; a service whose console cannot be
// opened starts all the same, unless somebody has said where it is to be.
func TestConsoleLink(t *testing.T) {
	t.Parallel()
	r := newService(t, "-console", "127.0.0.1:0")
	r.start()
	link := func() string {
		resp, err := http.Get("http://" + r.addr + "/console")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var link struct{ URL string }
		if err := json.NewDecoder(resp.Body).Decode(&link); err != nil {
			t.Fatal(err)
		}
		return link.URL
	}
	resp, err := http.Get(link() + "api/about")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the console: %s", resp.Status)
	}
	r.stop()

	r.args, r.env = nil, []string{"XDG_RUNTIME_DIR=/proc"}
	r.start()
	if !strings.Contains(r.p.err.String(), "there is no console") {
		t.Errorf("the log: %s", r.p.err.String())
	}
	if got := link(); got != "" {
		t.Errorf("the page links to %q", got)
	}
	r.stop()

	p := newProcess(t, "serve", "-addr", r.addr, "-data", r.data, "-console", "unix:/proc/none/x.sock")
	if err := p.Run(); err == nil || !strings.Contains(p.err.String()+p.out.String(), "/proc/none") {
		t.Errorf("a console that cannot be: %v, %s", err, p.err.String())
	}
}
