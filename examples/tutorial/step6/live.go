// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// live returns the server that tells browsers which seats are sold.
func live(system *actor.ActorSystem) (*socketio.Server, error) {
	io, err := socketio.NewServer(system, socketio.Options{})
	if err != nil {
		return nil, err
	}
	seats := system.NewLocalPID("app/seats")
	io.OnConnect(func(t *actors.Task, s *socketio.Socket) error {
		tickets, err := Report.Ask(t, seats, Sold{}, actors.Timeout(time.Second))
		for _, ticket := range tickets {
			s.Emit("sold", ticket)
		}
		return err // the client is told, and may connect again
	})
	return io, nil
}
