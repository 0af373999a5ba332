// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// TestPollingTalks has polling clients talk while the heart beats fast: nothing
// is lost, and no poll is left without an answer.
func TestPollingTalks(t *testing.T) {
	const clients, messages = 4, 150
	r := realServer(t, socketio.Options{PingInterval: 10 * time.Millisecond, HandshakesPerIP: -1})
	socketio.OnAck(r.io, "echo", func(t *actors.Task, s *socketio.Socket, n int) (int, error) {
		if n%3 == 0 {
			_ = s.Emit("also", n)
		}
		return n, t.Yield()
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			p := &pollTalker{client: client, url: r.url("http", "polling"), acks: make(chan string, messages)}
			if err := p.talk(messages); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := r.io.Stats(); s.Malformed != 0 || s.PingTimeouts != 0 {
		t.Errorf("%+v", s)
	}
}

type pollTalker struct {
	client  *http.Client
	url     string
	posting sync.Mutex
	acks    chan string
}

func (p *pollTalker) do(method, body string) (string, error) {
	req, err := http.NewRequest(method, p.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", method, resp.StatusCode, b)
	}
	return string(b), err
}

func (p *pollTalker) post(body string) error {
	p.posting.Lock()
	defer p.posting.Unlock()
	_, err := p.do(http.MethodPost, body)
	return err
}

func (p *pollTalker) talk(messages int) error {
	open, err := p.do(http.MethodGet, "")
	if err != nil {
		return err
	}
	p.url += "&sid=" + strings.Split(open, `"`)[3]
	failed := make(chan error, 2)
	go func() { failed <- p.poll() }()
	if err := p.post("40"); err != nil {
		return err
	}
	if got := <-p.acks; !strings.HasPrefix(got, "40{") {
		return fmt.Errorf("got %s, want to be connected", got)
	}
	for i := range messages {
		if err := p.post(fmt.Sprintf(`42%d["echo",%d]`, i, i)); err != nil {
			return err
		}
		select {
		case err := <-failed:
			return fmt.Errorf("after %d messages: %w", i, err)
		case got := <-p.acks:
			if want := fmt.Sprintf("43%d[%d]", i, i); got != want {
				return fmt.Errorf("got %s, want %s", got, want)
			}
		}
	}
	if err := p.post("1"); err != nil {
		return err
	}
	<-failed // its last poll
	return nil
}

// poll polls until the session ends.
func (p *pollTalker) poll() error {
	for {
		body, err := p.do(http.MethodGet, "")
		if err != nil {
			return err
		}
		for _, packet := range strings.Split(body, sep) {
			switch {
			case packet == "2":
				go func() { _ = p.post("3") }()
			case strings.HasPrefix(packet, "40"), strings.HasPrefix(packet, "43"):
				p.acks <- packet
			}
		}
	}
}

// TestServerTimeouts has requests wait longer than the http.Server's timeouts
// allow for one.
func TestServerTimeouts(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			bubble(t, socketio.Options{MaxEvents: 1, MaxPayload: 1000, PingInterval: time.Minute}, func(w *world) {
				ev := watched(w)
				socketio.On(w.io, "sleep", func(t *actors.Task, _ *socketio.Socket, _ any) error { return t.Sleep(time.Second) })
				protocols := new(http.Protocols)
				protocols.SetHTTP1(version == "HTTP/1.1")
				protocols.SetUnencryptedHTTP2(version != "HTTP/1.1")
				ln := newPipeListener()
				server := &http.Server{Handler: w.io, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, Protocols: protocols}
				go func() { _ = server.Serve(ln) }()
				timed := *w
				timed.http = &http.Client{Transport: &http.Transport{
					Protocols:   protocols,
					DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.dial() },
				}}
				defer func() {
					timed.http.CloseIdleConnections()
					_ = server.Close()
				}()
				p := timed.poller()
				resp, err := timed.http.Get("http://pipe/")
				if err != nil || resp.Proto != version {
					w.Fatal(resp, err)
				}
				_ = resp.Body.Close()
				p.post("40")
				p.get()
				for range 3 {
					time.AfterFunc(12*time.Second, func() { _ = w.io.Emit("x") })
					if _, body := p.get(); body != `42["x"]` {
						w.Fatal(body)
					}
				}
				events := strings.Repeat(`42["sleep"]`+sep, 40) // more than are held
				began := time.Now()
				if status, body := p.post(events + `421["echo",1]`); status != http.StatusOK || body != "ok" || time.Since(began) < 6*time.Second {
					w.Error(status, body, time.Since(began))
				}
				ev.want(w)
				p.post("1")
				time.Sleep(30 * time.Second) // for what is held
				ev.want(w, "transport close")
			})
		})
	}
}
