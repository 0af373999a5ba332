// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// tmux is a terminal of 100 by 20 that runs top on a process.
type tmux struct {
	t      *testing.T
	server string
}

// startTmux skips the test where there is no tmux.
func startTmux(t *testing.T, p *process) *tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		testtools.Lacking(t, "tmux", "service-tools")
	}
	m := &tmux{t, fmt.Sprintf("protoloop-test-%d", p.pid)}
	t.Cleanup(func() { _ = exec.Command("tmux", "-L", m.server, "kill-server").Run() }) // it may have ended with the shell
	m.do("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "20", "-e", "XDG_RUNTIME_DIR="+p.dir, "-e", asCommand+"=1", "sh")
	m.keys(fmt.Sprintf("%s top %d", os.Args[0], p.pid), "Enter")
	return m
}

func (m *tmux) do(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", m.server}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (m *tmux) keys(keys ...string) {
	m.t.Helper()
	m.do(append([]string{"send-keys"}, keys...)...)
}

// shows waits until the screen fits, and returns it.
func (m *tmux) shows(what string, fits func(screen string) bool) (screen string) {
	m.t.Helper()
	if !testtools.Poll(giveUp, func() bool {
		screen = m.do("capture-pane", "-p")
		return fits(screen)
	}) {
		m.t.Fatalf("the screen never shows %s:\n%s", what, screen)
	}
	return screen
}

func (m *tmux) has(text string) (screen string) {
	m.t.Helper()
	return m.shows(text, func(screen string) bool { return strings.Contains(screen, text) })
}

func TestTopOnAScreen(t *testing.T) {
	p := startProcess(t, "blocked")
	m := startTmux(t, p)
	m.has("3 tasks of 1 worker wait for it")
	m.keys("Home")
	first := func(s string) bool { return strings.Contains(s, "> shop/list") && strings.Contains(s, "blocked ") }
	screen := m.shows("the worker with the longest wait first", first)
	testtools.Poll(goldenWithin, func() bool { // a slow machine may show more for a moment
		screen = m.shows("the same", first)
		return isGolden("screen-blocked", same(screen))
	})
	golden(t, "screen-blocked", same(screen))

	m.keys("Down")
	m.shows("another row", func(s string) bool { return strings.Contains(s, "> shop") && !strings.Contains(s, "> shop/list") })
	m.keys("Up", "Enter")
	m.has("BLOCKED for")
	m.keys("Escape")
	// Only then: a key that is read together with Escape is another key.
	m.shows("the table again", func(s string) bool { return strings.Contains(s, "WORKER") && !strings.Contains(s, "BLOCKED for") })
	m.keys("s")
	m.has("by oldest")
	m.keys("/", "page", "Enter")
	m.shows("what fits the filter", func(s string) bool {
		return strings.Contains(s, "with page") && strings.Contains(s, "shop/page") && !strings.Contains(s, "shop/list ")
	})
	m.keys("p")
	m.has("PAUSED")
	m.keys("p")

	m.do("resize-window", "-x", "60", "-y", "12")
	m.shows("a narrow table", func(s string) bool {
		lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
		return len(lines) == 12 && strings.Contains(s, "q quit") && strings.Contains(s, "WORKER")
	})
	m.keys("q")
	screen = m.shows("the shell as it was", func(s string) bool { return !strings.Contains(s, "WORKER") })
	if !strings.Contains(screen, " top ") { // the command that was typed: the screen before is back
		t.Errorf("the shell's screen is gone:\n%s", screen)
	}
	m.keys("echo code $?", "Enter")
	m.has("code 0")
}

// A process that ends leaves what was last seen of it, and says so.
func TestTopOfAProcessThatEnds(t *testing.T) {
	p := startProcess(t, "well")
	m := startTmux(t, p)
	m.has("> shop")
	p.end()
	m.has("stale for")
	m.has("> shop")
	m.keys("q")
	m.shows("the shell as it was", func(s string) bool { return !strings.Contains(s, "stale") })
	m.keys("echo code $?", "Enter")
	m.has("code 0")
}
