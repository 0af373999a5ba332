// SPDX-License-Identifier: Apache-2.0

//go:build unix

package nats

import "syscall"

// tryWrite writes as much as the system takes at once, and does not wait. An error is left to the next Write of the connection.
func tryWrite(c syscall.RawConn, p []byte) (n int) {
	_ = c.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), p)
		return true
	})
	return max(n, 0)
}
