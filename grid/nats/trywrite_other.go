// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package nats

import "syscall"

func tryWrite(syscall.RawConn, []byte) int { return 0 }
