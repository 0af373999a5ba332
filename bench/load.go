// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of /proc/stat, which is the same on every
// architecture that Go runs on.
const ticksPerSecond = 100

// load tells how busy the machine was with something else: a table from a
// busy machine shows cases that use both processors at a disadvantage.
type load struct {
	busy, total, own time.Duration
}

// loadNow is the time since the start of the machine; ok is false where that
// is not known.
func loadNow() (l load, ok bool) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return l, false
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return l, false
	}
	return parseLoad(line, ownTime())
}

// parseLoad reads the line that sums up all processors.
func parseLoad(line string, own time.Duration) (l load, ok bool) {
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	n, _ := fmt.Fscanf(strings.NewReader(line), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	if n < 8 {
		return l, false
	}
	busy := user + nice + system + irq + softirq + steal
	tick := time.Second / ticksPerSecond
	return load{time.Duration(busy) * tick, time.Duration(busy+idle+iowait) * tick, own}, true
}

// ownTime is the processor time of this process and of those it has started
// and seen end.
func ownTime() time.Duration {
	var c syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &c); err != nil {
		return cpuTime()
	}
	return cpuTime() + time.Duration(c.Utime.Nano()+c.Stime.Nano())
}

// others is the share of the processors' time since then that went to
// somebody else.
func (l load) others(since load) float64 {
	total := l.total - since.total
	if total <= 0 {
		return 0
	}
	return max(float64((l.busy-since.busy)-(l.own-since.own))/float64(total), 0)
}

// reportLoad returns a function that says how busy the machine has been with
// other things since the call.
func reportLoad() func(w io.Writer) {
	before, ok := loadNow()
	return func(w io.Writer) {
		if now, still := loadNow(); ok && still {
			fmt.Fprintf(w, "Meanwhile %.0f %% of the processors' time went to other programs.\n", 100*now.others(before))
		}
	}
}
