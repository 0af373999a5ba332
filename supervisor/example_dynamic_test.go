// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// An account is started by the first who asks for it, and ends when nobody has
// for a while. A plain goroutine finds or starts it, and asks anew if it was just
// ending: what fails with ErrStopping has not run.
func ExampleDynamic_Start() {
	sys := quietSystem()
	defer sys.Shutdown()
	account := func(w *actors.Worker) error {
		sum := 0
		w.SetReceiveTimeout(time.Minute)
		actors.On(w, func(t *actors.Task, _ *actor.ReceiveTimeout) error {
			t.Exit(nil) // no message for a minute
			return nil
		})
		actors.Handle(w, func(_ *actors.Task, a Add) (int, error) {
			sum += a.N
			return sum, nil
		})
		return nil
	}
	accounts, err := supervisor.StartDynamic(context.Background(), sys, supervisor.DynamicSpec{
		Name:  "accounts",
		Child: supervisor.Child{Props: actors.Props(account), Restart: supervisor.Transient}, // Exit(nil) ends it for good
	})
	if err != nil {
		panic(err)
	}

	add := func(ctx context.Context, name string, n int) (int, error) {
		for {
			_, err := accounts.Start(ctx, name, nil)
			if err != nil && !errors.Is(err, supervisor.ErrExists) {
				return 0, err
			}
			if pid := accounts.Child(name); pid != nil { // else it has ended meanwhile
				sum, err := actors.Call[int](ctx, sys.Root, pid, Add{n})
				if !errors.Is(err, actors.ErrStopping) && !errors.Is(err, actors.ErrDeadLetter) {
					return sum, err
				}
			}
			select { // it is ending: until it has, the name is taken
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(add(ctx, "ada", 3))
	fmt.Println(add(ctx, "ada", 4))
	fmt.Println(add(ctx, "bob", 5))
	fmt.Println(accounts.Len())
	accounts.Stop(ctx)
	_, err = add(ctx, "cid", 6)
	fmt.Println(errors.Is(err, actors.ErrStopping))
	// Output:
	// 3 <nil>
	// 7 <nil>
	// 5 <nil>
	// 2
	// true
}
