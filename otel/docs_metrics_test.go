// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	otelloop "github.com/protoloop/protoloop/otel"
)

// describe is a metric as docs/telemetry.md has it, see otelloop.DocMetrics. Attributes have their values where want has some.
func describe(m metricdata.Metrics, want string) string {
	kind := fmt.Sprintf("%T", m.Data)
	sets := []attribute.Set{}
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		kind = "up-down counter"
		if d.IsMonotonic {
			kind = "counter"
		}
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[float64]:
		kind = "gauge"
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		kind = "histogram"
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	values := map[string]map[string]bool{}
	for _, s := range sets {
		for _, a := range s.ToSlice() {
			name := string(a.Key[strings.LastIndexByte(string(a.Key), '.')+1:])
			if values[name] == nil {
				values[name] = map[string]bool{}
			}
			values[name][a.Value.AsString()] = true
		}
	}
	var attrs []string
	for name, v := range values {
		if strings.Contains(want, " "+name+"=") {
			name += "=" + strings.Join(slices.Sorted(maps.Keys(v)), "|")
		}
		attrs = append(attrs, name)
	}
	slices.Sort(attrs)
	return kind + ", " + m.Unit + "; " + strings.Join(attrs, " ")
}

// TestDocsNameTheMetrics: the tables of docs/telemetry.md have the metrics that there are, with types, units and attributes, and no others.
func TestDocsNameTheMetrics(t *testing.T) {
	sys := actortest.NewSystem(t)
	startAll(t, sys)
	g := startGrid(t, sys)
	defer g.Drain(context.Background())
	_, server := newSocketServer(t, sys, newTraced(t, otelloop.Options{}))
	client := connectPoller(t, server)
	client.call("POST", `420["add",[1,2]]`)
	if got := client.call("GET", ""); got != "430[3]" { // one is timed
		t.Fatalf("answered %q", got)
	}
	got := collect(t, otelloop.NewProducer(sys, otelloop.ProducerOptions{PerWorker: true}))
	client.call("POST", "1") // it closes; a stop would wait for it to poll
	docs := otelloop.DocMetrics(t)
	for name, m := range got {
		want, there := docs[name]
		if !there {
			t.Errorf("docs/telemetry.md does not have %s", name)
		} else if is := describe(m, want); is != want {
			t.Errorf("%s is %q, and docs/telemetry.md says %q", name, is, want)
		}
	}
	for name := range docs {
		if got[name].Name == "" {
			t.Errorf("docs/telemetry.md has %s, which there is not", name)
		}
	}
}

// TestDocsNameTheSpansOfQueues: the table of docs/telemetry.md has those that there are.
func TestDocsNameTheSpansOfQueues(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		tr := newTraced(t, otelloop.Options{})
		queue := otelloop.Queue{System: "memory", Destination: "queue"}
		q := memory.New(memory.Options{})
		tries := 0
		c, err := consumer.New(tr.Open(queue, q.Open), tr.Handler(queue, func(_ *actors.Task, m consumer.Message) error {
			if tries++; m.ID == "poison" {
				return consumer.Poison(errors.New("bad"))
			} else if tries < 3 {
				return errors.New("not yet")
			}
			return nil
		}), consumer.Options{MaxTries: 5})
		if err != nil {
			t.Fatal(err)
		}
		ctx, root := tr.provider.Tracer("test").Start(t.Context(), "root")
		ms := []consumer.Message{{ID: "poison"}, {ID: "again"}}
		_, sent := tr.StartSend(ctx, queue, ms)
		q.Send(ms...)
		sent(nil)
		actortest.Spawn(t, sys.Root, "consumer", c.Setup, actors.Options{})
		actortest.Eventually(t, "all is settled", func() bool {
			time.Sleep(time.Second)
			s := c.Stats()
			return s.Acked == 1 && s.DeadLettered == 1 && s.InFlight == 0
		})
		synctest.Wait()
		root.End()
		var got []string
		for _, s := range tr.spans.GetSpans() {
			if s.Name != "root" {
				got = append(got, fmt.Sprint(s.SpanKind, " ", s.Name))
			}
		}
		slices.Sort(got)
		if got, want := slices.Compact(got), otelloop.DocQueueSpans(t); !slices.Equal(got, want) {
			t.Errorf("spans %q, and docs/telemetry.md says %q", got, want)
		}
	})
}
