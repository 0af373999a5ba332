// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a long job is.
type progress interface {
	// reached is called with each number from 1 to the total, so it has to
	// cost next to nothing most of the time.
	reached(n int)
	// end leaves the terminal at the begin of a line. It may be called again.
	end()
}

// newProgress returns a bar if w is a terminal that can draw one, and else
// plain lines: for files, pipes and CI logs.
func newProgress(w io.Writer, total int) progress {
	if isTerminal(w) && os.Getenv("TERM") != "dumb" {
		return newBar(w, total)
	}
	return &lines{w, total, portion(total, 10)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bar is progress on a terminal.
type bar struct {
	w           io.Writer
	b           *progressbar.ProgressBar
	total, step int
	ended       bool
}

func newBar(w io.Writer, total int) *bar {
	return &bar{w: w, total: total, step: portion(total, 200), b: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetRenderBlankState(true), // so there is a bar from the start
		progressbar.OptionSetDescription("requests"),
		progressbar.OptionSetWidth(40),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(false), // they come in whole seconds,
		progressbar.OptionSetPredictTime(false), // and all this takes less
		progressbar.OptionThrottle(20*time.Millisecond),
	)}
}

func (b *bar) reached(n int) {
	if n%b.step == 0 || n == b.total {
		_ = b.b.Set(n) // a bar that cannot be drawn is no reason to fail
	}
}

func (b *bar) end() {
	if !b.ended {
		b.ended = true
		fmt.Fprintln(b.w)
	}
}

// lines is progress where a bar would leave a mess.
type lines struct {
	w           io.Writer
	total, step int
}

func (l *lines) reached(n int) {
	if n%l.step == 0 || n == l.total {
		fmt.Fprintf(l.w, "%d of %d requests (%d%%)\n", n, l.total, n*100/l.total)
	}
}

func (*lines) end() {}

// portion returns the size of n equal parts of total, rounded up.
func portion(total, n int) int { return (total + n - 1) / n }
