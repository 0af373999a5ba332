// SPDX-License-Identifier: Apache-2.0

package gocloud

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// Names of the metadata that hold what the library has no field for.
const (
	KeyMetadata   = "Idempotency-Key"
	GroupMetadata = "Message-Group"
)

// Options of a queue. Only Open is required.
type Options struct {
	// Open opens a subscription, anew for each incarnation of a consumer. It
	// should have [NoPrefetch].
	Open func(ctx context.Context) (*pubsub.Subscription, error)
	// DeadLetters is where dead letters are sent. It stays the caller's. nil:
	// there is no place for them.
	DeadLetters *pubsub.Topic
	// Lasting has all sources share one subscription, which is opened once and
	// shut down by [Queue.Shutdown]. It is for a driver whose subscription
	// forgets what it has when it is shut down: mempubsub.
	Lasting bool
	// Deliveries is how often a message has been delivered, with this time, as
	// its driver tells it. nil: it is counted here.
	Deliveries func(m *pubsub.Message) int
}

// NoPrefetch are a driver's ReceiveBatcherOptions with which a subscription
// takes one message at a time.
func NoPrefetch() batcher.Options { return batcher.Options{MaxBatchSize: 1, MaxHandlers: 1} }

// Queue is a subscription that can be opened again.
type Queue struct {
	o Options

	mu      sync.Mutex
	lasting *pubsub.Subscription // with Options.Lasting, once it is open
	tries   map[string]int       // deliveries so far of messages that were given back
	old     []string             // their IDs, the oldest first
}

// maxTries is how many messages' deliveries are known.
const maxTries = 10000

// New returns a queue. Nothing is opened before Open is called. Options that cannot be
// meant are an [*actors.OptionError].
func New(o Options) (*Queue, error) {
	if o.Open == nil {
		return nil, &actors.OptionError{Of: "gocloud: New", Field: "Options.Open", Why: "is missing"}
	}
	return &Queue{o: o, tries: map[string]int{}}, nil
}

// Open opens a source with a subscription of its own. It is a consumer.Open.
func (q *Queue) Open(ctx context.Context) (consumer.Source, error) {
	sub, err := q.subscription(ctx)
	if err != nil {
		return nil, err
	}
	return &source{q: q, sub: sub, late: map[*held]struct{}{}}, nil
}

func (q *Queue) subscription(ctx context.Context) (*pubsub.Subscription, error) {
	if !q.o.Lasting {
		return q.newSubscription(ctx)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lasting != nil {
		return q.lasting, nil
	}
	sub, err := q.newSubscription(ctx)
	q.lasting = sub
	return sub, err
}

func (q *Queue) newSubscription(ctx context.Context) (*pubsub.Subscription, error) {
	sub, err := q.o.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("gocloud: open the subscription: %w", err)
	}
	if sub == nil {
		return nil, errors.New("gocloud: Options.Open returned neither a subscription nor an error")
	}
	return sub, nil
}

// Shutdown shuts the subscription down that Options.Lasting has kept open, if
// there is one, when all sources are closed.
func (q *Queue) Shutdown(ctx context.Context) error {
	q.mu.Lock()
	sub := q.lasting
	q.lasting = nil
	q.mu.Unlock()
	if sub == nil {
		return nil
	}
	if err := sub.Shutdown(ctx); err != nil {
		return fmt.Errorf("gocloud: shut the subscription down: %w", err)
	}
	return nil
}

// broken has the next source open another subscription: one that has failed
// fails for ever.
func (q *Queue) broken(sub *pubsub.Subscription) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lasting == sub {
		q.lasting = nil
	}
}

// Send sends messages to a topic, with Key and Group in their metadata, where
// the queue's sources find them. The error is a [*consumer.BatchError].
func Send(ctx context.Context, to *pubsub.Topic, ms ...consumer.Message) error {
	out := make([]*pubsub.Message, len(ms))
	for i, m := range ms {
		md := make(map[string]string, len(m.Attributes)+2)
		for k, v := range m.Attributes {
			md[k] = v
		}
		if m.Key != "" {
			md[KeyMetadata] = m.Key
		}
		if m.Group != "" {
			md[GroupMetadata] = m.Group
		}
		out[i] = &pubsub.Message{Body: m.Body, Metadata: md}
	}
	var errs consumer.BatchError
	for i, err := range send(ctx, to, out) {
		if err != nil {
			errs.Fail(i, fmt.Errorf("gocloud: send message %d of %d: %w", i+1, len(ms), err))
		}
	}
	return errs.Err()
}

// send sends messages, in batches that the library makes of concurrent calls.
func send(ctx context.Context, to *pubsub.Topic, ms []*pubsub.Message) []error {
	const parallel = 100
	errs := make([]error, len(ms))
	free := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, m := range ms {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			errs[i] = to.Send(ctx, m)
		})
	}
	all.Wait()
	return errs
}

// delivered is how often a message has been, with this time.
func (q *Queue) delivered(m *pubsub.Message) int {
	if q.o.Deliveries != nil {
		return q.o.Deliveries(m)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tries[m.LoggableID] + 1
}

// remember notes that a message comes back.
func (q *Queue) remember(id string, deliveries int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.tries[id]; !known {
		if len(q.old) >= maxTries {
			delete(q.tries, q.old[0])
			q.old = q.old[1:]
		}
		q.old = append(q.old, id)
	}
	q.tries[id] = deliveries
}
