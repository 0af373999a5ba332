// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/supervisor"
)

// ScopeName is the instrumentation scope of all metrics and spans.
const ScopeName = "github.com/protoloop/protoloop"

// ProducerOptions are those of [NewProducer]. The zero value is usable.
type ProducerOptions struct {
	// Attributes are on each data point. Two actor systems of one process need some that tell them apart.
	Attributes []attribute.KeyValue
	// PerWorker adds the metrics protoloop.worker.pending, protoloop.worker.ended, protoloop.worker.oldest and protoloop.worker.incarnation, of each worker
	// by itself: for a program with few of them. Of more than a thousand the others are in the metrics of their kind alone.
	PerWorker bool
	// MaxKinds is how many kinds of workers have their own attribute; those that come later are
	// "_OTHER" together. 0 is 200.
	MaxKinds int
}

// The bounds of a scrape, beside MaxKinds.
const (
	defaultKinds   = 200
	maxSupervisors = 200
	maxChildren    = 1000
	maxConsumers   = 200
	maxWorkers     = 1000
	maxServers     = 20 // of Socket.IO
	maxNamespaces  = 50
	maxEvents      = 200
)

// otherName stands for all names that are too many.
const otherName = "_OTHER"

// The attributes of metrics.
const (
	kindKey         = attribute.Key("protoloop.worker.kind")
	workerStateKey  = attribute.Key("protoloop.worker.state")
	outcomeKey      = attribute.Key("protoloop.work.outcome")
	workStateKey    = attribute.Key("protoloop.work.state")
	offloadStateKey = attribute.Key("protoloop.offload.state")
	runnerStateKey  = attribute.Key("protoloop.runner.state")
	supervisorKey   = attribute.Key("protoloop.supervisor")
	childKey        = attribute.Key("protoloop.child")
	consumerKey     = attribute.Key("protoloop.consumer")
	namespaceKey    = attribute.Key("protoloop.socketio.namespace")
	eventKey        = attribute.Key("protoloop.socketio.event")
	transportKey    = attribute.Key("protoloop.socketio.transport")
	directionKey    = attribute.Key("network.io.direction")
	closeReasonKey  = attribute.Key("protoloop.socketio.reason")
	gridKindKey     = attribute.Key("protoloop.grid.kind")
	topicStepKey    = attribute.Key("protoloop.grid.topic.step")
)

// How often sources of messages are asked how many there are, and how long they have to answer.
const (
	lagEvery   = 5 * time.Second
	lagTimeout = time.Second
)

// processStart is before anything was counted.
var processStart = time.Now()

// NewProducer returns what reads the metrics of an actor system, for a reader of the SDK:
//
//	exporter, err := prometheus.New(prometheus.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{})))
//
// It reads counters that exist anyway when somebody collects, and nothing is done for a metric in between. It holds up no
// worker. All sums are cumulative. Several readers may share a producer.
func NewProducer(sys *actor.ActorSystem, o ProducerOptions) metric.Producer {
	if sys == nil {
		panic("otelloop: NewProducer called with a nil actor system")
	}
	if o.MaxKinds == 0 {
		o.MaxKinds = defaultKinds
	}
	return &producer{
		sys: sys, common: slices.Clone(o.Attributes), kinds: names{most: o.MaxKinds}, accepted: map[string]int64{}, consumerNames: names{most: maxConsumers}, perWorker: o.PerWorker,
		consumers: map[weak.Pointer[consumer.Consumer]]*consumerSeen{}, gone: map[string]consumer.Stats{},
	}
}

// producer implements metric.Producer.
type producer struct {
	sys    *actor.ActorSystem
	common []attribute.KeyValue

	mu            sync.Mutex
	kinds         names
	accepted      map[string]int64 // by kind, as it was last told: see keepAccepted
	perWorker     bool
	workers       map[string]bool // that have series of their own
	io            ioSums
	grid          gridSums
	consumerNames names
	consumers     map[weak.Pointer[consumer.Consumer]]*consumerSeen
	gone          map[string]consumer.Stats // by label, of consumers that nobody has any more: sums do not shrink
}

// names tracks which names are attributes: the first ones. A name that has become one stays one, so that no sum shrinks.
type names struct {
	most int
	all  map[string]bool
}

func (n *names) label(name string) string {
	name = nameOf(name)
	if n.all[name] {
		return name
	}
	if len(n.all) >= n.most {
		return otherName
	}
	if n.all == nil {
		n.all = map[string]bool{}
	}
	n.all[name] = true
	return name
}

// nameOf is a name as the value of an attribute.
func nameOf(name string) string { return label.Of(name, 255) }

// consumerSeen is what was last read of a consumer.
type consumerSeen struct {
	label    string
	last     consumer.Stats
	lag      int64
	lagKnown bool
	lagAt    time.Time
}

// Produce implements metric.Producer.
func (p *producer) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &builder{common: p.common, now: time.Now()}
	p.addKinds(b)
	p.addShared(b)
	p.addSupervisors(b)
	p.addConsumers(ctx, b)
	p.addServers(b)
	p.addGrid(b)
	if p.perWorker {
		p.addWorkers(b)
	}
	all := b.metrics()
	if len(all) == 0 {
		return nil, nil
	}
	return []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: ScopeName}, Metrics: all}}, nil
}

// addKinds adds what there is for each kind of worker.
func (p *producer) addKinds(b *builder) {
	all := inspect.Kinds(p.sys)
	merged := make([]inspect.WorkerKind, 0, len(all))
	at := map[string]int{}
	for _, k := range all {
		k.Name = p.kinds.label(k.Name)
		i, there := at[k.Name]
		if !there {
			at[k.Name] = len(merged)
			merged = append(merged, k)
			continue
		}
		mergeKind(&merged[i], &k)
	}
	for i := range merged {
		k := &merged[i]
		is := kindKey.String(k.Name)
		const workers = "Workers and plain actors on event loops."
		b.upDown("protoloop.worker.current", "{worker}", workers, int64(k.Workers-k.Stopping), is, workerStateKey.String("running"))
		b.upDown("protoloop.worker.current", "{worker}", workers, int64(k.Stopping), is, workerStateKey.String("stopping"))

		const offered = "Messages and submissions that were offered to workers."
		b.count("protoloop.work.offered", "{message}", offered, p.keepAccepted(k.Name, k.Counts.Accepted), is, outcomeKey.String("accepted"))
		b.count("protoloop.work.offered", "{message}", offered, k.Counts.Refused, is, outcomeKey.String("refused"))
		for _, ended := range []struct {
			outcome string
			n       int64
		}{
			{"finished", k.Counts.Finished}, {"failed", k.Counts.Failed}, {"canceled", k.Counts.Canceled},
			{"abandoned", k.Counts.Abandoned}, {"dead_lettered", k.Counts.DeadLettered},
		} {
			b.count("protoloop.work.ended", "{message}", "Messages and submissions that have ended, by how.", ended.n, is, outcomeKey.String(ended.outcome))
		}
		const pending = "Messages and submissions that were accepted and have not ended."
		queued := min(k.Queued, k.Counts.Pending)
		b.upDown("protoloop.work.pending", "{message}", pending, queued, is, workStateKey.String("queued"))
		b.upDown("protoloop.work.pending", "{message}", pending, k.Counts.Pending-queued, is, workStateKey.String("begun"))
		b.gaugeSeconds("protoloop.queue.oldest", "How long the oldest message of a queue has been seen to wait, of the worst worker.", k.OldestWait, is)

		b.histogram("protoloop.queue.wait", "How long messages and submissions waited for their turn; one in 64 is measured.", &k.QueueWait, is)
		b.histogram("protoloop.turn.duration", "How long turns took; one in 64 is measured.", &k.TurnTime, is)
		b.count("protoloop.turn.blocked", "{turn}", "Turns that lasted longer than BlockedTurn.", k.BlockedTurns, is)
		b.upDown("protoloop.turn.blocked.current", "{turn}", "Turns that last longer than BlockedTurn now.", int64(k.Blocked), is)

		b.count("protoloop.restart", "{restart}", "Restarts of workers.", k.Restarts, is)
		b.count("protoloop.failure", "{failure}", "Failures that nobody but the log and the failure hooks is told of, without dead letters and restarts.", k.Failed, is)

		const offloads = "Functions that run outside of workers, or wait for a place to."
		b.upDown("protoloop.offload.current", "{function}", offloads, int64(k.Offloads), is, offloadStateKey.String("running"))
		b.upDown("protoloop.offload.current", "{function}", offloads, int64(k.OffloadsWaiting), is, offloadStateKey.String("waiting"))
	}
}

// keepAccepted returns what to tell of the messages that a kind has accepted, n now. One that is about to be refused is
// among them until that is decided. A sum that shrinks says that its process has begun anew, which would make a rate of all
// there ever were: so it stays until the next one is accepted.
func (p *producer) keepAccepted(kind string, n int64) int64 {
	n = max(n, p.accepted[kind])
	p.accepted[kind] = n
	return n
}

// mergeKind adds what b has to a.
func mergeKind(a, b *inspect.WorkerKind) {
	a.Workers += b.Workers
	a.Stopping += b.Stopping
	a.Queued += b.Queued
	a.OldestWait = max(a.OldestWait, b.OldestWait)
	a.Blocked += b.Blocked
	a.Offloads += b.Offloads
	a.OffloadsWaiting += b.OffloadsWaiting
	a.Counts = a.Counts.Plus(b.Counts)
	a.BlockedTurns += b.BlockedTurns
	a.Restarts += b.Restarts
	a.Failed += b.Failed
	addHistogram(&a.QueueWait, &b.QueueWait)
	addHistogram(&a.TurnTime, &b.TurnTime)
}

func addHistogram(a, b *inspect.Histogram) {
	a.Sum += b.Sum
	for i, n := range b.Counts {
		a.Counts[i] += n
	}
}

// addWorkers adds what there is of each worker. One that has series of its own keeps them until it is gone.
func (p *producer) addWorkers(b *builder) {
	all := inspect.Look(p.sys, inspect.Options{Tasks: -1}).Workers
	had := p.workers
	p.workers = map[string]bool{}
	for _, w := range all {
		if had[w.PID.Id] {
			p.workers[w.PID.Id] = true
		}
	}
	for i := range all {
		w := &all[i]
		if !p.workers[w.PID.Id] {
			if len(p.workers) >= maxWorkers {
				continue
			}
			p.workers[w.PID.Id] = true
		}
		is, kind := workerKey.String(nameOf(w.PID.Id)), kindKey.String(nameOf(w.Kind))
		const pending = "Messages and submissions that one worker has accepted and that have not ended."
		queued := min(w.Queued, w.Counts.Pending)
		b.upDown("protoloop.worker.pending", "{message}", pending, queued, is, kind, workStateKey.String("queued"))
		b.upDown("protoloop.worker.pending", "{message}", pending, w.Counts.Pending-queued, is, kind, workStateKey.String("begun"))
		b.count("protoloop.worker.ended", "{message}", "Messages and submissions of one worker that have ended, however.", w.Counts.Accepted-w.Counts.Pending, is, kind)
		b.gaugeSeconds("protoloop.worker.oldest", "How long the oldest message in one worker's queue has been seen to wait.", w.OldestWait, is, kind)
		b.gauge("protoloop.worker.incarnation", "1", "Which incarnation of one worker it is; 1 is the first, 0 is not known.", float64(w.Incarnation), is, kind)
	}
}

// addShared adds what the workers share.
func (p *producer) addShared(b *builder) {
	s := inspect.SharedBy(p.sys)
	const runners = "Goroutines that run workers."
	b.upDown("protoloop.runner.current", "{goroutine}", runners, int64(s.Runners-s.RunnersIdle), runnerStateKey.String("busy"))
	b.upDown("protoloop.runner.current", "{goroutine}", runners, int64(s.RunnersIdle), runnerStateKey.String("idle"))
	b.upDown("protoloop.worker.ready", "{worker}", "Workers that have something to do and wait for a runner.", int64(s.Waiting))
	b.upDown("protoloop.coroutine.idle", "{coroutine}", "Coroutines that are kept for tasks which will await.", int64(s.CoroutinesIdle))
	b.upDown("protoloop.request.unanswered", "{request}", "Requests to plain and remote actors that have no answer yet.", int64(s.UnansweredRequests))
}

// addSupervisors adds restarts and their limits. Children of a Dynamic have no attribute of their own: there may be any number of them.
func (p *producer) addSupervisors(b *builder) {
	children := 0
	for i, s := range supervisor.All(p.sys) {
		if i == maxSupervisors {
			break
		}
		info := s.Info()
		is := supervisorKey.String(nameOf(info.Ref.Supervisor))
		b.count("protoloop.supervisor.restart", "{restart}", "Restarts of children by their supervisors.", info.RestartsTotal, is)
		if info.MaxRestarts > 0 {
			b.gauge("protoloop.supervisor.intensity", "1", "Restarts within the period, divided by how many are allowed.", float64(info.Restarted)/float64(info.MaxRestarts), is)
		}
		if info.Dynamic {
			continue
		}
		for _, c := range info.Children {
			if children == maxChildren {
				break
			}
			children++
			b.count("protoloop.child.restart", "{restart}", "Restarts of a supervisor's child.", int64(c.Restarts), is, childKey.String(nameOf(c.Name)))
		}
	}
}

// addConsumers adds the accounts of consumers.
func (p *producer) addConsumers(ctx context.Context, b *builder) {
	for _, c := range consumer.All(p.sys) {
		if at := weak.Make(c); p.consumers[at] == nil {
			p.consumers[at] = &consumerSeen{label: p.consumerNames.label(c.Info().Name)}
		}
	}
	type sum struct {
		consumer.Stats
		lag      int64
		lagKnown bool
	}
	sums := map[string]*sum{}
	of := func(label string) *sum {
		if sums[label] == nil {
			sums[label] = &sum{}
		}
		return sums[label]
	}
	p.readLags(ctx, b.now)
	for at, seen := range p.consumers {
		c := at.Value()
		if c == nil { // nobody has it any more, and nothing of it can be in flight
			seen.last.InFlight, seen.last.Running = 0, 0
			p.gone[seen.label] = addStats(p.gone[seen.label], seen.last)
			delete(p.consumers, at)
			continue
		}
		seen.last = c.Stats()
		s := of(seen.label)
		s.Stats = addStats(s.Stats, seen.last)
		if seen.lagKnown {
			s.lag, s.lagKnown = s.lag+seen.lag, true
		}
	}
	for label, stats := range p.gone {
		s := of(label)
		s.Stats = addStats(s.Stats, stats)
	}
	labels := make([]string, 0, len(sums))
	for label := range sums {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	for _, label := range labels {
		s, is := sums[label], consumerKey.String(label)
		b.count("protoloop.consumer.received", "{message}", "Messages that were received from the queue.", s.Received, is)
		for _, ended := range []struct {
			outcome string
			n       int64
		}{
			{"acked", s.Acked}, {"retried", s.Retried}, {"deferred", s.Deferred}, {"dead_lettered", s.DeadLettered},
			{"returned", s.Returned}, {"lost", s.Lost},
		} {
			b.count("protoloop.consumer.ended", "{message}", "Messages that were received, by what became of them.", ended.n, is, outcomeKey.String(ended.outcome))
		}
		const flight = "Messages that were received and are not settled."
		running := min(s.Running, s.InFlight)
		b.upDown("protoloop.consumer.in_flight", "{message}", flight, running, is, workStateKey.String("running"))
		b.upDown("protoloop.consumer.in_flight", "{message}", flight, s.InFlight-running, is, workStateKey.String("waiting"))
		b.count("protoloop.consumer.failure", "{failure}", "Runs of handlers that have failed.", s.Failures, is)
		b.count("protoloop.consumer.source.failure", "{failure}", "Calls of the queue that have failed.", s.Trouble, is)
		b.count("protoloop.consumer.outage", "{outage}", "How often the breaker has opened.", s.Outages, is)
		if s.lagKnown {
			b.gauge("protoloop.consumer.lag", "{message}", "Messages in the queue that nobody has received yet.", float64(s.lag), is)
		}
	}
}

// readLags asks the queues at the same time, those that were not asked lately.
func (p *producer) readLags(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	var calls sync.WaitGroup
	for at, seen := range p.consumers {
		c := at.Value()
		if c == nil || now.Sub(seen.lagAt) < lagEvery {
			continue
		}
		seen.lagAt = now
		calls.Go(func() {
			n, err := c.Lag(ctx)
			seen.lag, seen.lagKnown = n, err == nil
		})
	}
	calls.Wait()
}

// addStats adds up what is exported.
func addStats(a, b consumer.Stats) consumer.Stats {
	a.Received += b.Received
	a.Acked += b.Acked
	a.Retried += b.Retried
	a.Deferred += b.Deferred
	a.DeadLettered += b.DeadLettered
	a.Returned += b.Returned
	a.Lost += b.Lost
	a.InFlight += b.InFlight
	a.Running += b.Running
	a.Failures += b.Failures
	a.Trouble += b.Trouble
	a.Outages += b.Outages
	return a
}

// builder tracks the metrics of one scrape, by name.
type builder struct {
	common []attribute.KeyValue
	now    time.Time
	byName map[string]*metricdata.Metrics
}

func (b *builder) set(attrs []attribute.KeyValue) attribute.Set {
	return attribute.NewSet(append(slices.Clone(b.common), attrs...)...)
}

// metricOf is the metric of that name, which is made with data if it is not there.
func metricOf[D metricdata.Aggregation](b *builder, name, unit, description string, data D) (*metricdata.Metrics, D) {
	if b.byName == nil {
		b.byName = map[string]*metricdata.Metrics{}
	}
	m := b.byName[name]
	if m == nil {
		m = &metricdata.Metrics{Name: name, Unit: unit, Description: description, Data: data}
		b.byName[name] = m
	}
	return m, m.Data.(D)
}

func (b *builder) sum(name, unit, description string, grows bool, value int64, attrs []attribute.KeyValue) {
	m, d := metricOf(b, name, unit, description, metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: grows})
	d.DataPoints = append(d.DataPoints, metricdata.DataPoint[int64]{Attributes: b.set(attrs), StartTime: processStart, Time: b.now, Value: value})
	m.Data = d
}

func (b *builder) count(name, unit, description string, value int64, attrs ...attribute.KeyValue) {
	b.sum(name, unit, description, true, value, attrs)
}

func (b *builder) upDown(name, unit, description string, value int64, attrs ...attribute.KeyValue) {
	b.sum(name, unit, description, false, value, attrs)
}

func (b *builder) gauge(name, unit, description string, value float64, attrs ...attribute.KeyValue) {
	m, d := metricOf(b, name, unit, description, metricdata.Gauge[float64]{})
	d.DataPoints = append(d.DataPoints, metricdata.DataPoint[float64]{Attributes: b.set(attrs), Time: b.now, Value: value})
	m.Data = d
}

func (b *builder) gaugeSeconds(name, description string, value time.Duration, attrs ...attribute.KeyValue) {
	b.gauge(name, "s", description, value.Seconds(), attrs...)
}

// A histogram is exported with these buckets of an inspect.Histogram, 16 µs to 34 s: each has the bound that it
// counts with, so nothing is estimated. An exponential histogram of seconds cannot have them, because no
// power of two of nanoseconds is one of seconds; and Prometheus' text format has none.
const (
	firstBucket = 14
	lastBucket  = 35
)

var histogramBounds = func() (bounds []float64) {
	for i := firstBucket; i <= lastBucket; i++ {
		bounds = append(bounds, time.Duration(1<<i).Seconds())
	}
	return bounds
}()

func (b *builder) histogram(name, description string, h *inspect.Histogram, attrs ...attribute.KeyValue) {
	m, d := metricOf(b, name, "s", description, metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality})
	counts := make([]uint64, len(histogramBounds)+1)
	for i, n := range h.Counts {
		counts[min(max(i, firstBucket), lastBucket+1)-firstBucket] += uint64(n)
	}
	d.DataPoints = append(d.DataPoints, metricdata.HistogramDataPoint[float64]{
		Attributes: b.set(attrs), StartTime: processStart, Time: b.now,
		Count: uint64(h.N()), Sum: h.Sum.Seconds(), Bounds: histogramBounds, BucketCounts: counts,
	})
	m.Data = d
}

// metrics are all, by name.
func (b *builder) metrics() []metricdata.Metrics {
	all := make([]metricdata.Metrics, 0, len(b.byName))
	for _, m := range b.byName {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b metricdata.Metrics) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
