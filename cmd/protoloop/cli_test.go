// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/internal/view"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// golden compares what a command prints with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: go test -update writes it anew\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// isGolden reports whether it is what the file has, or is to have.
func isGolden(name, got string) bool {
	want, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	return *update || err == nil && got == string(want)
}

// goldenWithin is for how long a command may print something else: a process that is slow has lints that others have not.
const goldenWithin = 30 * time.Second

// eventuallyGolden runs a command until what it prints has a text in it, and is that of a file.
func (p *process) eventuallyGolden(name, want string, args ...string) (code int) {
	p.t.Helper()
	var out string
	testtools.Poll(goldenWithin, func() bool {
		code, out = p.eventually(want, args...)
		return isGolden(name, same(out))
	})
	golden(p.t, name, same(out))
	return code
}

// varying are texts that differ between two runs, and what stands for them.
var varying = []struct {
	is   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "TIME"},
	{regexp.MustCompile(`\b(\d+m)?\d+(\.\d+)?(µs|ms|s)\b`), "SPAN"},
	{regexp.MustCompile(`\b\d+(\.\d+)?/s`), "RATE"},
	{regexp.MustCompile(`<?\b\d+(\.\d+)?%`), "SHARE"},
	{regexp.MustCompile(`process \d+`), "process PID"},
	{regexp.MustCompile(`\d+ goroutines?`), "N goroutines"},
	{regexp.MustCompile(`\.go:\d+`), ".go:LINE"},
	{regexp.MustCompile(`[ ]{2,}`), "  "},
}

// same is text without what differs between two runs.
func same(text string) string {
	for _, v := range varying {
		text = v.is.ReplaceAllString(text, v.with)
	}
	return text
}

// eventually runs a command until what it prints has a text in it.
func (p *process) eventually(want string, args ...string) (code int, out string) {
	p.t.Helper()
	if !testtools.Poll(giveUp, func() bool {
		var errs string
		if code, out, errs = p.run(args...); errs != "" {
			p.t.Fatal(errs)
		}
		return strings.Contains(out, want)
	}) {
		p.t.Fatalf("protoloop %s never says %q:\n%s", strings.Join(args, " "), want, out)
	}
	return code, out
}

func TestDoctor(t *testing.T) {
	for what, want := range map[string]struct {
		code int
		says string
	}{
		"well":    {exitOK, "is well"},
		"ring":    {exitUnwell, "3 tasks of 3 workers wait for it"},
		"blocked": {exitUnwell, "3 tasks of 1 worker wait for it"},
		"storm":   {exitUnwell, "1 child is not up"},
	} {
		t.Run(what, func(t *testing.T) {
			p := startProcess(t, what)
			if code := p.eventuallyGolden("doctor-"+what, want.says, "doctor", strconv.Itoa(p.pid)); code != want.code {
				t.Errorf("exit code %d, want %d", code, want.code)
			}
		})
	}
}

func TestPstree(t *testing.T) {
	for what, says := range map[string]string{"well": "nothing waits", "ring": "[3 tasks of 3 workers]", "blocked": "blocked for"} {
		t.Run(what, func(t *testing.T) {
			p := startProcess(t, what)
			p.eventuallyGolden("pstree-"+what, says, "pstree", strconv.Itoa(p.pid))
		})
	}
}

func TestPs(t *testing.T) {
	p := startProcess(t, "ring")
	_, out := p.eventually("shop/page", "ps", strconv.Itoa(p.pid), "-sort", "tasks")
	for _, name := range []string{"shop/prices", "shop/stock", "shop/console", "shop"} {
		if !strings.Contains(out, name+" ") {
			t.Errorf("%s is not in it:\n%s", name, out)
		}
	}
	p.eventuallyGolden("ps-prices", "shop/prices", "ps", "-q", "prices", "-n", "1", strconv.Itoa(p.pid))
	if code, _, errs := p.run("ps", strconv.Itoa(p.pid), "-sort", "color"); code != exitTrouble || !strings.Contains(errs, "color") {
		t.Errorf("a column that there is not: %d, %s", code, errs)
	}
}

func TestTop(t *testing.T) {
	p := startProcess(t, "blocked")
	p.eventually("3 tasks of 1 worker wait for it", "doctor")
	two := func(out string) bool { return strings.Count(out, "WORKER") >= 2 }
	code, out, errs := p.runUntil(two, "top") // no terminal: plain lines
	if n := strings.Count(out, "WORKER"); code != exitOK || n < 2 || errs != "" {
		t.Errorf("exit code %d, %d tables, %s", code, n, errs)
	}
	first := out[:1+strings.Index(out[1:], "protoloop.test (")]
	golden(t, "top-blocked", same(first))
}

func TestTail(t *testing.T) {
	p := startProcess(t, "storm")
	p.eventually("4 of 5", "doctor")
	has := func(out string) bool { return strings.Contains(out, "shop/mail") && strings.Contains(out, "smtp: 451") }
	_, out, errs := p.runUntil(has, "tail", strconv.Itoa(p.pid))
	if !has(out) || errs != "" {
		t.Errorf("tail prints\n%s%s", out, errs)
	}
	has = func(out string) bool {
		return strings.Contains(out, `"child":"mail"`) && strings.Contains(out, "smtp: 451")
	}
	if _, out, _ = p.runUntil(has, "tail", "-json", strconv.Itoa(p.pid)); !has(out) {
		t.Errorf("tail prints\n%s", out)
	}
	for line := range strings.Lines(out) {
		var r view.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == 0 {
			t.Fatalf("%v: %s", err, line)
		}
	}
}

func TestStacks(t *testing.T) {
	p := startProcess(t, "blocked")
	_, out := p.eventually("time.Sleep", "stacks", "-q", "protoloop.list.func", strconv.Itoa(p.pid))
	if !strings.Contains(out, "1 goroutine at") || !strings.Contains(out, "process_test.go") {
		t.Errorf("stacks prints\n%s", out)
	}
}

func TestCaptures(t *testing.T) {
	p := startProcess(t, "well")
	for _, one := range []struct {
		args []string
		tool []string // that reads it
	}{
		{[]string{"profile", "-kind", "heap"}, []string{"tool", "pprof", "-top"}},
		{[]string{"profile", "-kind", "goroutines"}, []string{"tool", "pprof", "-top"}},
		{[]string{"profile"}, []string{"tool", "pprof", "-top"}},
		{[]string{"record"}, []string{"tool", "trace", "-d=parsed"}},
	} {
		file := filepath.Join(t.TempDir(), "capture")
		code, out, errs := p.run(append(one.args, "-o", file, strconv.Itoa(p.pid))...)
		if code != exitOK || !strings.HasPrefix(out, file) {
			t.Fatalf("%v: %d, %s%s", one.args, code, out, errs)
		}
		if got, err := exec.Command("go", append(one.tool, file)...).CombinedOutput(); err != nil || len(got) == 0 {
			t.Errorf("%v of %v: %v\n%s", one.tool, one.args, err, got)
		}
		if code, _, errs := p.run(append(one.args, "-o", file, strconv.Itoa(p.pid))...); code != exitTrouble || !strings.Contains(errs, "is there") {
			t.Errorf("over a file: %d, %s", code, errs)
		}
	}
}

func TestJSON(t *testing.T) {
	p := startProcess(t, "ring")
	for _, name := range []string{"ps", "pstree", "doctor", "stacks"} {
		_, out, errs := p.run(name, "-json", strconv.Itoa(p.pid))
		var a view.Answer
		if err := json.Unmarshal([]byte(out), &a); err != nil || a.View == nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v, %s%s", name, err, out, errs)
		}
	}
}

func TestWatch(t *testing.T) {
	p := startProcess(t, "well")
	var times []time.Time // of each table
	code, out, _ := p.runUntil(func(out string) bool {
		for len(times) < strings.Count(out, "WORKER") {
			times = append(times, time.Now())
		}
		return len(times) >= 2
	}, "ps", "-watch", "1s", strconv.Itoa(p.pid))
	if code != exitOK || len(times) < 2 {
		t.Fatalf("exit code %d after %d tables:\n%s", code, len(times), out)
	}
	if d := times[1].Sub(times[0]); d < time.Second {
		t.Errorf("another one after %v", d)
	}
}

// A target is found by its process, its socket and its URL, and alone without a name.
func TestTargets(t *testing.T) {
	p := startProcess(t, "well")
	socket := filepath.Join(p.dir, "protoloop", fmt.Sprintf("%d.sock", p.pid))
	for _, target := range []string{strconv.Itoa(p.pid), socket, "unix:" + socket, ""} {
		args := []string{"doctor"}
		if target != "" {
			args = append(args, target)
		}
		if code, out, errs := p.run(args...); code != exitOK || !strings.Contains(out, "is well") {
			t.Errorf("%q: %d, %s%s", target, code, out, errs)
		}
	}
	first := p.pid
	p.add("well")
	if code, _, errs := p.run("doctor"); code != exitTrouble || !strings.Contains(errs, strconv.Itoa(first)) || !strings.Contains(errs, strconv.Itoa(p.pid)) {
		t.Errorf("of two: %d, %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"999999999":                          "no process 999999999",
		strconv.Itoa(os.Getpid()):            "has no console",
		"shop":                               "no process id, no socket and no URL",
		file:                                 "is a file and no socket",
		"http:///":                           "no URL with a host",
		"http://127.0.0.1:1":                 "nobody listens",
		filepath.Join(p.dir, "none.sock"):    "no process id, no socket and no URL",
		"unix:" + filepath.Join(p.dir, "no"): "no such file",
	} {
		if code, out, errs := p.run("doctor", target); code != exitTrouble || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%q: %d, %s%s", target, code, out, errs)
		}
	}
}

func TestToken(t *testing.T) {
	about := view.Answer{Page: "overview", View: view.Overview{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(about)
	}))
	defer server.Close()
	p := &process{t: t, dir: t.TempDir()}
	if code, _, errs := p.run("doctor", server.URL); code != exitTrouble || !strings.Contains(errs, "PROTOLOOP_TOKEN") {
		t.Errorf("without: %d, %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROTOLOOP_TOKEN_FILE", file)
	if code, out, errs := p.run("doctor", server.URL); code != exitOK {
		t.Errorf("with a file: %d, %s%s", code, out, errs)
	}
	t.Setenv("PROTOLOOP_TOKEN", "secret")
	if code, out, errs := p.run("doctor", server.URL); code != exitOK {
		t.Errorf("with: %d, %s%s", code, out, errs)
	}
}

// What is no console, or hangs, is said to be so.
func TestNoConsole(t *testing.T) {
	p := &process{t: t, dir: t.TempDir()}
	for _, text := range []string{"", "hello", "{}", `{"page":"stop","view":{}}`, `{"page":"overview","view":7}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
		if code, _, errs := p.run("doctor", server.URL); code != exitTrouble || !strings.Contains(errs, "is no console") {
			t.Errorf("%q: %d, %s", text, code, errs)
		}
		server.Close()
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if code, _, errs := p.run("doctor", server.URL); code != exitTrouble || !strings.Contains(errs, "is no console") {
		t.Errorf("not found: %d, %s", code, errs)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_, _ = c.Read(make([]byte, 1)) // it has asked, and gets no answer
		}
		interrupt()
		<-t.Context().Done()
	}()
	var errs strings.Builder
	if code := p.runWith(ctx, terminal{out: io.Discard, err: &errs}, "doctor", "http://"+l.Addr().String()); code != exitOK || errs.Len() > 0 {
		t.Errorf("interrupted: %d, %s", code, errs.String())
	}
}

func TestUsage(t *testing.T) {
	p := &process{t: t, dir: t.TempDir()}
	for _, one := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitTrouble, "which command?"},
		{[]string{"sp"}, exitTrouble, `there is no command "sp"`},
		{[]string{"ps", "1", "2"}, exitTrouble, "one target at a time"},
		{[]string{"ps", "-watch", "1ms"}, exitTrouble, "less than a second"},
		{[]string{"ps", "-colour"}, exitTrouble, "-colour"},
		{[]string{"doctor"}, exitTrouble, "no process of this user has a console"},
		{[]string{"-h"}, exitOK, "Usage: protoloop"},
		{[]string{"ps", "-h"}, exitOK, "-sort"},
	} {
		code, out, errs := p.run(one.args...)
		if code != one.code || !strings.Contains(out+errs, one.says) || (code == exitOK) != (errs == "") {
			t.Errorf("%v: %d, %s%s", one.args, code, out, errs)
		}
	}
}

// What a process calls its workers cannot drive the terminal.
func TestClean(t *testing.T) {
	for text, want := range map[string]string{"shop/list": "shop/list", "ä→": "ä→", "\x1b[2J": `\x1b[2J`, "a\nb": "a; b", "\u202e": `\u202e`, "\xff": `\ufffd`} {
		if got := clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	table := newTable("NAME", ">N")
	table.add("名前名前名前名前名前名前名前", "1")
	for _, line := range table.text(20) {
		if w := len(bytes.Runes([]byte(line))); w > 20 {
			t.Errorf("%q is wider than 20", line)
		}
	}
}
