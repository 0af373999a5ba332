// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestControlGoesFirst: what is posted during the turn of a task that was
// resumed goes before the queued task whose start is due after that turn. Were
// that put off for the sake of the ready tasks again and again, it would starve.
func TestControlGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, h := newLoop(NewPool(), Config{})
		var log []string
		end := h.control
		h.control = func(m any) {
			if s, ok := m.(string); ok {
				log = append(log, s)
			}
			end(m)
		}
		var parked [2]*Task
		var seqs [2]uint32
		for i := range parked {
			l.do(func(k *Task) {
				parked[i] = k
				seqs[i], _ = k.Arm()
				k.Suspend()
				log = append(log, "resumed")
				l.PostControl("control")
			})
		}
		synctest.Wait()
		l.do(func(*Task) {
			l.do(func(*Task) { log = append(log, "started") })
			l.do(func(*Task) { log = append(log, "started") })
			for i := range parked {
				parked[i].Wake(seqs[i])
			}
		})
		time.Sleep(time.Second)
		l.PostControl(stopLoop{})
		synctest.Wait()
		for i, what := range log {
			if what == "resumed" && (i+1 == len(log) || log[i+1] != "control") {
				t.Errorf("%v comes after a turn in which a control message was posted", log[i+1:])
			}
		}
		if n := slices.Index(log, "started"); n < 0 || n > 4 || len(log) != 6 {
			t.Errorf("got %q", log)
		}
	})
}
