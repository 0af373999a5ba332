// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/protoloop/protoloop/internal/view"
)

// A console does not choose where its captures go: no file that a shell reads, and none that drives the terminal.
func TestCaptureOfAHostileConsole(t *testing.T) {
	for _, name := range []string{"", ".", "..", ".profile", "../x", "/tmp/x", "cpu-1-2Z.pb.gz\x1b[2J", "-o", "Makefile"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				_ = json.NewEncoder(w).Encode(view.Done{Capture: &view.Capture{ID: "1", File: name}})
			}
		}))
		p := &process{t: t, dir: t.TempDir()}
		t.Chdir(t.TempDir())
		code, out, errs := p.run("profile", server.URL)
		if code != exitTrouble || out != "" || !strings.Contains(errs, "name it with -o") || strings.Contains(errs, "\x1b") {
			t.Errorf("%q: %d, %s%s", name, code, out, errs)
		}
		if files, err := filepath.Glob("*"); err != nil || len(files) > 0 {
			t.Errorf("%q: %v has come to be, %v", name, files, err)
		}
		file := filepath.Join(t.TempDir(), "mine")
		if code, _, errs := p.run("profile", "-o", file, server.URL); code != exitOK {
			t.Errorf("%q, by another name: %d, %s", name, code, errs)
		}
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// evil is text that drives a terminal, if it gets there as it is.
const evil = "\x1b[2J\x1b]0;owned\a\u009b2J\u202e\r\x00\x7f\U000e0041"

// fill sets each string to evil, and gives each slice two elements.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(3)
	case reflect.Float64:
		v.SetFloat(3)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth-1)
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), depth-1)
			fill(v.Index(1), depth-1)
		}
	case reflect.Map:
		if depth > 0 && v.Type().Key().Kind() == reflect.String && v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.ValueOf(map[string]string{evil: evil}).Convert(v.Type()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Field(i).Type() != reflect.TypeFor[time.Time]() {
				fill(v.Field(i), depth)
			}
		}
	}
}

func filled[V any]() *V {
	v := new(V)
	fill(reflect.ValueOf(v).Elem(), 6)
	return v
}

// Whatever a console says, and wherever it says it, the terminal is not driven by it.
func TestTextsOfAHostileConsole(t *testing.T) {
	pages := map[string]any{
		"about": filled[view.About](), "overview": filled[view.Overview](), "waits": filled[view.Waits](),
		"workers": filled[view.Workers](), "worker": filled[view.Worker](), "stacks": filled[view.Stacks](),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		switch v := pages[name]; {
		case name == "stream":
			b, err := json.Marshal(filled[view.Record]())
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, "event: log\ndata: %s\n\n", b)
		case v == nil:
			w.WriteHeader(http.StatusTeapot)
			_ = json.NewEncoder(w).Encode(view.Problem{Error: evil})
		default:
			if err := json.NewEncoder(w).Encode(view.Answer{Page: name, View: v}); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	p := &process{t: t, dir: t.TempDir()}
	drives := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	check := func(what, text string) {
		t.Helper()
		if i := strings.IndexFunc(text, drives); i >= 0 {
			t.Errorf("%s prints %q", what, text[max(0, i-60):min(len(text), i+20)])
		}
		if text == "" {
			t.Errorf("%s prints nothing", what)
		}
	}
	for _, verb := range []string{"ps", "pstree", "top", "tail", "stacks", "doctor", "profile"} {
		for _, flags := range [][]string{nil, {"-json"}} {
			_, out, errs := p.runUntil(func(out string) bool { return strings.Contains(out, "\n") && verb == "top" }, append([]string{verb, server.URL}, flags...)...)
			check(fmt.Sprint(verb, flags), out+errs)
			if line, _, _ := strings.Cut(out, "\n"); flags != nil && verb != "profile" && !json.Valid([]byte(line)) {
				t.Errorf("%s prints no JSON: %s", verb, line)
			}
		}
	}
	c := &command{client: &client{what: "it"}}
	s := &screen{c: c, width: 300, height: 100, look: &look{*filled[view.About](), *filled[view.Overview](), *filled[view.Workers](), nil}, filter: evil}
	check("the table of top", s.View().Content)
	s.open, s.detail = true, filled[view.Worker]()
	check("a worker of top", s.View().Content)
	s.typing = true
	check("the filter of top", s.View().Content)
}

// An answer that does not end is not read until the memory is full.
func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := bytes.Repeat([]byte{' '}, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	p := &process{t: t, dir: t.TempDir()}
	if code, _, errs := p.run("ps", server.URL); code != exitTrouble || !strings.Contains(errs, "more than 64 MB") {
		t.Errorf("%d, %s", code, errs)
	}
}

// A process that is killed ends the stream in the middle of it.
func TestTailOfAProcessThatIsKilled(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: log\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	p := &process{t: t, dir: t.TempDir()}
	if code, _, errs := p.run("tail", server.URL); code != exitTrouble || errs != "protoloop: "+server.URL+" has ended the stream\n" {
		t.Errorf("%d, %s", code, errs)
	}
}
