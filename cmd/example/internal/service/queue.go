// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gocloud.dev/pubsub"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// queue is where the items wait: all that the service asks of a queue.
type queue interface {
	Open(ctx context.Context) (consumer.Source, error)
	// Send returns when the queue has stored the messages. The error is a
	// *consumer.BatchError about some of them, or any other about all.
	Send(ctx context.Context, ms ...consumer.Message) error
}

// adds puts items into a queue.
type adds interface {
	// do returns at once. The future completes when the queue has the message.
	do(m consumer.Message) *actors.Future[actors.None]
}

// pipeline is the adds to a queue that takes messages while others are not
// confirmed yet.
type pipeline struct {
	queue  *jetstream.Queue
	logger *slog.Logger
	told   atomic.Int64 // when a failure was logged last, in seconds: one of many is enough
}

func (p *pipeline) do(m consumer.Message) *actors.Future[actors.None] {
	m.Key = "" // the server would remember each for two minutes, and the list tells doubles itself
	stored := new(actors.Promise[actors.None])
	p.queue.SendAsync(m, func(err error) {
		if err == nil {
			stored.Resolve(struct{}{})
			return
		}
		if now := time.Now().Unix(); p.told.Swap(now) != now {
			p.logger.Warn("the queue has not taken what was added", "err", err)
		}
		stored.Reject(err)
	})
	return stored.Future()
}

// queueKinds opens a queue by the scheme of its URL. What it returns, beside
// the queue, closes it.
var queueKinds = map[string]func(ctx context.Context, c Config) (queue, func(), error){
	"nats":  openNATS,
	"https": openSQS,
	"http":  openSQS,
}

// kinds lists what a queue's URL may begin with.
func kinds() string {
	names := slices.Collect(maps.Keys(queueKinds))
	for _, scheme := range pubsub.DefaultURLMux().SubscriptionSchemes() {
		if isCloud(scheme) {
			names = append(names, scheme)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "://, ") + "://"
}

// queueName is the stream of the items. That of the dead letters is this with
// "_DEAD" behind.
const queueName = "ITEMS"

// calls is how many receives, and how many sends, there are at a time. SQS
// gives and takes ten messages in one at most; JetStream as many as there are.
func (c Config) calls() int {
	if scheme, _ := queueScheme(c.Queue); scheme == "http" || scheme == "https" {
		return 4
	}
	return 1
}

func (c Config) queueOptions() jetstream.Options {
	return jetstream.Options{Name: queueName, Lease: c.Lease, Linger: c.Lease}
}

func openNATS(ctx context.Context, c Config) (queue, func(), error) {
	nc, err := jetstream.Connect(c.Queue)
	if err != nil {
		return nil, nil, err
	}
	q, err := jetstream.New(nc, c.queueOptions())
	if err == nil {
		err = q.Ensure(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("the queue on %s: %w", redacted(c.Queue), err)
	}
	return q, nc.Close, nil
}

// QueueHelp says in a few words which URLs a queue can have.
func QueueHelp() string {
	return "nats://host:port or several with commas between,\nhttps://… of an Amazon SQS queue,\nor one of gocloud.dev/pubsub. Linked are " + kinds()
}
