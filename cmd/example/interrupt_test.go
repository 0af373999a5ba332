package main

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInterrupt stops the program at moments that differ at every run.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	const many = "500000" // so that the fan-out is still going on
	for _, tt := range []struct {
		name     string
		after    string        // what the program has printed by then
		within   time.Duration // and a random time up to this
		signals  []syscall.Signal
		exitCode int
	}{
		{"at the start", "START", 0, []syscall.Signal{syscall.SIGINT}, 130},
		{"in the first sleep", "SETUP", 2 * time.Second, []syscall.Signal{syscall.SIGINT}, 130},
		{"in the second sleep", "MIDDLE", 3 * time.Second, []syscall.Signal{syscall.SIGINT}, 130},
		{"told to terminate", "SETUP", time.Second, []syscall.Signal{syscall.SIGTERM}, 143},
		{"as the fan-out begins", "Fan-out", 0, []syscall.Signal{syscall.SIGINT}, 130},
		{"in the fan-out", "Fan-out", 300 * time.Millisecond, []syscall.Signal{syscall.SIGINT}, 130},
		{"the signal comes twice", "SETUP", time.Second, []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, "eager", "-requests", many)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			p.await(t, tt.after)
			delay := rand.N(tt.within + 1)
			time.Sleep(delay) // the random moment is what is tested
			sent := time.Now()
			for _, s := range tt.signals {
				if err := p.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			code := p.exitCode(t)
			took := time.Since(sent)
			if code != tt.exitCode {
				t.Errorf("%v after %q: exit code %d, want %d", delay, tt.after, code, tt.exitCode)
			}
			if took > 5*time.Second {
				t.Errorf("%v after %q: the end took %v", delay, tt.after, took)
			}
			if stderr := p.err.String(); !strings.Contains(stderr, "workers stopped") || !strings.HasSuffix(stderr, "cut off\n") {
				t.Errorf("%v after %q: stderr does not end with what was stopped: %q", delay, tt.after, stderr)
			}
		})
	}
}

// TestInterruptOnTerminal presses Ctrl-C: the terminal shows ^C, which our last
// line covers.
func TestInterruptOnTerminal(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, "eager")
	keys, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.await(t, "SETUP")
	if _, err := keys.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if screen := p.out.String(); !strings.Contains(screen, "\rexample: interrupt: 2 workers stopped") {
		t.Errorf("no line says that it was stopped:\n%q", screen)
	}
}
