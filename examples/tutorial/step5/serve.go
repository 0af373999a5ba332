// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// serve returns the setup of a worker that runs a web server.
func serve(addr string, handler http.Handler) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err // the start has failed
		}
		log.Printf("open http://%v", l.Addr())
		srv := &http.Server{Handler: handler}
		w.Background("serve", func(t *actors.Task) error {
			err := t.AwaitOffload(func(context.Context) error { return srv.Serve(l) })
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err // it failed: the supervisor starts it again
		})
		w.Background("shut down", func(t *actors.Task) error {
			if _, _, err := loopsync.Receive(t, t.Stopping()); err != nil {
				return err
			}
			return t.AwaitOffload(srv.Shutdown) // requests in flight are answered
		})
		w.OnStop(func(*actors.Task) error { return srv.Close() })
		return nil
	}
}
