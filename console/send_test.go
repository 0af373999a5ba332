// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/view"
)

// pipes is a listener of a bubble: its connections have no buffer at all.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestClientsThatDoNotRead: they are let go, whatever they have asked for, and who reads slowly gets all of it.
func TestClientsThatDoNotRead(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := newConsoleOf(t, sys, Options{Authorize: func(*http.Request) (Grant, error) { return Grant{Look: true}, nil }})
		for range 500 {
			c.timeline.add(view.Record{Text: strings.Repeat("x", 1000)})
		}
		one := &capture{Capture: view.Capture{ID: "7", Bytes: 1 << 20}, bytes: make([]byte, 1<<20), done: make(chan struct{})}
		close(one.done)
		c.captures.kept = []*capture{one}
		listener := make(pipes)
		server := &http.Server{Handler: c.Handler()}
		go func() { _ = server.Serve(listener) }()
		ask := func(path string) net.Conn {
			ours, theirs := net.Pipe()
			listener <- theirs
			if _, err := io.WriteString(ours, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			return ours
		}
		for _, path := range []string{"/", "/assets/style.css", "/api/log", "/api/none", "/api/capture?id=7", "/api/stream?since=0", "/api/stream?page=overview"} {
			conn := ask(path)
			time.Sleep(2 * writeTimeout)
			synctest.Wait()
			if err := conn.SetDeadline(time.Time{}); err != io.ErrClosedPipe {
				t.Errorf("%s: the connection is there still: %v", path, err)
			}
			conn.Close()
		}

		conn := ask("/api/log")
		r := bufio.NewReaderSize(conn, 16)
		part := make([]byte, 10<<10)
		got := 0
		for {
			n, err := io.ReadFull(r, part)
			if got += n; err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if got < 500_000 {
			t.Errorf("who reads 10 KB a second has got %d bytes", got)
		}
		conn.Close()

		// A stream of which nothing comes says that it is there, so that no proxy takes it for dead.
		conn = ask("/api/stream")
		if err := conn.SetReadDeadline(time.Now().Add(2 * pingInterval)); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() && lines.Text() != ":" {
			continue
		}
		if lines.Err() != nil {
			t.Errorf("a stream without news does not say so: %v", lines.Err())
		}
		conn.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}
