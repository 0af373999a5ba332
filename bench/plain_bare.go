// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
)

// barePlainBurst is a burst of requests to a plain actor with the least that one takes: an envelope with a PID for the
// answer, a place by which that finds the future, a deadline in a list for all, and the future. The actor may keep the PID
// for ever, and with it all that is in the same memory. So a future within the request is an allocation less, but
// whoever keeps one of the two keeps message and answer.
func barePlainBurst(within bool) func(*env) (run, error) {
	return func(e *env) (run, error) {
		to := e.plain()
		asked := &barePlainAsked{}
		e.onClose(func() error { asked.deadlines.stop(); return nil })
		from, ok := e.sys.ProcessRegistry.Add(asked, "bare-plain")
		if !ok {
			return nil, errors.New("its name is taken")
		}
		e.onClose(func() error { e.sys.ProcessRegistry.Remove(from); return nil })
		e.sys.Root.Send(from, struct{}{}) // which puts the process into its PID
		signal := make(chan struct{}, 1)
		futures := make([]*bareFuture, burst)
		return func(n int) (sum int, err error) {
			for range n / burst {
				for i := range futures {
					futures[i] = asked.ask(e.sys.Root, from, to, i, within)
				}
				for _, f := range futures {
					f.wait(signal)
					if f.err != nil {
						return 0, f.err
					}
					sum += f.receipt.n
				}
			}
			return sum, nil
		}, nil
	}
}

// barePlainAsked is the process that answers are sent to.
type barePlainAsked struct {
	last      uint32
	slots     [2 * burst]atomic.Pointer[barePlainAsk]
	deadlines bareDeadlines[*barePlainAsk]
}

// barePlainAsk is a request.
type barePlainAsk struct {
	env  actor.MessageEnvelope
	pid  actor.PID
	slot *atomic.Pointer[barePlainAsk]
	fut  *bareFuture
}

func (p *barePlainAsked) ask(s actor.SenderContext, from, to *actor.PID, i int, within bool) *bareFuture {
	var a *barePlainAsk
	if within {
		x := &struct {
			barePlainAsk
			fut bareFuture
		}{}
		a, x.barePlainAsk.fut = &x.barePlainAsk, &x.fut
	} else {
		a = &barePlainAsk{fut: new(bareFuture)}
	}
	engine.CopyPID(&a.pid, from)
	p.last++
	a.pid.RequestId = p.last
	a.slot = p.slotOf(p.last)
	a.slot.Store(a)
	a.env.Message, a.env.Sender = question{i}, &a.pid
	fut := a.fut
	p.deadlines.add(a, requestTimeout)
	s.Send(to, &a.env)
	return fut
}

func (p *barePlainAsked) slotOf(request uint32) *atomic.Pointer[barePlainAsk] {
	return &p.slots[request%uint32(len(p.slots))]
}

// SendUserMessage is the engine's: an answer has come.
func (p *barePlainAsked) SendUserMessage(pid *actor.PID, m any) {
	v, ok := m.(answer)
	if !ok {
		return
	}
	if a := p.slotOf(pid.RequestId).Swap(nil); a != nil {
		fut := a.fut
		a.fut = nil // whoever keeps the PID does not keep the answer
		fut.complete(receipt{n: v.n}, nil)
	}
}

func (p *barePlainAsked) SendSystemMessage(*actor.PID, any) {}
func (p *barePlainAsked) Stop(*actor.PID)                   {}

func (a *barePlainAsk) hasEnded() bool { return a.slot.Load() != a }

func (a *barePlainAsk) end(err error) {
	if a.slot.CompareAndSwap(a, nil) {
		a.fut.complete(receipt{}, err)
	}
}
