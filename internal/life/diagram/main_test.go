// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// TestDiagrams: comments and pages show the tables as they are.
func TestDiagrams(t *testing.T) {
	for _, p := range places() {
		was, is, err := p.read("../../..")
		if err != nil {
			t.Error(err)
		} else if was != is {
			t.Errorf("%s does not show %s as it is: run go generate ./internal/life", p.file, p.name)
		}
	}
}
