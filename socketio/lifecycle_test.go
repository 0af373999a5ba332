// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// watched tells how sockets end.
func watched(w *world) *events {
	ev := &events{}
	w.io.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { ev.Add("%s", reason) })
	socketio.On(w.io, "echo", func(_ *actors.Task, s *socketio.Socket, v any) error { return s.Emit("echo", v) })
	return ev
}

// alive checks that a client is served.
func (p *peer) alive() {
	p.Helper()
	p.send(`42["echo",1]`)
	p.expect(`42["echo",1]`)
}

// TestPingTimeout is a network pause that is longer than the ping timeout.
func TestPingTimeout(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		good := w.client()
		p := w.client()
		p.noPongs.Store(true) // they are lost
		began := time.Now()
		time.Sleep(44 * time.Second)
		ev.want(w)
		p.expect("2")
		time.Sleep(2 * time.Second)
		ev.want(w, "ping timeout")
		p.gone()
		if d := time.Since(began); d != 46*time.Second {
			w.Error(d)
		}
		good.alive()
		if s := w.io.Stats(); s.PingTimeouts != 1 || s.Sessions != 1 {
			w.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		good.alive()
	})
}

func TestPingTimeoutOfPolling(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		for range 3 { // with pongs it lives
			if _, body := p.get(); body != "2" {
				w.Fatal(body)
			}
			p.post("3")
		}
		if _, body := p.get(); body != "2" {
			w.Fatal(body)
		}
		if status, body := p.get(); status != http.StatusOK || body != "1" {
			w.Error(status, body)
		}
		ev.want(w, "ping timeout")
	})
}

func TestTransportClose(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		good := w.client()
		for name, leave := range map[string]func(p *peer){
			"close frame":       func(p *peer) { _ = p.c.Close(websocket.StatusNormalClosure, "") },
			"close packet":      func(p *peer) { p.send("1"); p.gone() },
			"cut":               func(p *peer) { _ = p.c.CloseNow() },
			"going away (1001)": func(p *peer) { _ = p.c.Close(websocket.StatusGoingAway, "") },
		} {
			leave(w.client())
			synctest.Wait()
			ev.want(w, "transport close")
			if s := w.io.Stats(); s.Sessions != 1 || s.Malformed != 0 {
				w.Errorf("%s: %+v", name, s)
			}
		}
		p := w.poller()
		p.post("40")
		p.get()
		p.post("1")
		ev.want(w, "transport close")
		if _, body := p.get(); body != "6" {
			w.Error(body)
		}
		if status, _ := p.get(); status != http.StatusBadRequest {
			w.Error(status)
		}
		good.alive()
	})
}

func TestPollsThatEndASession(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		begin := func() *poller {
			p := w.poller()
			p.post("40")
			p.get()
			return p
		}
		p := begin() // cancelled
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
		go func() { time.Sleep(time.Second); cancel() }()
		if _, err := w.http.Do(r); err == nil {
			w.Error("answered")
		}
		ev.want(w, "transport error")

		p = begin() // two at a time
		first := make(chan string, 1)
		go func() { _, body := p.get(); first <- body }()
		synctest.Wait()
		if status, _ := p.get(); status != http.StatusBadRequest || <-first != "1" {
			w.Error(status)
		}
		ev.want(w, "transport error")

		p = begin() // binary content
		r, _ = http.NewRequest(http.MethodPost, p.url, strings.NewReader("4"))
		r.Header.Set("Content-Type", "application/octet-stream")
		if status, _ := w.request(r); status != http.StatusBadRequest {
			w.Error(status)
		}
		ev.want(w, "transport error")

		p = begin() // a POST that breaks off
		body, feed := io.Pipe()
		r, _ = http.NewRequest(http.MethodPost, p.url, body)
		go func() { _, _ = w.http.Do(r) }()
		_, _ = feed.Write([]byte(`42["ec`))
		synctest.Wait()
		_ = feed.CloseWithError(errTest)
		ev.want(w, "transport error")
	})
}

// probe begins an upgrade of the poller.
func (p *poller) probe() *peer {
	p.Helper()
	c := p.dialURL(strings.Replace(p.url, "polling", "websocket", 1))
	c.send("2probe")
	c.expect("3probe")
	return c
}

func TestUpgrade(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		s := w.io.Sockets()[0]
		_ = s.Emit("before")
		if _, body := p.get(); body != `42["before"]` {
			w.Error(body)
		}
		waiting := make(chan string, 1)
		go func() { _, body := p.get(); waiting <- body }()
		synctest.Wait()
		c := p.probe()
		if got := <-waiting; got != "6" {
			w.Error("the poll that waited got", got)
		}
		if _, body := p.get(); body != "6" { // one that the client has begun too late
			w.Error(body)
		}
		_ = s.Emit("meanwhile")
		c.quiet()
		go func() { _, body := p.get(); waiting <- body }()
		if got := <-waiting; got != `42["meanwhile"]` {
			w.Error(got)
		}
		_ = s.Emit("later")
		c.send("5")
		c.expect(`42["later"]`)
		c.alive()
		if status, _ := p.get(); status != http.StatusBadRequest {
			w.Error(status)
		}
		if status, _ := p.post(`42["echo",1]`); status != http.StatusBadRequest {
			w.Error(status)
		}
		p.dialURL(strings.Replace(p.url, "polling", "websocket", 1)).gone()
		c.alive()
		if s := w.io.Stats(); s.Upgrades != 1 || s.Sessions != 1 {
			w.Errorf("%+v", s)
		}
		ev.want(w)
		_ = c.c.CloseNow()
		ev.want(w, "transport close")
	})
}

// TestUpgradeFails has clients that are killed, or stop, while they upgrade:
// the session goes on by polling.
func TestUpgradeFails(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		url := strings.Replace(p.url, "polling", "websocket", 1)
		for name, fail := range map[string]func(){
			"killed before the probe": func() { _ = w.dialURL(url).c.CloseNow() },
			"killed behind it":        func() { _ = p.probe().c.CloseNow() },
			"wrong packet":            func() { c := p.probe(); c.send("4x"); c.gone() },
			"binary":                  func() { c := p.probe(); c.sendBinary("x"); c.gone() },
			"no end":                  func() { c := p.probe(); time.Sleep(11 * time.Second); c.gone() },
			"two at a time":           func() { c := p.probe(); w.dialURL(url).gone(); _ = c.c.CloseNow() },
		} {
			fail()
			synctest.Wait()
			p.post(`42["echo",1]`)
			_, body := p.get()
			if body == "2" { // time has passed
				p.post("3")
				_, body = p.get()
			}
			if body != `42["echo",1]` && body != `2`+"\x1e"+`42["echo",1]` {
				w.Errorf("%s: %q", name, body)
			}
			p.post("3")
		}
		ev.want(w)
		p.probe().send("5")
		synctest.Wait()
		if s := w.io.Stats(); s.Upgrades != 1 {
			w.Errorf("%+v", s)
		}

		// The session ends while it upgrades.
		q := w.poller()
		q.post("40")
		q.get()
		c := q.probe()
		q.post("1")
		c.gone()
		ev.want(w, "transport close")
	})
}

// TestKilledWhileUpgrading has clients lose both transports. As in the
// reference it is the heartbeat that finds them, and not the upgrade; but a poll
// that waits, and breaks off, tells the server at once.
func TestKilledWhileUpgrading(t *testing.T) {
	for name, upgrade := range map[string]func(w *world, p *poller) *peer{
		"before the probe": func(w *world, p *poller) *peer { return w.dialURL(strings.Replace(p.url, "polling", "websocket", 1)) },
		"behind it":        func(_ *world, p *poller) *peer { return p.probe() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				ev := watched(w)
				good := w.client()
				p := w.poller()
				p.post("40")
				p.get()
				began := time.Now()
				time.Sleep(5 * time.Second)
				c := upgrade(w, p)
				_ = c.c.CloseNow()
				w.http.CloseIdleConnections() // what it has polled by
				synctest.Wait()
				_ = w.io.Emit("news") // waits for its next poll
				good.expect(`42["news"]`)
				time.Sleep(time.Until(began.Add(45*time.Second - 1)))
				ev.want(w)
				time.Sleep(time.Nanosecond)
				ev.want(w, "ping timeout")
				if s := w.io.Stats(); s.PingTimeouts != 1 || s.Sessions != 1 || s.Upgrades != 0 || s.Malformed != 0 {
					w.Errorf("%+v", s)
				}
				good.quiet()
				good.alive()
			})
		})
	}
	t.Run("with a poll that waits", func(t *testing.T) {
		bubble(t, socketio.Options{}, func(w *world) {
			ev := watched(w)
			good := w.client()
			p := w.poller()
			p.post("40")
			p.get()
			c := p.probe()
			synctest.Wait() // the poll of before the probe has been let go
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
			if _, err := w.http.Do(r); err == nil {
				w.Error("answered")
			}
			ev.want(w, "transport error")
			c.gone()
			if d := time.Since(began); d != 50*time.Millisecond {
				w.Error("took", d)
			}
			good.quiet()
			good.alive()
		})
	})
}

// TestHalfClose uses real sockets: a pipe cannot be closed by half.
func TestHalfClose(t *testing.T) {
	r := realServer(t, socketio.Options{})
	reasons := make(chan socketio.Reason, 2)
	r.io.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { reasons <- reason })
	socketio.OnAck(r.io, "echo", func(_ *actors.Task, _ *socketio.Socket, n int) (int, error) { return n, nil })
	good := r.dial(t)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n\x81\x82\x00\x00\x00\x0040")
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for got := ""; !strings.Contains(got, "40{"); {
		b := make([]byte, 1024)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got += string(b[:n])
	}
	_ = c.(*net.TCPConn).CloseWrite()
	if reason := <-reasons; reason != socketio.TransportClose {
		t.Error(reason)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error("the connection was not closed:", err)
	}
	if err := good.ask(t.Context(), 1); err != nil {
		t.Error("another client has noticed:", err)
	}
	if err := good.c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if reason := <-reasons; reason != socketio.TransportClose || len(reasons) != 0 {
		t.Error(reason)
	}
}
