// SPDX-License-Identifier: Apache-2.0

// Package program runs the program of a tutorial's step as a process of its
// own, as the reader does, and reads what it prints.
package program

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/protoloop/protoloop/actortest"
)

// role is the environment variable by which the test's own binary becomes the
// program: so nothing has to be built a second time.
const role = "PROTOLOOP_TUTORIAL_PROGRAM"

// Main is what TestMain of a step calls: it runs the tests, or main in the
// process that Start has made.
func Main(m *testing.M, main func()) {
	if os.Getenv(role) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Program is a running program.
type Program struct {
	URL string // where its web server listens
	t   *testing.T
	cmd *exec.Cmd
	out *output
}

// Start runs the program, and returns when its web server listens. It is killed
// at the end of the test, if it still runs.
func Start(t *testing.T) *Program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{t: t, cmd: exec.Command(exe, "-addr", "127.0.0.1:0"), out: new(output)}
	p.cmd.Env = append(os.Environ(), role+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the program has printed:\n%s", p.out)
		}
	})
	listening := regexp.MustCompile(`open (http://\S+)`)
	actortest.Eventually(t, "the program listens", func() bool {
		m := listening.FindStringSubmatch(p.out.String())
		if m != nil {
			p.URL = m[1]
		}
		return m != nil
	})
	return p
}

// Post posts a form, given as name and value in turn, and returns the status and
// the body.
func (p *Program) Post(path string, form ...string) (int, string) {
	p.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	resp, err := http.PostForm(p.URL+path, values)
	return p.answer(resp, err)
}

// Get gets a page, and returns the status and the body.
func (p *Program) Get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.URL + path)
	return p.answer(resp, err)
}

func (p *Program) answer(resp *http.Response, err error) (int, string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

// Output is what the program has printed so far, on both of its outputs.
func (p *Program) Output() string { return p.out.String() }

// Interrupt presses Ctrl-C, waits for the end of the program and returns all that
// it has printed. The test fails if the exit code is not 0.
func (p *Program) Interrupt() string {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Error(err)
	}
	return p.out.String()
}

// output keeps what is written while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
