// SPDX-License-Identifier: Apache-2.0

package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Print asks for a page on paper.
type Print struct{ Page int }

// Paper is a page of it. Nobody has put any in.
var Paper = make(chan struct{})

// printer waits for paper, and hears of no stop meanwhile.
func printer(w *actors.Worker) error {
	actors.On(w, func(t *actors.Task, p Print) error {
		return t.AwaitOffload(func(context.Context) error { // its context is not looked at
			<-Paper
			return nil
		}, actors.Name("wait for paper"))
	})
	return nil
}

// StuckStop has a supervisor that was told to stop, and a child that does not end.
func StuckStop(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	child := worker("printer", printer)
	child.Shutdown = 10 * time.Minute
	s, err := supervisor.Start(ctx, sys, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
		worker("orders", orders), child, worker("bank", bank),
	}})
	if err != nil {
		return nil, err
	}
	for i := range 30 {
		sys.Root.Send(s.Child("printer"), Print{i})
	}
	s.RequestStop()
	return s, nil
}
