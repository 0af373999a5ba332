// SPDX-License-Identifier: Apache-2.0

package service

import (
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestProfilesNowhere: an address that cannot be listened on is told at once.
func TestProfilesNowhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := Defaults()
	cfg.Pprof = l.Addr().String()
	if _, err := Run(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil))); err == nil || !strings.Contains(err.Error(), "profiles") {
		t.Errorf("Run: %v", err)
	}
	cfg.Pprof = "nowhere"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "-pprof") {
		t.Errorf("Validate: %v", err)
	}
}

// TestProfilesAreNotForOthers: no page that has had its name lead here reads them.
func TestProfilesAreNotForOthers(t *testing.T) {
	h := profiles(Config{Pprof: "127.0.0.1:6060"})
	for host, want := range map[string]int{"127.0.0.1:6060": 200, "localhost:6060": 200, "rebound.example:6060": 421} {
		r := httptest.NewRequest("GET", "/debug/pprof/cmdline", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("for %s: %d, want %d", host, w.Code, want)
		}
	}
}
