// SPDX-License-Identifier: Apache-2.0

package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Mail is to be sent.
type Mail struct{ To *string }

// mailer has a message that it cannot bear: each time it comes the worker fails and is restarted.
func mailer(w *actors.Worker) error {
	actors.On(w, func(t *actors.Task, m Mail) error {
		t.Logger().Info("sent", "to", *m.To) // nobody has said that there may be no address
		return nil
	})
	return nil
}

// RestartStorm has a child that is restarted again and again, and a supervisor that is about to give up.
func RestartStorm(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	mail := worker("mailer", mailer)
	mail.Backoff = actors.Backoff{Initial: 500 * time.Millisecond, Max: 5 * time.Second}
	return supervisor.Start(ctx, sys, supervisor.Spec{Name: "shop", MaxRestarts: 40, Within: time.Minute, Children: []supervisor.Child{
		worker("audit", mailer), mail,
		worker("web", func(w *actors.Worker) error {
			w.Background("visitors", func(t *actors.Task) error {
				for _, err := range t.Every(1900 * time.Millisecond) {
					if err != nil {
						return err
					}
					t.Send(t.Sibling("audit"), Mail{})
					t.Send(t.Sibling("mailer"), Mail{})
				}
				return nil
			})
			return nil
		}),
	}})
}
