// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/protoloop/protoloop/internal/view"
)

// runTail prints what the console remembers, and then what happens, until the process or the
// command is told to end.
func runTail(ctx context.Context, c *command) error {
	err := c.follow(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return fmt.Errorf("%s has ended the stream", c.client.what)
	}
	return err
}

// follow prints all records, from the oldest that is remembered.
func (c *command) follow(ctx context.Context) error {
	res, err := c.client.do(ctx, http.MethodGet, "api/stream", url.Values{"since": {"0"}}, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = eachEvent(res.Body, func(event, data string) error {
		if event != "log" {
			return nil
		}
		var r view.Record
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return fmt.Errorf("%s is a console of another version: %w", c.client.what, err)
		}
		if c.json {
			_, err := fmt.Fprintln(c.out, cleanJSON([]byte(data)))
			return err
		}
		_, err := fmt.Fprintln(c.out, c.recordLine(&r))
		return err
	})
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) { // it was killed
		return nil
	}
	return err
}

// eachEvent reads server-sent events.
func eachEvent(from io.Reader, f func(event, data string) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20) // a look at many workers is long
	var event string
	var data []string
	for lines.Scan() {
		switch field, value, _ := strings.Cut(lines.Text(), ":"); {
		case field == "event":
			event = strings.TrimPrefix(value, " ")
		case field == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		case lines.Text() == "":
			if len(data) > 0 {
				if err := f(event, strings.Join(data, "\n")); err != nil {
					return err
				}
			}
			event, data = "", nil
		}
	}
	return lines.Err()
}

// recordLine is a record on a line.
func (c *command) recordLine(r *view.Record) string {
	var b strings.Builder
	b.WriteString(r.What)
	if r.Ended {
		b.WriteString(" (over)")
	}
	var of []string
	for _, part := range []string{joined(r.Supervisor, "/", r.Child), r.Worker, r.Task} {
		if part != "" && (len(of) == 0 || of[len(of)-1] != part) {
			of = append(of, part)
		}
	}
	if len(of) > 0 {
		b.WriteString(" " + strings.Join(of, ": "))
	}
	for _, more := range []string{r.Text, r.Error} {
		if more != "" {
			b.WriteString(": " + more)
		}
	}
	if r.By != "" {
		b.WriteString(", by " + r.By)
	}
	if r.Missed > 0 {
		fmt.Fprintf(&b, " (and %d before it that came too fast)", r.Missed)
	}
	level := c.painted(r.Level) + strings.Repeat(" ", max(0, len(view.Warning)-len(r.Level)))
	return fmt.Sprintf("%s %s %s", r.At.Local().Format(time.TimeOnly), level, clean(b.String()))
}

func joined(a, sep, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}
