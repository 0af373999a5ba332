// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkNow is a reading of the pool's clock, and of Go's.
func BenchmarkNow(b *testing.B) {
	p := NewPool()
	b.Run("pool", func(b *testing.B) {
		for b.Loop() {
			p.Now()
		}
	})
	b.Run("time", func(b *testing.B) {
		for b.Loop() {
			time.Now()
		}
	})
}

// BenchmarkTurnWord is what the runner's word costs a turn that nobody looks at.
func BenchmarkTurnWord(b *testing.B) {
	r := newRunner(NewPool())
	for b.Loop() {
		r.enterUser()
		r.leaveUser()
	}
}

// BenchmarkNewCoroutine is a coroutine that is made, runs a task and ends.
func BenchmarkNewCoroutine(b *testing.B) {
	b.ReportAllocs()
	r := newRunner(NewPool())
	for b.Loop() {
		r.newCoroutine().co.Stop()
	}
}

// BenchmarkStacks is a search for the stack of one goroutine, beside many suspended tasks: in the
// goroutine profile, as it is done where there are many, and by runtime.Stack.
func BenchmarkStacks(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, _ := newLoop(NewPool(), Config{})
			suspended := make(chan struct{})
			var tasks []*Task
			for range n {
				l.do(func(t *Task) {
					seq, _ := t.Arm()
					_ = seq
					tasks = append(tasks, t)
					if len(tasks) == n {
						close(suspended)
					}
					t.Suspend()
				})
			}
			<-suspended
			b.Run("profile", func(b *testing.B) {
				for b.Loop() {
					profileAll()
				}
			})
			b.Run("dump", func(b *testing.B) {
				buf := make([]byte, 64<<20)
				for b.Loop() {
					runtime.Stack(buf, true)
				}
			})
			l.do(func(*Task) {
				for _, t := range tasks {
					t.WakeNow()
				}
			})
			l.PostControl(stopLoop{})
		})
	}
}
