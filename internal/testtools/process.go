// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// ChildOf is what the TestMain of a package begins with whose tests start the test binary once more, by [Spawn]: with each
// variable that they name. In such a process it calls start, says what that returns, and reports true when the process is to end.
// That is at SIGTERM, once stop has returned, and at once when the test has ended, however that was.
func ChildOf[O any](variable string, start func(o O) (says string, stop func(), err error)) (is bool) {
	options := os.Getenv(variable)
	if options == "" {
		return false
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var o O
	err := json.Unmarshal([]byte(options), &o)
	var says string
	stop := func() {}
	if err == nil {
		says, stop, err = start(o)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(strings.TrimSpace("ready " + says))
	<-terminated
	stop()
	return true
}

// Process is a process of a test. It is killed when the test ends.
type Process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  *bufio.Reader
	once  sync.Once
	ended error
}

// Spawn starts the test binary once more: see [ChildOf].
func Spawn(t testing.TB, variable string, options any) *Process {
	t.Helper()
	return SpawnProgram(t, os.Args[0], variable, options)
}

// SpawnUnraced is [Spawn] for a process that runs the code of others, as a server: under the race detector it is a build without it, for
// which the go command is needed. Else it would take several times as much of the processors.
func SpawnUnraced(t testing.TB, variable string, options any) *Process {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil || !RaceEnabled() {
		return Spawn(t, variable, options)
	}
	path, err := unraced()
	if err != nil {
		t.Fatal(err)
	}
	return SpawnProgram(t, path, variable, options)
}

// unraced builds the tests of the package in the current folder, beside the test binary: in a folder that go test removes.
var unraced = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(filepath.Dir(os.Args[0]), "unraced-"+filepath.Base(os.Args[0]))
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("a build without the race detector: %w\n%s", err, out)
	}
	return path, nil
})

// SpawnProgram starts another build of the test binary.
func SpawnProgram(t testing.TB, path, variable string, options any) *Process {
	t.Helper()
	o, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, name: variable, cmd: exec.Command(path)}
	p.cmd.Env = append(os.Environ(), variable+"="+string(o))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.said = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// Ready waits until the process has started, and returns what it says then.
func (p *Process) Ready() (says string) {
	p.t.Helper()
	line, err := p.said.ReadString('\n')
	says, ok := strings.CutPrefix(line, "ready")
	if !ok {
		p.t.Fatalf("a process of %s says %q, %v", p.name, line, err)
	}
	return strings.TrimSpace(says)
}

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Kill is kill -9. It returns when the process has ended, if it had not before.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		p.end()
	})
}

// Stop is SIGTERM. It returns when the process has ended, and fails the test if that was not by itself and in order.
func (p *Process) Stop() {
	p.t.Helper()
	p.once.Do(func() {
		if p.ended = p.cmd.Process.Signal(syscall.SIGTERM); p.ended == nil {
			p.end()
		}
	})
	if p.ended != nil {
		p.t.Errorf("a process of %s, stopped: %v", p.name, p.ended)
	}
}

// Ended reports whether it was killed or stopped.
func (p *Process) Ended() bool { return p.cmd.ProcessState != nil }

func (p *Process) end() {
	p.ended = p.cmd.Wait() // of one that was killed it says that
	_ = p.stdin.Close()
}
