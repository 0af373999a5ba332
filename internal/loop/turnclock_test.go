package loop

import (
	"testing"
	"time"
)

// TestTurnClockIsReadOftenEnough runs short turns and then long ones, and
// asks in each whether a time that lies ahead is over.
func TestTurnClockIsReadOftenEnough(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	const turns = 5000
	done := make(chan struct{})
	late, reads, last := time.Duration(0), 0, time.Duration(0)
	ask := func(k *Task, when time.Duration) {
		before := p.Now()
		if !k.Past(when) && before >= when {
			late = max(late, before-when)
		}
		if c := k.co.r.clock.now; c != last {
			reads, last = reads+1, c
		}
	}
	l.do(func(k *Task) { // all are queued by its end
		begin := p.Now()
		for range turns {
			l.do(func(k *Task) { ask(k, begin+time.Hour) })
		}
	})
	l.do(func(*Task) { close(done) })
	<-done
	done = make(chan struct{})
	l.do(func(*Task) {
		if reads > turns/4 {
			t.Errorf("%d readings in %d short turns", reads, turns)
		}
		when := p.Now() + 20*time.Millisecond
		for range 1000 {
			l.do(func(k *Task) {
				ask(k, when)
				for end := p.Now() + 50*time.Microsecond; p.Now() < end; {
				}
			})
		}
		l.do(func(*Task) { close(done) })
	})
	<-done
	if late > 0 {
		t.Errorf("a time was taken to be ahead %v after it", late)
	}
	l.PostControl(stopLoop{})
}
