// SPDX-License-Identifier: Apache-2.0

//go:build unix

package console

import (
	"errors"
	"syscall"
)

// isRefused reports whether a connection was refused: nobody listens.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isRunning reports whether there is a process of that id.
func isRunning(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
