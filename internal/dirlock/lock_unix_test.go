// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dirlock

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnlockEndsTheLock: a child that another goroutine is starting has the descriptor of the lock, too, until
// it runs its program. That does not keep the folder locked.
func TestUnlockEndsTheLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrInUse) {
		t.Fatalf("it was locked twice: %v", err)
	}
	want, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	held := -1 // as in such a child
	for fd := range 1024 {
		var got syscall.Stat_t
		if syscall.Fstat(fd, &got) == nil && got.Ino == want.Sys().(*syscall.Stat_t).Ino && got.Dev == want.Sys().(*syscall.Stat_t).Dev {
			if held, err = syscall.Dup(fd); err != nil {
				t.Fatal(err)
			}
			defer syscall.Close(held)
			break
		}
	}
	if held < 0 {
		t.Fatal("no descriptor is that of the lock")
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
