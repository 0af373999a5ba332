// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A part gives out loops in the order in which they came, refuses what it has no room for,
// and goes on when its counters wrap.
func TestArrivalsKeepOrder(t *testing.T) {
	p := newArrivalPart()
	const before = 3 * arrivalSlots / 2 // so much before they wrap
	start := uint32(0)
	start -= before
	p.in.Store(start)
	p.out.Store(start)
	for i := range uint32(arrivalSlots) {
		p.slots[(start+i)%arrivalSlots].turn.Store(start + i)
	}
	loops := make([]Loop, 2*before)
	if p.take() != nil || !p.empty() || p.len() != 0 {
		t.Error("an empty part has a loop")
	}
	in, out := 0, 0
	for out < len(loops) {
		for in < len(loops) && p.add(&loops[in]) {
			in++
		}
		if n := p.len(); n != in-out || in < len(loops) && n != arrivalSlots || p.empty() {
			t.Fatalf("%d loops after %d were added and %d taken", n, in, out)
		}
		for range arrivalSlots/2 + 1 {
			if out == in {
				break
			}
			if p.take() != &loops[out] {
				t.Fatalf("loop %d is not the next", out)
			}
			out++
		}
	}
	for i := range p.slots {
		if p.slots[i].loop != nil {
			t.Error("it keeps a loop that was taken")
		}
	}
}

// However many add and take at the same time, each loop is taken once, and those that one has
// added are taken in its order.
func TestArrivalsOfMany(t *testing.T) {
	if injectsYields {
		var n atomic.Uint32
		setYieldHook(func(yieldPoint) {
			if n.Add(1)%7 == 0 {
				runtime.Gosched()
			}
		})
		defer clearYieldHook()
	}
	const senders, takers, each = 4, 4, 5_000
	p := newArrivalPart()
	var loops [senders][each]Loop
	var taken [takers][]*Loop
	var left atomic.Int32
	left.Store(senders * each)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range loops[s] {
				loops[s][i].home, loops[s][i].polls = uint8(s), uint32(i)
				for !p.add(&loops[s][i]) {
					runtime.Gosched()
				}
			}
		})
	}
	for k := range takers {
		wg.Go(func() {
			for left.Load() > 0 {
				if l := p.take(); l != nil {
					left.Add(-1)
					taken[k] = append(taken[k], l)
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	seen := map[*Loop]bool{}
	for _, ls := range taken {
		next := [senders]uint32{}
		for _, l := range ls {
			if seen[l] || l.polls < next[l.home] {
				t.Fatalf("loop %d of sender %d was taken twice, or too late", l.polls, l.home)
			}
			seen[l], next[l.home] = true, l.polls
		}
	}
	if len(seen) != senders*each || !p.empty() {
		t.Errorf("%d of %d loops were taken", len(seen), senders*each)
	}
}

// Where enough loops run, another one is woken without the pool's lock, and a runner takes it
// without that, too.
func TestWakingBesideBusyLoopsTakesNoLock(t *testing.T) {
	synctest.Test(t, testWakingBesideBusyLoopsTakesNoLock)
}
func testWakingBesideBusyLoopsTakesNoLock(t *testing.T) {
	p := NewPool()
	release := make(chan struct{})
	var loops []*Loop
	for range int(p.queue.limit.Load()) {
		l, _ := newLoop(p, Config{BlockedTurn: time.Second})
		loops = append(loops, l)
	}
	woken := make([]*Loop, 2)
	ran := make(chan int, len(woken))
	for i := range woken {
		woken[i], _ = newLoop(p, Config{BlockedTurn: time.Second})
	}
	synctest.Wait()
	for _, l := range loops {
		l.do(func(*Task) { <-release })
		synctest.Wait()
	}
	woken[0].do(func(*Task) { ran <- 0 }) // it arms the guard
	p.mu.Lock()
	woken[1].do(func(*Task) { ran <- 1 })
	close(release)
	<-ran
	<-ran
	p.mu.Unlock()
	endAll(append(loops, woken...))
}

// The parts are as many as the processors, but a power of two, and stay.
func TestArrivalsGrow(t *testing.T) {
	var a arrivals
	l := &Loop{home: 255}
	for _, c := range []struct{ processors, parts int }{{1, 1}, {3, 4}, {2, 4}, {8, 8}, {1000, maxParts}} {
		a.grow(c.processors)
		if n := len(*a.parts.Load()); n != c.parts {
			t.Errorf("%d parts for %d processors, want %d", n, c.processors, c.parts)
		}
		if !a.add(l) || a.len() == 0 || a.empty() {
			t.Error("a loop was not added")
		}
	}
	for range 5 {
		if a.take(3) != l {
			t.Error("a loop that was added before the parts grew is not found")
		}
	}
	if a.take(0) != nil || !a.empty() {
		t.Error("there is one more")
	}
}
