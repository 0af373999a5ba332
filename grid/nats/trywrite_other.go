// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package nats

import "syscall"

// tryWrite writes nothing: all of it waits.
func tryWrite(syscall.RawConn, []byte) int { return 0 }
