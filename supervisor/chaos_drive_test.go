// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// driver is a goroutine that asks.
type driver struct {
	*chaos
	me     int
	dice   *rand.Rand
	flying []flight
	full   *sync.WaitGroup // all drivers have as many in flight as they can
}

// drive sends n requests to workers at random, with crowd of them in flight at
// a time, and some to plain actors beside. It returns what is in flight then.
func (d *driver) drive(n, crowd int) []flight {
	for i := range n {
		if len(d.flying) == crowd {
			if i == crowd {
				d.full.Done()
				d.full.Wait()
			}
			d.look()
			d.await()
		}
		d.send(int64(i + 1))
		if d.dice.IntN(16) == 0 {
			d.askPlain(int64(i + 1))
		}
	}
	return d.flying
}

// await waits for the oldest request, and judges all that have ended by then.
func (d *driver) await() {
	_, _ = d.flying[0].f.Wait(context.Background())
	if !d.real { // what is refused at once would use up all requests at once
		time.Sleep(3 * time.Millisecond)
	}
	d.flying = slices.DeleteFunc(d.flying, func(f flight) bool {
		if !f.f.Done() {
			return false
		}
		d.judge(f)
		return true
	})
}

func (d *driver) choose() int {
	x := d.dice.IntN(10_000)
	for end := endsWell; end < ends; end++ {
		share := likely[end]
		if end >= endsInPanic {
			share *= d.wild
		}
		if x -= share; x < 0 {
			return end
		}
	}
	return endsSlowly
}

// send asks a worker. Some requests have a limit, some are cancelled at once.
func (d *driver) send(n int64) {
	p := d.workers[d.dice.IntN(len(d.workers))]
	fl := flight{p: p, m: work{d.me, n, d.choose()}}
	d.choices.Add(uint64(n) * uint64(fl.m.end+1) * uint64(p.no+1))
	switch d.dice.IntN(200) {
	case 0:
		fl = d.askBounded(p, fl.m)
	case 1:
		fl.bounded = true
		fl.f = actors.RequestFuture[int64](d.root, p.pid, fl.m)
		fl.f.Cancel()
	default:
		fl.f = actors.RequestFuture[int64](d.root, p.pid, fl.m)
	}
	d.flying = append(d.flying, fl)
}

// askPlain asks a plain actor, whose mailbox may lose requests.
func (d *driver) askPlain(n int64) {
	fl := flight{p: d.plain[d.dice.IntN(len(d.plain))], m: work{d.me, n, d.choose()}, plain: true}
	fl.f = actors.RequestFuture[int64](d.root, fl.p.pid, fl.m, actors.Timeout(chaosLimit))
	d.inner.add(fl)
}

// poke restarts, adds and removes children by hand, and stops some as a third
// party would.
func (c *chaos) poke(over chan struct{}) {
	dice := rand.New(rand.NewPCG(c.seed, 1<<32))
	for i := 0; ; i++ {
		timer := time.NewTimer(time.Duration(dice.IntN(int(c.calm))))
		select {
		case <-over:
			timer.Stop()
			return
		case <-timer.C:
		}
		at := c.s
		if inner := c.s.Supervisor([]string{"mid", "rest", "mid/deep"}[dice.IntN(3)]); inner != nil && dice.IntN(2) == 0 {
			at = inner
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		name := []string{"a", "b", "c"}[dice.IntN(3)]
		switch dice.IntN(4) {
		case 0:
			_ = at.Restart(ctx, name)
		case 1:
			if pid := at.Child(name); pid != nil {
				actors.RequestStop(c.root, pid, time.Millisecond)
			}
		case 2:
			extra := fmt.Sprintf("extra%d", i)
			_, _ = at.Add(ctx, supervisor.Child{Name: extra, Props: nothing, Shutdown: time.Millisecond})
			_ = at.Remove(ctx, extra)
		case 3:
			if pid := c.s.Child("mid"); pid != nil && dice.IntN(20) == 0 {
				c.root.Stop(pid)
			}
		}
		cancel()
	}
}
