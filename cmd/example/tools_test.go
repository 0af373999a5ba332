package main

import (
	"os"
	"os/exec"
	"testing"
)

// lacking skips a test for which something is not installed; in CI, where it
// has to be, the test fails.
func lacking(t *testing.T, what, script string) {
	t.Helper()
	const how = "%s is missing; install it with: ./ci/%s.sh"
	if os.Getenv("CI_REQUIRE") == "1" {
		t.Fatalf(how, what, script)
	}
	t.Skipf(how, what, script)
}

// chromium is the path of the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	lacking(t, "Chromium", "service-tools")
	return ""
}

// python is that of Debian, with python3-socketio.
func python(t *testing.T) string {
	t.Helper()
	const path = "/usr/bin/python3"
	if exec.Command(path, "-c", "import socketio, requests, websocket").Run() != nil {
		lacking(t, "python3-socketio", "service-tools")
	}
	return path
}
