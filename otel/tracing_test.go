// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	otelloop "github.com/protoloop/protoloop/otel"
)

// traced is a Tracing whose spans are kept.
type traced struct {
	*otelloop.Tracing
	spans    *tracetest.InMemoryExporter
	provider *trace.TracerProvider
}

func newTraced(t *testing.T, o otelloop.Options, opts ...trace.TracerProviderOption) *traced {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(append([]trace.TracerProviderOption{trace.WithSyncer(spans)}, opts...)...)
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o.TracerProvider = provider
	tr, err := otelloop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &traced{tr, spans, provider}
}

// observe observes a system until the test ends.
func (tr *traced) observe(t *testing.T, sys *actor.ActorSystem) {
	t.Helper()
	t.Cleanup(tr.Observe(sys))
}

// tree is the spans of all traces as text: each below its parent, by name.
func (tr *traced) tree() string {
	all := tr.spans.GetSpans()
	slices.SortStableFunc(all, func(a, b tracetest.SpanStub) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	var write func(parent apitrace.SpanID, depth string)
	write = func(parent apitrace.SpanID, depth string) {
		for _, s := range all {
			if s.Parent.SpanID() != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s %s", depth, s.SpanKind, s.Name)
			if s.Status.Code == codes.Error {
				fmt.Fprintf(&b, ": %s", attr(s, "error.type").AsString())
			}
			b.WriteByte('\n')
			write(s.SpanContext.SpanID(), depth+"  ")
		}
	}
	write(apitrace.SpanID{}, "")
	return b.String()
}

func (tr *traced) find(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range tr.spans.GetSpans() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no span %q in\n%s", name, tr.tree())
	return tracetest.SpanStub{}
}

func attr(s tracetest.SpanStub, key attribute.Key) attribute.Value {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return attribute.Value{}
}

type (
	order  struct{ shop, bank *actor.PID }
	charge struct{}
	note   struct{}
)

func traceBank(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, _ charge) (actors.None, error) { return actors.None{}, t.Sleep(time.Second) })
	actors.On(w, func(t *actors.Task, _ note) error { return nil })
	return nil
}

func traceShop(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, o order) (actors.None, error) {
		if _, err := actors.Ask[actors.None](t, o.bank, charge{}); err != nil {
			return actors.None{}, err
		}
		t.Send(o.bank, note{})
		if err := t.Await(t.Go(func(t *actors.Task) error { return t.Sleep(1) }, actors.Name("child"))); err != nil {
			return actors.None{}, err
		}
		if err := t.AwaitOffload(func(context.Context) error { return nil }, actors.Name("aside")); err != nil {
			return actors.None{}, err
		}
		return actors.None{}, t.Await(actors.SubmitErr(t, o.bank, func(*actors.Task) error { return errors.New("no money") }, actors.Name("withdraw")))
	})
	actors.Handle(w, func(*actors.Task, note) (actors.None, error) { panic("crash") })
	return nil
}

// TestEachHopIsASpan: an ask, a send, Submit, Start and Offload have spans, each below that of the task that has created it.
func TestEachHopIsASpan(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		tr := newTraced(t, otelloop.Options{})
		tr.observe(t, sys)
		o := order{
			shop: actortest.Spawn(t, sys.Root, "shop", traceShop, actors.Options{Kind: "shop"}),
			bank: actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank"}),
		}
		_, _ = actors.RequestFuture[actors.None](sys.Root, o.shop, o).Wait(t.Context()) // nobody traces it
		synctest.Wait()
		if n := len(tr.spans.GetSpans()); n != 0 {
			t.Errorf("what nobody traces has %d spans:\n%s", n, tr.tree())
		}
		ctx, root := tr.provider.Tracer("test").Start(t.Context(), "request")
		_, err := actors.RequestFuture[actors.None](sys.Root, o.shop, o, actors.WithContext(ctx)).Wait(ctx)
		if err == nil {
			t.Error("the withdrawal has succeeded")
		}
		root.End()
		synctest.Wait()
		const want = `internal request
  server shop/otelloop_test.order: *errors.errorString
    internal aside
    server bank/otelloop_test.charge
    internal child
    consumer process bank/otelloop_test.note
    internal withdraw: *errors.errorString
`
		if got := tr.tree(); got != want {
			t.Errorf("spans:\n%s\nwant:\n%s", got, want)
		}
		s := tr.find(t, "bank/otelloop_test.charge")
		if took := s.EndTime.Sub(s.StartTime); took != time.Second {
			t.Errorf("the ask has taken %v", took)
		}
		for key, want := range map[attribute.Key]any{
			"rpc.system.name": "protoloop", "rpc.method": "bank/otelloop_test.charge", "protoloop.worker": "bank", "protoloop.worker.kind": "bank",
			"protoloop.worker.incarnation": int64(1), "protoloop.queue.wait": 0.0, "protoloop.work": "ask",
		} {
			if got := attr(s, key).AsInterface(); got != want {
				t.Errorf("%s is %v, want %v", key, got, want)
			}
		}
		if s.InstrumentationScope.Name != otelloop.ScopeName {
			t.Errorf("scope %q", s.InstrumentationScope.Name)
		}
	})
}

// TestUnsampledTracesEnd: below a span that is not sampled none is begun, and none is kept.
func TestUnsampledTracesEnd(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		asked := 0
		sampler := samplerFunc(func(p trace.SamplingParameters) trace.SamplingResult {
			asked++
			return trace.SamplingResult{Decision: trace.Drop, Tracestate: apitrace.SpanContextFromContext(p.ParentContext).TraceState()}
		})
		tr := newTraced(t, otelloop.Options{Roots: func(w inspect.Work) bool { return w.Is() == "ask" && w.Kind() == "shop" }}, trace.WithSampler(sampler))
		tr.observe(t, sys)
		o := order{
			shop: actortest.Spawn(t, sys.Root, "shop", traceShop, actors.Options{Kind: "shop"}),
			bank: actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank"}),
		}
		_, _ = actors.RequestFuture[actors.None](sys.Root, o.shop, o).Wait(t.Context()) // it fails
		synctest.Wait()
		if asked != 1 || len(tr.spans.GetSpans()) != 0 {
			t.Errorf("the sampler was asked %d times:\n%s", asked, tr.tree())
		}
	})
}

type samplerFunc func(trace.SamplingParameters) trace.SamplingResult

func (f samplerFunc) ShouldSample(p trace.SamplingParameters) trace.SamplingResult { return f(p) }
func (f samplerFunc) Description() string                                          { return "of a test" }

// TestRootsBeginTraces: work that nobody has given a span begins a trace if Roots says so.
func TestRootsBeginTraces(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		tr := newTraced(t, otelloop.Options{Roots: func(w inspect.Work) bool { return w.MessageType() == "otelloop_test.charge" }})
		tr.observe(t, sys)
		bank := actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank"})
		sys.Root.Send(bank, note{})
		for range 2 {
			if _, err := actors.RequestFuture[actors.None](sys.Root, bank, charge{}).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		const want = "server bank/otelloop_test.charge\nserver bank/otelloop_test.charge\n"
		if got := tr.tree(); got != want {
			t.Errorf("spans:\n%s\nwant:\n%s", got, want)
		}
		all := tr.spans.GetSpans()
		if all[0].SpanContext.TraceID() == all[1].SpanContext.TraceID() {
			t.Error("two requests are one trace")
		}
	})
}

// TestWhatNeverBeganHasAnEnd: work that is refused, canceled in the queue or cut off by a restart has a span that says so.
func TestWhatNeverBeganHasAnEnd(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		tr := newTraced(t, otelloop.Options{Roots: func(inspect.Work) bool { return true }})
		tr.observe(t, sys)
		pid := actortest.Spawn(t, sys.Root, "shop", traceShop, actors.Options{Kind: "shop", MaxInFlight: 1, MailboxSize: 1})
		sleep := func(name string, opts ...actors.CallOption) *actors.Future[actors.None] {
			return actors.SubmitErr(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) }, append(opts, actors.Name(name))...)
		}
		runs := sleep("runs")
		synctest.Wait()
		expires := sleep("expires", actors.Timeout(time.Second))
		synctest.Wait()
		refused := sleep("refused")
		time.Sleep(2 * time.Second)
		runs.Cancel()
		synctest.Wait()
		crashes := actors.RequestFuture[actors.None](sys.Root, pid, note{})
		for _, f := range []*actors.Future[actors.None]{runs, expires, refused, crashes} {
			if _, err := f.Wait(t.Context()); err == nil {
				t.Error("it has succeeded")
			}
		}
		synctest.Wait()
		const want = "internal expires: timeout\ninternal refused: mailbox_full\ninternal runs: canceled\nserver shop/otelloop_test.note: panic\n"
		if got := tr.tree(); got != want {
			t.Errorf("spans:\n%s\nwant:\n%s", got, want)
		}
		s := tr.find(t, "shop/otelloop_test.note")
		if len(s.Events) != 1 || s.Events[0].Name != "exception" {
			t.Fatalf("events %v", s.Events)
		}
		text := fmt.Sprint(s.Events[0].Attributes)
		if !strings.Contains(text, "crash") || !strings.Contains(text, "traceShop") {
			t.Errorf("the exception is %s", text)
		}
	})
}

// starts counts the spans that are made, and those that are collected.
type starts struct {
	trace.SpanProcessor
	made, gone atomic.Int64
}

func (s *starts) OnStart(_ context.Context, span trace.ReadWriteSpan) {
	s.made.Add(1)
	runtime.SetFinalizer(span, func(trace.ReadWriteSpan) { s.gone.Add(1) })
}

// TestSpansBeginWithTheirOffer: a span is made when its work begins, or ends without, and is as long as if it had been made when the
// work was offered.
func TestSpansBeginWithTheirOffer(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		made := &starts{SpanProcessor: trace.NewSimpleSpanProcessor(tracetest.NewNoopExporter())}
		tr := newTraced(t, otelloop.Options{Roots: func(inspect.Work) bool { return true }}, trace.WithSpanProcessor(made))
		tr.observe(t, sys)
		bank := actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank", MaxInFlight: 1})
		ask := func(opts ...actors.CallOption) *actors.Future[actors.None] {
			return actors.RequestFuture[actors.None](sys.Root, bank, charge{}, opts...)
		}
		first, second, third := ask(), ask(), ask(actors.Timeout(time.Second/2))
		synctest.Wait()
		if n := made.made.Load(); n != 1 {
			t.Errorf("%d spans are made, of which the work of one has begun", n)
		}
		for _, f := range []*actors.Future[actors.None]{first, second} {
			if _, err := f.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if _, err := third.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) {
			t.Error(err)
		}
		synctest.Wait()
		var lasted []string
		for _, s := range tr.spans.GetSpans() {
			lasted = append(lasted, fmt.Sprintf("%v, waited %v s, %s", s.EndTime.Sub(s.StartTime), attr(s, "protoloop.queue.wait").AsFloat64(), attr(s, "protoloop.worker").AsString()))
		}
		slices.Sort(lasted)
		want := []string{"1s, waited 0 s, bank", "2s, waited 0 s, ", "2s, waited 1 s, bank"} // what has expired ends when there is a place for it
		if n := made.made.Load(); n != 3 || !slices.Equal(lasted, want) {
			t.Errorf("%d spans:\n%s\nwant:\n%s", n, strings.Join(lasted, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestFuturesKeepNoSpan: who keeps the future of work that has ended keeps nothing of its span.
func TestFuturesKeepNoSpan(t *testing.T) {
	sys := actortest.NewSystem(t)
	made := &starts{SpanProcessor: trace.NewSimpleSpanProcessor(tracetest.NewNoopExporter())}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(made))
	tr, err := otelloop.New(otelloop.Options{TracerProvider: provider, Roots: func(inspect.Work) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Observe(sys)()
	bank := actortest.Spawn(t, sys.Root, "bank", func(w *actors.Worker) error {
		actors.Handle(w, func(*actors.Task, charge) (actors.None, error) { return actors.None{}, nil })
		return nil
	}, actors.Options{})
	var kept []*actors.Future[actors.None]
	for range 100 {
		f := actors.RequestFuture[actors.None](sys.Root, bank, charge{})
		if _, err := f.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, f)
	}
	actortest.Eventually(t, "the spans are collected", func() bool {
		runtime.GC()
		return made.gone.Load() >= int64(len(kept))
	})
	runtime.KeepAlive(kept)
}

// TestCallsAreMeasured: the instruments of the conventions have what has a span.
func TestCallsAreMeasured(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		r := metric.NewManualReader()
		meters := metric.NewMeterProvider(metric.WithReader(r))
		tr := newTraced(t, otelloop.Options{MeterProvider: meters, Roots: func(inspect.Work) bool { return true }})
		tr.observe(t, sys)
		bank := actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank"})
		for _, opts := range [][]actors.CallOption{nil, {actors.Timeout(time.Millisecond)}} {
			_, _ = actors.RequestFuture[actors.None](sys.Root, bank, charge{}, opts...).Wait(t.Context()) // one is late
		}
		synctest.Wait()
		var all metricdata.ResourceMetrics
		if err := r.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
					for _, p := range h.DataPoints {
						kind, _ := p.Attributes.Value("error.type")
						got[m.Name+" "+kind.AsString()] += p.Count
					}
				}
			}
		}
		if len(got) != 2 || got["rpc.server.call.duration "] != 1 || got["rpc.server.call.duration timeout"] != 1 {
			t.Errorf("measured %v", got)
		}
	})
}

// TestMessagesCarryTheirTrace: a message's handler has a span that links to its sender's, or is below it; each try has one.
func TestMessagesCarryTheirTrace(t *testing.T) {
	for _, parent := range []bool{false, true} {
		t.Run(fmt.Sprint("parent=", parent), func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				tr := newTraced(t, otelloop.Options{})
				tr.observe(t, sys)
				bank := actortest.Spawn(t, sys.Root, "bank", traceBank, actors.Options{Kind: "bank"})
				queue := otelloop.Queue{System: "memory", Destination: "orders", Parent: parent}
				tries := 0
				q := memory.New(memory.Options{})
				c, err := consumer.New(q.Open, tr.Handler(queue, func(t *actors.Task, m consumer.Message) error {
					switch tries++; tries {
					case 1:
						return errors.New("not yet")
					case 2:
						panic("crash")
					}
					_, err := actors.Ask[actors.None](t, bank, charge{})
					return err
				}), consumer.Options{Name: "orders", MaxTries: 5})
				if err != nil {
					t.Fatal(err)
				}
				ctx, root := tr.provider.Tracer("test").Start(t.Context(), "request")
				mine := map[string]string{"type": "Placed"}
				ms := []consumer.Message{{ID: "m1", Attributes: mine}}
				_, sent := tr.StartSend(ctx, queue, ms)
				q.Send(ms...)
				sent(nil)
				root.End()
				if len(mine) != 1 {
					t.Errorf("the sender's attributes are %v", mine)
				}
				actortest.Spawn(t, sys.Root, "consumer", c.Setup, actors.Options{})
				actortest.Eventually(t, "it is handled", func() bool { time.Sleep(time.Second); return c.Stats().Acked == 1 })
				synctest.Wait()
				processes := `consumer process orders
  server bank/otelloop_test.charge
consumer process orders: *errors.errorString
consumer process orders: panic
`
				want := processes + "internal request\n  producer send orders\n"
				if parent {
					want = "internal request\n  producer send orders\n    " + strings.TrimSpace(strings.ReplaceAll(processes, "\n", "\n    ")) + "\n"
				}
				lines := func(s string) []string {
					all := strings.Split(s, "\n")
					slices.Sort(all)
					return all
				}
				if got := tr.tree(); !slices.Equal(lines(got), lines(want)) {
					t.Errorf("spans:\n%s\nwant:\n%s", got, want)
				}
				sender := tr.find(t, "send orders").SpanContext
				for _, s := range tr.spans.GetSpans() {
					if s.Name != "process orders" {
						continue
					}
					if linked := len(s.Links) == 1 && s.Links[0].SpanContext.SpanID() == sender.SpanID(); linked == parent {
						t.Errorf("links %v", s.Links)
					}
					if same := s.SpanContext.TraceID() == sender.TraceID(); same != parent {
						t.Error("it is of another trace")
					}
					if id := attr(s, "messaging.message.id").AsString(); id != "m1" {
						t.Errorf("message %q", id)
					}
					if attr(s, "error.type").AsString() == "panic" && !strings.Contains(fmt.Sprint(s.Events), "TestMessagesCarryTheirTrace") {
						t.Errorf("the panic's event is %v", s.Events)
					}
				}
			})
		})
	}
}

// TestLogsHaveTheTrace: records of a task's logger, and of the library about it, name its trace.
func TestLogsHaveTheTrace(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(otelloop.LogHandler(slog.NewTextHandler(&out, nil)))
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		out.Reset()
		tr := newTraced(t, otelloop.Options{Roots: func(inspect.Work) bool { return true }})
		tr.observe(t, sys)
		pid := actortest.Spawn(t, sys.Root, "shop", func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ note) error {
				t.Logger().Info("at work")
				return errors.New("it fails")
			})
			return nil
		}, actors.Options{Kind: "shop"})
		sys.Root.Send(pid, note{})
		synctest.Wait()
		s := tr.find(t, "process shop/otelloop_test.note")
		want := fmt.Sprintf("trace_id=%s span_id=%s trace_flags=01", s.SpanContext.TraceID(), s.SpanContext.SpanID())
		n := 0
		for line := range strings.Lines(out.String()) {
			if n++; !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
		if n != 2 {
			t.Errorf("%d records:\n%s", n, &out)
		}
	}, actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }))
}

// TestLogHandlerKeepsGroups: what it adds stands at the top, and groups and attributes of a logger stay as they are.
func TestLogHandlerKeepsGroups(t *testing.T) {
	var out bytes.Buffer
	noTime := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	l := slog.New(otelloop.LogHandler(slog.NewTextHandler(&out, noTime)))
	ctx := apitrace.ContextWithSpanContext(context.Background(), apitrace.NewSpanContext(apitrace.SpanContextConfig{
		TraceID: apitrace.TraceID{1}, SpanID: apitrace.SpanID{2}, TraceFlags: apitrace.FlagsSampled,
	}))
	const ids = "trace_id=01000000000000000000000000000000 span_id=0200000000000000 trace_flags=01"
	for _, test := range []struct {
		l    *slog.Logger
		ctx  context.Context
		want string
	}{
		{l, context.Background(), "level=INFO msg=m k=v"},
		{l, ctx, "level=INFO msg=m k=v " + ids},
		{l.With("a", 1), ctx, "level=INFO msg=m a=1 k=v " + ids},
		{l.With("a", 1).WithGroup("g").With("b", 2), ctx, "level=INFO msg=m a=1 " + ids + " g.b=2 g.k=v"},
		{l.With("a", 1).WithGroup("g").With("b", 2), context.Background(), "level=INFO msg=m a=1 g.b=2 g.k=v"},
	} {
		out.Reset()
		test.l.InfoContext(test.ctx, "m", "k", "v")
		if got := strings.TrimSpace(out.String()); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// TestSpawnsLeaveNothing: with metrics and traces on, workers that are gone have left no memory behind.
func TestSpawnsLeaveNothing(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	sys := actortest.NewSystem(t)
	tr, err := otelloop.New(otelloop.Options{TracerProvider: trace.NewTracerProvider(), Roots: func(inspect.Work) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Observe(sys)()
	p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
	round := func(n int) {
		for range n {
			pid, err := actors.Spawn(t.Context(), sys.Root, "w", traceBank, actors.Options{Kind: "bank"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 1, nil }).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := actors.Stop(t.Context(), sys.Root, pid, actors.Forever); err != nil {
				t.Fatal(err)
			}
		}
		collect(t, p)
	}
	round(2000)
	before := heapInUse()
	round(n)
	// Less than a word for each. What a goroutine that is about to end has may go later.
	actortest.Eventually(t, fmt.Sprintf("the heap to be as before, of %d bytes", before), func() bool { return heapInUse() <= before+uint64(n)*5 })
}

// heapInUse is what is reachable.
func heapInUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
