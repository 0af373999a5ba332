// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// rawPoll begins a GET on a connection of its own, of which nothing is read.
func (p *poller) rawPoll() net.Conn {
	p.Helper()
	c, err := p.ln.dial()
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.Close() })
	go func() {
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: pipe\r\n\r\n", strings.TrimPrefix(p.url, "http://pipe"))
	}()
	synctest.Wait()
	return c
}

// TestUnreadPolls has clients that read no answer to their polls, and poll
// again: what waits for them is bounded all the same.
func TestUnreadPolls(t *testing.T) {
	const bound, size = 1 << 20, 1 << 18
	bubble(t, socketio.Options{MaxBuffered: bound}, func(w *world) {
		ev := watched(w)
		begin := func() *poller {
			p := w.poller()
			p.post("40")
			p.get()
			return p
		}
		blob := strings.Repeat("x", size)
		p := begin()
		before := w.io.Stats().BytesOut
		first := p.rawPoll()
		_ = w.io.Emit("x", blob)
		p.rawPoll() // waits until the first has been read
		for range bound/size - 2 {
			_ = w.io.Emit("x", blob)
		}
		ev.want(w)
		_ = w.io.Emit("x", blob)
		ev.want(w, "slow client")
		if s := w.io.Stats(); s.SlowClients != 1 || s.BytesOut-before > 2*size {
			w.Errorf("%+v", s)
		}
		time.Sleep(3 * time.Second)
		if b, err := io.ReadAll(first); err != nil || len(b) > size {
			w.Error("the answer is still written:", len(b), err)
		}

		p = begin()
		p.rawPoll()
		_ = w.io.Emit("x", blob)
		p.rawPoll()
		ev.want(w)
		p.rawPoll()
		ev.want(w, "transport error")

		p = begin() // that answers pings which it cannot have read
		p.rawPoll()
		_ = w.io.Emit("x", blob)
		for range 4 {
			p.post("3")
			time.Sleep(10 * time.Second)
		}
		ev.want(w)
		p.post("3")
		time.Sleep(6 * time.Second)
		ev.want(w, "transport error")
	})
}

// TestEarlyPoll is one that comes before the answer to the last has been
// written, as far as the server knows: it is none too many.
func TestEarlyPoll(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		c := p.rawPoll()
		_ = w.io.Emit("first")
		next := make(chan string, 1)
		go func() { _, body := p.get(); next <- body }()
		synctest.Wait()
		_ = w.io.Emit("second")
		synctest.Wait()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			w.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != `42["first"]` {
			w.Error(string(b), err)
		}
		if body := <-next; body != `42["second"]` {
			w.Error(body)
		}
		ev.want(w)
	})
}

// slowConn is the client's end of a narrow line.
type slowConn struct{ net.Conn }

func (c slowConn) Read(p []byte) (int, error) {
	const perTick = 12_500 // 1 Mbit/s
	n, err := c.Conn.Read(p[:min(len(p), perTick)])
	time.Sleep(time.Duration(n) * 100 * time.Millisecond / perTick)
	return n, err
}

// TestSlowClientThatPings has a client take longer for an event than a pong may
// take, and ping its WebSocket meanwhile, as some clients do. It gets the event,
// its pings are answered, and what it sends is read.
func TestSlowClientThatPings(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		socketio.On(w.io, "x", func(*actors.Task, *socketio.Socket, any) error { ev.Add("event"); return nil })
		slow := *w
		slow.http = &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				c, err := w.ln.dial()
				return slowConn{c}, err
			},
		}}
		p := slow.client()
		big := strings.Repeat("x", 1_500_000)
		began := time.Now()
		_ = w.io.Emit("big", big)
		_ = w.io.Emit("small")
		pinged := make(chan error, 21)
		ping := func() { pinged <- p.c.Ping(context.Background()) } // ended by the close: a context's end would close, too
		for range cap(pinged) - 1 {
			go ping()
			time.Sleep(500 * time.Millisecond)
		}
		p.send(`42["x"]`)
		ev.want(w, "event")
		if d := time.Since(began); d != 10*time.Second {
			w.Error("the event was handled after", d)
		}
		p.expect(`42["big","` + big + `"]`)
		if d := time.Since(began); d < 12*time.Second || d > 13*time.Second {
			w.Error("the event came after", d)
		}
		p.expect(`42["small"]`)
		ev.want(w)
		go ping() // the last one is answered
		for {
			select {
			case err := <-pinged:
				if err != nil {
					w.Fatal(err)
				}
				return
			case <-time.After(time.Second):
				w.Fatal("no ping was answered")
			}
		}
	})
}

// TestDrain has a handler send a client more than MaxBuffered, and wait in
// between until it has been written.
func TestDrain(t *testing.T) {
	const chunks, size = 20, 50_000
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			bubble(t, socketio.Options{MaxBuffered: 2 * size}, func(w *world) {
				ev := watched(w)
				chunk := strings.Repeat("x", size)
				socketio.OnAck(w.io, "send", func(t *actors.Task, s *socketio.Socket, _ any) (string, error) {
					for range chunks {
						if err := s.Emit("chunk", chunk); err != nil {
							return "", err
						}
						if _, err := actors.Await(t, s.Drain()); err != nil {
							ev.Add("%v", err)
							return "", err
						}
					}
					return "all", nil
				})
				slow := *w
				slow.http = &http.Client{Transport: &http.Transport{
					DialContext: func(context.Context, string, string) (net.Conn, error) {
						c, err := w.ln.dial()
						return slowConn{c}, err
					},
				}}
				if transport == "polling" {
					p := slow.poller()
					p.post("40")
					p.get()
					for range 2 {
						p.post(`421["send"]`)
						for range chunks - 1 {
							if _, body := p.get(); body != `42["chunk","`+chunk+`"]` {
								w.Fatalf("%.100s", body)
							}
						}
						synctest.Wait()
						if s := w.io.Sockets(); len(s) != 1 || s[0].Drain().Done() {
							w.Error("sockets:", s, "or all has been written")
						}
						if _, body := p.get(); body != `42["chunk","`+chunk+`"]` {
							w.Fatalf("%.100s", body)
						}
						if _, body := p.get(); body != `431["all"]` {
							w.Fatalf("%.100s", body)
						}
					}
					p.post(`42["send"]`)
					time.Sleep(time.Minute) // it polls no more
					ev.want(w, socketio.ErrDisconnected.Error(), "ping timeout")
					return
				}
				p := slow.client()
				s := w.io.Socket(p.id)
				if _, err := s.Drain().TryResult(); err != nil {
					w.Error("nothing is queued:", err)
				}
				p.send(`421["send"]`)
				for range chunks {
					p.expect(`42["chunk","` + chunk + `"]`)
				}
				p.expect(`431["all"]`)
				ev.want(w)
				p.send(`42["send"]`)
				p.expect(`42["chunk","` + chunk + `"]`)
				_ = p.c.CloseNow()
				ev.want(w, socketio.ErrDisconnected.Error(), "transport close")
				if _, err := s.Drain().TryResult(); !errors.Is(err, socketio.ErrDisconnected) {
					w.Error(err)
				}
			})
		})
	}
}
