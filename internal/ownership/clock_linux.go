// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"time"

	"golang.org/x/sys/unix"
)

// slept is how long the machine has slept since it was started: CLOCK_BOOTTIME is CLOCK_MONOTONIC,
// which is Go's, plus that. They cannot be read in one moment. If this thread does not run for a
// while in between, it reads them again; then the least is the nearest.
func slept() time.Duration {
	least := time.Duration(1<<63 - 1)
	for range 5 {
		before, boot, after := read(unix.CLOCK_MONOTONIC), read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_MONOTONIC)
		least = min(least, boot-before) // more than it is by what lay between the two readings
		if after-before < time.Millisecond {
			break
		}
	}
	return least
}

func read(clock int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0 // both are older than any kernel that Go runs on
	}
	return time.Duration(ts.Nano())
}
