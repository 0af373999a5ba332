// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	otelloop "github.com/protoloop/protoloop/otel"
	"github.com/protoloop/protoloop/supervisor"
)

// collect is what a reader of the SDK gets of the producer, by name.
func collect(t *testing.T, p metric.Producer) map[string]metricdata.Metrics {
	t.Helper()
	r := metric.NewManualReader(metric.WithProducer(p))
	provider := metric.NewMeterProvider(metric.WithReader(r))
	defer func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	var all metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != otelloop.ScopeName {
			t.Errorf("a metric of scope %q", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// points are the data points of a sum, each with its attributes before the value.
func points(n int64, attrs ...string) metricdata.DataPoint[int64] {
	var set []attribute.KeyValue
	for i := 0; i < len(attrs); i += 2 {
		set = append(set, attribute.String(attrs[i], attrs[i+1]))
	}
	return metricdata.DataPoint[int64]{Attributes: attribute.NewSet(set...), Value: n}
}

// wantSum compares a metric with a sum of these points.
func wantSum(t *testing.T, got map[string]metricdata.Metrics, name, unit string, grows bool, want ...metricdata.DataPoint[int64]) {
	t.Helper()
	m, there := got[name]
	if !there {
		t.Errorf("there is no %s", name)
		return
	}
	if m.Unit != unit || m.Description == "" {
		t.Errorf("%s has unit %q and description %q, want unit %q", name, m.Unit, m.Description, unit)
	}
	d := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: grows, DataPoints: want}
	metricdatatest.AssertAggregationsEqual(t, d, m.Data, metricdatatest.IgnoreTimestamp())
}

// stateOf is the attribute that tells workers that stop.
const stateOf = "protoloop.worker.state"

// current is the point of workers that run.
func current(of func(int64, string, ...string) metricdata.DataPoint[int64], n int64, kind string) metricdata.DataPoint[int64] {
	return of(n, kind, stateOf, "running")
}

type job struct{ Do string }

// jobber handles jobs: it waits for hold, fails or returns.
func jobber(hold *actors.Future[actors.None]) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, j job) (actors.None, error) {
			switch j.Do {
			case "hold":
				return actors.None{}, t.Await(hold)
			case "fail":
				return actors.None{}, errors.New("it fails")
			}
			return actors.None{}, nil
		})
		return nil
	}
}

// TestWorkIsCounted: the metrics of a kind are its account, whichever of its workers has ended.
func TestWorkIsCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{Attributes: []attribute.KeyValue{attribute.String("shard", "7")}})
		if got := collect(t, p); got["protoloop.worker.current"].Name != "" {
			t.Errorf("without a worker there is %v", got["protoloop.worker.current"])
		}
		hold := new(actors.Promise[actors.None])
		a := actortest.Spawn(t, sys.Root, "a", jobber(hold.Future()), actors.Options{Kind: "shop"})
		b := actortest.Spawn(t, sys.Root, "b", jobber(hold.Future()), actors.Options{Kind: "shop"})
		actortest.Spawn(t, sys.Root, "c", jobber(hold.Future()), actors.Options{Kind: "bank"})
		for _, do := range []string{"", "", "fail", "hold"} {
			f := actors.RequestFuture[actors.None](sys.Root, a, job{do})
			if do != "hold" {
				_, _ = f.Wait(t.Context()) // its error is counted
			}
		}
		if _, err := actors.RequestFuture[actors.None](sys.Root, b, job{}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		actortest.Stop(t, sys.Root, b, actors.Forever)
		synctest.Wait()

		got := collect(t, p)
		const kind, outcome, state = "protoloop.worker.kind", "protoloop.work.outcome", "protoloop.work.state"
		of := func(n int64, k string, more ...string) metricdata.DataPoint[int64] {
			return points(n, append([]string{"shard", "7", kind, k}, more...)...)
		}
		wantSum(t, got, "protoloop.worker.current", "{worker}", false, current(of, 1, "shop"), of(0, "shop", stateOf, "stopping"), current(of, 1, "bank"), of(0, "bank", stateOf, "stopping"))
		wantSum(t, got, "protoloop.work.offered", "{message}", true,
			of(5, "shop", outcome, "accepted"), of(0, "shop", outcome, "refused"),
			of(0, "bank", outcome, "accepted"), of(0, "bank", outcome, "refused"))
		var ended []metricdata.DataPoint[int64]
		for _, k := range []string{"shop", "bank"} {
			for _, o := range []string{"finished", "failed", "canceled", "abandoned", "dead_lettered"} {
				n := int64(0)
				switch k + o {
				case "shopfinished":
					n = 3
				case "shopfailed":
					n = 1
				}
				ended = append(ended, of(n, k, outcome, o))
			}
		}
		wantSum(t, got, "protoloop.work.ended", "{message}", true, ended...)
		wantSum(t, got, "protoloop.work.pending", "{message}", false,
			of(0, "shop", state, "queued"), of(1, "shop", state, "begun"), of(0, "bank", state, "queued"), of(0, "bank", state, "begun"))
		hold.Resolve(actors.None{})
	})
}

// TestAcceptedNeverShrinks: a request that a full mailbox is about to refuse is counted as accepted until then.
func TestAcceptedNeverShrinks(t *testing.T) {
	sys := actortest.NewSystem(t)
	hold := new(actors.Promise[actors.None])
	full := actortest.Spawn(t, sys.Root, "full", jobber(hold.Future()), actors.Options{Kind: "shop", MailboxSize: 1, MaxInFlight: 1})
	p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
	over := make(chan struct{})
	var senders sync.WaitGroup
	for range 3 {
		senders.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					_, _ = actors.RequestFuture[actors.None](sys.Root, full, job{"hold"}).TryResult() // refused, all but two
				}
			}
		})
	}
	before, seen := int64(0), 0
	for range 1000 {
		offered, _ := collect(t, p)["protoloop.work.offered"].Data.(metricdata.Sum[int64])
		for _, point := range offered.DataPoints {
			if is, _ := point.Attributes.Value("protoloop.work.outcome"); is.AsString() != "accepted" {
				continue
			}
			if point.Value < before {
				t.Errorf("%d are accepted, %d were before", point.Value, before)
			}
			if point.Value > before {
				seen++
			}
			before = point.Value
		}
	}
	t.Logf("more were accepted than before in %d scrapes", seen)
	close(over)
	senders.Wait()
	hold.Resolve(actors.None{})
}

// TestQueueIsCounted: what waits behind a turn is queued, and the turn is blocked.
func TestQueueIsCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		goOn := make(chan struct{})
		pid := actortest.Spawn(t, sys.Root, "a", func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, job) (actors.None, error) {
				<-goOn // it blocks the turn
				return actors.None{}, nil
			})
			return nil
		}, actors.Options{Kind: "shop", BlockedTurn: 100 * time.Millisecond})
		for range 3 {
			sys.Root.Send(pid, job{})
		}
		time.Sleep(time.Second)
		got := collect(t, p)
		const kind, state = "protoloop.worker.kind", "protoloop.work.state"
		wantSum(t, got, "protoloop.work.pending", "{message}", false, points(2, kind, "shop", state, "queued"), points(1, kind, "shop", state, "begun"))
		wantSum(t, got, "protoloop.turn.blocked", "{turn}", true, points(1, kind, "shop"))
		wantSum(t, got, "protoloop.turn.blocked.current", "{turn}", false, points(1, kind, "shop"))
		oldest, ok := got["protoloop.queue.oldest"].Data.(metricdata.Gauge[float64])
		if !ok || len(oldest.DataPoints) != 1 || oldest.DataPoints[0].Value < 0.5 || oldest.DataPoints[0].Value > 1 {
			t.Errorf("the oldest of the queue: %+v", got["protoloop.queue.oldest"])
		}
		close(goOn)
	})
}

// TestStoppingWorkersAreTold: a worker whose stop event is set has a state of its own.
func TestStoppingWorkersAreTold(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		hold := new(actors.Promise[actors.None])
		var pids []*actor.PID
		for _, name := range []string{"a", "b"} {
			pids = append(pids, actortest.Spawn(t, sys.Root, name, jobber(hold.Future()), actors.Options{Kind: "shop"}))
		}
		held := actors.RequestFuture[actors.None](sys.Root, pids[0], job{"hold"})
		synctest.Wait()
		stopped := actors.RequestStop(sys.Root, pids[0], actors.Forever)
		synctest.Wait()
		const kind = "protoloop.worker.kind"
		wantSum(t, collect(t, p), "protoloop.worker.current", "{worker}", false, points(1, kind, "shop", stateOf, "running"), points(1, kind, "shop", stateOf, "stopping"))
		hold.Resolve(actors.None{})
		if _, err := held.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := stopped.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestEachWorkerIsCounted: with PerWorker each has series, of which there are a thousand of each metric at most, and which end with it.
func TestEachWorkerIsCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{PerWorker: true})
		hold := new(actors.Promise[actors.None])
		a := actortest.Spawn(t, sys.Root, "a", jobber(hold.Future()), actors.Options{Kind: "shop"})
		b := actortest.Spawn(t, sys.Root, "b", jobber(hold.Future()), actors.Options{Kind: "bank"})
		for _, do := range []string{"", "", "hold"} {
			f := actors.RequestFuture[actors.None](sys.Root, a, job{do})
			if do == "" {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		const kind, worker, state = "protoloop.worker.kind", "protoloop.worker", "protoloop.work.state"
		got := collect(t, p)
		wantSum(t, got, "protoloop.worker.ended", "{message}", true, points(2, worker, "a", kind, "shop"), points(0, worker, "b", kind, "bank"))
		pendingOf := func(n int64, w, k string) []metricdata.DataPoint[int64] {
			return []metricdata.DataPoint[int64]{points(0, worker, w, kind, k, state, "queued"), points(n, worker, w, kind, k, state, "begun")}
		}
		wantSum(t, got, "protoloop.worker.pending", "{message}", false, append(pendingOf(1, "a", "shop"), pendingOf(0, "b", "bank")...)...)
		actortest.Stop(t, sys.Root, b, actors.Forever)
		wantSum(t, collect(t, p), "protoloop.worker.pending", "{message}", false, pendingOf(1, "a", "shop")...)
		for i := range 1100 {
			actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), jobber(hold.Future()), actors.Options{Kind: "many"})
		}
		for range 2 {
			d, ok := collect(t, p)["protoloop.worker.ended"].Data.(metricdata.Sum[int64])
			if !ok || len(d.DataPoints) != 1000 {
				t.Errorf("%d workers have series, want 1,000", len(d.DataPoints))
			}
			first := func(a metricdata.DataPoint[int64]) bool {
				name, _ := a.Attributes.Value(worker)
				return name.AsString() == "a"
			}
			if !slices.ContainsFunc(d.DataPoints, first) {
				t.Error("the first worker has lost its series")
			}
		}
		hold.Resolve(actors.None{})
	})
}

// TestKindsAreBounded: those that are too many are one, and a kind keeps its own series.
func TestKindsAreBounded(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{MaxKinds: 3})
		hold := new(actors.Promise[actors.None])
		spawn := func(kind string) {
			actortest.Spawn(t, sys.Root, kind, jobber(hold.Future()), actors.Options{Kind: kind})
		}
		spawn("k7")
		spawn("k8")
		const kind = "protoloop.worker.kind"
		workers := func(n int64, k string, more ...string) metricdata.DataPoint[int64] {
			return points(n, append([]string{kind, k}, more...)...)
		}
		want := func(n ...any) (all []metricdata.DataPoint[int64]) {
			for i := 0; i < len(n); i += 2 {
				all = append(all, current(workers, int64(n[i].(int)), n[i+1].(string)), workers(0, n[i+1].(string), stateOf, "stopping"))
			}
			return all
		}
		wantSum(t, collect(t, p), "protoloop.worker.current", "{worker}", false, want(1, "k7", 1, "k8")...)
		for i := range 7 {
			spawn(fmt.Sprint("k", i))
		}
		wantSum(t, collect(t, p), "protoloop.worker.current", "{worker}", false, want(1, "k7", 1, "k8", 1, "k0", 6, "_OTHER")...)
	})
}

// TestDurationsAreMeasured: one in 64 messages and turns is measured.
func TestDurationsAreMeasured(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		hold := new(actors.Promise[actors.None])
		pid := actortest.Spawn(t, sys.Root, "a", jobber(hold.Future()), actors.Options{Kind: "shop"})
		const n = 64 * 100
		for range n {
			if _, err := actors.RequestFuture[actors.None](sys.Root, pid, job{}).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"protoloop.queue.wait", "protoloop.turn.duration"} {
			m := collect(t, p)[name]
			d, ok := m.Data.(metricdata.Histogram[float64])
			if !ok || m.Unit != "s" || len(d.DataPoints) != 1 {
				t.Fatalf("%s is %+v", name, m)
			}
			h := d.DataPoints[0]
			if len(h.BucketCounts) != len(h.Bounds)+1 {
				t.Errorf("%s has %d buckets and %d bounds", name, len(h.BucketCounts), len(h.Bounds))
			}
			var sum uint64
			for _, c := range h.BucketCounts {
				sum += c
			}
			if sum != h.Count || h.Count < n/64/2 || h.Count > n/64*2 {
				t.Errorf("%s has measured %d of %d, and its buckets have %d", name, h.Count, n, sum)
			}
			if h.BucketCounts[0] != h.Count { // time stands still
				t.Errorf("%s: %v", name, h.BucketCounts)
			}
		}
	})
}

// TestSupervisorsAreCounted: restarts by supervisor and static child, and how much of the intensity is used.
func TestSupervisorsAreCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		crash := func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, job) (actors.None, error) { panic("crash") })
			return nil
		}
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{
			Name: "top", MaxRestarts: 4, Within: time.Hour,
			Children: []supervisor.Child{{Name: "cart", Props: actors.Props(crash, actors.EventLoop(actors.Options{Kind: "cart"}))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = actors.RequestFuture[actors.None](sys.Root, s.Child("cart"), job{}).Wait(t.Context()) // it crashes
		time.Sleep(time.Minute)
		got := collect(t, p)
		const name = "protoloop.supervisor"
		wantSum(t, got, "protoloop.supervisor.restart", "{restart}", true, points(1, name, "top"))
		wantSum(t, got, "protoloop.child.restart", "{restart}", true, points(1, name, "top", "protoloop.child", "cart"))
		wantSum(t, got, "protoloop.restart", "{restart}", true, points(1, "protoloop.worker.kind", "cart"), points(0, "protoloop.worker.kind", "supervisor"))
		metricdatatest.AssertAggregationsEqual(t, metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{
			{Attributes: attribute.NewSet(attribute.String(name, "top")), Value: 0.25},
		}}, got["protoloop.supervisor.intensity"].Data, metricdatatest.IgnoreTimestamp())
		if _, err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := collect(t, p)["protoloop.supervisor.intensity"]; m.Name != "" {
			t.Errorf("after its stop it has %+v", m)
		}
	})
}

// TestConsumersAreCounted: two consumers of one name are one series, which does not shrink when one of them is gone for good.
func TestConsumersAreCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		run := func(worker string, n int) {
			q := memory.New(memory.Options{})
			for i := range n {
				q.Send(consumer.Message{ID: fmt.Sprint(worker, i)})
			}
			c, err := consumer.New(q.Open, func(*actors.Task, consumer.Message) error { return nil }, consumer.Options{Name: "orders"})
			if err != nil {
				t.Fatal(err)
			}
			pid := actortest.Spawn(t, sys.Root, worker, c.Setup, actors.Options{})
			time.Sleep(time.Minute)
			collect(t, p)
			actortest.Stop(t, sys.Root, pid, time.Minute)
		}
		run("a", 3)
		runtime.GC()
		run("b", 4)
		for range 3 {
			runtime.GC()
		}
		const name, outcome = "protoloop.consumer", "protoloop.work.outcome"
		got := collect(t, p)
		wantSum(t, got, "protoloop.consumer.received", "{message}", true, points(7, name, "orders"))
		var ended []metricdata.DataPoint[int64]
		for _, o := range []string{"retried", "deferred", "dead_lettered", "returned", "lost"} {
			ended = append(ended, points(0, name, "orders", outcome, o))
		}
		wantSum(t, got, "protoloop.consumer.ended", "{message}", true, append(ended, points(7, name, "orders", outcome, "acked"))...)
	})
}

// TestNamesFollowTheConventions: every name is in the project's namespace, in lower case, and every attribute has one of its own.
func TestNamesFollowTheConventions(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		hold := new(actors.Promise[actors.None])
		actortest.Spawn(t, sys.Root, "a", jobber(hold.Future()), actors.Options{})
		got := collect(t, p)
		for name := range got {
			if !strings.HasPrefix(name, "protoloop.") || strings.ToLower(name) != name || strings.HasSuffix(name, "s") {
				t.Errorf("name %q", name)
			}
			for other := range got { // OpenTelemetry: a name must not be another one's namespace … of another meaning
				if strings.HasPrefix(other, name+".") && name != "protoloop.turn.blocked" {
					t.Errorf("%q is below %q", other, name)
				}
			}
		}
	})
}
