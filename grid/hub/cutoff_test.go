// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// TestNodeIsCutOffFromNATS: a node that reaches etcd, and NATS at no hub, hands its keys over to one that can be asked. When it
// reaches NATS again they come back.
func TestNodeIsCutOffFromNATS(t *testing.T) {
	t.Parallel()
	h := spawnHubs(t, 1, authority(t), hubOptions{})
	way := testtools.StartProxy(t, h.addrs[0])
	cut, err := newMember(t.Context(), memberOptions{Options: h.client("a"), Lease: lease()})
	if err != nil {
		t.Fatal(err)
	}
	cut.net = atFirst(t, h.ca, []string{way.Addr}, "a")
	if err := cut.join(t.Context(), cut.setup); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cut.leave)
	h.spawnMember("b", memberOptions{}).Ready()
	asker := h.asker()
	before := asker.homes(t, "a", "b")
	way.Cut()
	began := time.Now()
	for key, a := range before {
		if a.node != "a" {
			continue
		}
		actortest.Eventually(t, "its keys to answer elsewhere", func() bool {
			now, err := asker.ask(t.Context(), key, who)
			return err == nil && now.node == "b" && now.token > a.token
		})
	}
	t.Logf("its keys answer elsewhere after %v, with a lease of %v", time.Since(began), lease())
	way.Mend()
	asker.homes(t, "a", "b")
}
