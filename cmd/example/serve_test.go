// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/testtools"
)

// running is a service that can be started, killed and stopped, again and
// again on one address and one data folder.
type running struct {
	t    *testing.T
	addr string
	data string
	args []string
	env  []string
	held bool // by the test, which looks like a turn that lasts
	p    *process
}

func newService(t *testing.T, args ...string) *running {
	return &running{t: t, addr: freePorts(t, 1), data: t.TempDir(), args: args}
}

// freePorts is the address of the first of n ports that are free: see [testtools.FreePorts].
func freePorts(t *testing.T, n int) string {
	t.Helper()
	first, err := testtools.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", first)
}

// start starts the service and waits until it is ready.
func (r *running) start() {
	r.t.Helper()
	args := append([]string{"serve", "-addr", r.addr, "-data", r.data}, r.args...)
	r.p = newLongProcess(r.t, 20*time.Minute, args...)
	r.p.Env = append(os.Environ(), r.env...)
	if err := r.p.Start(); err != nil {
		r.t.Fatal(err)
	}
	p := r.p
	r.t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill() // the test has failed
			_ = p.Wait()
			r.t.Logf("the log of the service: %s", p.err.String())
		}
	})
	actortest.Eventually(r.t, "/readyz", func() bool { return r.status("/readyz") == http.StatusOK })
}

// status is that of a GET; 0 if there is no answer.
func (r *running) status(path string) int {
	resp, err := http.Get("http://" + r.addr + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// consumed is the queue's account, as the service tells it.
func (r *running) consumed() (s consumer.Stats) {
	resp, err := http.Get("http://" + r.addr + "/readyz")
	if err != nil {
		return s
	}
	defer resp.Body.Close()
	body := struct{ Queue *consumer.Stats }{&s}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		r.t.Errorf("/readyz: %v", err)
	}
	return s
}

// kill is kill -9.
func (r *running) kill() {
	r.t.Helper()
	if err := r.p.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = r.p.Wait() // it says that it was killed
	r.unharmed()
}

// stop stops it by SIGTERM, which has to succeed, and returns what it printed.
func (r *running) stop() string {
	r.t.Helper()
	if err := r.p.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	return r.ended()
}

// ended waits until it has stopped, and returns what it printed.
func (r *running) ended() string {
	r.t.Helper()
	err := r.p.Wait()
	r.unharmed()
	if err != nil {
		r.t.Errorf("stopped with %v: %s%s", err, r.p.out.String(), r.p.err.String())
	}
	if out := r.p.out.String(); !strings.Contains(out, "\ntotal ") || !strings.Contains(out, "queue: received ") {
		r.t.Errorf("there is no report in %q", out)
	}
	return r.p.out.String()
}

// unharmed checks what no run may ever print. A panic that was injected is
// logged, with its stack in quotes.
func (r *running) unharmed() {
	r.t.Helper()
	log := r.p.err.String()
	for _, bad := range []string{"DATA RACE", "fatal error", "\ngoroutine ", "blocked"} {
		if strings.Contains(log, bad) && (bad != "blocked" || !r.held) {
			r.t.Errorf("the log has %q:\n%s", bad, log)
		}
	}
}

func TestServeUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, env string
		stderr    string
	}{
		{"-addr 8080", "", `-addr "8080" is no host:port`},
		{"serve -queue carrier-pigeon://loft", "", `unknown scheme "carrier-pigeon"`},
		{"-queue items", "", `"items" is neither "embedded" nor a URL`},
		{"-store gcp://x", "", `-store "gcp://x" is neither "embedded" nor a nats:// URL`},
		{"-grace 0s", "", "-grace is 0s: it must be more than 0"},
		{"-lease -1s", "", "-lease is -1s: it must be more than 0"},
		{"-tries 0", "", "must be from 1 to 1000"},
		{"-concurrency many", "", "not a whole number"},
		{"-log xml", "", `-log "xml" is neither text nor json`},
		{"-queue gcppubsub://projects/p/subscriptions/s", "", "known are http://, https://, mem://, nats://"},
		{"-dead-letters https://x/1/dead", "", "-dead-letters is for a queue of SQS"},
		{"-queue mem://x -dead-letters gcppubsub://y", "", `-dead-letters: unknown scheme "gcppubsub"`},
		{"-topic mem://x", "", "-topic: it is for a queue of gocloud.dev"},
		{"-queue mem://x -topic loft", "", `-topic: "loft" is neither`},
		{"-data=", "", "-data is empty"},
		{"-node a", "", "-node is for -join"},
		{"-join 127.0.0.1:7420", "", "-join needs -cert, -key and -ca, or -node"},
		{"-join 127.0.0.1:7420 -node a -cert x", "", "all or none are needed"},
		{"-join localhost:7420 -node a", "", `-join: "localhost:7420" is no IP address and port`},
		{"-join 127.0.0.1:7420,10.0.0.2:7420 -node a", "", "the hub 10.0.0.2:7420 is not on this machine"},
		{"-join 127.0.0.1:7420 -node a -queue nats://x", "", "are for one process"},
		{"", "PROTOLOOP_GRACE=soon", `invalid value "soon" of PROTOLOOP_GRACE`},
		{"", "PROTOLOOP_MAX_ITEMS=0", `invalid value "0" of PROTOLOOP_MAX_ITEMS: must be from 1 to 500000`},
	} {
		t.Run(tt.args+tt.env, func(t *testing.T) {
			p := newProcess(t, strings.Fields(tt.args)...)
			p.Env = append(os.Environ(), tt.env)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			if code := p.exitCode(t); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if stderr := p.err.String(); !strings.Contains(stderr, tt.stderr) || !strings.Contains(stderr, "example -h") {
				t.Errorf("stderr lacks %q or the way to the help:\n%s", tt.stderr, stderr)
			}
		})
	}
}

// TestServeStarts is about what comes with the page.
func TestServeStarts(t *testing.T) {
	t.Parallel()
	r := newService(t)
	r.env = []string{"PROTOLOOP_LOG=json"}
	r.start()
	for path, want := range map[string]int{
		"/": 200, "/app.js": 200, "/style.css": 200, "/socket.io.min.js": 200, "/socket.io.LICENSE.txt": 200,
		"/healthz": 200, "/readyz": 200, "/nothing": 404, "/socket.io/": 400,
	} {
		if got := r.status(path); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	second := newProcess(t, "-addr", "127.0.0.1:0", "-data", r.data)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err == nil || !strings.Contains(second.err.String(), "in use by another server") {
		t.Errorf("a second process on the folder: %v, %s", err, second.err.String())
	}
	third := newProcess(t, "-addr", r.addr, "-data", t.TempDir())
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	if err := third.Wait(); err == nil || third.ProcessState.ExitCode() != 1 || !strings.Contains(third.err.String(), "address already in use") {
		t.Errorf("a second process on the address: %v, %s", err, third.err.String())
	}
	r.stop()
	if log := r.p.err.String(); !strings.HasPrefix(log, "{") || !strings.Contains(log, fmt.Sprintf(`"url":"http://%s"`, r.addr)) {
		t.Errorf("the log is no JSON, or does not say where: %s", log)
	}
}
