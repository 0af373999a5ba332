// SPDX-License-Identifier: Apache-2.0

package console

import (
	"syscall"
	"time"
	"unsafe"
)

// clockThreadCPU is CLOCK_THREAD_CPUTIME_ID of clock_gettime(2).
const clockThreadCPU = 3

// threadTime is how long the calling thread has had a processor.
func threadTime() time.Duration {
	var t syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		return wallTime()
	}
	return time.Duration(t.Nano())
}
