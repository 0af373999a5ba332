// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// orders consumes the queue of reservations that nobody waits for.
func orders(queue *memory.Queue) (*consumer.Consumer, error) {
	return consumer.New(queue.Open, consumer.JSON(func(t *actors.Task, r Reserve, _ consumer.Message) error {
		_, err := Sell.Ask(t, t.Sibling("seats"), r, actors.Timeout(2*time.Second))
		switch {
		case errors.Is(err, errTaken):
			return consumer.Poison(err) // no retry can help: it is a dead letter at once
		case errors.Is(err, actors.ErrRestarted):
			return consumer.Unavailable(err) // another request has failed the worker: this try does not count
		}
		return err // nil is acked; with an error the queue delivers the message again, later
	}), consumer.Options{MaxTries: 3})
}
