// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// binary is the built program: what a user runs, with its signals and its
// terminal.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(collectorVariable) != "" {
		collect()
	}
	os.Exit(buildAndTest(m))
}

func buildAndTest(m *testing.M) int {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "example")
	build := exec.Command("go", "build", "-o", binary)
	if testtools.RaceEnabled() {
		build.Args = append(build.Args, "-race")
	}
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

// process is a run of the binary.
type process struct {
	*exec.Cmd
	ctx      context.Context // ends when it has run for too long
	out, err output
}

func newProcess(t *testing.T, args ...string) *process {
	return newLongProcess(t, 5*time.Minute, args...)
}

// newLongProcess is for one that may run for that long. The deadline is for a
// program that hangs: with SIGQUIT it says where.
func newLongProcess(t *testing.T, most time.Duration, args ...string) *process {
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, binary, args...), ctx: ctx}
	p.Cancel = func() error { return p.Process.Signal(syscall.SIGQUIT) }
	p.WaitDelay = 5 * time.Second
	p.Stdout, p.Stderr = &p.out, &p.err
	return p
}

// onTerminal is newProcess on a pseudo terminal, which script(1) makes. All
// that the screen shows is in its out.
func onTerminal(t *testing.T, args ...string) *process {
	script, err := exec.LookPath("script")
	if err != nil || exec.Command(script, "-qec", "true", "/dev/null").Run() != nil {
		testtools.Lacking(t, "script(1) of bsdutils", "service-tools")
	}
	p := newProcess(t)
	p.Path = script
	p.Args = []string{script, "-qec", strings.Join(append([]string{binary}, args...), " "), "/dev/null"}
	p.Env = append(os.Environ(), "TERM=xterm")
	return p
}

// await waits until the process has printed text.
func (p *process) await(t *testing.T, text string) {
	t.Helper()
	if !p.out.await(p.ctx, text) {
		t.Errorf("it never printed %q", text)
	}
}

// signalAgain sends a second signal, when it is not taken for the first, which
// the process has just got: a while after that.
func (p *process) signalAgain(t *testing.T) {
	t.Helper()
	first := time.Now()
	actortest.Eventually(t, "a second signal to be one", func() bool { return time.Since(first) > 500*time.Millisecond })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// exitCode waits for the end and checks what no run may ever print.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	if err := p.Wait(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"[running]:", "DATA RACE", "fatal error", "level="} {
		if s := p.out.String() + p.err.String(); strings.Contains(s, bad) {
			t.Errorf("the output has %q:\n%s", bad, s)
		}
	}
	return p.ProcessState.ExitCode()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"-h", 0, ""},
		{"eager --help", 0, ""},
		{"-nope", 2, "flag provided but not defined: -nope"},
		{"eager -requests many", 2, `invalid value "many" for flag -requests: not a whole number`},
		{"eager -requests 0", 2, `invalid value "0" for flag -requests: must be from 1 to 5000000`},
		{"eager -requests 99999999999999999999", 2, "must be from 1 to 5000000"},
		{"eager -workers -1", 2, "must be from 1 to 10000"},
		{"eager -workers", 2, "flag needs an argument: -workers"},
		{"lazy", 2, `unknown command "lazy"`},
		{"eager now", 2, `unexpected argument "now"`},
		{"-grace 9s eager", 2, `command "eager" must come first`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			p := newProcess(t, strings.Fields(tt.args)...)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			if code := p.exitCode(t); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			stdout, stderr := p.out.String(), p.err.String()
			if tt.code == 0 {
				for _, want := range []string{"serve (runs when", "-addr", "PROTOLOOP_ADDR", "eager", "-requests", "-workers", "default 100000", "default 8"} {
					if !strings.Contains(stdout, want) {
						t.Errorf("the help lacks %q:\n%s", want, stdout)
					}
				}
				if stderr != "" {
					t.Errorf("help on stderr: %s", stderr)
				}
				return
			}
			if stdout != "" {
				t.Errorf("an error on stdout: %s", stdout)
			}
			if !strings.Contains(stderr, tt.stderr) || !strings.Contains(stderr, "example -h") {
				t.Errorf("stderr lacks %q or the way to the help:\n%s", tt.stderr, stderr)
			}
		})
	}
}

// TestRealTime is the whole program as it runs when piped: the story in real
// time, and nothing in it that only a terminal understands.
func TestRealTime(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "eager", "-requests", "1000", "-workers", "3")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.err.String())
	}
	stdout, stderr := p.out.String(), p.err.String()
	rest := checkInRealTime(t, stdout)
	for _, want := range []string{
		"order 7: sold out", "errors.Is(err, errSoldOut): true",
		"index out of range [3] with length 3", "at main.total (failures.go:", "at main.failures.",
		"the next task returned 42",
		"1000 requests to 3 workers", "168 of the numbers from 1 to 1000 are prime",
		"requests/s", "p50", "p90", "p99", "max",
	} {
		if !strings.Contains(rest, want) {
			t.Errorf("the output lacks %q:\n%s", want, rest)
		}
	}
	if lines := strings.Count(stderr, "\n"); lines != 10 || !strings.HasSuffix(stderr, "\n1000 of 1000 requests (100%)\n") {
		t.Errorf("want ten lines of progress, have %q", stderr)
	}
	for _, r := range stdout + stderr {
		if r < ' ' && r != '\n' || r == 0x7f {
			t.Fatalf("control character %q:\n%q\n%q", r, stdout, stderr)
		}
	}
	if strings.Contains(rest, filepath.Dir(binary)) || strings.Contains(rest, "/failures.go") {
		t.Errorf("the stack shows folders of this machine:\n%s", rest)
	}
}

// TestTerminal is about the progress bar.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, "eager", "-requests", "2000")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	screen := p.out.String()
	if !strings.Contains(screen, "100% |████") || !strings.Contains(screen, "| (2000/2000)") {
		t.Errorf("no full progress bar:\n%q", screen)
	}
	if !strings.Contains(screen, "\n303 of the numbers") {
		t.Errorf("what comes after the bar does not begin on a line of its own:\n%q", screen)
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err) // every Linux has it
	}
	defer full.Close()
	p := newProcess(t, "-h")
	p.Stdout = full
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != 1 || !strings.Contains(p.err.String(), "no space left") {
		t.Errorf("exit code %d, stderr %q", code, p.err.String())
	}
}
