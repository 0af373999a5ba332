// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/protoloop/protoloop/actors"
)

// PriceOf asks for the price of a seat.
type PriceOf struct{ Seat string }

// Price is what the worker of the prices can be asked.
var Price actors.Method[PriceOf, int]

// prices is the setup of the worker that knows what a seat costs.
func prices(w *actors.Worker) error {
	rows := []int{90, 60, 45}
	Price.Handle(w, func(t *actors.Task, p PriceOf) (int, error) {
		row := int(p.Seat[0] - '1')
		delay := 100 * time.Millisecond // as long as a database may take
		if row == 2 {
			delay = 5 * time.Second // a partner sells the third row, and is slow
		}
		if err := t.Sleep(delay); err != nil {
			return 0, err
		}
		return rows[row], nil
	})
	return nil
}
