// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/loop"
)

// TestSendersLine: what senders need of a worker is one cache line, from the
// entrance to the second word of the loop. The allocator puts a word before a
// mailbox.
func TestSendersLine(t *testing.T) {
	const header, line = 8, 64
	var mb mailbox
	begin, end := header+unsafe.Offsetof(mb.entrance), header+unsafe.Offsetof(mb.loop)+16
	if begin%line != 0 || end != begin+line {
		t.Errorf("it is from %d to %d of a mailbox, in lines of %d", begin, end, line)
	}
	if size := header + unsafe.Sizeof(mb); size <= 512 || size > 576 {
		t.Errorf("a mailbox takes %d bytes: not of the class of 576, nine whole lines", size)
	}
}

// TestSizes: what there is one of for every call stays in its size class of
// the allocator. Each 8 bytes more of a submission were 1.5 % of the time of
// a burst of them. A mailbox is for a worker, of which there may be many that
// are idle; the class is that with the 8 bytes that the allocator adds.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what      string
		size, max uintptr
	}{
		{"submission", unsafe.Sizeof(submission[int]{}), 160},
		{"request", unsafe.Sizeof(request[int]{}), 160},
		{"request with a Timeout", unsafe.Sizeof(struct {
			request[int]
			scope scope
		}{}), 192},
		{"request with WithContext", unsafe.Sizeof(struct {
			request[int]
			room contextRoom
		}{}), 224},
		{"request of a task with WithContext", unsafe.Sizeof(struct {
			request[int]
			kin  kinship
			room contextRoom
		}{}), 256},
		{"submission of a task", unsafe.Sizeof(struct {
			submission[int]
			kin kinship
		}{}), 192},
		{"message", unsafe.Sizeof(message{}), 160},
		{"mailbox", unsafe.Sizeof(mailbox{}), 576 - 8},
	} {
		if c.size > c.max {
			t.Errorf("a %s has %d bytes, of %d", c.what, c.size, c.max)
		}
	}
}

// TestOverdueBehindALock: who finds a part of the clock locked is to look again. It need not be that whoever
// has the lock ends what is overdue there.
func TestOverdueBehindALock(t *testing.T) {
	c := new(clock)
	c.initDeadlines(loop.NewPool())
	u := &Task{}
	u.presetScope(&scope{})
	for i := range c.part {
		c.part[i].armed = 1 // no timer
	}
	c.addDeadline(time.Second, u)
	for i := range c.part {
		c.part[i].mu.Lock()
	}
	if !c.endOverdue(2 * time.Second) {
		t.Error("a deadline that is overdue is left to whoever adds another one")
	}
	for i := range c.part {
		c.part[i].mu.Unlock()
	}
}

// TestClockShrinks lets many deadlines be needed no more, one after the other and
// all at once.
func TestClockShrinks(t *testing.T) {
	t.Run("in order", func(t *testing.T) { testClockShrinks(t, 0) })
	t.Run("out of order", func(t *testing.T) { testClockShrinks(t, -1) })
}

// testClockShrinks makes deadlines of which each is due by step after the one before.
func testClockShrinks(t *testing.T, step time.Duration) {
	c := new(clock)
	c.initDeadlines(loop.NewPool())
	entries := func() (n, room int) {
		for i := range c.part {
			h := &c.part[i]
			n += h.inOrder.Len() + len(h.heap)
			room += h.inOrder.Len() + h.inOrder.Room() + cap(h.heap)
		}
		return n, room
	}
	when := time.Hour
	task := func() *Task {
		u := &Task{}
		u.presetScope(&scope{})
		when += step
		c.addDeadline(when, u)
		return u
	}
	for range 200_000 {
		u := task()
		c.dropDeadline(u.ext.Load().gone.Load(), u)
	}
	if n, _ := entries(); n > 2*len(c.part) {
		t.Errorf("%d deadlines are kept of tasks that have ended, one after the other", n)
	}
	all := make([]*Task, 200_000)
	for i := range all {
		all[i] = task()
	}
	live := all[:10]
	for _, u := range all[10:] {
		c.dropDeadline(u.ext.Load().gone.Load(), u)
	}
	if n, room := entries(); n > 10+2*marksBlock*len(c.part) || room > 4*2*marksBlock*len(c.part) {
		t.Errorf("%d deadlines of %d are kept for 10 tasks, with room for %d", n, len(all), room)
	}
	for _, u := range live {
		if m := u.ext.Load().gone.Load(); m.task.Load() != u {
			t.Error("a deadline that is needed has been dropped")
		}
	}
	c.sweepAll()
	if n, _ := entries(); n != len(live) {
		t.Errorf("%d deadlines after a sweep, of %d tasks", n, len(live))
	}
	for i := range c.part {
		if h := &c.part[i]; h.timer != nil {
			h.timer.Stop()
		}
	}
}

// TestDeadlinesInTheirOrder adds deadlines at random times, some in order, drops some, and
// looks at when which ones are due.
func TestDeadlinesInTheirOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := &deadlines{clock: &clock{pool: loop.NewPool()}, armed: 1}
	live := map[*Task]time.Duration{}
	var now time.Duration
	for step := range 50_000 {
		switch n := rnd.IntN(10); {
		case n < 5:
			u := &Task{}
			u.presetScope(&scope{})
			after := time.Duration(1000)
			if n < 2 {
				after = time.Duration(1 + rnd.IntN(5000))
			}
			h.addTask(now+after, u)
			live[u] = now + after
		case n < 7:
			for u := range live {
				if u.ext.Load().gone.Load().task.Swap(nil) != nil {
					h.noteDropped()
				}
				delete(live, u)
				break
			}
		default:
			now += time.Duration(rnd.IntN(300))
			var last time.Duration
			for more := true; more; {
				var d due
				more = h.takeDue(&d, now)
				for _, u := range d.tasks[:d.nt] {
					when, ok := live[u]
					if !ok || when > now || when < last {
						t.Fatalf("step %d: what is due at %d comes at %d, after %d (live: %v)", step, when, now, last, ok)
					}
					last = when
					delete(live, u)
				}
			}
			next := time.Duration(0)
			for _, when := range live {
				if when <= now {
					t.Fatalf("step %d: what is due at %d has not come at %d", step, when, now)
				}
				if next == 0 || when < next {
					next = when
				}
			}
			if got := time.Duration(h.first.Load()); got != next {
				t.Fatalf("step %d: the first is due at %d, want %d", step, got, next)
			}
		}
	}
	if len(h.heap) == 0 || h.inOrder.Len() == 0 {
		t.Errorf("%d in order, %d others: both should be in use", h.inOrder.Len(), len(h.heap))
	}
}

// TestCoreIsFirst: a pointer to a future is one to its core, whatever its type is, see coresOf.
func TestCoreIsFirst(t *testing.T) {
	var f Future[string]
	if unsafe.Pointer(&f) != unsafe.Pointer(f.base()) {
		t.Error("the core of a future is not the first of it")
	}
}
