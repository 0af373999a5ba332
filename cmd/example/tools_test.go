// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// toolsScript installs what the tests of this package need.
const toolsScript = "service-tools"

// chromium is the path of the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testtools.Lacking(t, "Chromium", toolsScript)
	return ""
}

// python is that of Debian, with python3-socketio and what its client needs.
func python(t *testing.T) string {
	t.Helper()
	return testtools.Python(t, toolsScript, "socketio", "aiohttp", "requests", "websocket")
}
