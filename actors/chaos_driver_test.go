// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/messages"
)

// flight is a future on its way.
type flight struct {
	f        *actors.Future[uint64]
	job      *job
	to       *slot // nil: it is not the work of a slot's mailbox
	child    bool
	neverRan bool // it had ended before it was sent
}

// ask sends a job to a slot, by a request or by Submit.
func (c *chaos) ask(s actor.SenderContext, to *slot, j *job, submit bool, opts ...actors.CallOption) *actors.Future[uint64] {
	fl := c.send(s, to, j, submit, opts...)
	c.late.add(fl, c)
	return fl.f
}

func (c *chaos) send(s actor.SenderContext, to *slot, j *job, submit bool, opts ...actors.CallOption) *flight {
	pid := to.pid.Load()
	fl := &flight{job: j, to: to}
	to.tally.sent.Add(1)
	switch {
	case submit:
		fl.f = actors.Submit(s, pid, to.submitted(j), opts...)
	case j.id%4 == 0:
		fl.f = actors.RequestFuture[uint64](s, pid, held{j}, opts...)
	default:
		fl.f = actors.RequestFuture[uint64](s, pid, j, opts...)
	}
	return fl
}

// lateFlights are what tasks have sent: a task may end before it can look.
type lateFlights struct {
	mu  sync.Mutex
	all []*flight
}

func (l *lateFlights) add(fl *flight, c *chaos) {
	c.futures.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fl)
}

// drain waits for all of them.
func (l *lateFlights) drain(c *chaos) {
	l.mu.Lock()
	all := l.all
	l.all = nil
	l.mu.Unlock()
	for _, fl := range all {
		v, err := result(fl.f)
		c.judge(fl, v, err)
	}
}

// driver is a goroutine that asks.
type driver struct {
	*chaos
	dice   *dice
	sample []observed // looked at once more at the end
}

type observed struct {
	fl  *flight
	v   uint64
	err error
}

const chunk = 256

func (d *driver) drive(n int) {
	for n > 0 {
		size := min(n, chunk)
		n -= size
		d.round(size)
	}
	for _, o := range d.sample {
		if v, err := o.fl.f.TryResult(); v != o.v || err != o.err {
			d.Errorf("a future ended with %v, %v and now says %v, %v", o.v, o.err, v, err)
		}
	}
	for { // the checksum of all drivers, in whatever order they end
		old := d.choices.Load()
		if d.choices.CompareAndSwap(old, old+d.dice.sum) {
			return
		}
	}
}

// round sends a chunk of requests and waits for all of them in several ways
// at once.
func (d *driver) round(size int) {
	flights := make([]*flight, size)
	var cancels []*flight
	var cleanup []func()
	var engine sync.WaitGroup
	for i := range flights {
		to := d.slots[d.dice.n(len(d.slots))]
		j := d.plan(d.dice, 2)
		submit := d.dice.one(3)
		opts, ended, end := d.options()
		flights[i] = d.send(d.root, to, j, submit, opts...)
		flights[i].neverRan = ended
		cleanup = append(cleanup, end)
		switch d.dice.n(16) {
		case 0:
			flights[i].f.Cancel()
		case 1:
			cancels = append(cancels, flights[i])
		}
		if d.dice.one(16) {
			d.askEngine(&engine, d.plan(d.dice, 1))
		}
	}
	d.futures.Add(int64(size))
	d.observe(flights, cancels)
	for _, f := range cleanup {
		f()
	}
	engine.Wait()
	d.late.drain(d.chaos)
}

// options chooses what bounds a request, and says whether that has ended.
func (d *driver) options() (opts []actors.CallOption, ended bool, cleanup func()) {
	cleanup = func() {}
	switch d.dice.n(12) {
	case 0:
		opts = append(opts, actors.Timeout(time.Duration(d.dice.n(3000))*time.Microsecond))
	case 1:
		opts = append(opts, actors.Timeout(time.Duration(1+d.dice.n(200))*time.Millisecond))
	case 2:
		return []actors.CallOption{actors.Timeout(0)}, true, cleanup
	case 3:
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(d.dice.n(5000))*time.Microsecond, cancel)
		return []actors.CallOption{actors.WithContext(ctx), actors.Name("bounded")}, false, func() { timer.Stop(); cancel() }
	case 4:
		opts = append(opts, actors.Timeout(actors.Forever))
	}
	return opts, false, cleanup
}

// observe waits for the flights as they complete, in two goroutines from
// either end, and in a task; and compares.
func (d *driver) observe(flights, cancels []*flight) {
	fs := make([]*actors.Future[uint64], len(flights))
	for i, fl := range flights {
		fs[i] = fl.f
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), hang, futuretest.ErrHang)
	defer cancel()
	var seen [3][]observed
	var wg sync.WaitGroup
	for w := range seen {
		seen[w] = make([]observed, len(flights))
		wg.Go(func() {
			if w == 2 {
				for i, err := range futures.AsCompleted(ctx, fs...) {
					if err != nil {
						d.Errorf("AsCompleted has ended early: %v", err)
						return
					}
					if seen[w][i].fl != nil || !fs[i].Done() {
						d.Errorf("a future came twice, or was not done")
					}
					v, err := fs[i].TryResult()
					seen[w][i] = observed{flights[i], v, err}
				}
				return
			}
			for k := range fs {
				i := k
				if w == 1 {
					i = len(fs) - 1 - k
				}
				v, err := fs[i].Wait(ctx)
				seen[w][i] = observed{flights[i], v, err}
			}
		})
	}
	arrived := actors.Submit(d.root, d.waiter, func(t *actors.Task) (n int, err error) {
		for i, err := range futures.AwaitEach(t, fs...) {
			if err != nil {
				return n, err
			}
			v, err := actors.Await(t, fs[i])
			if w, e := fs[i].TryResult(); v != w || err != e {
				return n, fmt.Errorf("a task saw %v, %w, a look at it %v, %w", v, err, w, e)
			}
			n++
		}
		return n, nil
	})
	all := futures.All(fs...)
	for _, fl := range cancels {
		fl.f.Cancel()
	}
	wg.Wait()
	if n, err := result(arrived); n != len(fs) || err != nil {
		d.Errorf("%d of %d futures arrived in a task: %v", n, len(fs), err)
	}
	first := false
	_, allErr := result(all)
	for i, fl := range flights {
		v, err := fl.f.TryResult()
		for _, s := range seen {
			if s[i].fl == nil || s[i].v != v || s[i].err != err {
				d.Errorf("job %d to %s: one waiter saw %v, %v, another %v, %v", fl.job.id, fl.to.name, v, err, s[i].v, s[i].err)
			}
		}
		first = first || err == allErr
		d.judge(fl, v, err)
		if i%16 == 0 {
			d.sample = append(d.sample, observed{fl, v, err})
		}
	}
	if !first {
		d.Errorf("All ended with %v, none of its members did", allErr)
	}
}

// askEngine uses the engine's own ways to ask and to tell.
func (d *driver) askEngine(wg *sync.WaitGroup, j *job) {
	for _, s := range d.slots {
		if !s.asked {
			continue
		}
		s.tally.plain.Add(2)
		pid := s.pid.Load()
		d.root.Send(pid, j)
		f := d.root.RequestFuture(pid, d.plan(d.dice, 1), 2*hang)
		wg.Go(func() {
			r, err := f.Result()
			switch r.(type) {
			case uint64, *messages.Failure:
				err = nil
			}
			if err != nil && !errors.Is(err, actor.ErrDeadLetter) {
				d.Errorf("the engine's future to %s: %v, %v", s.name, r, err)
			}
		})
	}
}

// tally is what the askers of a slot have seen.
type tally struct {
	sent, plain atomic.Int64 // by our futures; by the engine's and Send

	values, failed, told, full, unsent, ended, dead atomic.Int64
}
