// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPollerStopsAtOnce: a signal that comes before the supervisor listens for
// it is not lost.
func TestPollerStopsAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&interrupted{syscall.SIGTERM})
	done := make(chan error, 1)
	var out output
	go func() { done <- (&poller{every: time.Millisecond, grace: time.Second}).run(ctx, &out, io.Discard) }()
	select {
	case err := <-done:
		if err != nil || !strings.Contains(out.String(), "stopped app\n") {
			t.Errorf("%v, printed %q", err, out.String())
		}
	case <-time.After(5 * time.Minute):
		t.Error("it goes on")
	}
}

// TestServeStopsWhileItStarts: the queue's server accepts connections and never
// says a word.
func TestServeStopsWhileItStarts(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	connected := make(chan net.Conn)
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			select {
			case connected <- c:
			default:
			}
		}
	}()
	p := newProcess(t, "-addr", "127.0.0.1:0", "-data", t.TempDir(), "-queue", "nats://"+silent.Addr().String())
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-connected:
	case <-p.ctx.Done():
		t.Fatal("it has never asked for the queue")
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil || strings.Contains(p.err.String(), "msg=ready") {
		t.Errorf("%v, it said %s", err, p.err.String())
	}
	if report := p.out.String(); !strings.Contains(report, "stopped service\n") || !strings.Contains(report, "\nhttp ") {
		t.Errorf("its report is %q", report)
	}
}
