// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"testing"
)

// tagReader takes the frames above a tag.
type tagReader struct {
	n   uint32
	pcs []uintptr
}

func (r *tagReader) begin(func(struct{}) bool) (n uint32, ok bool) { return r.n, true }

func (r *tagReader) main() {
	r.pcs = make([]uintptr, 64)
	r.pcs = r.pcs[:runtime.Callers(0, r.pcs)]
}

// TestTagsTell reads each tag in the frames that have it.
func TestTagsTell(t *testing.T) {
	for n := range uint32(tags) {
		r := tagReader{n: n}
		first := tagged(&r)
		tagFrames(&first)(nil)
		if got, ok := tagIn(r.pcs); got != n || !ok {
			t.Errorf("tag %#x reads as %#x, %v", n, got, ok)
		}
		if got, ok := tagIn(r.pcs[:1]); ok {
			t.Errorf("no tag reads as %#x", got)
		}
	}
}
