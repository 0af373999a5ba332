// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Square asks for the square of a number.
type Square struct{ N int }

// TooLarge is an error of the worker's own.
type TooLarge struct{ N int }

func (e *TooLarge) Error() string { return fmt.Sprintf("%d is too large", e.N) }

// A typed handler answers by what it returns. An error reaches whoever awaits
// as it is, and so does a panic, with the stack of the task.
func ExampleRequestFuture() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	calc, err := actors.Spawn(ctx, root, "calc", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m Square) (int, error) {
			if m.N > 1000 {
				return 0, &TooLarge{m.N}
			}
			return m.N * m.N, nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, calc, 0) }()

	nine := actors.RequestFuture[int](root, calc, Square{3})
	large := actors.RequestFuture[int](root, calc, Square{1001})
	wrong := actors.RequestFuture[string](root, calc, Square{3})
	unknown := actors.RequestFuture[int](root, calc, "3")

	fmt.Println(nine.Wait(ctx))

	_, err = large.Wait(ctx)
	if tooLarge, ok := errors.AsType[*TooLarge](err); ok {
		fmt.Println("too large:", tooLarge.N)
	}
	_, err = wrong.Wait(ctx)
	fmt.Println(err)
	_, err = unknown.Wait(ctx)
	fmt.Println(errors.Is(err, actors.ErrUnhandled))
	// Output:
	// 9 <nil>
	// too large: 1001
	// actors: the reply is a int, the future wants a string
	// true
}
