// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/supervisor"
)

// An http.Server as a child. It is the last one, so it is stopped first: requests
// in flight are finished while the workers that they ask are still there.
func Example_httpServer() {
	sys := quietSystem()
	defer sys.Shutdown()
	bound := make(chan net.Addr, 1)
	begun := make(chan struct{})
	web := func(w *actors.Worker) error {
		counter := w.Sibling("counter")
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			sum, err := actors.Call[int](r.Context(), sys.Root, counter, Add{2})
			fmt.Fprintln(w, sum, err)
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		bound <- l.Addr()
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
			return t.AwaitOffload(srv.Shutdown)
		})
		w.OnStop(func(*actors.Task) error { return srv.Close() }) // at a restart, too, and when the grace is over
		return nil
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
		{Name: "counter", Props: actors.Props(counter)},
		{Name: "web", Props: actors.Props(web)},
	}})
	if err != nil {
		panic(err)
	}
	answer := make(chan string)
	go func() {
		resp, err := http.Get("http://" + (<-bound).String())
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answer <- string(text)
	}()
	<-begun
	stopped := s.RequestStop()
	fmt.Print(<-answer)
	report, err := stopped.Wait(context.Background())
	fmt.Println(err, report.Err())
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// 2 <nil>
	// <nil> <nil>
}
