// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/protoloop/protoloop/actors/inspect"
)

// TestHistogramIsExact: no measurement is in a bucket whose bounds it may be outside of, and none is lost.
func TestHistogramIsExact(t *testing.T) {
	var h inspect.Histogram
	for i := range h.Counts {
		h.Counts[i] = int64(i + 1)
	}
	h.Sum = 90 * time.Second
	b := &builder{}
	b.histogram("x", "d", &h)
	p := b.metrics()[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
	if len(p.BucketCounts) != len(p.Bounds)+1 || !slices.IsSorted(p.Bounds) {
		t.Fatalf("%d buckets and bounds %v", len(p.BucketCounts), p.Bounds)
	}
	if p.Count != uint64(h.N()) || p.Sum != 90 {
		t.Errorf("it has %d with the sum %v", p.Count, p.Sum)
	}
	var below uint64
	for j, bound := range p.Bounds {
		below += p.BucketCounts[j]
		var want uint64
		for i, n := range h.Counts {
			if h.Bound(i).Seconds() <= bound {
				want += uint64(n)
			}
		}
		if below != want {
			t.Errorf("%d are said to be less than %v s, want %d", below, bound, want)
		}
	}
	if all := below + p.BucketCounts[len(p.Bounds)]; all != p.Count {
		t.Errorf("the buckets have %d, want %d", all, p.Count)
	}
}
