// SPDX-License-Identifier: Apache-2.0

package view

import (
	"os"
	"path/filepath"
	"strconv"
)

// SocketDir is the folder of the sockets that consoles of this user have by default, and where
// the command line looks for them: the folder protoloop of $XDG_RUNTIME_DIR, and without that one of the
// user's in the folder for temporary files. A socket is called by the id of its process, as 4711.sock, and
// a second one of the same process 4711-2.sock. One at which nobody listens is left of a process that was killed.
func SocketDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protoloop")
	}
	return filepath.Join(os.TempDir(), "protoloop-"+strconv.Itoa(os.Getuid()))
}
