// SPDX-License-Identifier: Apache-2.0

package callqueue_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/internal/callqueue"
)

// TestQueue: functions are called in order, one at a time, whatever one before does;
// who adds one does not wait for it; and no goroutine is left when all have returned.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q callqueue.Queue
		var mu sync.Mutex
		var got []string
		called := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, what)
		}
		soFar := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(got)
		}
		for i, f := range []func(){
			func() { time.Sleep(time.Hour) },
			func() { panic("boom") },
			runtime.Goexit,
			func() { defer func() { _ = recover(); runtime.Goexit() }(); panic("in a Goexit") },
			func() { q.Call(func() { called("added within") }, nil) },
			func() {},
		} {
			q.Call(func() {
				called(fmt.Sprint(i))
				f()
			}, func(v any, stack []byte) {
				called(fmt.Sprintf("%d: %v, stack: %v", i, v, len(stack) > 0))
				if i == 1 {
					runtime.Goexit() // as a log handler may
				}
			})
		}
		synctest.Wait()
		if got := soFar(); q.Idle() || len(got) != 1 {
			t.Errorf("idle: %v, called: %q; want the first one alone, which sleeps", q.Idle(), got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []string{
			"0", "1", "1: boom, stack: true", "2", "2: runtime.Goexit was called, stack: true",
			"3", "3: runtime.Goexit was called, stack: true", "4", "5", "added within",
		}
		if got := soFar(); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if !q.Idle() {
			t.Error("it is not idle")
		}
	})
}
