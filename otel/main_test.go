// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"os/exec"
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// tool is the path of a program of Debian's package prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testtools.Lacking(t, name+" of the package prometheus", "telemetry-tools")
	}
	return path
}
