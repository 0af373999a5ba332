// SPDX-License-Identifier: Apache-2.0

// Package goroutines shows tests which goroutines there are.
package goroutines

import (
	"runtime"
	"slices"
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
func Count(texts ...string) (n int) { return count(Stacks(), texts) }

func count(stacks, texts []string) (n int) {
	for _, stack := range stacks {
		for _, text := range texts {
			if strings.Contains(stack, text) {
				n++
				break
			}
		}
	}
	return n
}

// InBubble is Count for those of the caller's synctest bubble; without a text it counts them
// all. What other tests have left, or the runtime begins, is none of them, as it is
// of runtime.NumGoroutine.
func InBubble(texts ...string) int {
	all := Stacks()
	bubble := bubbleOf(all[0])
	if bubble == "" {
		panic("goroutines: InBubble outside of a bubble")
	}
	var ours []string
	for _, stack := range all {
		if bubbleOf(stack) == bubble {
			ours = append(ours, stack)
		}
	}
	if len(texts) == 0 {
		return len(ours)
	}
	return count(ours, texts)
}

// Known are the goroutines that there were at a moment, by their numbers. Those of other tests
// may end at any time, so that a mere count of what is left says little.
type Known map[string]bool

// Know returns those that there are.
func Know() Known {
	k := Known{}
	for _, stack := range Stacks() {
		k[numberOf(stack)] = true
	}
	return k
}

// CountNew is [Count] for those that have begun since.
func (k Known) CountNew(texts ...string) int {
	stacks := slices.DeleteFunc(Stacks(), func(stack string) bool { return k[numberOf(stack)] })
	return count(stacks, texts)
}

func numberOf(stack string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
	return number
}

// bubbleOf is what the first line of a stack says of the goroutine's bubble; "" if it is in none.
func bubbleOf(stack string) string {
	state, _, _ := strings.Cut(stack, "\n")
	_, bubble, _ := strings.Cut(state, "synctest bubble ")
	bubble, _, _ = strings.Cut(bubble, "]")
	return bubble
}
