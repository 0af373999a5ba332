// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/protoloop/protoloop/internal/view"
)

// runTop shows the workers on a full screen, or as plain lines where there is none.
func runTop(ctx context.Context, c *command) error {
	if c.watch == 0 {
		c.watch = time.Second
	}
	if c.isScreen() && !c.json {
		return runScreen(ctx, c)
	}
	for {
		look, err := c.look(ctx, c.workersQuery())
		if err != nil {
			return err
		}
		if c.json {
			_, err = fmt.Fprintf(c.out, "%s\n", cleanJSON(look.text))
		} else {
			lines := append(look.head(), "")
			_, err = fmt.Fprintln(c.out, strings.Join(append(lines, workerLines(&look.workers, c.rows, c.width())...), "\n")+"\n")
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.watch):
		}
	}
}

// look is what top shows, of one moment or nearly so.
type look struct {
	about    view.About
	overview view.Overview
	workers  view.Workers
	text     []byte // of workers, as it came
}

func (c *command) look(ctx context.Context, query url.Values) (*look, error) {
	l := &look{}
	if _, err := c.client.get(ctx, "about", nil, &l.about); err != nil {
		return nil, err
	}
	if _, err := c.client.get(ctx, "overview", nil, &l.overview); err != nil {
		return nil, err
	}
	var err error
	l.text, err = c.client.get(ctx, "workers", query, &l.workers)
	return l, err
}

// head is a summary of a few lines.
func (l *look) head() []string {
	t, m := &l.overview.Totals, &l.overview.Minute
	finished, failed := lastOf(m.Finished), lastOf(m.Failed)
	lines := []string{
		fmt.Sprintf("%s (process %d), up %s: %s of %s busy, %s", clean(l.about.Command), l.about.PID, span(time.Since(l.about.Started).Truncate(time.Second).Seconds()),
			cmp.Or(share(t.Busy), "0%"), number(l.about.GOMAXPROCS, "processor"), number(t.Goroutines, "goroutine")),
		fmt.Sprintf("%s, %d with work, %d blocked; %s, %d queued, the oldest for %s; %s done, %s failed; %s", number(t.Workers, "worker"), t.Working, t.Blocked,
			number(t.Tasks, "task"), t.Queued, cmp.Or(span(t.Oldest), "0s"), cmp.Or(rate(finished), "0/s"), cmp.Or(rate(failed), "0/s"), number(int(t.Restarts), "restart")),
	}
	if age := ageOf(l.text); age != "" {
		lines[1] += "; " + age
	}
	for i := range l.overview.Lints {
		if lint := &l.overview.Lints[i]; lint.Level == view.Error || lint.Level == view.Warning {
			lines = append(lines, fmt.Sprintf("%s: %s", lint.Level, clean(lint.Title)))
		}
	}
	const most = 6
	if len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("and %d more that are not as they should be: protoloop doctor", len(lines)-most+1))
	}
	return lines
}

// rows are those of the table. l may be nil.
func (l *look) rows() []view.WorkerRow {
	if l == nil {
		return nil
	}
	return l.workers.Rows
}

func lastOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}
