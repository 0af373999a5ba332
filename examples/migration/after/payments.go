// SPDX-License-Identifier: Apache-2.0

package after

import (
	"errors"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/examples/migration"
)

// payments debits cards at the bank. A bank that fails too often is left
// alone for a while, one that is gone for good.
type payments struct {
	behavior actor.Behavior
	bank     *actor.PID
	failures int  // debits in a row without an answer
	gone     bool // the bank
}

// rested tells payments that the bank may be asked again.
type rested struct{}

func newPayments(bank *actor.PID) actor.Producer {
	return func() actor.Actor {
		p := &payments{bank: bank, behavior: actor.NewBehavior()}
		p.behavior.Become(p.asking)
		return p
	}
}

// Receive handles a message.
func (p *payments) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started:
		c.Watch(p.bank)
	case *actor.Terminated:
		p.gone = true
		p.behavior.Become(refusing("the bank is gone"))
	default:
		p.behavior.Receive(c)
	}
}

// asking is the behavior while all is well.
func (p *payments) asking(c actor.Context) {
	m, ok := c.Message().(*migration.Charge)
	if !ok {
		return
	}
	res, err := p.debit(c, m)
	switch res := res.(type) {
	case *migration.Debited:
		p.failures = 0
		c.Respond(&migration.Charged{})
	case *migration.Declined:
		p.failures = 0
		c.Respond(&migration.Failed{ID: m.ID, Reason: res.Reason})
	default:
		c.Respond(&migration.Failed{ID: m.ID, Reason: "the bank does not answer"})
		if p.failures++; p.failures == migration.BankFailures && !p.gone {
			c.Logger().Warn("the bank is left alone", slog.Any("error", err))
			p.behavior.Become(p.resting)
			scheduler.NewTimerScheduler(c).SendOnce(migration.BankRest, c.Self(), rested{})
		}
	}
}

// debit asks the bank until it answers. Other charges go on meanwhile.
func (p *payments) debit(c actor.Context, m *migration.Charge) (res any, err error) {
	debit := &migration.Debit{Order: m.ID, Card: m.Card, Amount: m.Amount}
	for range migration.BankTries {
		res, err = actors.Ask[any](actors.TaskOf(c), p.bank, debit, actors.Timeout(migration.BankTimeout))
		if !errors.Is(err, actors.ErrTimeout) {
			return res, err
		}
	}
	return nil, err
}

// resting is the behavior while the bank is left alone.
func (p *payments) resting(c actor.Context) {
	switch c.Message().(type) {
	case rested:
		p.failures = 0
		p.behavior.Become(p.asking)
	default:
		refusing("the bank is left alone")(c)
	}
}

// refusing is the behavior when there is no point in asking.
func refusing(reason string) actor.ReceiveFunc {
	return func(c actor.Context) {
		if m, ok := c.Message().(*migration.Charge); ok {
			c.Respond(&migration.Failed{ID: m.ID, Reason: reason})
		}
	}
}
