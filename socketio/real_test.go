// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
)

// real is a server on a real socket.
type real struct {
	io   *socketio.Server
	addr string
}

func realServer(t *testing.T, o socketio.Options) *real {
	t.Helper()
	io, err := socketio.NewServer(actortest.NewSystem(t), o)
	if err != nil {
		t.Fatal(err)
	}
	r := &real{io: io}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", r.io)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if report, err := r.io.Stop(ctx); err != nil {
			t.Error("shutdown:", report, err)
		}
		_ = server.Close()
	})
	return r
}
