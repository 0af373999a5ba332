package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

// Coroutines that a peak has left behind go when nothing has needed them for a
// while, and those that are needed now and then stay.
func TestSpareCoroutinesEnd(t *testing.T) { synctest.Test(t, testSpareCoroutinesEnd) }
func testSpareCoroutinesEnd(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{BlockedTurn: time.Second})
	peak := func(n int) {
		for range n {
			l.do(func(k *Task) { sleep(k, time.Second) })
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	}
	peak(600)
	most := p.nFree.Load()
	if most < 400 {
		t.Fatalf("%d coroutines are idle after 600 tasks at a time: the test is no good", most)
	}
	for range 10 {
		peak(300)
	}
	if n := p.nFree.Load(); n < 200 || n >= most {
		t.Errorf("%d coroutines are idle while 300 are used again and again, %d were", n, most)
	}
	for range 40 {
		l.do(func(*Task) {})
		time.Sleep(time.Second)
	}
	if n := p.nFree.Load(); n > minPooled {
		t.Errorf("%d coroutines are idle long after the last peak", n)
	}
	l.PostControl(stopLoop{})
}

// What is idle in the pool keeps nothing of the loops that it was used by.
func TestIdleCoroutinesKeepNoLoop(t *testing.T) { synctest.Test(t, testIdleCoroutinesKeepNoLoop) }
func testIdleCoroutinesKeepNoLoop(t *testing.T) {
	p := NewPool()
	other, _ := newLoop(p, Config{}) // without a loop the pool keeps no coroutine
	l, _ := newLoop(p, Config{})
	for range 600 {
		l.do(func(k *Task) { sleep(k, time.Second) })
	}
	time.Sleep(2 * time.Second)
	l.PostControl(stopLoop{})
	synctest.Wait()
	idle := 0
	for c := p.free; c != nil; c = c.next {
		if idle++; c.loop != nil || c.task != nil {
			t.Error("an idle coroutine keeps a loop that has ended")
			break
		}
	}
	if idle == 0 {
		t.Error("no coroutine is idle: the test is no good")
	}
	other.PostControl(stopLoop{})
}
