// SPDX-License-Identifier: Apache-2.0

package before

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/examples/migration"
)

// packing prints labels and sends orders. When the printer jams it is
// restarted, and tries again.
type packing struct{ print func(order string) error }

func newPacking(print func(order string) error) actor.Producer {
	return func() actor.Actor { return &packing{print} }
}

// Receive handles a message.
func (p *packing) Receive(c actor.Context) {
	if m, ok := c.Message().(*migration.Pack); ok {
		if err := p.print(m.ID); err != nil {
			c.Stash() // the next incarnation gets it first
			panic(fmt.Errorf("label of %s: %w", m.ID, err))
		}
		c.Send(c.Parent(), &migration.Shipped{ID: m.ID})
	}
}
