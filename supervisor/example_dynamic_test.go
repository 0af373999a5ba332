// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// An account is started by the first who asks for it, and ends when nobody has for a
// minute. A plain goroutine finds or starts it, and asks anew if it was just ending:
// what fails so has not run.
func ExampleDynamic_GetOrStart() {
	sys := quietSystem()
	defer sys.Shutdown()
	account := func(w *actors.Worker) error {
		sum := 0
		actors.Handle(w, func(_ *actors.Task, a Add) (int, error) {
			if a.N < 0 { // as a handler may fail that has asked another worker
				return 0, fmt.Errorf("the cashier: %w", actors.ErrStopping)
			}
			sum += a.N
			return sum, nil
		})
		return nil
	}
	accounts, err := supervisor.StartDynamic(context.Background(), sys, supervisor.DynamicSpec{
		Name: "accounts",
		Child: supervisor.Child{
			Props:   actors.Props(account, actors.EventLoop(actors.Options{IdleAfter: time.Minute})),
			Restart: supervisor.Transient, // one that was idle ends for good
		},
	})
	if err != nil {
		panic(err)
	}

	add := func(ctx context.Context, name string, n int) (int, error) {
		for {
			pid, err := accounts.GetOrStart(ctx, name, nil)
			if err != nil {
				return 0, err
			}
			sum, err := actors.Call[int](ctx, sys.Root, pid, Add{n})
			if !actors.RetrySafe(err) || errors.Is(err, actors.ErrMailboxFull) {
				return sum, err // its own answer, whatever errors that has
			} // it has ended just now, and has not added anything
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(add(ctx, "ada", 3))
	fmt.Println(add(ctx, "ada", 4))
	fmt.Println(add(ctx, "bob", 5))
	fmt.Println(add(ctx, "bob", -5))
	fmt.Println(accounts.Len())
	accounts.Stop(ctx)
	_, err = add(ctx, "cid", 6)
	fmt.Println(errors.Is(err, actors.ErrStopping))
	// Output:
	// 3 <nil>
	// 7 <nil>
	// 5 <nil>
	// 0 the cashier: actors: the worker is stopping; the work did not begin
	// 2
	// true
}
