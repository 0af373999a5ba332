// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Deposit adds to an account when fraud has been ruled out.
type Deposit struct{ Amount int }

// account is an actor as it was before; it has learned to await.
type account struct {
	fraud   *actor.PID
	balance int
}

func (a *account) Receive(c actor.Context) {
	if m, ok := c.Message().(Deposit); ok {
		clean, err := actors.Ask[bool](actors.TaskOf(c), a.fraud, m) // the mailbox goes on
		if err == nil && clean {
			a.balance += m.Amount
		}
		c.Respond(a.balance) // c is still this message's
	}
}

// An existing actor gets the event loop by one option. Messages are handled as
// before, and in its Receive TaskOf is the task that can await.
func ExampleEventLoop() {
	root := actor.NewActorSystem().Root
	fraud := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(Deposit); ok {
			c.Respond(m.Amount < 1000)
		}
	}))
	pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &account{fraud: fraud}
	}, actors.EventLoop(actors.Options{})))

	// Plain Proto.Actor code talks to it as ever.
	fmt.Println(root.RequestFuture(pid, Deposit{50}, time.Second).Result())
	fmt.Println(root.RequestFuture(pid, Deposit{5000}, time.Second).Result())
	fmt.Println(root.StopFuture(pid).Wait())
	// Output:
	// 50 <nil>
	// 50 <nil>
	// <nil>
}
