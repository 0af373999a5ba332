// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// LastRequest sets the number of the last request that had a PID for its
// answers.
func LastRequest(sys *actor.ActorSystem, key uint64) { systemOf(sys).replies.last.Store(key) }
