// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net"
	"syscall"
)

// peerOf says which process is at the other end of a Unix socket, for the log; empty: not
// known.
func peerOf(conn net.Conn) string {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ""
	}
	var cred *syscall.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		cred, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || asked != nil {
		return ""
	}
	return fmt.Sprintf("uid %d, pid %d", cred.Uid, cred.Pid)
}
