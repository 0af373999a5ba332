// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/protoloop/protoloop/internal/view"
)

func runDoctor(ctx context.Context, c *command) error {
	return page(ctx, c, "overview", nil, func(w io.Writer, v *view.Overview) error {
		unwell := false
		for i := range v.Lints {
			l := &v.Lints[i]
			unwell = unwell || l.Level == view.Error || l.Level == view.Warning
			fmt.Fprintf(w, "%s: %s\n", c.painted(l.Level), clean(l.Title))
			for _, item := range l.Items {
				fmt.Fprintf(w, "    %s\n", clean(item.Text))
			}
			if left := l.N - len(l.Items); left > 0 && len(l.Items) > 0 {
				fmt.Fprintf(w, "    and %d more\n", left)
			}
			if l.Hint != "" {
				fmt.Fprintf(w, "    %s\n", c.faint("→ "+clean(l.Hint)))
			}
		}
		t := &v.Totals
		state := "well"
		if unwell {
			state = "unwell"
		}
		fmt.Fprintf(w, "%s is %s: %s, %s, %s queued\n", c.client.what, state, number(t.Workers, "worker"), number(t.Tasks, "task"), number(int(t.Queued), "message"))
		if unwell {
			return errUnwell
		}
		return nil
	})
}

// painted is a level, in its color where that is wanted.
func (c *command) painted(l view.Level) string {
	color := map[view.Level]string{view.Error: "31;1", view.Warning: "33"}[l]
	if color == "" || !c.hasColor() {
		return clean(string(l))
	}
	return "\x1b[" + color + "m" + string(l) + "\x1b[0m"
}

func (c *command) faint(text string) string {
	if !c.hasColor() {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}
