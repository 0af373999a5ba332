package loop

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPeekCostsNoTurn(t *testing.T) { synctest.Test(t, testPeekCostsNoTurn) }
func testPeekCostsNoTurn(t *testing.T) {
	p := NewPool()
	l, h := newLoop(p, Config{})
	stop := h.control
	h.control = func(m any) {
		if _, ok := m.(stopLoop); !ok {
			t.Errorf("a control message: %v", m)
		}
		stop(m)
	}
	l.do(func(k *Task) { sleep(k, time.Hour) })
	l.do(func(*Task) {})
	synctest.Wait()
	var polls uint32
	l.Peek(func(*Task) { polls = l.polls })
	for range 100 {
		n := 0
		if !l.Peek(func(running *Task) {
			if running != nil {
				t.Error("a task runs in a loop that sleeps")
			}
			l.Suspended(func(k *Task) { n++ })
		}) || n != 1 {
			t.Errorf("%d tasks are suspended, want 1", n)
		}
	}
	synctest.Wait()
	l.Peek(func(*Task) {
		if l.polls != polls {
			t.Errorf("the loop ran: %d polls", l.polls-polls)
		}
	})
	time.Sleep(2 * time.Hour)
	l.PostControl(stopLoop{})
	synctest.Wait()
}

// TestPeekLosesNothing posts while others peek: what comes while the loop is
// held by a peek must not be forgotten.
func TestPeekLosesNothing(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	done := make(chan struct{})
	var peeks sync.WaitGroup
	for range 2 {
		peeks.Go(func() {
			for {
				l.Peek(func(*Task) {})
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 5000 {
		ran := make(chan struct{})
		l.do(func(*Task) { close(ran) })
		<-ran
	}
	close(done)
	peeks.Wait()
	l.PostControl(stopLoop{})
}

func TestOldestWait(t *testing.T) { synctest.Test(t, testOldestWait) }
func testOldestWait(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	d := &depth{Host: l.host}
	l.host = d
	d.posted = 5
	l.ages.note(l)
	time.Sleep(time.Minute)
	for i := range 100 { // far more marks than are kept
		d.posted += int64(i)
		l.ages.note(l)
		time.Sleep(time.Second)
	}
	if got := l.OldestWait(); got != time.Minute+100*time.Second {
		t.Errorf("the oldest has waited %v", got)
	}
	d.taken = 5
	if got := l.OldestWait(); got > 100*time.Second || got < 20*time.Second {
		t.Errorf("with the first five gone the oldest has waited %v", got)
	}
	d.taken = d.posted
	if got := l.OldestWait(); got != 0 {
		t.Errorf("in an empty queue the oldest has waited %v", got)
	}
	l.PostControl(stopLoop{})
	synctest.Wait()
}

type depth struct {
	Host
	posted, taken int64
}

func (d *depth) Depth() (posted, taken int64) { return d.posted, d.taken }
