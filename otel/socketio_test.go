// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	otelloop "github.com/protoloop/protoloop/otel"
	"github.com/protoloop/protoloop/socketio"
)

const handshakeTrace = "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"

// poller is a client of Socket.IO that polls.
type poller struct {
	t   *testing.T
	url string
}

// connectPoller connects one to the main namespace.
func connectPoller(t *testing.T, server *httptest.Server) *poller {
	t.Helper()
	p := &poller{t, server.URL + "/socket.io/?EIO=4&transport=polling"}
	opened := p.call("GET", "")
	p.url += "&sid=" + strings.Split(opened, `"`)[3]
	p.call("POST", "40")
	if got := p.call("GET", ""); !strings.HasPrefix(got, "40") {
		t.Fatalf("connected with %q", got)
	}
	return p
}

func (p *poller) call(method, body string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("traceparent", handshakeTrace)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s, %v", method, body, resp.StatusCode, b, err)
	}
	return string(b)
}

// newSocketServer serves "add", which sees to it that its span links to the handshake, and "fail".
func newSocketServer(t *testing.T, sys *actor.ActorSystem, tr *traced) (*socketio.Server, *httptest.Server) {
	t.Helper()
	sio, err := socketio.NewServer(sys, socketio.Options{PingInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	socketio.OnAck(sio, "add", func(t *actors.Task, s *socketio.Socket, n []int) (int, error) {
		tr.LinkTo(t, s.Handshake().Headers)
		return n[0] + n[1], nil
	})
	socketio.OnAck(sio, "fail", func(*actors.Task, *socketio.Socket, string) (int, error) { return 0, errors.New("it fails") })
	server := httptest.NewServer(sio)
	t.Cleanup(func() {
		if _, err := sio.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return sio, server
}

// TestSocketIO: events are counted by name, each is a trace of its own that links to the handshake's, and no sum shrinks when the server has gone.
func TestSocketIO(t *testing.T) {
	tr := newTraced(t, otelloop.Options{Roots: func(w inspect.Work) bool { return strings.HasPrefix(w.Name(), "socketio event ") }})
	sys := actortest.NewSystem(t)
	tr.observe(t, sys)
	sio, server := newSocketServer(t, sys, tr)
	p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
	client := connectPoller(t, server)
	for i, want := range []string{"430[3]", "431[7]"} {
		client.call("POST", fmt.Sprintf(`42%d["add",[%d,%d]]`, i, 1+2*i, 2+2*i))
		if got := client.call("GET", ""); got != want {
			t.Fatalf("answered %q, want %q", got, want)
		}
	}
	client.call("POST", `422["fail","x"]`)
	client.call("POST", `42["nothing"]`)
	actortest.Eventually(t, "all events are handled", func() bool { s := sio.Stats(); return s.Handled == 3 && s.Unhandled == 1 })
	actortest.Eventually(t, "each has a span", func() bool { return len(tr.spans.GetSpans()) == 3 })

	const ns, event, outcome = "protoloop.socketio.namespace", "protoloop.socketio.event", "protoloop.work.outcome"
	events := []metricdata.DataPoint[int64]{
		points(2, ns, "/", event, "add", outcome, "finished"), points(0, ns, "/", event, "add", outcome, "failed"),
		points(0, ns, "/", event, "fail", outcome, "finished"), points(1, ns, "/", event, "fail", outcome, "failed"),
	}
	got := collect(t, p)
	wantSum(t, got, "protoloop.socketio.event", "{event}", true, events...)
	wantSum(t, got, "protoloop.socketio.session", "{session}", false,
		points(0, "protoloop.socketio.transport", "websocket"), points(1, "protoloop.socketio.transport", "polling"))
	wantSum(t, got, "protoloop.socketio.socket", "{socket}", false, points(1, ns, "/"))
	wantSum(t, got, "protoloop.socketio.unhandled", "{event}", true, points(1))
	wantSum(t, got, "protoloop.socketio.handshake", "{session}", true, points(1))
	links := 0
	for _, s := range tr.spans.GetSpans() {
		if s.Parent.IsValid() {
			t.Errorf("%s has a parent", s.Name)
		}
		for _, l := range s.Links {
			links++
			if s.Name != "socketio event add" || !strings.Contains(handshakeTrace, l.SpanContext.SpanID().String()) || !strings.Contains(handshakeTrace, l.SpanContext.TraceID().String()) {
				t.Errorf("%s links to %v", s.Name, l.SpanContext)
			}
		}
	}
	if links != 2 {
		t.Errorf("%d links, want one of each add", links)
	}
	client.call("POST", "1") // it closes; a stop would wait for it to poll
	actortest.Eventually(t, "the client has gone", func() bool { return sio.Stats().Sessions == 0 })
	if _, err := sio.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = collect(t, p)
	wantSum(t, got, "protoloop.socketio.event", "{event}", true, events...)
	wantSum(t, got, "protoloop.socketio.session", "{session}", false,
		points(0, "protoloop.socketio.transport", "websocket"), points(0, "protoloop.socketio.transport", "polling"))
}
