// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package dirlock

import (
	"fmt"
	"sync"
)

var locked sync.Map // folders that this process has

// Lock keeps others of this process off a folder. It is on the user to start one process on it.
func Lock(dir string) (unlock func(), err error) {
	if _, is := locked.LoadOrStore(dir, true); is {
		return nil, fmt.Errorf("%s %w", dir, ErrInUse)
	}
	return sync.OnceFunc(func() { locked.Delete(dir) }), nil
}
