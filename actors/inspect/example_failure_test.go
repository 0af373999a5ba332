// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
)

// Nobody waits for the answer to a one-way message: the hook hears of its failure.
func ExampleOnFailure() {
	ctx := context.Background()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	alarms := make(chan string, 1)
	remove := inspect.OnFailure(sys, func(f inspect.Failure) {
		alarms <- fmt.Sprintf("%s in %s of %s: %v", f.Kind, f.Task, f.Worker.GetId(), f.Err)
	})
	defer remove()

	type Mail struct{ To string }
	mail, err := actors.Spawn(ctx, sys.Root, "mail", func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, Mail) error { return errors.New("no route to host") })
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sys.Root.Send(mail, Mail{"ann"})
	fmt.Println(<-alarms)
	// Output:
	// unobserved failure in inspect_test.Mail of mail: no route to host
}
