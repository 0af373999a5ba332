// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/pubsub"
	// The drivers that are linked. One more needs no more than its import, as
	// _ "gocloud.dev/pubsub/gcppubsub"; docs/service.md says what they bring.
	"gocloud.dev/pubsub/mempubsub"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/gocloud"
)

// cloudQueue is a queue of gocloud.dev/pubsub.
type cloudQueue struct {
	*gocloud.Queue
	adds *pubsub.Topic
}

// Send sends messages to the topic.
func (q *cloudQueue) Send(ctx context.Context, ms ...consumer.Message) error {
	return gocloud.Send(ctx, q.adds, ms...)
}

// openCloud opens a queue by the URL of its subscription, and by that of the
// topic which adds are sent to.
func openCloud(ctx context.Context, c Config) (_ queue, _ func(), err error) {
	var topics []*pubsub.Topic
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), sendWithin)
		defer cancel()
		for _, t := range topics {
			_ = t.Shutdown(ctx) // what it has not sent was not confirmed
		}
	}
	defer func() {
		if err != nil {
			shut()
		}
	}()
	topic := func(name, url string) (*pubsub.Topic, error) {
		t, err := pubsub.OpenTopic(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("the topic of -%s, %s: %w", name, redacted(url), err)
		}
		topics = append(topics, t)
		return t, nil
	}
	q := &cloudQueue{}
	if q.adds, err = topic("topic", c.topic()); err != nil {
		return nil, nil, err
	}
	options := gocloud.Options{
		Open:    func(ctx context.Context) (*pubsub.Subscription, error) { return pubsub.OpenSubscription(ctx, c.Queue) },
		Lasting: c.inMemory(),
	}
	if c.DeadLetters != "" {
		if options.DeadLetters, err = topic("dead-letters", c.DeadLetters); err != nil {
			return nil, nil, err
		}
	}
	if q.Queue, err = gocloud.New(options); err != nil {
		return nil, nil, err
	}
	source, err := q.Open(ctx) // a wrong URL is told now
	if err != nil {
		return nil, nil, err
	}
	return q, shut, source.Close(ctx)
}

// inMemory reports whether the queue is in this process alone. Then it is
// opened once, and not closed when what uses it is restarted.
func (c Config) inMemory() bool {
	scheme, _ := queueScheme(c.Queue)
	return scheme == mempubsub.Scheme
}

// topic is Topic with its default resolved.
func (c Config) topic() string {
	if c.Topic != "" {
		return c.Topic
	}
	return c.Queue
}

// isCloud reports whether a queue of that scheme is one of gocloud.dev.
func isCloud(scheme string) bool {
	_, ours := queueKinds[scheme]
	return !ours && pubsub.DefaultURLMux().ValidSubscriptionScheme(scheme)
}

// checkTopic says what is wrong with the URL of a topic.
func checkTopic(url string) error {
	scheme, err := schemeOf(url)
	if err == nil && !pubsub.DefaultURLMux().ValidTopicScheme(scheme) {
		err = fmt.Errorf("unknown scheme %q in %q", scheme, redacted(url))
	}
	return err
}

var errNoTopic = errors.New("it is for a queue of gocloud.dev, such as mem://")
