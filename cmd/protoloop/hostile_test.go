// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
