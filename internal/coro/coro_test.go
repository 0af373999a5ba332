// SPDX-License-Identifier: Apache-2.0

package coro

import (
	"fmt"
	"runtime"
	"testing"
)

// start is Init of a body that knows c.
func (c *Coro) start(body func()) {
	c.Init(func(yield func(struct{}) bool) {
		if c.Begin(yield) {
			body()
		}
	})
}

func TestResumeAndYield(t *testing.T) {
	var log []string
	var c Coro
	c.start(func() {
		for i := range 2 {
			log = append(log, fmt.Sprint("body", i))
			if !c.Yield() {
				t.Error("stopped")
			}
		}
		log = append(log, "end")
	})
	for c.Resume() {
		log = append(log, "caller")
	}
	if got := fmt.Sprint(log); got != "[body0 caller body1 caller end]" {
		t.Error(got)
	}
	if c.Resume() {
		t.Error("a coroutine that has ended was resumed")
	}
}

// One coroutine may be resumed by different goroutines, one after the other.
func TestResumeFromOtherGoroutines(t *testing.T) {
	n := 0
	var c Coro
	c.start(func() {
		for c.Yield() {
			n++
		}
	})
	c.Resume()
	for range 3 {
		done := make(chan struct{})
		go func() { defer close(done); c.Resume() }()
		<-done
	}
	c.Stop()
	if n != 3 {
		t.Errorf("resumed %d times", n)
	}
}

func TestStop(t *testing.T) {
	var c Coro
	stopped := false
	c.start(func() { stopped = !c.Yield() })
	c.Resume()
	c.Stop()
	c.Stop()
	if !stopped {
		t.Error("Yield did not report the stop")
	}
	var fresh Coro
	fresh.start(func() { t.Error("a coroutine that was stopped before its first Resume has run") })
	fresh.Stop()
}

// A Goexit in the body ends the goroutine that resumes it, as documented:
// package loop never lets one get that far.
func TestGoexitEndsTheCaller(t *testing.T) {
	var c Coro
	c.start(runtime.Goexit)
	done := make(chan bool)
	go func() {
		returned := false
		defer func() { done <- returned }()
		c.Resume()
		returned = true
	}()
	if <-done {
		t.Error("Resume returned")
	}
}

func BenchmarkSwitch(b *testing.B) {
	var c Coro
	c.start(func() {
		for c.Yield() {
		}
	})
	for b.Loop() {
		c.Resume()
	}
	c.Stop()
}

// BenchmarkHandOver is BenchmarkSwitch with goroutines and channels.
func BenchmarkHandOver(b *testing.B) {
	to, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range to {
			back <- struct{}{}
		}
	}()
	for b.Loop() {
		to <- struct{}{}
		<-back
	}
	close(to)
}
