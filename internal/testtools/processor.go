// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"syscall"
	"testing"
	"time"
)

// ProcessorTime is what this process has used: the time by the clock depends on
// what else the machine does.
func ProcessorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
