// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/protoloop/protoloop/internal/view"
)

func runStacks(ctx context.Context, c *command) error {
	return page(ctx, c, "stacks", nil, func(w io.Writer, v *view.Stacks) error {
		shown, left := 0, v.More
		for i := range v.Groups {
			g := &v.Groups[i]
			if !stackHas(g, c.filter) {
				continue
			}
			if shown == c.rows {
				left += g.N
				continue
			}
			shown++
			fmt.Fprintf(w, "%s at %s", number(g.N, "goroutine"), clean(g.Line))
			for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
				fmt.Fprintf(w, "  %s=%s", clean(name), clean(g.Labels[name]))
			}
			fmt.Fprintln(w)
			for _, frame := range g.Frames {
				fmt.Fprintf(w, "    %s\n", clean(frame))
			}
		}
		if left > 0 {
			fmt.Fprintf(w, "and %s more\n", number(left, "goroutine"))
		}
		fmt.Fprintf(w, "%s in all\n", number(v.Goroutines, "goroutine"))
		return nil
	})
}

// stackHas reports whether a stack has a text in it.
func stackHas(g *view.Stack, text string) bool {
	return text == "" || strings.Contains(g.Line, text) || slices.ContainsFunc(g.Frames, func(f string) bool { return strings.Contains(f, text) })
}
