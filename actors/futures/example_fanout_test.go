// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// PriceOf is a question to a shop.
type PriceOf struct{ Item string }

// All shops are asked at once. The best offer of those that answer in time will do, and
// the rest is named.
func ExampleSettled_fanOut() {
	inTask(func(t *actors.Task) error {
		north, west := openShop(t, "north", 12, 0), openShop(t, "west", 9, 0)
		shops := []*actor.PID{north, west, openShop(t, "east", 7, time.Hour)}
		offers := make([]*actors.Future[int], len(shops))
		for i, shop := range shops { // each has its own time; they end with this task
			offers[i] = actors.RequestFuture[int](t, shop, PriceOf{"tea"}, actors.Timeout(50*time.Millisecond))
		}
		all, err := actors.Await(t, futures.Settled(offers...))
		if err != nil {
			return err // this task itself was ended
		}
		var prices []int
		for _, offer := range all {
			if offer.Err != nil {
				fmt.Println(offer.Err)
				continue
			}
			prices = append(prices, offer.Value)
		}
		if len(prices) == 0 {
			return errors.New("no shop has answered")
		}
		fmt.Println("best:", slices.Min(prices))
		return nil
	})
	// Output:
	// actors: timeout: futures_test.PriceOf of worker/east
	// best: 9
}

// openShop starts a worker that says its price after some time.
func openShop(t *actors.Task, name string, price int, after time.Duration) *actor.PID {
	pid, err := t.SpawnNamed(actors.Props(func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ PriceOf) (int, error) { return price, t.Sleep(after) })
		return nil
	}), name)
	if err != nil {
		fmt.Println(err)
	}
	return pid
}
