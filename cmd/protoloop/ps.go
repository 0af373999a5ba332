// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/protoloop/protoloop/internal/view"
)

func runPs(ctx context.Context, c *command) error {
	return page(ctx, c, "workers", c.workersQuery(), func(w io.Writer, v *view.Workers) error {
		for _, line := range workerLines(v, c.rows, c.width()) {
			fmt.Fprintln(w, line)
		}
		return nil
	})
}

// workersQuery is what the flags ask for.
func (c *command) workersQuery() url.Values {
	q := url.Values{}
	if c.sort != "" {
		q.Set("sort", c.sort)
	}
	if c.filter != "" {
		q.Set("q", c.filter)
	}
	return q
}

// workerLines is the table of workers, of rows at most, and how many are not in it.
func workerLines(v *view.Workers, rows, width int) []string {
	t := newTable("WORKER", "STATE", ">BUSY", ">QUEUED", ">OLDEST", ">TASKS", ">BESIDE", ">WAIT P99", ">TURN P99", ">RATE", ">FAILED", ">STARTS")
	for i, r := range v.Rows {
		if i == rows {
			break
		}
		state := r.State
		if r.Blocked > 0 {
			state = "blocked " + span(r.Blocked)
		}
		beside := count(r.Offloads)
		if r.Waiting > 0 {
			beside = fmt.Sprintf("%d+%d", r.Offloads, r.Waiting)
		}
		t.add(r.Worker, state, share(r.Busy), count(r.Queued), span(r.Oldest), count(r.Tasks), beside, span(r.WaitP99), span(r.TurnP99), rate(r.Rate), count(r.Failed), fmt.Sprint(r.Incarnation))
	}
	lines := t.text(width)
	if left := v.Matched - len(t.rows); left > 0 {
		lines = append(lines, fmt.Sprintf("and %s more, of %d in all", number(left, "worker"), v.Total))
	} else {
		lines = append(lines, number(v.Matched, "worker"))
	}
	return lines
}
