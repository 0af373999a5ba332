// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"math"
	"testing"
	"testing/synctest"
)

// TestTimerForEver: whoever sleeps for ever sets no timer of the runtime. One
// would fire again and again at the end of a bubble's time.
func TestTimerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool()
		l, _ := newLoop(p, Config{})
		set := false
		l.do(func(k *Task) {
			k.OnLoop(func() {
				l.AddTimer(math.MaxInt64, k, 0)
				set = l.few.timers.rt != nil
			})
		})
		synctest.Wait()
		if set {
			t.Error("a runtime timer was set")
		}
		l.PostControl(stopLoop{})
		synctest.Wait()
	})
}
