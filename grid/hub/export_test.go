// SPDX-License-Identifier: Apache-2.0

package hub

import "github.com/nats-io/nats-server/v2/server"

// CheckReplicas is whether a hub of three may be replaced, by what the others say of what they store.
func CheckReplicas(name string, hubs map[string]string, parts map[string]*server.JSInfo) error {
	h := &Hub{o: Options{Name: name, Hubs: hubs}}
	return h.checkReplicas(parts)
}

// DisableJetStream is what the NATS server does when its disk is full.
func (h *Hub) DisableJetStream() error { return h.nats.s.DisableJetStream() }

// FailNATS has the NATS server say that it cannot go on.
func (h *Hub) FailNATS(why string) { h.nats.s.Fatalf("%s", why) }

// EndNATS ends it behind the hub's back.
func (h *Hub) EndNATS() { h.nats.s.Shutdown() }
