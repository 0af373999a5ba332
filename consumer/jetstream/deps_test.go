// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLinksNoServer: a program that only connects to a server outside links the
// client alone. The server is in package embedded.
func TestLinksNoServer(t *testing.T) {
	const server = "github.com/nats-io/nats-server/"
	deps := func(pkg string) (found []string) {
		t.Helper()
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(path, server) {
				found = append(found, path)
			}
		}
		return found
	}
	if found := deps("."); len(found) > 0 {
		t.Errorf("the client links %s", strings.Join(found, ", "))
	}
	if len(deps("./embedded")) == 0 {
		t.Errorf("the embedded server links nothing of %s: was that renamed?", server)
	}
}
