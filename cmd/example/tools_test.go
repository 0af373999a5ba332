// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// toolsScript installs what the tests of this package need.
const toolsScript = "service-tools"

// python is that of Debian, with python3-socketio and what its client needs.
func python(t *testing.T) string {
	t.Helper()
	return testtools.Python(t, toolsScript, "socketio", "aiohttp", "requests", "websocket")
}
