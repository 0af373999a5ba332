// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// BenchmarkCases runs the table's cases one by one, for profiles. What
// "go test" prints is comparable within a case only: the table is what
// compares cases.
func BenchmarkCases(b *testing.B) {
	for _, c := range allCases() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			e := newEnv()
			r, err := c.open(e)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			n, err := c.do(r, b.N)
			b.StopTimer()
			if err != nil {
				b.Error(err)
			}
			// b.N is rounded up to whole batches.
			b.ReportMetric(float64(b.Elapsed())/float64(n), "ns/op")
			if err := e.close(); err != nil {
				b.Error(err)
			}
		})
	}
}
