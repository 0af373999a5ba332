// SPDX-License-Identifier: Apache-2.0

package goroutines

import (
	"testing"
	"testing/synctest"
)

// TestCountNew: those that were there are not counted, nor do they make up for new ones when they end.
func TestCountNew(t *testing.T) {
	wait := func(begun, until, ended chan struct{}) { close(begun); <-until; close(ended) }
	start := func() (end func()) {
		begun, until, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go wait(begun, until, ended)
		<-begun
		return func() { close(until); <-ended }
	}
	endOld := start()
	known := Know()
	want := func(n int) {
		t.Helper()
		if got := known.CountNew("goroutines.TestCountNew.func1("); got != n {
			t.Errorf("%d are new, want %d", got, n)
		}
	}
	want(0)
	endNew := start()
	endOld()
	want(1)
	endNew()
}

// TestInBubble: those of another bubble, and of none, are not counted.
func TestInBubble(t *testing.T) {
	outside := make(chan struct{})
	defer close(outside)
	wait := func(c chan struct{}) { <-c }
	go wait(outside)
	count := func(t *testing.T, extra int) (n int) {
		synctest.Test(t, func(t *testing.T) {
			inside := make(chan struct{})
			for range extra {
				go wait(inside)
			}
			synctest.Wait()
			if waiting := InBubble("goroutines.TestInBubble.func1("); waiting != extra {
				t.Errorf("%d of the bubble's goroutines wait, want %d", waiting, extra)
			}
			n = InBubble()
			close(inside)
		})
		return n
	}
	if bare, more := count(t, 0), count(t, 5); more != bare+5 {
		t.Errorf("%d goroutines in a bubble, and %d with 5 more", bare, more)
	}
	defer func() {
		if recover() == nil {
			t.Error("it counts outside of a bubble")
		}
	}()
	InBubble()
}
