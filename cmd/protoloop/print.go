// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// page prints a page once, or again and again.
func page[V any](ctx context.Context, c *command, name string, query url.Values, print func(w io.Writer, v *V) error) error {
	for first := true; ; first = false {
		v := new(V)
		text, err := c.client.get(ctx, name, query, v)
		if err != nil {
			return err
		}
		var b strings.Builder
		switch {
		case c.json:
			fmt.Fprintf(&b, "%s\n", cleanJSON(text))
		case c.watch > 0 && c.isScreen():
			b.WriteString("\x1b[H\x1b[2J") // home, and clear
		case !first:
			b.WriteString("\n")
		}
		var found error
		if !c.json {
			found = print(&b, v)
			if age := ageOf(text); age != "" {
				fmt.Fprintln(&b, age)
			}
		} else {
			found = print(io.Discard, v)
		}
		if _, err := io.WriteString(c.out, b.String()); err != nil {
			return err
		}
		if c.watch == 0 {
			return found
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.watch):
		}
	}
}

// clean is text for a terminal, which what a process calls its workers must not control.
func clean(text string) string {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if strings.IndexFunc(text, bad) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("; ")
		case bad(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cleanJSON is JSON for a terminal: the same, with what could control it escaped, which JSON need not.
func cleanJSON(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == utf8.RuneError, unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\r', r == '\n', r == '\t': // between values
			b.WriteByte(' ')
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// short is text that is at most n characters wide; 0: as wide as it is.
func short(text string, n int) string {
	if n <= 0 {
		return text
	}
	return ansi.Truncate(text, n, "…")
}

// table is rows of cells, in columns that are as wide as their widest cell.
type table struct {
	head  []string
	right []bool // numbers are
	rows  [][]string
}

// newTable has a column for each name; those with a > before theirs are numbers.
func newTable(columns ...string) *table {
	t := &table{}
	for _, name := range columns {
		name, right := strings.CutPrefix(name, ">")
		t.head, t.right = append(t.head, name), append(t.right, right)
	}
	return t
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// text is the table, a line for each row, none wider than width unless that is 0. The first column gives way.
func (t *table) text(width int) (lines []string) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	if width > 0 {
		sum := 2 * (len(widths) - 1)
		for _, w := range widths {
			sum += w
		}
		const least = 12
		if over := sum - width; over > 0 && len(widths) > 0 {
			widths[0] = max(min(widths[0], least), widths[0]-over)
		}
	}
	for _, row := range append([][]string{t.head}, t.rows...) {
		var b strings.Builder
		for i, cell := range row {
			cell = short(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-ansi.StringWidth(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			switch {
			case t.right[i]:
				b.WriteString(pad + cell)
			default:
				b.WriteString(cell + pad)
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if width > 0 {
			line = short(line, width)
		}
		lines = append(lines, line)
	}
	return lines
}

// span is a time in seconds, to be read: "1.5ms", "3.2s", "2m10s"; empty for none.
func span(seconds float64) string {
	switch d := time.Duration(math.Round(seconds * float64(time.Second))); {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// share is a part of one, in percent; empty for none.
func share(part float64) string {
	switch {
	case part <= 0:
		return ""
	case part < 0.001:
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", 100*part)
}

// count is a number; empty for none.
func count[N int | int64](n N) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

// rate is a number a second; empty for none.
func rate(perSecond float64) string {
	switch {
	case perSecond <= 0:
		return ""
	case perSecond < 10:
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// number is n of something in words: "1 task", "2 tasks".
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
