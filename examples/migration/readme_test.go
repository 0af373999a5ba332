// SPDX-License-Identifier: Apache-2.0

package migration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The diffs in README.md are of the code that there is: what they take away
// is in before, what they add in after, and what they leave in both.
func TestReadmeShowsTheCode(t *testing.T) {
	from := lines(t, "before/*.go", "helpers_test.go")
	to := lines(t, "after/*.go", "helpers_test.go")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	inDiff, n := false, 0
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "```") {
			inDiff = strings.HasPrefix(line, "```diff")
			continue
		}
		code := strings.TrimSpace(strings.TrimLeft(line, "+-"))
		if !inDiff || code == "" {
			continue
		}
		n++
		if line[0] != '+' && !slices.Contains(from, code) {
			t.Errorf("not in before: %q", code)
		}
		if line[0] != '-' && !slices.Contains(to, code) {
			t.Errorf("not in after: %q", code)
		}
	}
	if n < 40 {
		t.Errorf("README.md has only %d lines of diff", n)
	}
}

// lines returns the lines of the files, without the space around them.
func lines(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", p, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				all = append(all, strings.TrimSpace(line))
			}
		}
	}
	return all
}

// What README.md calls unchanged is.
func TestPackingIsUnchanged(t *testing.T) {
	before, after := lines(t, "before/packing.go"), lines(t, "after/packing.go")
	clause := func(line string) bool { return line == "package before" || line == "package after" }
	if !slices.Equal(slices.DeleteFunc(before, clause), slices.DeleteFunc(after, clause)) {
		t.Error("before/packing.go and after/packing.go differ in more than the package")
	}
}
