// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// BenchmarkTaskLogger is what a handler pays for its logger, before it logs.
func BenchmarkTaskLogger(b *testing.B) {
	sys := actortest.NewSystem(b)
	pid := actortest.Spawn(b, sys.Root, "worker", none, actors.Options{})
	b.ReportAllocs()
	want(b, did(sys.Root, pid, func(t *actors.Task) error {
		for b.Loop() {
			_ = t.Logger()
		}
		return nil
	}), actors.None{})
}
