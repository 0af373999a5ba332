// SPDX-License-Identifier: Apache-2.0

// Package goroutines shows tests which goroutines there are.
package goroutines

import (
	"runtime"
	"strings"
)

// Stacks returns the stack of each goroutine, the caller's first.
func Stacks() []string {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	return strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")
}

// Count is how many of them have one of some texts in their stack.
func Count(texts ...string) (n int) {
	for _, stack := range Stacks() {
		for _, text := range texts {
			if strings.Contains(stack, text) {
				n++
				break
			}
		}
	}
	return n
}
