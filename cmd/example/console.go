// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// console prints lines that begin with the seconds since it was made. Any
// goroutine may use it.
type console struct {
	start time.Time
	mu    sync.Mutex // held while lines are printed that belong together
	w     io.Writer
}

func newConsole(w io.Writer) *console { return &console{start: time.Now(), w: w} }

// say prints a line.
//
// A task that waits for mu holds up its worker, which is what tasks should
// not do. Here it is for microseconds, as with any print; what may take long
// is awaited, or left to actors.Offload.
func (c *console) say(words string) {
	c.together(func(say func(string)) { say(words) })
}

// together keeps the console for the lines that f prints with say. f must
// not wait for a task, which may be waiting for the console.
func (c *console) together(f func(say func(words string))) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(func(words string) {
		fmt.Fprintf(c.w, "%.1f %s\n", time.Since(c.start).Seconds(), words)
	})
}
