// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// TestInterrupt stops the program in each of its parts.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	const many = "500000" // so that the fan-out is still going on
	for _, tt := range []struct {
		name     string
		after    string // what the program has printed by then; on standard error if it is a percentage
		signals  []syscall.Signal
		exitCode int
	}{
		{"at the start", "START", []syscall.Signal{syscall.SIGINT}, 130},
		{"in the first sleep", "SETUP", []syscall.Signal{syscall.SIGINT}, 130},
		{"in the second sleep", "MIDDLE", []syscall.Signal{syscall.SIGINT}, 130},
		{"told to terminate", "SETUP", []syscall.Signal{syscall.SIGTERM}, 143},
		{"as the fan-out begins", "Fan-out", []syscall.Signal{syscall.SIGINT}, 130},
		{"in the fan-out", fmt.Sprintf("(%d0%%)", 1+rand.N(2)), []syscall.Signal{syscall.SIGINT}, 130},
		{"the signal comes twice", "SETUP", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, "eager", "-requests", many)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			printed := &p.out
			if strings.Contains(tt.after, "%") {
				printed = &p.err
			}
			if !printed.await(p.ctx, tt.after) {
				t.Fatalf("it never printed %q", tt.after)
			}
			for _, s := range tt.signals {
				if err := p.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			code := p.exitCode(t)
			if code != tt.exitCode {
				t.Errorf("after %q: exit code %d, want %d", tt.after, code, tt.exitCode)
			}
			if stderr := p.err.String(); !strings.Contains(stderr, "workers stopped") || !strings.HasSuffix(stderr, "cut off\n") {
				t.Errorf("after %q: stderr does not end with what was stopped: %q", tt.after, stderr)
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
