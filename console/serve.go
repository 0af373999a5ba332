// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// Setup serves the console while the worker lives: it is a worker's setup, or called
// in one. The error is that of opening [Options.Addr]. The worker's loop has nothing to do with the
// requests, so they are answered while workers are blocked, this one among them; and what goes wrong with
// them does not fail it. As the first child of a supervisor it serves until all others have stopped.
func (c *Console) Setup(w *actors.Worker) error {
	l, name, err := c.listen(w.Task().Context())
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	s := c.serve(l)
	w.OnStop(func(t *actors.Task) error { return t.AwaitOffload(s.end) })
	c.announce(l, name)
	return nil
}

// announce logs where the console is.
func (c *Console) announce(l net.Listener, name string) {
	if c.opts.Addr == "" || l.Addr().Network() == "unix" {
		c.log.Info("console: it is there", "socket", name)
		return
	}
	c.log.Info("console: it is there", "url", name)
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		c.logToken(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = name
}

// URL is where the console is to be found, if Setup listens on TCP; else it is empty.
func (c *Console) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// server is a listener and what serves it.
type server struct {
	c       *Console
	http    *http.Server
	cancel  context.CancelFunc // of all requests
	done    sync.WaitGroup
	closing chan struct{} // closed when it is to end
}

type peerKey struct{}

func (c *Console) serve(l net.Listener) *server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{c: c, cancel: cancel, closing: make(chan struct{})}
	s.http = &http.Server{
		Handler:     c.Handler(),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(conn))
		},
		// A stream sets its own deadline for each write, and a capture takes some seconds.
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	s.done.Go(func() { s.run(ctx, l) })
	s.done.Go(func() { c.record(ctx) })
	return s
}

// run serves until the end. A listener that fails is opened anew: the console is not to fail a
// worker, whose supervisor would restart others with it.
func (s *server) run(ctx context.Context, l net.Listener) {
	wait := 100 * time.Millisecond
	for {
		err := s.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			return
		}
		s.c.log.Error("console: it cannot be reached any more, and is opened anew", "error", err)
		for l = nil; l == nil; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, 10*time.Second)
			if l, _, err = s.c.listen(ctx); err != nil {
				s.c.log.Warn("console: it could not be opened anew", "error", err)
			}
		}
	}
}

// end ends it. Pages that are open have their streams cut; other answers have a second.
func (s *server) end(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	s.cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	s.done.Wait()
	s.c.look.stopSampler()
	return err
}
