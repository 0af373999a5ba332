// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	otelloop "github.com/protoloop/protoloop/otel"
	"github.com/protoloop/protoloop/supervisor"
)

// TestHostileNames: names that are no text, that differ only in what is none, or that are very long, cost no scrape.
func TestHostileNames(t *testing.T) {
	sys := actortest.NewSystem(t)
	spec := supervisor.Spec{Name: "to\xffp", MaxRestarts: 3, Within: time.Minute}
	idle := func(*actors.Worker) error { return nil }
	names := []string{"a\xff", "a\xfe", "a\ufffd", "\"\n\\{}", strings.Repeat("ä", 50_000), strings.Repeat("ä", 50_000) + "2"}
	for _, name := range names {
		spec.Children = append(spec.Children, supervisor.Child{Name: name, Props: actors.Props(idle, actors.EventLoop(actors.Options{Kind: name}))})
	}
	s, err := supervisor.Start(t.Context(), sys, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	text := scrape(t, scrapeHandler(t, sys))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%.10000s", err, text)
	}
	var workers float64
	for _, m := range families["protoloop_worker_current"].GetMetric() {
		workers += m.GetGauge().GetValue()
	}
	if workers != float64(len(names)+1) {
		t.Errorf("%v workers are counted", workers)
	}
	if n := len(families["protoloop_child_restart_total"].GetMetric()); n != len(names) {
		t.Errorf("%d children have restarts", n)
	}
	if len(text) > 300_000 {
		t.Errorf("it has %d bytes: %s", len(text), fmt.Sprintf("%.2000s", text))
	}
}

// badError is an error whose methods panic.
type badError struct{}

func (badError) Error() string { panic("Error") }
func (badError) Unwrap() error { panic("Unwrap") }
func (badError) As(any) bool   { panic("As") }
func (badError) Is(error) bool { panic("Is") }

// TestHostileSpans: no name and no error can have a batch of spans lost, or end a worker.
func TestHostileSpans(t *testing.T) {
	sys := actortest.NewSystem(t)
	tr := newTraced(t, otelloop.Options{Roots: func(inspect.Work) bool { return true }})
	tr.observe(t, sys)
	const evil = "a\xff\n"
	long := strings.Repeat(evil, 100_000)
	fails := func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, how string) (int, error) {
			switch how {
			case "bad":
				return 0, badError{}
			case "long":
				return 0, errors.New(long)
			}
			panic(badError{})
		})
		return nil
	}
	for i, kind := range []string{evil, long} {
		pid := actortest.Spawn(t, sys.Root, fmt.Sprint(i, evil), fails, actors.Options{Kind: kind})
		for _, how := range []string{"bad", "long", "panic"} {
			if _, err := actors.RequestFuture[int](sys.Root, pid, how).Wait(t.Context()); err == nil {
				t.Errorf("%s: no error", how)
			}
		}
		if _, err := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 7, nil }, actors.Name(long)).Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	actortest.Eventually(t, "each piece of work has a span", func() bool { return len(tr.spans.GetSpans()) >= 8 })
	check := func(what, text string) {
		t.Helper()
		if !utf8.ValidString(text) || len(text) > 20_000 {
			t.Errorf("%s: %d bytes, %.100q", what, len(text), text)
		}
	}
	for _, s := range tr.spans.GetSpans() {
		check("name", s.Name)
		check("status", s.Status.Description)
		all := s.Attributes
		for _, e := range s.Events {
			all = append(all, e.Attributes...)
		}
		for _, a := range all {
			check(string(a.Key), a.Value.String())
		}
	}
}
