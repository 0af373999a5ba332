// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fn is a Body for tests.
type fn struct {
	f        func(t *Task)
	done     func(t *Task, how How)
	cameBack func(t *Task)
}

func (b fn) Run(t *Task) {
	t.Enter()
	b.f(t)
}

func (b fn) Done(t *Task, how How) {
	if b.done != nil {
		b.done(t, how)
	}
}

func (b fn) CameBack(t *Task) {
	if b.cameBack != nil {
		b.cameBack(t)
	}
}

// host is a Host for tests.
type host struct {
	control func(msg any)
	blocked func(BlockedTurn)
}

func (h *host) Control(msg any)              { h.control(msg) }
func (h *host) AllEnded()                    {}
func (h *host) TurnTook(time.Duration)       {}
func (h *host) Depth() (posted, taken int64) { return 0, 0 }

func (h *host) Blocked(b BlockedTurn) {
	if h.blocked != nil {
		h.blocked(b)
	}
}

type stopLoop struct{}

func newLoop(p *Pool, cfg Config) (*Loop, *host) {
	l, h := &Loop{}, &host{}
	h.control = func(m any) {
		if _, ok := m.(stopLoop); ok {
			l.End()
		}
	}
	l.Init(h, cfg)
	l.Begin(p)
	return l, h
}

func (l *Loop) do(f func(t *Task)) { l.Post(&Task{Body: fn{f: f}}) }

func sleep(t *Task, d time.Duration) {
	seq, ok := t.Arm()
	if !ok {
		return
	}
	t.Loop().AddTimer(d, t, seq)
	t.Suspend()
}

func TestSleepersInterleave(t *testing.T) { synctest.Test(t, testSleepersInterleave) }
func testSleepersInterleave(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	var log []string
	for i := range 3 {
		l.do(func(k *Task) {
			log = append(log, fmt.Sprint("a", i))
			sleep(k, time.Duration(3-i)*time.Second)
			log = append(log, fmt.Sprint("b", i))
		})
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if got := fmt.Sprint(log); got != "[a0 a1 a2 b2 b1 b0]" {
		t.Error(got)
	}
	l.PostControl(stopLoop{})
}

func TestStartRunsAtOnce(t *testing.T) { synctest.Test(t, testStartRunsAtOnce) }
func testStartRunsAtOnce(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{})
	var log []string
	l.do(func(k *Task) {
		for i := range 3 {
			k.Start(&Task{Body: fn{f: func(k *Task) {
				log = append(log, fmt.Sprint("child", i))
				if i == 1 {
					sleep(k, time.Second)
					log = append(log, "late")
				}
			}}})
			log = append(log, "parent")
		}
		sleep(k, 2*time.Second)
		log = append(log, "end")
	})
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if got := fmt.Sprint(log); got != "[child0 parent child1 parent child2 parent late end]" {
		t.Error(got)
	}
	l.PostControl(stopLoop{})
}

func TestGoexitKeepsLoop(t *testing.T) { synctest.Test(t, testGoexitKeepsLoop) }
func testGoexitKeepsLoop(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{})
	exits := 0
	ran := 0
	done := func(_ *Task, how How) {
		if how == Exited {
			exits++
		}
	}
	for _, f := range []func(*Task){
		func(*Task) { runtime.Goexit() },
		func(k *Task) { sleep(k, time.Second); runtime.Goexit() },
		func(k *Task) {
			k.Start(&Task{Body: fn{f: func(*Task) { runtime.Goexit() }, done: done}})
			ran++
		},
		func(*Task) {
			defer func() { _ = recover() }()
			defer panic("a panic and a Goexit")
			runtime.Goexit()
		},
		func(k *Task) { sleep(k, 2*time.Second); ran++ },
	} {
		l.Post(&Task{Body: fn{f: f, done: done}})
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if exits != 4 || ran != 2 {
		t.Errorf("%d exits, %d ran", exits, ran)
	}
	l.PostControl(stopLoop{})
}

func TestTakeover(t *testing.T) { synctest.Test(t, testTakeover) }
func testTakeover(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{})
	release := make(chan struct{})
	var lost []string
	done := func(name string) func(*Task, How) {
		return func(_ *Task, how How) {
			if how == Lost {
				lost = append(lost, name)
			}
		}
	}
	var after atomic.Int32
	l.Post(&Task{Body: fn{done: done("parent"), f: func(k *Task) {
		k.Start(&Task{Body: fn{done: done("child"), f: func(k *Task) {
			<-release
			if _, ok := k.Arm(); ok {
				t.Error("a lost task may await")
			}
		}}})
		after.Add(1)
	}}})
	next := false
	l.do(func(*Task) { next = true })
	synctest.Wait()
	turn, ok := l.InUser()
	if !ok || next {
		t.Fatal("not stuck")
	}
	var stuck *Task
	l.Look(func(k *Task) { stuck = k })
	if stack := l.Stack(stuck); !bytes.Contains(stack, []byte("testTakeover.func")) {
		t.Errorf("not the stack of the stuck task: %s", stack)
	}
	if !l.Takeover(turn) || l.Takeover(turn) {
		t.Error("takeover should succeed once")
	}
	synctest.Wait()
	if !next || fmt.Sprint(lost) != "[child parent]" || l.Live() != 0 {
		t.Error("loop does not go on", next, lost, l.Live())
	}
	close(release)
	synctest.Wait()
	if after.Load() != 1 {
		t.Error("the lost parent does not run to its end")
	}
	l.PostControl(stopLoop{})
}

// What a peak has nested switches back bit by bit, although the loop always has something to do.
func TestNestedPumpsShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newLoop(NewPool(), Config{})
		deepest, last := uint32(0), uint32(0)
		ended := 0
		for range maxNested {
			l.do(func(k *Task) {
				sleep(k, time.Second)
				deepest = max(deepest, k.co.r.nested)
				ended++
			})
		}
		const turns = (maxNested - fewNested + 1) * timeEvery
		var again func(n int)
		again = func(n int) {
			l.do(func(k *Task) {
				if last = k.co.r.nested; n > 0 {
					again(n - 1)
				}
			})
		}
		l.do(func(k *Task) {
			sleep(k, time.Second)
			again(turns)
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ended != maxNested || deepest < maxNested/2 || last > fewNested {
			t.Errorf("%d tasks have ended; of %d nested pumps %d are left, and not %d", ended, deepest, last, fewNested)
		}
		l.PostControl(stopLoop{})
	})
}

// A task that has been resumed and has ended goes on as the pump, nested in the one that has resumed
// it. Whatever happens in a turn there, the loop goes on, and when it sleeps no pump is nested.
func TestNestedPumps(t *testing.T) { synctest.Test(t, testNestedPumps) }
func testNestedPumps(t *testing.T) {
	release := make(chan struct{})
	for _, c := range []struct {
		name string
		turn func(k *Task)
	}{
		{"return", func(*Task) {}},
		{"await", func(k *Task) { sleep(k, time.Second) }},
		{"Goexit", func(*Task) { runtime.Goexit() }},
		{"Goexit after an await", func(k *Task) { sleep(k, time.Second); runtime.Goexit() }},
		{"child that awaits", func(k *Task) {
			k.Start(&Task{Body: fn{f: func(k *Task) { sleep(k, time.Second) }}})
		}},
		{"takeover", func(*Task) { <-release }},
	} {
		p := NewPool()
		l, _ := newLoop(p, Config{})
		const n = 2 * maxNested
		deepest, ended, at, ran := uint32(0), 0, uint32(0), false
		for range n {
			l.do(func(k *Task) {
				sleep(k, time.Second)
				deepest = max(deepest, k.co.r.nested)
				if ended++; ended == n {
					l.do(func(k *Task) {
						at = k.co.r.nested
						l.do(func(*Task) { ran = true })
						c.turn(k)
					})
				}
			})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c.name == "takeover" {
			turn, _ := l.InUser()
			if ran || !l.Takeover(turn) {
				t.Fatal("the turn is not taken over")
			}
			synctest.Wait()
			close(release)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ended != n || !ran || l.Live() != 0 {
			t.Errorf("%s: %d of %d tasks have ended, %d are live; the next has run: %v", c.name, ended, n, l.Live(), ran)
		}
		if few := uint32(maxNested - n/timeEvery); deepest < few || deepest > maxNested || at < few {
			t.Errorf("%s: %d pumps were nested, and %d in the turn, not about %d", c.name, deepest, at, maxNested)
		}
		p.mu.Lock()
		for r := range p.runners {
			if r.nested != 0 || r.loop != nil {
				t.Errorf("%s: an idle runner has %d nested pumps", c.name, r.nested)
			}
		}
		if n := len(p.runners); n != p.nIdle {
			t.Errorf("%s: %d runners, of which %d are idle", c.name, n, p.nIdle)
		}
		p.mu.Unlock()
		l.PostControl(stopLoop{})
	}
}

// A task whose turn is taken away hears once that its user code has come back, however
// that ends and however late the turn is taken: here in the last moment of Run, when
// the task has looked and is not lost.
func TestALostTaskComesBack(t *testing.T) { synctest.Test(t, testALostTaskComesBack) }
func testALostTaskComesBack(t *testing.T) {
	type ending struct {
		name  string
		child func(t *Task, last func())
	}
	for _, e := range []ending{
		{"return", func(_ *Task, last func()) { last() }},
		{"return after an await", func(t *Task, last func()) { sleep(t, time.Second); last() }},
		{"panic", func(_ *Task, last func()) {
			defer func() { _ = recover(); last() }()
			panic("!")
		}},
		{"Goexit", func(_ *Task, last func()) { defer last(); runtime.Goexit() }},
		{"panic and Goexit", func(_ *Task, last func()) {
			defer last()
			defer runtime.Goexit()
			panic("!")
		}},
	} {
		for _, taken := range []bool{true, false} {
			l, _ := newLoop(NewPool(), Config{})
			release := make(chan struct{})
			var back, done, looked []string
			body := func(name string, f func(*Task)) *Task {
				return &Task{Body: fn{f: f,
					done:     func(_ *Task, how How) { done = append(done, name) },
					cameBack: func(*Task) { back = append(back, name) }}}
			}
			l.Post(body("parent", func(k *Task) {
				k.Start(body("child", func(k *Task) {
					e.child(k, func() {
						if !k.Lost() {
							looked = append(looked, "child")
						}
						<-release
					})
				}))
			}))
			l.Post(body("sibling", func(k *Task) { sleep(k, time.Hour) }))
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if turn, ok := l.InUser(); !ok || taken && !l.Takeover(turn) {
				t.Fatalf("%s: the turn is over", e.name)
			}
			if taken {
				l.ask()
			}
			if len(back) > 0 || len(looked) != 1 {
				t.Errorf("%s: %v came back, %v looked", e.name, back, looked)
			}
			close(release)
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			want := "[]"
			switch {
			case taken && e.name == "return after an await": // its parent had returned before
				want = "[child]"
			case taken:
				want = "[child parent]"
			}
			if got := fmt.Sprint(back); got != want || len(done) != 3 {
				t.Errorf("%s, taken over: %v: %s came back, not %s; %v have ended", e.name, taken, got, want, done)
			}
			l.PostControl(stopLoop{})
		}
	}
}

// User code that calls runtime.Goexit when its turn was taken away ends itself and
// nothing else: the parent that has started it runs to its end, and the runner
// gives back what it has.
func TestGoexitOfALostTask(t *testing.T) { synctest.Test(t, testGoexitOfALostTask) }
func testGoexitOfALostTask(t *testing.T) {
	for _, c := range []struct {
		name         string
		child, await bool
	}{{"", false, false}, {"after an await", false, true}, {"in a child", true, false}, {"in a child after an await of the parent", true, true}} {
		p := NewPool()
		l, _ := newLoop(p, Config{})
		release := make(chan struct{})
		var parent atomic.Bool
		exits := func(*Task) {
			<-release
			runtime.Goexit()
		}
		l.do(func(k *Task) {
			if c.await {
				sleep(k, time.Second)
			}
			if c.child {
				k.Start(&Task{Body: fn{f: exits}})
				parent.Store(true)
				return
			}
			exits(k)
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		turn, _ := l.InUser()
		if !l.Takeover(turn) {
			t.Fatal("the turn is not taken over")
		}
		l.ask()
		close(release)
		synctest.Wait()
		if parent.Load() != c.child {
			t.Errorf("Goexit %s: the parent has not run to its end", c.name)
		}
		p.mu.Lock()
		if n := len(p.runners); n != p.nIdle {
			t.Errorf("Goexit %s: %d runners, of which %d are idle", c.name, n, p.nIdle)
		}
		p.mu.Unlock()
		l.PostControl(stopLoop{})
	}
}

func TestBlockedTurnIsFoundWhileItLasts(t *testing.T) { synctest.Test(t, testBlockedTurn) }
func testBlockedTurn(t *testing.T) {
	var got []BlockedTurn
	l, h := newLoop(NewPool(), Config{BlockedTurn: time.Second})
	h.blocked = func(b BlockedTurn) { got = append(got, b) }
	release := make(chan struct{})
	began := time.Now()
	l.do(func(k *Task) { sleep(k, time.Hour); <-release })
	time.Sleep(time.Hour + 3*time.Second)
	synctest.Wait()
	if len(got) != 1 {
		t.Fatalf("%d reports", len(got))
	}
	if d := got[0].Since.Sub(began) - time.Hour; d < 0 || d > time.Second/2 {
		t.Error("since", d)
	}
	if !bytes.Contains(got[0].Stack, []byte("testBlockedTurn")) {
		t.Errorf("stack %s", got[0].Stack)
	}
	close(release)
	l.do(func(*Task) {})
	synctest.Wait()
	l.do(func(*Task) { time.Sleep(3 * time.Second) })
	time.Sleep(4 * time.Second)
	synctest.Wait()
	if len(got) != 2 || !bytes.Contains(got[1].Stack, []byte("testBlockedTurn")) {
		t.Error("second blocked turn: want a report with its stack", len(got))
	}
	l.PostControl(stopLoop{})
}

// A turn that is found right after a search for stacks waits for the next, which
// is for all that wait. If it ends before, its report has no stack.
func TestBlockedTurnsShareASearch(t *testing.T) { synctest.Test(t, testBlockedTurnsShare) }
func testBlockedTurnsShare(t *testing.T) {
	p := NewPool()
	var got []BlockedTurn
	var at []time.Duration
	began := time.Now()
	var loops []*Loop
	for i, lasts := range []time.Duration{time.Hour, time.Hour, 500 * time.Millisecond, time.Hour} {
		l, h := newLoop(p, Config{BlockedTurn: 200 * time.Millisecond})
		h.blocked = func(b BlockedTurn) { got, at = append(got, b), append(at, time.Since(began)) }
		l.do(func(*Task) { time.Sleep(lasts) })
		loops = append(loops, l)
		if i < 2 {
			time.Sleep(50*time.Millisecond + time.Duration(i)*200*time.Millisecond)
		}
	}
	time.Sleep(3 * time.Second)
	synctest.Wait()
	if len(got) != 4 || at[3]-at[0] < passEvery || at[3]-at[0] > passEvery+200*time.Millisecond || at[3] != at[1] && at[1] != at[0] {
		t.Errorf("reported after %v", at)
	}
	none := 0
	for _, b := range got {
		if len(b.Stack) == 0 {
			none++
		}
	}
	if none != 1 {
		t.Errorf("%d reports without a stack, want that of the turn that has ended", none)
	}
	time.Sleep(time.Hour)
	for _, l := range loops {
		l.PostControl(stopLoop{})
	}
}

// The watchdog looks again while a runner is on its way to a loop, or a loop waits
// for one: nobody else would set it when the turn begins.
func TestWatchdogWaitsForWhatIsAboutToBegin(t *testing.T) {
	for _, wait := range []struct {
		where string
		begin func(p *Pool, l *Loop) (come func())
	}{
		{"for a runner that comes", func(p *Pool, l *Loop) func() {
			r, isNew := p.assignRunner(l)
			return func() { r.beginRunning(isNew) }
		}},
		{"in the queue", func(p *Pool, l *Loop) func() {
			p.queue.addWoken(l)
			return func() { p.mu.Lock(); p.callRunner() }
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPool()
			var found bool
			l, h := newLoop(p, Config{BlockedTurn: time.Second})
			h.blocked = func(BlockedTurn) { found = true }
			time.Sleep(time.Minute)
			synctest.Wait()
			p.mu.Lock()
			if !l.inbox.head.CompareAndSwap(idleMark, nil) {
				t.Fatal("the loop is not idle")
			}
			p.watchdog.armTimer(p, time.Second)
			come := wait.begin(p, l)
			p.mu.Unlock()
			release := make(chan struct{})
			l.do(func(*Task) { <-release })
			time.Sleep(3 * time.Second)
			come()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if !found {
				t.Errorf("a blocked turn was not found whose loop waited %s", wait.where)
			}
			close(release)
			synctest.Wait()
			time.Sleep(time.Minute)
			p.mu.Lock()
			if p.watchdog.armed.Load() {
				t.Error("an idle system has a timer")
			}
			p.mu.Unlock()
			l.PostControl(stopLoop{})
		})
	}
}

func BenchmarkBurst(b *testing.B) {
	b.ReportAllocs()
	l, _ := newLoop(NewPool(), Config{})
	n := 1000
	done := make(chan struct{})
	for i := 0; i < b.N; i += n {
		for j := range n {
			l.do(func(*Task) {
				if j == n-1 {
					done <- struct{}{}
				}
			})
		}
		<-done
	}
}

func BenchmarkSequential(b *testing.B) {
	b.ReportAllocs()
	l, _ := newLoop(NewPool(), Config{})
	for i := 0; i < b.N; i++ {
		done := make(chan struct{})
		l.do(func(*Task) { close(done) })
		<-done
	}
}

func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	l, _ := newLoop(NewPool(), Config{})
	done := make(chan struct{})
	l.do(func(k *Task) {
		for i := 0; i < b.N; i++ {
			k.Start(&Task{Body: fn{f: func(*Task) {}}})
		}
		close(done)
	})
	<-done
}

func BenchmarkYield(b *testing.B) {
	b.ReportAllocs()
	l, _ := newLoop(NewPool(), Config{})
	done := make(chan struct{})
	l.do(func(k *Task) {
		for i := 0; i < b.N; i++ {
			k.Yield()
		}
		close(done)
	})
	<-done
}

// BenchmarkAwait is tasks of one loop that each wait for a task of another.
func BenchmarkAwait(b *testing.B) {
	p := NewPool()
	front, _ := newLoop(p, Config{})
	back, _ := newLoop(p, Config{})
	type pair struct {
		outer, inner Task
		seq          uint32
	}
	const n = 1000
	pairs := make([]pair, n)
	var left atomic.Int32
	left.Store(2 * n)
	done := make(chan struct{})
	ended := func(*Task, How) { // before that a task must not be used again
		if left.Add(-1) == 0 {
			left.Store(2 * n)
			done <- struct{}{}
		}
	}
	answer := func(i int) fn { return fn{f: func(*Task) { pairs[i].outer.Wake(pairs[i].seq) }, done: ended} }
	ask := func(i int, inner Body) fn {
		return fn{f: func(t *Task) {
			x := &pairs[i]
			x.seq, _ = t.Arm()
			x.inner = Task{Body: inner}
			back.Post(&x.inner)
			t.Suspend()
		}, done: ended}
	}
	bodies := make([]Body, n)
	for i := range bodies {
		bodies[i] = ask(i, answer(i))
	}
	for b.Loop() {
		for i := range pairs {
			pairs[i].outer = Task{Body: bodies[i]}
			front.Post(&pairs[i].outer)
		}
		<-done
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/await")
}
