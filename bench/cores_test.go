// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// TestBusyWorkersWaitForNoLock runs workers that send to each other, or ask, on so many processors
// and looks at the mutex profile: a message between two of them takes no lock that others
// have. What is left is of runners that go to sleep and are called: of a thousand messages one waits, or some beside other processes.
func TestBusyWorkersWaitForNoLock(t *testing.T) {
	if testtools.RaceEnabled() {
		t.Skip("the race detector has each hold a lock for many times as long")
	}
	const most = 0.05 // waits for each message; with a lock in its path these are 0.1 and more
	for _, c := range coreCases() {
		switch c.name {
		case coreName("send", 2), coreName("send", 16), coreName("ask", 16), coreName("turn", 2), coreName("turn", 16):
		default:
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			e := newEnv()
			r, err := c.open(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.do(r, c.batch); err != nil { // the start is none of it
				t.Fatal(err)
			}
			defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
			var each float64
			var where string
			for range 10 { // what else runs on the machine only adds, and a lock in the path is there each time
				before, _ := lockWaits()
				n, err := c.do(r, 5*c.batch)
				if err != nil {
					t.Fatal(err)
				}
				var waits int64
				waits, where = lockWaits()
				if each = float64(waits-before) / float64(n); each <= most {
					break
				}
			}
			if each > most {
				t.Errorf("%.3f waits for a lock for each message, want at most %v:\n%s", each, most, where)
			} else {
				t.Logf("%.5f waits for a lock for each message", each)
			}
			if err := e.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// lockWaits is how often anybody has waited for a lock of the library so far, and where
// that was unlocked.
func lockWaits() (n int64, where string) {
	records := make([]runtime.BlockProfileRecord, 1<<14)
	got, _ := runtime.MutexProfile(records)
	for _, r := range records[:min(got, len(records))] {
		if by := unlockedBy(r.Stack()); by != "" {
			n += r.Count
			where += fmt.Sprintf("%8d %s\n", r.Count, by)
		}
	}
	return n, where
}

// unlockedBy is the function of the library that has unlocked what others have waited for, or "": it was a
// lock of somebody else's, or one within the runtime.
func unlockedBy(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "sync."), strings.HasPrefix(f.Function, "internal/sync."):
		case strings.Contains(f.Function, "/protoloop/actors."), strings.Contains(f.Function, "/protoloop/internal/"):
			return f.Function
		default:
			return ""
		}
		if !more {
			return ""
		}
	}
}
