// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/protoloop/protoloop/internal/loop"
	"testing"
	"time"
	"unsafe"
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
	if size := header + unsafe.Sizeof(mb); size <= 704 || size > 768 {
		t.Errorf("a mailbox takes %d bytes: not of the class of 768, the only one near that is whole lines", size)
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
		{"submission of a task", unsafe.Sizeof(struct {
			submission[int]
			kin kinship
		}{}), 192},
		{"message", unsafe.Sizeof(message{}), 160},
		{"mailbox", unsafe.Sizeof(mailbox{}), 768 - 8},
	} {
		if c.size > c.max {
			t.Errorf("a %s has %d bytes, of %d", c.what, c.size, c.max)
		}
	}
}

// TestClockShrinks lets many deadlines be needed no more, one after the other and
// all at once.
func TestClockShrinks(t *testing.T) {
	c := new(clock)
	c.initHeaps(loop.NewPool())
	entries := func() (n, room int) {
		for i := range c.heap {
			n += len(c.heap[i].heap)
			room += cap(c.heap[i].heap)
		}
		return n, room
	}
	task := func() *Task {
		u := &Task{}
		u.presetScope(&scope{})
		c.addDeadline(time.Hour, u)
		return u
	}
	for range 200_000 {
		u := task()
		c.dropDeadline(u.ext.Load().gone.Load(), u)
	}
	if n, _ := entries(); n > len(c.heap) {
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
	if n, room := entries(); n > 10+2*marksBlock*len(c.heap) || room > 4*2*marksBlock*len(c.heap) {
		t.Errorf("%d deadlines of %d are kept for 10 tasks, with room for %d", n, len(all), room)
	}
	for _, u := range live {
		if m := u.ext.Load().gone.Load(); m.task.Load() != u {
			t.Error("a deadline that is needed has been dropped")
		}
	}
	c.sweepHeaps()
	if n, _ := entries(); n != len(live) {
		t.Errorf("%d deadlines after a sweep, of %d tasks", n, len(live))
	}
	for i := range c.heap {
		if h := &c.heap[i]; h.timer != nil {
			h.timer.Stop()
		}
	}
}
