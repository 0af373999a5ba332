// SPDX-License-Identifier: Apache-2.0

package life

import "testing"

// TestUnitTable: what each end of a unit counts as.
func TestUnitTable(t *testing.T) { golden(t, "unit.txt", UnitTable()) }

// TestUnitSettles: a unit that has ended is in a bucket, and one that its asker has
// heard the outcome of is in that one.
func TestUnitSettles(t *testing.T) {
	for how := HowNone; how <= HowLost; how++ {
		for heard := HeardNothing; heard <= HeardEnd; heard++ {
			for _, asked := range []bool{false, true} {
				bucket, notify := ClassifyEnd(how, heard, asked)
				if ended := how != HowNone && how != HowStashed; ended != (bucket != BucketPending) {
					t.Errorf("%v, heard %v: %v", how, heard, bucket)
				}
				if how == HowLate || how == HowReturned || how == HowLost {
					if heard == HeardAnswer && bucket != BucketFinished || heard == HeardError && bucket != BucketFailed {
						t.Errorf("%v: the asker has heard %v, and it counts as %v", how, heard, bucket)
					}
				}
				if notify == NotifyAsker && !asked {
					t.Errorf("%v: an asker that there is not is told", how)
				}
			}
		}
	}
}

// BenchmarkClassifyEnd is what the end of each message pays that has not just finished.
func BenchmarkClassifyEnd(b *testing.B) {
	for b.Loop() {
		if bucket, _ := ClassifyEnd(HowReturned, HeardAnswer, true); bucket != BucketFinished {
			b.Fatal(bucket)
		}
	}
}
