// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// RegisteredIDs returns the ids in the system's process registry that begin with
// the prefix, in order.
func RegisteredIDs(sys *actor.ActorSystem, prefix string) []string {
	var ids []string
	for _, bucket := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		if bucket.Count() == 0 {
			continue // Keys starts 32 goroutines, and there may be 1024 buckets
		}
		for _, id := range bucket.Keys() {
			if strings.HasPrefix(id, prefix) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}
