// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actortest"
)

// collectorVariable makes the test binary a collector of OpenTelemetry's.
const collectorVariable = "PROTOLOOP_TEST_COLLECTOR"

// span is what the collector tells of one.
type span struct {
	Name, Kind, Trace, ID, Parent string
	System                        string // messaging.system
	Events                        []string
}

// collect is a collector's process, which ends when it is killed: it takes spans by OTLP over HTTP, and shows them at /spans.
func collect() {
	var mu sync.Mutex
	spans := []span{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var in otlp.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range in.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					one := span{
						Name: s.GetName(), Kind: strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"), Trace: hex.EncodeToString(s.GetTraceId()),
						ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
					}
					for _, a := range s.GetAttributes() {
						if a.GetKey() == "messaging.system" {
							one.System = a.GetValue().GetStringValue()
						}
					}
					for _, e := range s.GetEvents() {
						one.Events = append(one.Events, e.GetName())
					}
					spans = append(spans, one)
				}
			}
		}
		answer, err := proto.Marshal(&otlp.ExportTraceServiceResponse{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer) // the service may have been killed
	})
	mux.HandleFunc("GET /spans", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(w).Encode(spans)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	panic(http.Serve(l, mux))
}

// startCollector starts one in a process of its own, and returns its URL.
func startCollector(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), collectorVariable+"=yes")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it says that it was killed
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(addr)
}

// spansAt are those that a collector has.
func spansAt(t *testing.T, url string) (all []span) {
	t.Helper()
	r, err := http.Get(url + "/spans")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOneTrace: what somebody adds in the browser is one trace, from there over the queue, a kill -9 of the process that
// handles it and the redelivery, to the broadcast of the item.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	url := startCollector(t)
	r := newService(t, "-otlp", url, "-lease", "2s")
	soon := "OTEL_BSP_SCHEDULE_DELAY=50"
	r.env = []string{soon, "PROTOLOOP_TEST_SLOW=1h"} // the handler begins, and does nothing
	r.start()
	page := browser.open(t, r.addr)
	page.add(t, "Tea from Assam")
	find := func(name string) (found span, there bool) {
		for _, s := range spansAt(t, url) {
			if s.Name == name {
				return s, true
			}
		}
		return span{}, false
	}
	waitFor := func(name string) (found span) {
		t.Helper()
		actortest.Eventually(t, name, func() (there bool) { found, there = find(name); return there })
		return found
	}
	root, sent := waitFor("socketio event add"), waitFor("send ITEMS")
	actortest.Eventually(t, "the handler", func() bool { return r.consumed().Running == 1 })
	r.kill()
	if s, there := find("process ITEMS"); there {
		t.Fatalf("the handler had ended before the kill: %+v", s)
	}
	r.env = []string{soon}
	r.start()
	page.shows(t, "Tea from Assam")
	told := waitFor("process list/service.wrote")
	handled, put := waitFor("process ITEMS"), waitFor("list/service.put")
	r.stop()

	if root.Parent != "" || root.Kind != "INTERNAL" {
		t.Errorf("the event's span is %+v", root)
	}
	for _, link := range []struct {
		s      span
		kind   string
		parent span
	}{{sent, "PRODUCER", root}, {handled, "CONSUMER", sent}, {put, "SERVER", handled}, {told, "CONSUMER", put}} {
		if link.s.Trace != root.Trace || link.s.Parent != link.parent.ID || link.s.Kind != link.kind {
			t.Errorf("%+v is not a %s below %+v", link.s, link.kind, link.parent)
		}
	}
	if !slices.Contains(told.Events, "broadcast item_added") {
		t.Errorf("the item was not told: %+v", told)
	}
	if t.Failed() {
		for _, s := range spansAt(t, url) {
			t.Logf("%+v", s)
		}
	}
}

// TestTraceGoesThroughEachQueue: what a client adds is one trace up to its broadcast also where the queue is SQS, which has a message's
// attributes for it, or one of the Go CDK, which has metadata. TestOneTrace has JetStream.
func TestTraceGoesThroughEachQueue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, system string
		queue        func(t *testing.T) (args, env []string)
	}{
		{"SQS", "aws_sqs", func(t *testing.T) (args, env []string) {
			endpoint, client := startSQS(t)
			return []string{"-queue", createQueue(t, client, "items"), "-dead-letters", createQueue(t, client, "dead")}, settings(endpoint)
		}},
		{"Go CDK", "mem", func(*testing.T) (args, env []string) {
			return []string{"-queue", "mem://items", "-dead-letters", "mem://dead"}, nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := startCollector(t)
			args, env := test.queue(t)
			r := newService(t, append(args, "-otlp", url)...)
			r.env = append(env, "OTEL_BSP_SCHEDULE_DELAY=50", "PROTOLOOP_TEST_SLOW=1ms") // no item is written before it has gone through the queue
			r.start()
			c, err := dial(t.Context(), r.addr, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.call(t.Context(), "add", map[string]string{"text": "Tea from Assam"}, &struct{}{}); err != nil {
				t.Fatal(err)
			}
			c.close()
			var way []span
			actortest.Eventually(t, "a span of each step", func() bool {
				way = way[:0]
				all := spansAt(t, url)
				for _, name := range []string{"socketio event add", "send ITEMS", "process ITEMS", "list/service.put", "process list/service.wrote"} {
					if i := slices.IndexFunc(all, func(s span) bool { return s.Name == name }); i >= 0 {
						way = append(way, all[i])
					}
				}
				return len(way) == 5
			})
			r.stop()
			for i, s := range way[1:] {
				if s.Trace != way[0].Trace || s.Parent != way[i].ID {
					t.Errorf("%+v is not below %+v", s, way[i])
				}
			}
			if t.Failed() {
				for _, s := range spansAt(t, url) {
					t.Logf("%+v", s)
				}
			}
			if way[1].System != test.system || way[2].System != test.system {
				t.Errorf("the queue is said to be %q and %q, want %q", way[1].System, way[2].System, test.system)
			}
		})
	}
}

// TestMetricsOfTheService: Prometheus' text has what the service counts.
func TestMetricsOfTheService(t *testing.T) {
	t.Parallel()
	r := newService(t, "-metrics", freePorts(t, 1))
	r.start()
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(t.Context(), "add", map[string]string{"key": "a", "text": "a"}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	c.close()
	actortest.Eventually(t, "the message is handled", func() bool { return r.consumed().Acked == 1 })
	resp, err := http.Get("http://" + r.args[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`protoloop_worker_current{otel_scope_name="github.com/protoloop/protoloop",otel_scope_schema_url="",otel_scope_version="",protoloop_worker_kind="list",protoloop_worker_state="running"} 1`,
		`protoloop_consumer_ended_total{otel_scope_name="github.com/protoloop/protoloop",otel_scope_schema_url="",otel_scope_version="",protoloop_consumer="consumer",protoloop_work_outcome="acked"} 1`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	r.stop()
}
