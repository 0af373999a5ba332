// SPDX-License-Identifier: Apache-2.0

package hubclient_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// TestLinksNoServer: a node's program links the clients alone. The servers are in package hub.
func TestLinksNoServer(t *testing.T) {
	servers := func(pkg string) (found []string) {
		t.Helper()
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(path, "github.com/nats-io/nats-server/") || strings.HasPrefix(path, "go.etcd.io/etcd/server/") {
				found = append(found, path)
			}
		}
		return found
	}
	if found := servers("."); len(found) > 0 {
		t.Errorf("the client links %s", strings.Join(found, ", "))
	}
	if len(servers("..")) < 2 {
		t.Error("the hub links no servers: were they renamed?")
	}
}
