// SPDX-License-Identifier: Apache-2.0

package console

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/view"
)

// slowLooks is a console whose looks each take as long as said, in the time of the bubble: where it is shown, the name of the only
// worker takes that long.
func slowLooks(t *testing.T, sys *actor.ActorSystem) (c *Console, each *atomic.Int64, spent func() time.Duration) {
	var total, told atomic.Int64
	each = new(atomic.Int64)
	c = newConsoleOf(t, sys, Options{Redact: func(_ Text, text string) string {
		if text != "slow" || told.Add(1) > 1 {
			return text
		}
		time.Sleep(time.Duration(each.Load()))
		total.Add(each.Load())
		return text
	}})
	c.look.pace.spent = func() time.Duration { told.Store(0); return wallTime() } // called before and after each look
	// Its name is shown because a message waits behind a task that never ends.
	pid := actortest.Spawn(t, sys.Root, "slow", func(*actors.Worker) error { return nil }, actors.Options{MailboxSize: 1, MaxInFlight: 1})
	for range 2 {
		actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(1000 * time.Hour) })
		synctest.Wait() // it has started, or the next one is refused
	}
	return c, each, func() time.Duration { return time.Duration(total.Load()) }
}

// TestLooksTakeAShare: however long a look takes, looks take 4 % of a processor at most, and a page says how old it is.
func TestLooksTakeAShare(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c, each, spent := slowLooks(t, sys)
		for _, of := range []struct {
			took  time.Duration
			every time.Duration // at most how often
		}{
			{0, time.Second}, {10 * time.Millisecond, time.Second}, {40 * time.Millisecond, time.Second}, {80 * time.Millisecond, 2 * time.Second},
			{200 * time.Millisecond, 5 * time.Second}, {4 * time.Second, 100 * time.Second}, {20 * time.Millisecond, time.Second},
		} {
			each.Store(int64(of.took))
			time.Sleep(3 * time.Minute) // nobody asks
			began, before, first := time.Now(), spent(), c.look.look().Seq
			oldest, seq := time.Duration(0), first
			for time.Since(began) < 10*time.Minute {
				time.Sleep(time.Second)
				s := c.look.look()
				oldest, seq = max(oldest, time.Since(s.At)), s.Seq
			}
			lasted := time.Since(began)
			looks := int64(seq - first + 1)
			if share := float64(spent()-before) / float64(lasted); share > maxShare+float64(of.took)/float64(lasted) {
				t.Errorf("looks that take %v take %.1f %% of the time", of.took, 100*share)
			}
			// It is asked for once a second and what a look takes.
			if want := int64(lasted / (of.every + time.Second + of.took)); looks < want {
				t.Errorf("of looks that take %v there are %d in %v, and not %d", of.took, looks, lasted, want)
			}
			if most := of.every + time.Second + of.took; oldest > most {
				t.Errorf("of looks that take %v one is shown for %v", of.took, oldest)
			}
		}
	})
}

// TestAgeIsShown: an answer says how old what it shows is.
func TestAgeIsShown(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c, each, _ := slowLooks(t, sys)
		each.Store(int64(400 * time.Millisecond)) // 10 s are to pass until the next
		var ages []float64
		var first uint64
		for i := range 12 {
			a, err := c.answer(from(socket, "@", "GET", "/api/overview"), "overview", nil)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = a.Seq
			}
			if a.Seq == first {
				ages = append(ages, a.Age)
			}
			if _, is := a.View.(*view.Overview); !is {
				t.Fatalf("it is %T", a.View)
			}
			time.Sleep(time.Second)
		}
		if len(ages) != 10 {
			t.Fatalf("the first look is shown %d times: %v", len(ages), ages)
		}
		for i, age := range ages {
			if want := 0.4 + float64(i); age != want {
				t.Errorf("after %d s its age is %v, want %v", i, age, want)
			}
		}
	})
}

// TestActionsAreSeenAtOnce: who has done something sees what came of it, however long looks take, and pays for it later; but no
// longer than for a minute.
func TestActionsAreSeenAtOnce(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c, each, _ := slowLooks(t, sys)
		each.Store(int64(150 * time.Millisecond))
		seq := c.look.look().Seq
		for range 100 {
			c.look.expire()
			if s := c.look.look(); s.Seq != seq+1 || time.Since(s.At) > 150*time.Millisecond {
				t.Fatalf("look %d is shown, %v old", s.Seq, time.Since(s.At))
			}
			seq++
		}
		time.Sleep(longestDebt - time.Second)
		if s := c.look.look(); s.Seq != seq {
			t.Errorf("after 100 looks of 150 ms another one is made within a minute")
		}
		time.Sleep(time.Second)
		if s := c.look.look(); s.Seq != seq+1 {
			t.Errorf("it is not looked again after a minute")
		}
	})
}

// TestLinesCount: what a page adds to a look delays the next one.
func TestLinesCount(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := newConsoleOf(t, sys, Options{})
		c.look.pace.spent = wallTime
		s := c.look.look()
		var p perLook[int]
		for range 3 { // it is made once
			p.ofLook(&c.look, s, func() int { time.Sleep(120 * time.Millisecond); return 1 })
		}
		time.Sleep(3*time.Second - time.Nanosecond)
		if c.look.look().Seq > s.Seq {
			t.Error("within 3 s it is looked again, though what a page shows took 120 ms")
		}
		time.Sleep(time.Nanosecond)
		if c.look.look().Seq == s.Seq {
			t.Error("after 3 s it is not looked again")
		}
	})
}

// TestThreadTime: the clock of a thread runs while it computes, and not while it waits.
func TestThreadTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for began, n := threadTime(), 0; threadTime()-began < 20*time.Millisecond; n++ { // it ends
	}
	if runtime.GOOS != "linux" {
		t.Skip("it is known on Linux alone; elsewhere it is the clock on the wall")
	}
	began, spent := time.Now(), threadTime()
	time.Sleep(100 * time.Millisecond)
	if computed, lasted := threadTime()-spent, time.Since(began); computed >= lasted {
		t.Errorf("while it waited for %v the thread has computed for %v", lasted, computed)
	}
}
