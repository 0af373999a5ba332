// SPDX-License-Identifier: Apache-2.0

package hub

// DisableJetStream is what the NATS server does when its disk is full.
func (h *Hub) DisableJetStream() error { return h.nats.s.DisableJetStream() }
