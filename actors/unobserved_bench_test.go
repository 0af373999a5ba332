// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/protoloop/protoloop/actors"
)

// BenchmarkFailedFuture is what the failure of a future costs beside a success: the note that
// tells whether somebody has looked at it, and, if nobody has, what is done when the future is
// collected. Of that no more than ten a second are logged.
func BenchmarkFailedFuture(b *testing.B) {
	setDefaultLog(b, discard().Handler())
	no := errors.New("no")
	for _, c := range []struct {
		name     string
		complete func(p *actors.Promise[int])
	}{
		{"succeeded", func(p *actors.Promise[int]) { p.Resolve(1) }},
		{"failed and looked at", func(p *actors.Promise[int]) {
			p.Reject(no)
			_, _ = p.Future().TryResult()
		}},
		{"failed and not looked at", func(p *actors.Promise[int]) { p.Reject(no) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.complete(new(actors.Promise[int]))
			}
			runtime.GC() // what is left is collected within the measurement, too
		})
	}
}
