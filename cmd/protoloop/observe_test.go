// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/examples/incidents"
)

// inProcess answers a client's requests by a handler, as if they came over loopback.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8700})))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8700"
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// doctorOf is what doctor says of an incident that has gone on for so long.
func doctorOf(t *testing.T, name string, after time.Duration) (out string) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		paper := make(chan struct{})
		incidents.Paper = paper // of this bubble
		c, err := console.New(sys, console.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := incidents.All[name](t.Context(), sys)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		synctest.Wait()
		var o strings.Builder
		doctor := command{terminal: terminal{out: &o}, name: "doctor", client: &client{what: "process 4711", base: "http://localhost:8700/", http: &http.Client{Transport: inProcess{c.Handler()}}}}
		if err := runDoctor(t.Context(), &doctor); err != nil && err != errUnwell {
			t.Fatal(err)
		}
		out = o.String()
		s.RequestStop()
		s.EndGrace()
		<-s.Stopped()
		close(paper)
		time.Sleep(time.Minute) // what was blocked returns, and the console forgets that somebody has looked
	})
	return out
}

// TestObserve: docs/observe.md has what doctor says of each incident. With -update it is written there.
func TestObserve(t *testing.T) {
	const file = "../../docs/observe.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, one := range []struct {
		name, section string
		after         time.Duration
	}{
		{"deadlock", "## A deadlock\n", 30 * time.Second},
		{"slow-handler", "## A slow handler\n", 5 * time.Second},
		{"task-leak", "## A leak of tasks\n", 90 * time.Second},
		{"restart-storm", "## A restart storm\n", 50 * time.Second},
		{"stuck-stop", "## A stop that does not end\n", 5 * time.Second},
	} {
		before, rest, ok := strings.Cut(text, one.section)
		if !ok {
			t.Fatalf("there is no section %q", one.section)
		}
		const begin, end = "```text\n$ protoloop doctor\n", "```\n"
		above, rest, _ := strings.Cut(rest, begin)
		old, below, ok := strings.Cut(rest, end)
		if !ok {
			t.Fatalf("%s: there is no %q", one.section, begin)
		}
		said := doctorOf(t, one.name, one.after)
		if said != old && !*update {
			t.Errorf("%s: go test -run Observe -update writes it anew\ndoctor says:\n%s\nthe page has:\n%s", one.name, said, old)
		}
		text = before + one.section + above + begin + said + end + below
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
