// SPDX-License-Identifier: Apache-2.0

package life

import (
	mathbits "math/bits"
	"testing"
)

// TestDeliveryTable: what each event does in each state that can be reached.
func TestDeliveryTable(t *testing.T) {
	golden(t, "delivery.txt", DeliveryTable().Golden())
}

// TestDeliveryEnds: each state has a way to its end.
func TestDeliveryEnds(t *testing.T) {
	for _, d := range DeliveryTable().Stuck() {
		t.Errorf("a delivery that is %v never ends", d)
	}
}

// FuzzDelivery: whatever happens, in whatever order, a delivery counts as one thing,
// once and when it ends; it waits in one place at a time; and it goes from those that
// need the handler once.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte{0, 3, 12})
	f.Add([]byte{0, 6, 8, 0, 6, 14, 13, 15})
	f.Add([]byte{0, 1, 9, 16, 16})
	moments := deliveryMoments()
	f.Fuzz(func(t *testing.T, script []byte) {
		var d Delivery
		counted, released := 0, 0
		for _, b := range script {
			m := moments[int(b)%len(moments)]
			was := d
			do := d.On(m.Event, m.Facts)
			if n := mathbits.OnesCount(uint(do & DeliveryCounts)); n > 0 {
				counted += n
				if !d.state.HasEnded() || was.state.HasEnded() {
					t.Fatalf("%v: %v counts it, from %v: %v", was, m, d, do)
				}
			}
			if do.Has(DeliveryRelease) {
				released++
			}
			if want := was.state.NeedsHandler() && !d.state.NeedsHandler() && m.Event != ConsumerEnds && m.Event != ConsumerHasEnded; want != do.Has(DeliveryRelease) {
				t.Fatalf("%v: %v releases its order: %v", was, m, do)
			}
			if n := mathbits.OnesCount(uint(do & (DeliveryQueue | DeliveryPause | DeliveryTell))); n > 1 || n > 0 && d.state.HasEnded() {
				t.Fatalf("%v: %v puts it into %d places: %v", was, m, n, do)
			}
			if was.state.HasEnded() && (d != was || do != 0) {
				t.Fatalf("%v has ended; %v: %v, %v", was, m, d, do)
			}
		}
		if counted > 1 || released > 1 || (counted == 1) != d.state.HasEnded() {
			t.Fatalf("%v was counted %d times and left its order %d times", d, counted, released)
		}
	})
}
