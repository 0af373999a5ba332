// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

func TestMaxPayload(t *testing.T) {
	bubble(t, socketio.Options{MaxPayload: 1000}, func(w *world) {
		var ev events
		w.io.OnDisconnect(func(_ *actors.Task, _ *socketio.Socket, reason socketio.Reason) { ev.Add("%s", reason) })
		socketio.On(w.io, "x", func(*actors.Task, *socketio.Socket, any) error { return nil })
		fits := `421["x","` + strings.Repeat("a", 1000-11) + `"]`
		p := w.client()
		p.send(fits)
		p.expect("431[]")
		p.send(fits + " ")
		p.gone()
		ev.want(w, "transport error")

		q := w.poller()
		q.post("40")
		q.get()
		if status, _ := q.post(fits + " "); status != http.StatusRequestEntityTooLarge {
			w.Error(status)
		}
		if status, body := q.post(fits); status != http.StatusOK || body != "ok" {
			w.Error("the session does not go on:", status, body)
		}
		if _, body := q.get(); body != "431[]" {
			w.Error(body)
		}
		if s := w.io.Stats(); s.TooLarge != 2 {
			w.Errorf("%+v", s)
		}
	})
}

func TestMaxAttachments(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		p := w.client()
		p.send(`4510-["x"]`)
		for range 10 {
			p.sendBinary("a")
		}
		p.quiet()
		p.send(`4511-["x"]`)
		p.gone()
	})
}

func TestOrigins(t *testing.T) {
	o := socketio.Options{AllowCredentials: true, AllowedOrigins: []string{
		"https://*.example.com", "other.test:8080", "https://[::1]:3000", "[::2]", "file://", "capacitor://localhost", "https://Default.Test:443", "dev.test:*",
	}}
	bubble(t, o, func(w *world) {
		for _, c := range []struct {
			origin string
			allow  bool
		}{
			{"", true}, {"http://pipe", true}, {"https://pipe", true}, {"https://app.example.com", true}, {"http://other.test:8080", true},
			{"http://app.example.com", false}, {"https://example.com", false}, {"http://other.test", false}, {"null", false}, {"://", false},
			{"https://app.example.com.evil.test", false},
			{"https://[::1]:3000", true}, {"https://[::1]", false}, {"http://[::1]:3000", false}, {"http://[::2]", true}, {"http://:", false},
			{"file://", true}, {"file:///x", false}, {"capacitor://localhost", true}, {"https://default.test", true}, {"http://default.test", false},
			{"http://dev.test:5173", true}, {"http://dev.test", false}, {"http://devxtest:1", false},
		} {
			r, _ := http.NewRequest(http.MethodGet, base+"polling", nil)
			var header []string
			if c.origin != "" {
				header = []string{"Origin", c.origin}
				r.Header.Set("Origin", c.origin)
			}
			resp, err := w.http.Do(r)
			if err != nil {
				w.Fatal(err)
			}
			_ = resp.Body.Close()
			if ok := resp.StatusCode == http.StatusOK; ok != c.allow || !ok && resp.StatusCode != http.StatusForbidden {
				w.Errorf("origin %q by polling: status %d", c.origin, resp.StatusCode)
			}
			if cross := c.allow && c.origin != "" && !strings.HasSuffix(c.origin, "/pipe"); cross {
				if h := resp.Header; h.Get("Access-Control-Allow-Origin") != c.origin || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "true" {
					w.Errorf("origin %q: headers %v", c.origin, h)
				}
			} else if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				w.Errorf("origin %q: headers %v", c.origin, resp.Header)
			}
			if _, err := w.tryDial(base+"websocket", header...); (err == nil) != c.allow {
				w.Errorf("origin %q by websocket: %v", c.origin, err)
			}
		}
		r, _ := http.NewRequest(http.MethodOptions, base+"polling", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Headers", "x-token")
		resp, err := w.http.Do(r)
		if err != nil {
			w.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Headers") != "x-token" || resp.Header.Get("Access-Control-Allow-Methods") != "GET, POST" {
			w.Error("preflight:", resp.StatusCode, resp.Header)
		}
	})
}

// TestOriginForms has entries of AllowedOrigins that are as browsers send them,
// and others, which no origin would ever match.
func TestOriginForms(t *testing.T) {
	bubble(t, socketio.Options{AllowedOrigins: []string{"null"}}, func(w *world) {
		for origin, allow := range map[string]bool{"null": true, "file://": false, "http://null.test": false} {
			if _, err := w.tryDial(base+"websocket", "Origin", origin); (err == nil) != allow {
				w.Error(origin, err)
			}
		}
		for _, c := range []struct {
			origin      string
			credentials bool
			bad         bool
		}{
			{"*", false, false}, {"*", true, true}, {"https://*", true, true}, {"*:*", true, true}, {"*.*", true, true},
			{"https://*.app.test", true, false}, {"https://[::1]:3000", true, false}, {"app-*.test", true, false}, {"127.0.0.1:8080", true, false}, {"192.168.1.*", true, false}, {"*:3000", true, true},
			{"https://app.test/", false, true}, {"https://app.test/x", false, true}, {"app.test/", false, true}, {"[app.test", false, true},
			{"https://[::1", false, true}, {"", false, true}, {"https://user@app.test", false, true}, {"https://app.test?x", false, true},
			{" https://app.test", false, true}, {"https://b\u00fccher.test", false, true}, {"https:/app.test", false, true}, {"://app.test", false, true},
			{"[ab].test", false, true}, {"app.test:port", false, true}, {"https://app.test,https://b.test", false, true}, {`app\.test`, false, true},
		} {
			io, err := socketio.NewServer(w.sys, socketio.Options{AllowedOrigins: []string{c.origin}, AllowCredentials: c.credentials})
			if (err != nil) != c.bad || (io == nil) != c.bad {
				w.Errorf("%q, credentials %v: %v", c.origin, c.credentials, err)
			}
		}
	})
}

func (w *world) status(method, url string) (int, string) {
	w.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		w.Fatal(err)
	}
	return w.request(r)
}

func TestHandshakeLimits(t *testing.T) {
	bubble(t, socketio.Options{HandshakesPerIP: 5, MaxSessions: 13}, func(w *world) {
		handshake := func() int {
			status, _ := w.status(http.MethodGet, base+"polling")
			return status
		}
		for i := range 10 {
			if got := handshake(); got != http.StatusOK {
				w.Fatalf("handshake %d: %d", i, got)
			}
		}
		if got := handshake(); got != http.StatusTooManyRequests {
			w.Error(got)
		}
		time.Sleep(time.Second)
		for i, want := range []int{200, 200, 200, 503, 503, 429} {
			if got := handshake(); got != want {
				w.Errorf("handshake %d after a second: %d, want %d", i, got, want)
			}
		}
		if s := w.io.Stats(); s.Sessions != 13 || s.Limited != 4 || s.Rejected != 4 {
			w.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute) // they are closed: nobody has polled
		if got, s := handshake(), w.io.Stats(); got != http.StatusOK || s.Sessions != 1 {
			w.Errorf("%d %+v", got, s)
		}
	})
}

func TestRefusedRequests(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		for _, c := range []struct {
			method, url, want string
		}{
			{"GET", "http://pipe/socket.io/?EIO=4", `{"code":0,"message":"Transport unknown"}`},
			{"GET", base + "polling&sid=none", `{"code":1,"message":"Session ID unknown"}`},
			{"POST", base + "polling", `{"code":2,"message":"Bad handshake method"}`},
			{"GET", base + "websocket", `{"code":3,"message":"Bad request"}`},
			{"GET", "http://pipe/socket.io/?EIO=3&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		} {
			if status, body := w.status(c.method, c.url); status != http.StatusBadRequest || body != c.want {
				w.Errorf("%s %s: %d %s", c.method, c.url, status, body)
			}
		}
		p := w.poller()
		if status, _ := w.status(http.MethodPut, p.url); status != http.StatusBadRequest {
			w.Error(status)
		}
	})
}

// TestMaxEvents has a client send more than its handlers finish: what comes then
// is held until some have.
func TestMaxEvents(t *testing.T) {
	bubble(t, socketio.Options{MaxEvents: 3}, func(w *world) {
		ev := watched(w)
		socketio.On(w.io, "sleep", func(t *actors.Task, _ *socketio.Socket, s int) error {
			ev.Add("%d", s)
			return t.Sleep(time.Duration(s) * time.Second)
		})
		p := w.client()
		go p.send(`42["sleep",1]`, `42["sleep",2]`, `42["sleep",60]`, `42["sleep",61]`, `42["sleep",1]`, `42["sleep",62]`, `42["sleep",3]`)
		ev.want(w, "1", "2", "60")
		time.Sleep(1500 * time.Millisecond)
		ev.want(w, "61")
		time.Sleep(time.Second)
		ev.want(w, "1")
		time.Sleep(1100 * time.Millisecond)
		ev.want(w, "62")
		if s := w.io.Stats(); s.Held != 4 {
			w.Errorf("%+v", s)
		}
		time.Sleep(50 * time.Second) // the client is read from, and answers pings
		ev.want(w)
		time.Sleep(10 * time.Second)
		ev.want(w, "3")
		p.alive()
	})
}

// TestMaxHeld has a client send more than is held: it is read from no further
// until there is room, and closed if nothing ends.
func TestMaxHeld(t *testing.T) {
	bubble(t, socketio.Options{MaxEvents: 1, MaxPayload: 1000}, func(w *world) {
		ev := watched(w)
		socketio.On(w.io, "sleep", func(t *actors.Task, _ *socketio.Socket, s string) error {
			ev.Add("%d", len(s))
			if len(s) > 801 {
				return forEver(t)
			}
			return t.Sleep(19 * time.Second)
		})
		p := w.client()
		var sent atomic.Int32
		go func() {
			for i := range 8 {
				p.send(`42["sleep","` + strings.Repeat("x", 800+i/2) + `"]`)
				sent.Add(1)
			}
			p.send("41")
		}()
		ev.want(w, "800")
		if sent.Load() >= 8 {
			w.Error("all was read")
		}
		for _, want := range []string{"800", "801", "801", "802"} {
			time.Sleep(19*time.Second + time.Millisecond)
			ev.want(w, want)
		}
		if n := sent.Load(); n != 8 { // there was room, and so "41" has been read
			w.Error("read:", n)
		}
		_ = p.c.CloseNow()
		time.Sleep(time.Minute - time.Second)
		ev.want(w)
		time.Sleep(3 * time.Second)
		ev.want(w, "client namespace disconnect") // HandlerGrace has cut off what was there

		q := w.client()
		go func() {
			for range 8 {
				q.send(`42["sleep","` + strings.Repeat("x", 900) + `"]`)
			}
		}()
		ev.want(w, "900")
		time.Sleep(20*time.Second - time.Millisecond)
		ev.want(w)
		time.Sleep(time.Second)
		if s := w.io.Stats(); s.Overloads != 1 {
			w.Errorf("%+v", s)
		}
	})
}

// TestHeldBehind has a handler wait for its client, behind whose many events
// comes what it waits for.
func TestHeldBehind(t *testing.T) {
	const events, bound = 1000, 200
	for place, set := range map[string]func(w *world, wait func(t *actors.Task, s *socketio.Socket) error){
		"Exclusive": func(w *world, wait func(t *actors.Task, s *socketio.Socket) error) {
			socketio.On(w.io, "begin", func(t *actors.Task, s *socketio.Socket, _ any) error { return wait(t, s) }, socketio.Exclusive())
		},
		"OnConnect": func(w *world, wait func(t *actors.Task, s *socketio.Socket) error) { w.io.OnConnect(wait) },
		"events": func(w *world, wait func(t *actors.Task, s *socketio.Socket) error) {
			done := new(actors.Promise[int])
			socketio.On(w.io, "begin", func(t *actors.Task, s *socketio.Socket, _ any) error {
				defer done.Resolve(1)
				return wait(t, s)
			})
			socketio.On(w.io, "wait", func(t *actors.Task, _ *socketio.Socket, _ any) error {
				_, err := actors.Await(t, done.Future())
				return err
			})
		},
	} {
		for _, end := range []string{"ack", "disconnect", "close", "connect"} {
			t.Run(place+" "+end, func(t *testing.T) {
				bubble(t, socketio.Options{MaxEvents: bound}, func(w *world) {
					ev := watched(w)
					w.io.Of("/other").OnConnect(func(*actors.Task, *socketio.Socket) error { ev.Add("other"); return nil })
					set(w, func(t *actors.Task, s *socketio.Socket) error {
						v, err := actors.Await(t, socketio.EmitAck[string](s, "ask"))
						ev.Add("answer %q %v", v, err)
						return nil
					})
					next := 0
					socketio.On(w.io, "n", func(t *actors.Task, s *socketio.Socket, n int) error {
						if n != next {
							ev.Add("event %d as number %d", n, next)
						}
						if next++; next == events {
							ev.Add("last event")
						}
						return nil
					})
					p := w.client()
					p.send(`42["begin"]`)
					id := p.asked(`42["ask"]`)
					if place == "events" {
						for range bound {
							p.send(`42["wait"]`)
						}
					}
					for i := range events {
						p.send(fmt.Sprintf(`42["n",%d]`, i))
					}
					began := time.Now()
					gone := fmt.Sprintf("answer %q %v", "", socketio.ErrDisconnected)
					switch end {
					case "ack":
						p.send(`43` + id + `["me"]`)
						ev.want(w, `answer "me" <nil>`, "last event")
						p.alive()
					case "disconnect":
						p.send("41")
						ev.want(w, gone, "last event", "client namespace disconnect")
					case "close":
						_ = p.c.CloseNow()
						ev.want(w, gone, "last event", "transport close")
					case "connect":
						p.send("40/other,", `43`+id+`["me"]`)
						ev.want(w, `answer "me" <nil>`, "last event", "other")
					}
					if d := time.Since(began); d != 0 {
						w.Error("it took", d)
					}
				})
			})
		}
	}
}

// TestSlowClient has a client that never reads: it ends when too much waits for
// it, and nobody else notices.
func TestSlowClient(t *testing.T) {
	bubble(t, socketio.Options{MaxBuffered: 100_000}, func(w *world) {
		var ev events
		w.io.OnDisconnect(func(_ *actors.Task, s *socketio.Socket, reason socketio.Reason) { ev.Add("%s", reason) })
		good := w.client()
		slow := w.client()
		polling := w.poller()
		polling.post("40")
		polling.get()
		text := strings.Repeat("x", 1000)
		block := make(chan struct{})
		slow.world.blockReads(slow, block)
		began := time.Now()
		for i := range 150 {
			_ = w.io.Emit("n", i, text)
			good.expect(fmt.Sprintf(`42["n",%d,"%s"]`, i, text))
		}
		if d := time.Since(began); d != 0 {
			w.Error("the slow ones held up the others for", d)
		}
		ev.want(w, "slow client", "slow client")
		if s := w.io.Stats(); s.SlowClients != 2 || s.Sessions != 1 {
			w.Errorf("%+v", s)
		}
		close(block)
		if status, _ := polling.get(); status != http.StatusBadRequest {
			w.Error(status)
		}
		_ = good.world.io.Emit("bye")
		good.expect(`42["bye"]`)
	})
}

// blockReads keeps the peer from reading any further until release is closed.
func (w *world) blockReads(p *peer, release chan struct{}) {
	synctest.Wait()
	for range cap(p.in) - len(p.in) {
		p.in <- "" // its reader blocks behind the next packet
	}
	go func() {
		<-release
		for {
			select {
			case <-p.in:
			case <-p.closed:
				return
			}
		}
	}()
}
