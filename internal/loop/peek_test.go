// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"math/rand/v2"
	"runtime"
	"slices"
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
		if stood, _ := l.Peek(func(running *Task) {
			if running != nil {
				t.Error("a task runs in a loop that sleeps")
			}
			l.Suspended().Next(func(k *Task) { n++ })
		}); !stood || n != 1 {
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
				runtime.Gosched()
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
	l.ages.noteDepth(l)
	time.Sleep(time.Minute)
	for i := range 100 { // far more marks than are kept
		d.posted += int64(i)
		l.ages.noteDepth(l)
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

// TestPeekWhileALoopWaits looks at a loop that no runner has come to yet.
func TestPeekWhileALoopWaits(t *testing.T) { synctest.Test(t, testPeekWhileALoopWaits) }
func testPeekWhileALoopWaits(t *testing.T) {
	p := NewPool()
	release := make(chan struct{})
	var loops []*Loop
	for range int(p.queue.limit.Load()) + 1 {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
	}
	synctest.Wait()
	for i, l := range loops {
		l.do(func(*Task) { <-release })
		if i < int(p.queue.limit.Load()) {
			synctest.Wait()
		}
	}
	last := loops[int(p.queue.limit.Load())]
	if p.queue.len() != 1 {
		t.Fatal("the last loop does not wait for a runner")
	}
	found := 0
	if stood, held := last.Peek(func(running *Task) {
		if running != nil {
			t.Error("a task runs in a loop that waits")
		}
		w := last.Walk()
		w.Next(running, func(*Task) bool { found++; return true })
	}); !stood || held || found != 1 {
		t.Errorf("stood %v, held %v; %d tasks are queued, want 1", stood, held, found)
	}
	close(release)
	synctest.Wait()
	endAll(loops)
	synctest.Wait()
}

// TestPeekHoldsWhatComes has a loop woken, and a turn end, while somebody looks.
func TestPeekHoldsWhatComes(t *testing.T) { synctest.Test(t, testPeekHoldsWhatComes) }
func testPeekHoldsWhatComes(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{BlockedTurn: time.Minute})
	synctest.Wait()
	ran := false
	if stood, held := l.Peek(func(*Task) {
		l.do(func(*Task) { ran = true })
		synctest.Wait()
		if ran {
			t.Error("a turn began while somebody looked")
		}
	}); !stood || !held {
		t.Errorf("asleep: stood %v, held %v", stood, held)
	}
	synctest.Wait()
	if !ran {
		t.Error("the turn has not begun")
	}
	for _, reported := range []bool{false, true} {
		release, next := make(chan struct{}), false
		l.do(func(*Task) { <-release })
		l.do(func(*Task) { next = true })
		if reported {
			time.Sleep(2 * time.Minute)
		}
		synctest.Wait()
		r := l.runner.Load()
		word := r.word.loadWord()
		if stood, held := l.Peek(func(running *Task) {
			close(release)
			synctest.Wait()
			if running == nil || next {
				t.Errorf("the turn ended while somebody looked; %v ran", running)
			}
		}); !stood || !held {
			t.Errorf("in a turn: stood %v, held %v", stood, held)
		}
		if r.word.loadWord() == word {
			t.Error("somebody could look at the turn that is over")
		}
		synctest.Wait()
		if !next {
			t.Error("the loop does not go on")
		}
	}
	l.PostControl(stopLoop{})
}

// TestWalk goes over queues while they change between the stretches: it meets
// whatever was there from its begin to its end.
func TestWalk(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := &Loop{pool: NewPool()} // we own it
		posted, gone := []*Task{}, map[*Task]bool{}
		change := func() {
			for range rnd.IntN(3 * StretchTasks / 2) {
				posted = append(posted, &Task{Body: fn{}})
				l.pushEntry(posted[len(posted)-1])
			}
			if rnd.IntN(2) == 0 && !l.inbox.empty() {
				l.collectInbox()
			}
			for n := rnd.IntN(2 * StretchTasks); n > 0 && l.lane.head != nil; n-- {
				gone[l.lane.pop()] = true
			}
			if rnd.IntN(3) == 0 {
				posted = append(posted, &Task{Body: fn{}})
				l.PushFront(posted[len(posted)-1])
			}
		}
		for range 3 {
			change()
		}
		before := slices.DeleteFunc(slices.Clone(posted), func(t *Task) bool { return gone[t] })
		met := map[*Task]int{}
		w := l.Walk()
		stretches := 0
		for done := false; !done; stretches++ {
			n, most := 0, rnd.IntN(2*StretchTasks)
			done = w.Next(nil, func(k *Task) bool {
				if n == most {
					return false
				}
				n++
				if met[k]++; met[k] > 2 || gone[k] {
					t.Fatal("it meets a task that is not there, or that it has met twice")
				}
				return true
			})
			if n > StretchTasks || stretches > 1000 {
				t.Fatalf("seed %d: %d tasks in stretch %d", seed, n, stretches)
			}
			if !done {
				change()
			}
		}
		for _, k := range before {
			if !gone[k] && met[k] == 0 {
				t.Fatalf("seed %d: one of %d tasks was not met in %d stretches", seed, len(before), stretches)
			}
		}
	}
}

// TestSuspended goes over tasks while some of them end, and others come, between
// the stretches.
func TestSuspended(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		l := &Loop{pool: NewPool()} // we own it
		var listed []*coroutine
		change := func() {
			for range rnd.IntN(2 * StretchTasks) {
				c := &coroutine{task: &Task{}}
				l.listAwaited(c)
				listed = append(listed, c)
			}
			for range rnd.IntN(1 + len(listed)) {
				i := rnd.IntN(len(listed))
				l.unlistAwaited(listed[i])
				listed = slices.Delete(listed, i, i+1)
			}
		}
		for range 3 {
			change()
		}
		before := slices.Clone(listed)
		met := map[*Task]bool{}
		w, other := l.Suspended(), l.Suspended()
		for done := false; !done; {
			n := 0
			done = w.Next(func(k *Task) {
				if n++; met[k] || !slices.ContainsFunc(listed, func(c *coroutine) bool { return c.task == k }) {
					t.Fatal("it meets a task that is not there, or that it has met")
				}
				met[k] = true
			})
			if n > StretchTasks {
				t.Fatalf("seed %d: %d tasks in a stretch", seed, n)
			}
			change()
			other.Next(func(*Task) {})
		}
		for _, c := range before {
			if c.listed && !met[c.task] {
				t.Fatalf("seed %d: one of %d tasks was not met", seed, len(before))
			}
		}
		other.Leave()
		for c := l.awaited; c != nil; c = c.next {
			if c.task == nil {
				t.Fatalf("seed %d: it has left its place in the list", seed)
			}
		}
	}
}

// TestWalkMeetsTheTurn: when all that is queued has been met a walk goes over the turn that
// runs, which may be nested deep, from where it was if it nests still.
func TestWalkMeetsTheTurn(t *testing.T) {
	const deep = 3*StretchTasks + 7
	l := &Loop{pool: NewPool()} // we own it
	var chain []*Task           // the outermost first
	nest := func() {
		k := &Task{Body: fn{}}
		k.co = &coroutine{loop: l, task: k}
		k.state.Store(stateRunning)
		if n := len(chain); n > 0 {
			k.co.outer, chain[n-1].co.nesting = chain[n-1], true
		}
		chain = append(chain, k)
	}
	back := func() {
		n := len(chain) - 1
		chain[n].state.Store(endedState)
		chain[n].co, chain[n-1].co.nesting = nil, false
		chain = chain[:n]
	}
	for range deep {
		nest()
	}
	met := map[*Task]int{}
	w := l.Walk()
	next := func(most int) (n int, done bool) {
		l.pinned = 0
		done = w.Next(chain[len(chain)-1], func(k *Task) bool {
			if n == most {
				return false
			}
			n++
			met[k]++
			return true
		})
		if l.pinned > StretchTasks {
			t.Fatalf("%d tasks in a stretch", l.pinned)
		}
		return n, done
	}
	if n, done := next(10); n != 10 || done {
		t.Fatalf("it met %d tasks, done: %v", n, done)
	}
	nest() // what is new is not looked for
	for range 100 {
		back()
	}
	for done := false; !done; {
		_, done = next(deep)
	}
	for i, k := range chain {
		if met[k] != 1 {
			t.Fatalf("the %d-th task of %d was met %d times", i, len(chain), met[k])
		}
	}
}

// TestPinsAreShort looks at a loop that has a hundred thousand tasks of each kind: no look
// keeps it from going on for longer than some of them take.
func TestPinsAreShort(t *testing.T) {
	const many = 100_000
	l := longLoop(many)
	met := 0
	look := func(f func(*Task) bool) {
		for done := false; !done; {
			stood, _ := l.Peek(func(running *Task) { done = f(running) })
			if !stood {
				t.Fatal("nobody runs the loop, and it did not stand")
			}
			met += int(l.pinned)
		}
	}
	suspended, queued := l.Suspended(), l.Walk()
	look(func(*Task) bool { return suspended.Next(func(*Task) {}) })
	look(func(running *Task) bool { return queued.Next(running, func(*Task) bool { return true }) })
	if longest := l.LongestPin(); longest > StretchTasks || longest == 0 || met < 2*many {
		t.Errorf("the longest look met %d tasks of %d, want %d at most", longest, met, StretchTasks)
	}
}

// TestPinsEndInTime: however long what is done with each task takes, up to 3 µs, no look keeps a loop
// from going on for longer than 100 µs. Where a task takes no time of its own, a stretch is bounded
// by its tasks: BenchmarkStretch has how long that is.
func TestPinsEndInTime(t *testing.T) {
	for each := time.Duration(0); each <= 3*time.Microsecond; each += time.Microsecond {
		synctest.Test(t, func(t *testing.T) {
			const many = 5 * StretchTasks
			l := longLoop(many)
			for i := range many {
				k := &Task{co: &coroutine{nesting: true}}
				if k.state.Store(stateRunning); i > 0 {
					k.co.outer = l.cur.task
				}
				k.co.task = k
				l.cur = k.co
			}
			suspended, queued := l.Suspended(), l.Walk()
			for what, stretch := range map[string]func(f func()) bool{
				"suspended": func(f func()) bool { return suspended.Next(func(*Task) { f() }) },
				// The tasks of a turn, too, although none is in user code.
				"queued and running": func(f func()) bool { return queued.Next(l.cur.task, func(*Task) bool { f(); return true }) },
			} {
				met := 0
				for done := false; !done; {
					before := l.pool.Now()
					stood, _ := l.Peek(func(*Task) {
						done = stretch(func() { met++; time.Sleep(each) })
					})
					if took := l.pool.Now() - before; !stood || took > 100*time.Microsecond {
						t.Errorf("a look at what is %s took %v with %v for each", what, took, each)
					}
				}
				if met < many {
					t.Errorf("%d tasks are %s, want %d", met, what, many)
				}
			}
		})
	}
}

// BenchmarkStretch is a whole stretch over tasks that are in no cache: the longest that a look
// keeps a loop from going on, apart from what is done with each task.
func BenchmarkStretch(b *testing.B) {
	l := longLoop(100 * StretchTasks)
	next := map[string]func() bool{}
	suspended, queued := l.Suspended(), l.Walk()
	next["suspended"] = func() bool { return suspended.Next(func(*Task) {}) }
	next["queued"] = func() bool { return queued.Next(nil, func(*Task) bool { return true }) }
	for name, next := range next {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if next() {
					suspended, queued = l.Suspended(), l.Walk()
				}
			}
		})
	}
}

// longLoop is a loop that has so many tasks suspended, and as many queued, half of them in its inbox.
func longLoop(many int) *Loop {
	l := &Loop{pool: NewPool()}
	l.runner.Store(nobody)
	for i := range many {
		l.listAwaited(&coroutine{task: &Task{Body: fn{}}})
		l.pushEntry(&Task{Body: fn{}})
		if i == many/2 {
			l.collectInbox()
		}
	}
	l.inbox.head.CompareAndSwap(nil, idleMark)
	return l
}

// TestLookWaitsForOthers: Look is for what must know whose turn it is, so it does not
// give up because somebody else looks as well.
func TestLookWaitsForOthers(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{})
	in, release := make(chan struct{}), make(chan struct{})
	l.do(func(*Task) { close(in); <-release })
	<-in
	looks, looked := make(chan struct{}), make(chan struct{})
	go l.Peek(func(*Task) { close(looks); <-looked })
	<-looks
	found := make(chan bool)
	go func() { found <- l.Look(func(*Task) {}) }()
	runtime.Gosched()
	close(looked)
	if !<-found {
		t.Error("it found no turn")
	}
	close(release)
	l.PostControl(stopLoop{})
}

// TestTakeoverLeavesALooker: somebody finds that the loop's last runner is back, just when that
// loses the loop.
func TestTakeoverLeavesALooker(t *testing.T) {
	l, _ := newLoop(NewPool(), Config{})
	in, release := make(chan struct{}), make(chan struct{})
	l.do(func(*Task) { close(in); <-release })
	<-in
	turn, _ := l.InUser()
	if !l.runner.CompareAndSwap(turn.r, looker) { // the begin of lookAlone
		t.Fatal("not its runner")
	}
	taken := make(chan bool)
	go func() { taken <- l.Takeover(turn) }()
	for !turn.r.hasLostTurn() {
		runtime.Gosched()
	}
	time.Sleep(time.Millisecond)                  // so that a takeover that does not wait is through
	if !l.runner.CompareAndSwap(looker, turn.r) { // its end
		t.Error("somebody else runs the loop, and does not wait for the looker")
	}
	if !<-taken {
		t.Error("the turn is not taken over")
	}
	close(release)
	l.PostControl(stopLoop{})
}
