// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/protoloop/protoloop/internal/view"
)

func runPstree(ctx context.Context, c *command) error {
	q := url.Values{}
	if c.lines {
		q.Set("lines", "1")
	}
	return page(ctx, c, "waits", q, func(w io.Writer, v *view.Waits) error {
		if len(v.Tree) == 0 {
			fmt.Fprintf(w, "nothing waits: %s\n", number(v.Tasks, "task"))
			return nil
		}
		for i := range v.Tree {
			n := &v.Tree[i]
			text := clean(n.Text)
			if i < len(v.Roots) {
				r := &v.Roots[i]
				text += fmt.Sprintf("   [%s of %s", number(r.Tasks, "task"), number(r.Workers, "worker"))
				if r.Age > 0 {
					text += ", the oldest for " + span(r.Age)
				}
				text += "]"
			}
			fmt.Fprintln(w, short(text, c.width()))
			for _, line := range branches(n, "") {
				fmt.Fprintln(w, short(line, c.width()))
			}
		}
		if v.More > 0 {
			fmt.Fprintf(w, "and %s more that something waits for\n", number(v.More, "root"))
		}
		return nil
	})
}

// branches are the lines below a node: who waits for it.
func branches(n *view.Node, indent string) (lines []string) {
	last := len(n.Children) - 1
	for i := range n.Children {
		k := &n.Children[i]
		branch, below := "├─ ", "│  "
		if i == last && n.More == 0 {
			branch, below = "└─ ", "   "
		}
		text := clean(k.Text)
		if k.Ring {
			text += "   (the ring goes on at its top)"
		}
		lines = append(lines, indent+branch+text)
		lines = append(lines, branches(k, indent+below)...)
	}
	if n.More > 0 {
		lines = append(lines, fmt.Sprintf("%s└─ and %d more", indent, n.More))
	}
	return lines
}
