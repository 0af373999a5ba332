// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package embedded

import "sync"

var locked sync.Map // folders that have a server of this process

// lock keeps other servers of this process off a folder. It is on the user to start one
// process on it.
func lock(dir string) (unlock func(), err error) {
	if _, is := locked.LoadOrStore(dir, true); is {
		return nil, inUse(dir)
	}
	return sync.OnceFunc(func() { locked.Delete(dir) }), nil
}
