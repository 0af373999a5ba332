// SPDX-License-Identifier: Apache-2.0

package service

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestWebEnds: the server's end waits for an answer that is under way, and not
// for connections on which nothing has been asked, nor for a client that does
// not go on.
func TestWebEnds(t *testing.T) {
	begun, answer, reading := make(chan struct{}), make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-answer
		_, _ = io.WriteString(w, "done")
	})
	mux.HandleFunc("/body", func(_ http.ResponseWriter, r *http.Request) {
		close(reading)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	anyTime := make(chan struct{})
	close(anyTime)
	for _, tt := range []struct {
		name, sent string
		after      chan struct{} // the stop comes after this
		cut        bool
	}{
		{"nothing", "", anyTime, false},
		{"half a head", "GET / HTTP/1.1\r\nHost: a\r\n", anyTime, false},
		{"half a body", "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc", reading, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log lines
			sys := actortest.NewSystem(t)
			// Shutdown alone would take five seconds, and so all of the hook's time.
			s := &web{addr: "127.0.0.1:0", handler: mux, logger: slog.New(slog.NewTextHandler(&log, nil))}
			pid := actortest.Spawn(t, sys.Root, "http", s.setup, actors.Options{StopGrace: 4 * time.Second})
			c, err := net.Dial("tcp", regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(log.String()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			<-tt.after
			actortest.Stop(t, sys.Root, pid, time.Minute)
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the connection is still there: %v", err)
			}
			if got := log.String(); strings.Contains(got, "connections were cut") != tt.cut {
				t.Errorf("the log: %s", got)
			}
		})
	}
	t.Run("an answer under way", func(t *testing.T) {
		var log lines
		sys := actortest.NewSystem(t)
		s := &web{addr: "127.0.0.1:0", handler: mux, logger: slog.New(slog.NewTextHandler(&log, nil))}
		pid := actortest.Spawn(t, sys.Root, "http", s.setup, actors.Options{})
		got := make(chan string, 1)
		go func() {
			resp, err := http.Get("http://" + regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(log.String()) + "/slow")
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(body)
		}()
		<-begun
		end := actors.RequestStop(sys.Root, pid, time.Minute)
		close(answer)
		if body := <-got; body != "done" {
			t.Errorf("the answer: %s", body)
		}
		if _, err := end.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

// lines is a log that is written and read at a time.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestKnownHosts: a name that is not ours may be another page's, which has let it
// lead here. An address may not.
func TestKnownHosts(t *testing.T) {
	files := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})
	for _, tt := range []struct {
		addr, hosts, host string
		want              int
	}{
		{"127.0.0.1:8080", "", "localhost:8080", 200},
		{"127.0.0.1:8080", "", "LOCALHOST.", 200},
		{"127.0.0.1:8080", "", "127.0.0.1:8080", 200},
		{"127.0.0.1:8080", "", "192.168.1.2", 200},
		{":8080", "", "[::1]:8080", 200},
		{":8080", "", "[::1]", 200},
		{":8080", "", "rebound.example", 421},
		{":8080", "", "localhost.example:8080", 421},
		{":8080", "", "127.0.0.1.example:8080", 421},
		{"shop.example:8080", "", "shop.example:8080", 200},
		{":8080", "shop.example, Other.example", "other.example:443", 200},
		{":8080", "shop.example", "b.shop.example", 421},
		{":8080", "*", "any.example", 200},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		known(files, Config{Addr: tt.addr, Hosts: tt.hosts}.hosts()...).ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("-addr %q -hosts %q, Host %q: %d, want %d", tt.addr, tt.hosts, tt.host, w.Code, tt.want)
		}
	}
}
