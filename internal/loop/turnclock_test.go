// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnClock runs short turns and then ones of a hundred times the length,
// and asks in each whether a time is over.
func TestTurnClock(t *testing.T) { synctest.Test(t, testTurnClock) }
func testTurnClock(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	reads, last := 0, time.Duration(-1)
	turns := func(n int, each time.Duration, when time.Duration) {
		for range n {
			l.do(func(k *Task) {
				if past := k.Past(when); past != (p.Now() >= when) {
					t.Errorf("at %v it is %v that %v is over", p.Now(), past, when)
				}
				if now := k.co.r.clock.now; now != last {
					reads, last = reads+1, now
				}
				time.Sleep(each)
			})
		}
	}
	const n = 5000
	turns(n, time.Microsecond, time.Hour)
	turns(1000, 100*time.Microsecond, p.Now()+n*time.Microsecond+20*time.Millisecond)
	turns(1, time.Hour, p.Now()+2*time.Hour)
	turns(1, 0, p.Now()+time.Hour) // it is over
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	if most := n/maxFresh + 1000 + 10; reads > most {
		t.Errorf("%d readings, want %d at most", reads, most)
	}
	l.PostControl(stopLoop{})
}
