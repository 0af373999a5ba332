// SPDX-License-Identifier: Apache-2.0

package hub

// DisableJetStream is what the NATS server does when its disk is full.
func (h *Hub) DisableJetStream() error { return h.nats.s.DisableJetStream() }

// FailNATS has the NATS server say that it cannot go on.
func (h *Hub) FailNATS(why string) { h.nats.s.Fatalf("%s", why) }

// EndNATS ends it behind the hub's back.
func (h *Hub) EndNATS() { h.nats.s.Shutdown() }
