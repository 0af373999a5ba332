// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ask has the loop run a task and waits for it.
func (l *Loop) ask() {
	done := make(chan struct{})
	l.do(func(*Task) { close(done) })
	<-done
}

// setYield has f be called each time that a runner gives up its processor.
func (g *linger) setYield(f func()) { g.yield, g.yieldNear = f, f }

// An idle loop is served beside goroutines that compute, more of them than
// processors. Each time that a runner goes to the end of Go's run queue costs 10 ms
// and more there, which is not to happen for each message. These times are counted: how long
// the messages take is up to what else the machine does.
func TestIdleLoopIsServedBesideComputingGoroutines(t *testing.T) {
	p := NewPool()
	var slow atomic.Int32
	p.linger.setYield(func() {
		before := p.Now()
		runtime.Gosched()
		if p.Now()-before > lingerMost {
			slow.Add(1)
		}
	})
	l, _ := newLoop(p, Config{})
	var over atomic.Bool
	var computing sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) {
		computing.Go(func() {
			for !over.Load() {
			}
		})
	}
	const asks, most = 1500, 300
	n := 0
	for ; n < asks && slow.Load() < most; n++ {
		l.ask()
	}
	over.Store(true)
	computing.Wait()
	if n < asks {
		t.Errorf("%d messages, one after the other, took the runner to the end of the run queue %d times", n, most)
	}
	l.PostControl(stopLoop{})
}

// Where it takes long to come back from the end of the run queue, runners go there
// again when a hundred times as much has passed, and not before.
func TestNoLoopLingersWhereItTakesLong(t *testing.T) {
	synctest.Test(t, testNoLoopLingersWhereItTakesLong)
}
func testNoLoopLingersWhereItTakesLong(t *testing.T) {
	p := NewPool()
	const long = 40 * time.Millisecond
	lingers := 0
	p.linger.setYield(func() { lingers++; time.Sleep(long) })
	var loops []*Loop
	for range 3 {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
	}
	asks := func(n int) {
		for range n {
			for _, l := range loops {
				l.ask()
				synctest.Wait()
			}
		}
	}
	asks(100 * lingerProbe)
	time.Sleep(long) // the last one
	if lingers < 2 || lingers > 2*len(loops) {
		t.Errorf("%d times, want 2 for a loop to find out what it costs, and no more", lingers)
	}
	lingers = 0
	time.Sleep(time.Duration(len(loops)) * lingerRest * long) // those that find out at the same moment may rest for the sum
	asks(100 * lingerProbe)
	time.Sleep(long)
	if lingers < 1 || lingers > 2*len(loops) {
		t.Errorf("%d times when the rest is over, want one or two for a loop", lingers)
	}
	endAll(loops)
}

// A loop whose next message is there after each of its lingers goes on with that,
// and sleeps for nothing that may still come.
func TestLoopLingersWhereItPays(t *testing.T) { synctest.Test(t, testLoopLingersWhereItPays) }
func testLoopLingersWhereItPays(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	ran, lingers, left := 0, 0, 1000
	p.linger.setYield(func() {
		lingers++
		if left > 0 {
			left--
			l.do(func(*Task) { ran++ })
		}
	})
	for range 2 * lingerProbe {
		l.ask()
		synctest.Wait()
	}
	if ran != 1000 || lingers < 1000 || lingers > 1010 {
		t.Errorf("%d of 1000 messages in %d lingers, want one for each", ran, lingers)
	}
	l.PostControl(stopLoop{})
}

// A loop that is asked one message at a time lingers near, and for as many as there are at the end of the queue of all: so it does when
// it finds out whether that takes long.
func TestLoopLingersNearForOne(t *testing.T) { synctest.Test(t, testLoopLingersNearForOne) }
func testLoopLingersNearForOne(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	var near, far, left, each int
	lingered := func(n *int) func() {
		return func() {
			*n++
			for i := 0; left > 0 && i < each; i++ {
				left--
				l.do(func(*Task) {})
			}
		}
	}
	p.linger.yield, p.linger.yieldNear = lingered(&far), lingered(&near)
	for _, c := range []struct{ each, near, far int }{{1, 1000, 0}, {2, 0, 500}, {1, 1000, 0}} {
		near, far, left, each = 0, 0, 1000, c.each
		for range 2 * lingerProbe {
			l.ask()
			synctest.Wait()
		}
		if left > 0 || near < c.near || near > c.near+10 || far < c.far || far > c.far+10 {
			t.Errorf("1000 messages, %d a time: it has lingered %d times near and %d times far, %d are left", c.each, near, far, left)
		}
	}
	near, far, left, each = 0, 0, 1000, 1
	l.lingering.suspect = true
	l.pool.linger.yield = func() { far++; time.Sleep(lingerCost + 1) }
	for range 2 * lingerProbe {
		l.ask()
		synctest.Wait()
		time.Sleep(lingerCost + 1)
	}
	if near != 0 || far == 0 {
		t.Errorf("where it has to find out what that takes, and it takes long, it has lingered %d times near and %d times far", near, far)
	}
	l.PostControl(stopLoop{})
}

// A loop that is asked now and then gives nobody its processor before it has
// answered, however often that is.
func TestIdleLoopGivesNoWay(t *testing.T) { synctest.Test(t, testIdleLoopGivesNoWay) }
func testIdleLoopGivesNoWay(t *testing.T) {
	p := NewPool()
	p.linger.until.Store(math.MaxInt64)
	p.linger.setYield(func() { t.Error("the runner gives up its processor while it has something to do") })
	l, _ := newLoop(p, Config{})
	for range 10 * giveWayEvery {
		l.ask()
		synctest.Wait()
	}
	l.PostControl(stopLoop{})
}

// Nor does a runner that is never idle because two loops ask each other in turn.
func TestTwoLoopsInTurnGiveNoWay(t *testing.T) { synctest.Test(t, testTwoLoopsInTurnGiveNoWay) }
func testTwoLoopsInTurnGiveNoWay(t *testing.T) {
	p := NewPool()
	p.linger.until.Store(math.MaxInt64)
	p.linger.setYield(func() { t.Error("the runner gives up its processor while it has something to do") })
	one, _ := newLoop(p, Config{})
	other, _ := newLoop(p, Config{})
	n := 0
	var turn func(*Task)
	turn = func(k *Task) {
		if n++; n == 10*giveWayEvery {
			return
		}
		if k.Loop() == one {
			other.do(turn)
		} else {
			one.do(turn)
		}
	}
	one.do(turn)
	synctest.Wait()
	if n != 10*giveWayEvery {
		t.Errorf("%d turns", n)
	}
	endAll([]*Loop{one, other})
}

// A runner that is never idle gives way after some messages, where others take
// little time, and keeps most of its time where they take all they can get.
func TestBusyRunnerGivesWay(t *testing.T) {
	for _, c := range []struct {
		each, others time.Duration // a turn, and what the others take
		least, most  float64       // the runner's share of the time
	}{
		{time.Microsecond, 10 * time.Microsecond, 0.85, 0.95}, // after 64 turns each time
		{time.Microsecond, 500 * time.Microsecond, 0.1, 0.2},
		{10 * time.Microsecond, 10 * time.Millisecond, 0.6, 0.8},
		{100 * time.Microsecond, time.Second, 0.75, 0.95},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPool()
			p.linger.setYield(func() { time.Sleep(c.others) })
			l, _ := newLoop(p, Config{})
			const turns = 100_000
			for range turns {
				l.do(func(*Task) { time.Sleep(c.each) })
			}
			start := time.Now()
			l.ask()
			share := turns * float64(c.each) / float64(time.Since(start))
			if share < c.least || share > c.most {
				t.Errorf("beside others that take %v it has %.2f of the time, want %v to %v", c.others, share, c.least, c.most)
			}
			l.PostControl(stopLoop{})
		})
	}
}

// A runner whose turns last long gives way between two of them, also where nothing else waits for
// it, and again after some messages when they are short.
func TestRunnerGivesWayBetweenLongTurns(t *testing.T) {
	synctest.Test(t, testRunnerGivesWayBetweenLongTurns)
}
func testRunnerGivesWayBetweenLongTurns(t *testing.T) {
	p := NewPool()
	p.linger.until.Store(math.MaxInt64)
	ways := 0
	p.linger.setYield(func() { ways++ })
	l, _ := newLoop(p, Config{})
	turns := func(n int, each time.Duration) (waysBetween int) {
		ways = 0
		var turn func(*Task)
		turn = func(*Task) {
			if n--; n > 0 {
				l.do(turn)
			}
			time.Sleep(each)
		}
		l.do(turn)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		return ways
	}
	if n := turns(100, 5*time.Millisecond); n < 90 {
		t.Errorf("it gives way %d times between 100 turns of 5 ms", n)
	}
	if n := turns(1000, time.Microsecond); n > 10 {
		t.Errorf("it gives way %d times between 1000 short turns of a loop beside which nothing waits", n)
	}
	if n := turns(100, 5*time.Millisecond); n < 90 {
		t.Errorf("it gives way %d times between 100 turns that are long again", n)
	}
	l.PostControl(stopLoop{})
}

// A message that may not start does not keep the loop from looking into its inbox.
func TestNoTurnInVainAtMaxInFlight(t *testing.T) { synctest.Test(t, testNoTurnInVainAtMaxInFlight) }
func testNoTurnInVainAtMaxInFlight(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{MaxInFlight: 1})
	const awaits = 100
	l.do(func(k *Task) {
		for range awaits {
			sleep(k, time.Second)
		}
	})
	l.do(func(*Task) {})
	before := uint32(0)
	synctest.Wait()
	l.Peek(func(*Task) { before = l.polls })
	time.Sleep((awaits - 1) * time.Second)
	synctest.Wait()
	l.Peek(func(*Task) {
		if n := l.polls - before; n > 5*awaits {
			t.Errorf("%d rounds of the loop for %d resumptions", n, awaits)
		}
	})
	time.Sleep(time.Minute)
	l.PostControl(stopLoop{})
}

// A runner that has nothing to do takes the loop for which another was called and
// is not there yet.
func TestRunnerTakesWhatAnotherWasCalledFor(t *testing.T) {
	synctest.Test(t, testRunnerTakesWhatAnotherWasCalledFor)
}
func testRunnerTakesWhatAnotherWasCalledFor(t *testing.T) {
	p := NewPool()
	first, _ := newLoop(p, Config{})
	release := make(chan struct{})
	first.do(func(*Task) { <-release })
	synctest.Wait()
	second, _ := newLoop(p, Config{})
	synctest.Wait()
	ran := false
	p.mu.Lock()
	if !second.inbox.head.CompareAndSwap(idleMark, nil) {
		t.Fatal("the loop is not idle")
	}
	called, isNew := p.assignRunner(second)
	p.mu.Unlock()
	second.do(func(*Task) { ran = true })
	synctest.Wait()
	if ran {
		t.Fatal("it has run without a runner")
	}
	close(release)
	synctest.Wait()
	if !ran {
		t.Error("it waits for the runner that was called, beside one that has nothing to do")
	}
	called.beginRunning(isNew)
	synctest.Wait()
	if n := len(p.queue.moving); n != 0 {
		t.Errorf("%d runners move on while there is nothing to do", n)
	}
	endAll([]*Loop{first, second})
}
