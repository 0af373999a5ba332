// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// FuzzFifo compares a fifo with a slice. By its numbers "all that was there then
// has gone" is never told too early, whatever is put back.
func FuzzFifo(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 1, 0, 3, 1})
	f.Add([]byte{2, 2, 0, 1, 1, 0, 1})
	f.Add([]byte{4, 3, 3, 1, 4, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var q fifo
		var want []*Task
		fresh := func(n int) (all []*Task) {
			for i := range n {
				all = append(all, &Task{})
				if i > 0 {
					all[i-1].next = all[i]
				}
			}
			return all
		}
		type mark struct {
			in   uint32
			last *Task
		}
		var marks []mark
		for _, op := range ops {
			n := int(op/5)%4 + 1
			switch op % 5 {
			case 0:
				one := &Task{}
				q.push(one)
				want = append(want, one)
			case 1:
				var head *Task
				if len(want) > 0 {
					head, want = want[0], want[1:]
				}
				if got := q.pop(); got != head {
					t.Fatal("another one came out")
				}
			case 2:
				one := &Task{}
				q.pushFront(one)
				want = slices.Insert(want, 0, one)
			case 3:
				some := fresh(n)
				q.append(some[0], some[n-1], n)
				want = append(want, some...)
			case 4:
				var o fifo
				some := fresh(n)
				for _, one := range some {
					o.push(one)
				}
				q.prepend(&o)
				want = append(slices.Clone(some), want...)
				if o.len() != 0 || o.pop() != nil {
					t.Fatal("it is still in the other queue")
				}
			}
			if q.len() != len(want) {
				t.Fatalf("length %d, want %d", q.len(), len(want))
			}
			if len(want) > 0 {
				marks = append(marks, mark{q.in, want[len(want)-1]})
			}
			for _, m := range marks {
				if int32(q.out-m.in) >= 0 && slices.Contains(want, m.last) {
					t.Fatalf("who was last at %d has not gone", m.in)
				}
			}
		}
	})
}

// TestYieldWaitsForWhatIsReady: also when tasks were put back before the
// others, in whatever way, long before.
func TestYieldWaitsForWhatIsReady(t *testing.T) {
	for name, putBack := range map[string]func(l *Loop){
		"nothing": func(*Loop) {},
		"what an exclusive task has held back": func(l *Loop) {
			for range 50 {
				l.do(func(k *Task) { sleep(k, time.Second) })
			}
			synctest.Wait()
			l.do(func(k *Task) {
				k.HoldLoop(func() {})
				sleep(k, 2*time.Second)
			})
			time.Sleep(3 * time.Second)
		},
		"what is to start first": func(l *Loop) {
			l.do(func(k *Task) {
				k.OnLoop(func() {
					for range 50 {
						l.PushFront(&Task{Body: fn{f: func(*Task) {}}})
					}
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPool()
				l, _ := newLoop(p, Config{})
				putBack(l)
				synctest.Wait()
				var log []string
				var parked []*Task
				park := func(k *Task) {
					parked = append(parked, k)
					if _, ok := k.Arm(); ok {
						k.Suspend()
					}
				}
				for _, posts := range []int{0, 1, 10} {
					log, parked = nil, nil
					for i := range 10 {
						l.do(func(k *Task) {
							park(k)
							log = append(log, fmt.Sprint("woken ", i))
						})
					}
					l.do(func(k *Task) {
						for i := range posts {
							l.do(func(*Task) { log = append(log, fmt.Sprint("posted ", i)) })
						}
						for _, one := range parked {
							one.WakeNow()
						}
						k.Yield()
						log = append(log, "yielded")
					})
					synctest.Wait()
					if i := slices.Index(log, "yielded"); i != 10+posts {
						t.Errorf("%d of %d went first: %q", i, 10+posts, log)
					}
				}
				l.PostControl(stopLoop{})
				synctest.Wait()
			})
		})
	}
}

// TestYieldMarks keeps some tasks yielding for ever: their marks stay in order, and take no more room.
func TestYieldMarks(t *testing.T) {
	const waiting = 100
	var m yieldMarks
	for i := range uint32(100_000) {
		m.push(yieldMark{ready: i})
		if i < waiting {
			continue
		}
		if got := m.first().ready; got != i-waiting {
			t.Fatalf("the first mark is %d, want %d", got, i-waiting)
		}
		m.pop()
	}
	if len(m.all)-m.out != waiting || cap(m.all) > 8*waiting {
		t.Errorf("%d marks, with room for %d; want %d", len(m.all)-m.out, cap(m.all), waiting)
	}
}

// TestCoroutineLines: what whoever wakes a task needs of its coroutine is one cache line, and all of it two.
func TestCoroutineLines(t *testing.T) {
	const line = 64
	var c coroutine
	if size := unsafe.Sizeof(c); size != 2*line {
		t.Errorf("a coroutine has %d bytes, want %d", size, 2*line)
	}
	if end := unsafe.Offsetof(c.wait) + unsafe.Sizeof(c.wait); end != line {
		t.Errorf("its first line ends at byte %d, want %d", end, line)
	}
}
