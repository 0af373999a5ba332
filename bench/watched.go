// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/console"
	otelloop "github.com/protoloop/protoloop/otel"
)

// watchEvery is how often somebody looks, and lookSample how long what is looked at is measured: for several looks.
const (
	watchEvery = time.Second
	lookSample = 3 * time.Second
)

// What it costs that somebody looks. Each row has one without beside it, which does the same work.
const (
	toldNobody   = "trace/nothing"
	besideMany   = "console/askers-alone"
	manyAlone    = "scrape/alone"
	burstAlone   = "console/burst-alone"
	awaitNobody  = "trace/await-nothing"
	labelsNobody = "labels/off"
)

func watchedCases() []*benchCase {
	all := func(inspect.Work) bool { return true }
	none := func(inspect.Work) bool { return false }
	request, await := requestBurst(toWorker), awaitBurst
	return append([]*benchCase{
		{name: toldNobody, label: "RequestFuture to a worker, no observer", batch: burst, open: request},
		{name: "trace/none", label: "… traced, nothing is sampled", batch: burst, open: traced(none, request)},
		{name: "trace/percent", label: "… traced, 1 in 100 is sampled", batch: burst, open: traced(otelloop.Ratio(0.01), request)},
		{name: "trace/all", label: "… traced, all are sampled", batch: burst, open: traced(all, request)},
		{name: "trace/bare", label: "… and a bare span of the SDK's for each", batch: burst, open: besideSpans(1)},
		{name: "trace/bare-percent", label: "… and a bare span of the SDK's for 1 in 100", batch: burst, open: besideSpans(0.01)},
		{name: awaitNobody, label: "handler awaits another worker, no observer", batch: burst, open: await},
		{name: "trace/await-none", label: "… traced, nothing is sampled", batch: burst, open: traced(none, await)},
		{name: "trace/await-all", label: "… traced, both asks are sampled", batch: burst, open: traced(all, await)},
		{name: labelsNobody, label: "RequestFuture to a worker, no labels", batch: burst, open: request},
		{name: "labels/on", label: "… with pprof labels", batch: burst, open: labelled(request)},
		{name: manyAlone, label: "burst of 10,000 over 10,000 workers", batch: manyWorkers, open: overWorkers(manyWorkers, true)},
		{name: "scrape/second", label: "… and a scrape a second", batch: manyWorkers, open: scraped(overWorkers(manyWorkers, true))},
		{name: burstAlone, label: "Submit burst beside 10,000 workers with 10 tasks each", batch: burst, open: besideTasks(burstBeside)},
		{name: "console/burst", label: "… and a console that is open", batch: burst, open: besideTasks(inConsole(burstBeside))},
		{name: besideMany, label: "64 askers beside 10,000 workers with 10 tasks each", batch: askers, open: besideTasks(askersBeside)},
		{name: "console/askers", label: "… and a console that is open", batch: askers, open: besideTasks(inConsole(askersBeside))},
	}, blockedConsoleCases()...)
}

// leastSample is how long a measurement of the case takes if -sample says less.
func (c *benchCase) leastSample() time.Duration {
	if strings.HasPrefix(c.name, "scrape/") || strings.HasPrefix(c.name, "console/") {
		return lookSample
	}
	for _, of := range []string{"asks/", "topics/", "state/", "remind/"} {
		if strings.HasPrefix(c.name, of) {
			return clusterSample
		}
	}
	return 0
}

func watchedRules() []rule {
	return append([]rule{
		{of: "trace/none", against: toldNobody, as: "no observer", figure: wall, limit: 1.05},
		{of: "trace/percent", against: toldNobody, as: "no observer", figure: wall, limit: 1.10},
		{of: "trace/all", against: toldNobody, as: "no observer", figure: wall},
		{of: "trace/all", against: toldNobody, as: "no observer", figure: moreAllocs, limit: 6},
		{of: "trace/all", against: toldNobody, as: "no observer", figure: moreMicros, limit: 3},
		{of: "trace/all", against: "trace/bare", as: "a bare span", figure: wall},
		{of: "trace/bare", against: toldNobody, as: "no observer", figure: moreMicros},
		{of: "trace/bare-percent", against: toldNobody, as: "no observer", figure: wall},
		{of: "trace/percent", against: "trace/bare-percent", as: "bare spans", figure: wall},
		{of: "trace/await-none", against: awaitNobody, as: "no observer", figure: wall, limit: 1.05},
		{of: "trace/await-all", against: awaitNobody, as: "no observer", figure: wall},
		{of: "labels/on", against: labelsNobody, as: "no labels", figure: wall, limit: 1.15},
		{of: "scrape/second", against: manyAlone, as: "nobody", figure: wall, limit: 1.02},
		{of: "console/burst", against: burstAlone, as: "nobody", figure: wall, limit: 1.05},
		{of: "console/askers", against: besideMany, as: "nobody", figure: wall, limit: 1.05},
		{of: "console/askers", against: besideMany, as: "nobody", figure: p99, limit: 1.5},
	}, blockedConsoleRules()...)
}

// opening is how a case is opened.
type opening = func(*env) (run, error)

// traced is a case whose work an observer is told of. Spans are recorded, and nobody exports them.
func traced(roots func(inspect.Work) bool, open opening) opening {
	return func(e *env) (run, error) {
		tr, err := otelloop.New(otelloop.Options{TracerProvider: sdktrace.NewTracerProvider(), Roots: roots})
		if err != nil {
			return nil, err
		}
		stop := tr.Observe(e.sys)
		e.onClose(func() error { stop(); return nil })
		return open(e)
	}
}

// besideSpans is a burst of requests of which that part is chosen by lot, with a span of the SDK's for each that is. It has the
// attributes of ours: what a span costs by itself, and the least that a choice costs.
func besideSpans(part float64) opening {
	return func(e *env) (run, error) {
		requests, err := requestBurst(toWorker)(e)
		if err != nil {
			return nil, err
		}
		chosen := otelloop.Ratio(part)
		tracer := sdktrace.NewTracerProvider().Tracer("bare")
		start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("protoloop.work", "ask"), attribute.String("protoloop.worker.kind", "bench"), attribute.String("protoloop.message.type", "question"),
			attribute.String("rpc.system.name", "protoloop"), attribute.String("rpc.method", "bench/question"))}
		began := []attribute.KeyValue{
			attribute.String("protoloop.worker", "worker"), attribute.Int64("protoloop.worker.incarnation", 1), attribute.Float64("protoloop.queue.wait", 1),
		}
		spans := make([]trace.Span, burst)
		return func(n int) (sum int, err error) {
			for range n / burst {
				for i := range spans {
					if spans[i] = nil; chosen(inspect.Work{}) {
						_, spans[i] = tracer.Start(e.ctx, "bench/question", start...)
					}
				}
				got, err := requests(burst)
				if err != nil {
					return 0, err
				}
				sum += got
				for _, s := range spans {
					if s != nil {
						s.SetAttributes(began...)
						s.End()
					}
				}
			}
			return sum, nil
		}, nil
	}
}

// labelled is a case whose tasks have pprof labels.
func labelled(open opening) opening {
	return func(e *env) (run, error) {
		inspect.LabelTasks(e.sys, true)
		return open(e)
	}
}

// regularly does something every so often until the measurement is over, from now on.
func (e *env) regularly(do func() error) {
	end := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			if err := do(); err != nil {
				ended <- err
				return
			}
			select {
			case <-end:
				ended <- nil
				return
			case <-tick.C:
			}
		}
	}()
	e.onClose(func() error { close(end); return <-ended })
}

// scraped is a case beside which somebody collects all metrics each second.
func scraped(open opening) opening {
	return func(e *env) (run, error) {
		r, err := open(e)
		if err != nil {
			return nil, err
		}
		reader := metric.NewManualReader(metric.WithProducer(otelloop.NewProducer(e.sys, otelloop.ProducerOptions{})))
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		e.onClose(func() error { return provider.Shutdown(e.ctx) })
		e.regularly(func() error {
			var all metricdata.ResourceMetrics
			if err := reader.Collect(e.ctx, &all); err != nil {
				return err
			}
			if len(all.ScopeMetrics) == 0 {
				return errors.New("nothing was collected")
			}
			return nil
		})
		return r, nil
	}
}

// besideTasks is a case beside 10,000 workers with ten suspended tasks each.
func besideTasks(open opening) opening {
	return func(e *env) (run, error) {
		pids, err := e.workers(manyWorkers)
		if err != nil {
			return nil, err
		}
		gate := new(actors.Promise[int])
		e.onClose(func() error { gate.Resolve(0); return nil })
		for _, pid := range pids {
			if _, err := e.suspendTasks(pid, many/manyWorkers, gate.Future()); err != nil {
				return nil, err
			}
		}
		return open(e)
	}
}

func burstBeside(e *env) (run, error) {
	pid, err := e.worker("worker")
	return e.submits(burst, func(int) *actor.PID { return pid }), err
}

func askersBeside(e *env) (run, error) {
	pid, err := e.worker("worker")
	return e.concurrently(askers, requestAsk(e, pid)), err
}

// inConsole is a case beside which a browser has the console's overview open: it is sent anew each second.
func inConsole(open opening) opening {
	return func(e *env) (run, error) {
		r, err := open(e)
		if err != nil {
			return nil, err
		}
		c, err := console.New(e.sys, console.Options{})
		if err != nil {
			return nil, err
		}
		server := httptest.NewServer(c.Handler())
		e.onClose(func() error { server.Close(); return nil })
		ctx, leave := context.WithCancel(e.ctx)
		req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/stream?page=overview", nil)
		if err != nil {
			leave()
			return nil, err
		}
		res, err := server.Client().Do(req)
		if err != nil {
			leave()
			return nil, err
		}
		seen, ended := make(chan struct{}, 1), make(chan struct{})
		go func() {
			defer close(ended)
			lines := bufio.NewScanner(res.Body)
			lines.Buffer(nil, 16<<20)
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "data:") {
					select {
					case seen <- struct{}{}:
					default:
					}
				}
			}
		}()
		e.onClose(func() error {
			leave()
			<-ended
			return res.Body.Close()
		})
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the console has answered %s", res.Status)
		}
		select { // it is open when the measurement begins
		case <-seen:
		case <-ended:
			return nil, errors.New("the console has sent nothing")
		}
		return r, nil
	}
}
