// SPDX-License-Identifier: Apache-2.0

package console

import (
	"runtime"
	"time"
)

const (
	// maxShare is how much of one processor's time looks may take, so that a console may stay open beside any program: who has so
	// many tasks that a look takes longer than that of a second is shown them less often.
	maxShare = 0.04
	// longestDebt is for how long nobody looks because many looks were made before their time, as after actions.
	longestDebt = time.Minute
)

// pace tracks when the next look may be made, by what those before it took. Guarded by looker.mu.
type pace struct {
	next time.Time
	// spent is a clock that runs while the goroutine, which is locked to its thread, has a processor: threadTime, but in a test in
	// whose bubble nothing takes time.
	spent func() time.Duration
}

// measureLook is how much of a processor's time f takes, the share of the garbage collector that it is made to do included.
func (p *pace) measureLook(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, spent := time.Now(), p.spent()
	f()
	return min(p.spent()-spent, time.Since(began)) // in a bubble time stands still, and a processor's does not
}

// noteLook counts what was taken from now on.
func (p *pace) noteLook(now time.Time, took time.Duration) {
	rest := time.Duration(float64(took) / maxShare)
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(rest)
	if last := now.Add(max(longestDebt, rest)); p.next.After(last) {
		p.next = last
	}
}

// wallTime is the time since the process began.
func wallTime() time.Duration { return time.Since(processStart) }
