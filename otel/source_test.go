// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	otelloop "github.com/protoloop/protoloop/otel"
)

// TestSourceCallsHaveSpans: each call that receives or settles messages of a sampled trace has a span that links to it, and all are measured.
func TestSourceCallsHaveSpans(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		r := metric.NewManualReader()
		tr := newTraced(t, otelloop.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(r))})
		queue := otelloop.Queue{System: "memory", Destination: "orders"}
		q := memory.New(memory.Options{})
		tried := false
		c, err := consumer.New(tr.Open(queue, q.Open), func(_ *actors.Task, m consumer.Message) error {
			switch {
			case m.ID == "poison":
				return consumer.Poison(errors.New("bad"))
			case m.ID == "again" && !tried:
				tried = true
				return errors.New("not yet")
			}
			return nil
		}, consumer.Options{Name: "orders", MaxTries: 3})
		if err != nil {
			t.Fatal(err)
		}
		actortest.Spawn(t, sys.Root, "consumer", c.Setup, actors.Options{})
		settled := func(n int64) {
			t.Helper()
			actortest.Eventually(t, "all is settled", func() bool {
				time.Sleep(time.Second)
				s := c.Stats()
				return s.Acked+s.DeadLettered == n && s.InFlight == 0
			})
			synctest.Wait()
		}
		q.Send(consumer.Message{ID: "nobody's"})
		settled(1)
		if n := len(tr.spans.GetSpans()); n != 0 {
			t.Errorf("what nobody traces has %d spans:\n%s", n, tr.tree())
		}
		ctx, root := tr.provider.Tracer("test").Start(t.Context(), "request")
		ms := []consumer.Message{{ID: "poison"}, {ID: "again"}}
		_, sent := tr.StartSend(ctx, queue, ms)
		q.Send(ms...)
		sent(nil)
		root.End()
		settled(3)
		sender := tr.find(t, "send orders").SpanContext
		got := map[string]int{}
		for _, s := range tr.spans.GetSpans() {
			if s.Parent.IsValid() || s.Name == "request" {
				continue
			}
			got[fmt.Sprint(s.SpanKind, " ", s.Name)] = len(s.Links)
			for _, l := range s.Links {
				if l.SpanContext.SpanID() != sender.SpanID() {
					t.Errorf("%s links to %v", s.Name, l.SpanContext)
				}
			}
			if op := attr(s, "messaging.operation.name").AsString(); op+" orders" != s.Name {
				t.Errorf("%s has the operation %q", s.Name, op)
			}
		}
		for name, links := range map[string]int{"client ack orders": 1, "client nack orders": 1, "client dead_letter orders": 1, "client receive orders": 1} {
			if got[name] < links {
				t.Errorf("%s has %d links", name, got[name])
			}
		}
		if len(got) != 4 {
			t.Errorf("spans:\n%s", tr.tree())
		}
		var all metricdata.ResourceMetrics
		if err := r.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		measured := map[string]uint64{}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "messaging.client.operation.duration" {
					for _, p := range h.DataPoints {
						op, _ := p.Attributes.Value("messaging.operation.name")
						measured[op.AsString()] += p.Count
					}
				}
			}
		}
		if measured["ack"] < 2 || measured["receive"] < 2 || measured["nack"] < 1 || measured["dead_letter"] != 1 || measured["send"] != 1 || len(measured) != 5 {
			t.Errorf("measured %v", measured)
		}
	})
}

// The least sources of each sort.
type (
	bareSource struct{ consumer.Source }
	canBury    struct{}
	canDrain   struct{}
	canTell    struct{}
	buryingOne struct {
		bareSource
		canBury
	}
	drainingOne struct {
		bareSource
		canDrain
	}
	tellingOne struct {
		bareSource
		canTell
	}
	buryDrain struct {
		bareSource
		canBury
		canDrain
	}
	buryTell struct {
		bareSource
		canBury
		canTell
	}
	drainTell struct {
		bareSource
		canDrain
		canTell
	}
	ableToAll struct {
		bareSource
		canBury
		canDrain
		canTell
	}
)

var errCalled = errors.New("called")

func (canBury) DeadLetter(context.Context, []consumer.Dead) error   { return errCalled }
func (canDrain) Drain(context.Context) ([]*consumer.Message, error) { return nil, errCalled }
func (canTell) Lag(context.Context) (int64, error)                  { return 7, errCalled }

// abilities are what a source can do beside, each of which is called.
func abilities(src consumer.Source) (all []string, err error) {
	if s, ok := src.(consumer.DeadLetterer); ok {
		all, err = append(all, "dead letters"), errors.Join(err, s.DeadLetter(context.Background(), nil))
	}
	if s, ok := src.(consumer.Streamer); ok {
		_, e := s.Drain(context.Background())
		all, err = append(all, "drains"), errors.Join(err, e)
	}
	if s, ok := src.(consumer.Lagger); ok {
		n, e := s.Lag(context.Background())
		all, err = append(all, fmt.Sprint("lag ", n)), errors.Join(err, e)
	}
	return all, err
}

// TestOpenKeepsWhatASourceCanDo: the consumer asks that by its type.
func TestOpenKeepsWhatASourceCanDo(t *testing.T) {
	tr := newTraced(t, otelloop.Options{})
	for _, src := range []consumer.Source{
		bareSource{}, buryingOne{}, drainingOne{}, tellingOne{}, buryDrain{}, buryTell{}, drainTell{}, ableToAll{},
	} {
		want, wantErr := abilities(src)
		opened, err := tr.Open(otelloop.Queue{}, func(context.Context) (consumer.Source, error) { return src, nil })(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, gotErr := abilities(opened)
		if !slices.Equal(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("%T can %v (%v), and traced %v (%v)", src, want, wantErr, got, gotErr)
		}
	}
	why := errors.New("why")
	if _, err := tr.Open(otelloop.Queue{}, func(context.Context) (consumer.Source, error) { return nil, why })(t.Context()); !errors.Is(err, why) {
		t.Error(err)
	}
}
