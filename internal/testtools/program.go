// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Program builds a program of this repository, such as cmd/protoloop, and returns its path: for tests of modules that do not
// require the program's.
func Program(t testing.TB, folder string) (path string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "..", folder)
	path = filepath.Join(t.TempDir(), filepath.Base(folder))
	if out, err := exec.Command("go", "build", "-C", dir, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", folder, err, out)
	}
	return path
}
