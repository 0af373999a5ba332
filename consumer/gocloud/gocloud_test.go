// SPDX-License-Identifier: Apache-2.0

package gocloud_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
	"gocloud.dev/pubsub/mempubsub"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/gocloud"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// forever is a lease whose end no test sees.
const forever = time.Hour

// service is a topic of mempubsub with one lasting subscription: in mempubsub
// itself a subscription that is opened anew begins empty. It is a driver, whose
// messages are those of the lasting subscription.
type service struct {
	topic   *pubsub.Topic
	lasting *pubsub.Subscription

	mu   sync.Mutex
	down error
	left int // messages that are not acked
}

func newService(t *testing.T, lease time.Duration) *service {
	t.Helper()
	s := &service{topic: mempubsub.NewTopic()}
	one := gocloud.NoPrefetch()
	s.lasting = mempubsub.NewSubscriptionWithOptions(s.topic, lease, &mempubsub.SubscriptionOptions{ReceiveBatcherOptions: one})
	t.Cleanup(func() {
		ctx := context.Background()
		drain(s.lasting)
		if err := s.lasting.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := s.topic.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// drain receives what is left: a batch that nobody receives keeps a goroutine
// of the library's.
func drain(sub *pubsub.Subscription) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
		m, err := sub.Receive(ctx)
		cancel()
		if err != nil {
			return
		}
		m.Ack()
	}
}

func (s *service) open(context.Context) (*pubsub.Subscription, error) {
	if err := s.trouble(); err != nil {
		return nil, err
	}
	one := gocloud.NoPrefetch()
	return pubsub.NewSubscription(s, &one, &batcher.Options{MaxBatchSize: 100}), nil
}

func (s *service) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *service) cut(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func (s *service) count(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += n
	return s.left
}

// ReceiveBatch is a short poll, as of a service.
func (s *service) ReceiveBatch(ctx context.Context, _ int) ([]*driver.Message, error) {
	if err := s.trouble(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	m, err := s.lasting.Receive(ctx)
	if err != nil {
		return nil, nil
	}
	return []*driver.Message{{LoggableID: m.LoggableID, Body: m.Body, Metadata: m.Metadata, AckID: m, AsFunc: func(any) bool { return false }}}, nil
}

func (s *service) SendAcks(_ context.Context, ids []driver.AckID) error {
	if err := s.trouble(); err != nil {
		return err
	}
	for _, id := range ids {
		id.(*pubsub.Message).Ack()
		s.count(-1)
	}
	return nil
}

func (s *service) SendNacks(_ context.Context, ids []driver.AckID) error {
	if err := s.trouble(); err != nil {
		return err
	}
	for _, id := range ids {
		id.(*pubsub.Message).Nack()
	}
	return nil
}

func (s *service) CanNack() bool                      { return true }
func (s *service) IsRetryable(error) bool             { return false }
func (s *service) As(any) bool                        { return false }
func (s *service) ErrorAs(error, any) bool            { return false }
func (s *service) ErrorCode(error) gcerrors.ErrorCode { return gcerrors.Unknown }
func (s *service) Close() error                       { return nil }

// under is a queue as the suite wants it.
func under(t *testing.T, lease time.Duration) (consumertest.Queue, *service) {
	t.Helper()
	s := newService(t, lease)
	deadTopic := mempubsub.NewTopic()
	deadSub := mempubsub.NewSubscription(deadTopic, time.Hour)
	t.Cleanup(func() {
		drain(deadSub)
		if err := deadSub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := deadTopic.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	q := newQueue(gocloud.Options{Open: s.open, DeadLetters: deadTopic})
	var letters []consumer.Message
	return consumertest.Queue{
		Open: q.Open, Lease: lease, NoExtend: true, AckGone: true, NackAfter: time.Second, // mempubsub looks four times a second
		CutPolls: true, // what the driver receives while Close shuts the subscription down
		Send: func(ctx context.Context, ms ...consumer.Message) error {
			s.count(len(ms))
			return gocloud.Send(ctx, s.topic, ms...)
		},
		Dead: func(ctx context.Context) ([]consumer.Message, error) {
			for {
				ctx, cancel := context.WithTimeout(ctx, 600*time.Millisecond)
				m, err := deadSub.Receive(ctx)
				cancel()
				if err != nil {
					return letters, nil
				}
				m.Ack()
				letters = append(letters, consumer.Message{Body: m.Body, Attributes: m.Metadata, Key: m.Metadata[gocloud.KeyMetadata], Group: m.Metadata[gocloud.GroupMetadata]})
			}
		},
		Outage: func(*testing.T) func() {
			s.cut(errors.New("cut off"))
			return func() { s.cut(nil) }
		},
	}, s
}

// bubble runs a test in virtual time, until the last polls of mempubsub are over.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		test(t)
	})
}

func TestConformance(t *testing.T) {
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		q, _ := under(t, lease)
		return q
	})
}

// TestCloseGivesBackWhatCameInAdvance: also what came while the last Receive
// had already ended.
func TestCloseGivesBackWhatCameInAdvance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q, s := under(t, forever)
		src, err := q.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if ms, err := src.Receive(ctx, 1); err == nil {
			t.Fatalf("received %v", ms)
		}
		if err := q.Send(t.Context(), consumer.Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if err := src.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := s.lasting.Receive(t.Context()) // its lease ends in an hour
		if err != nil {
			t.Fatal(err)
		}
		m.Ack()
	})
}

// TestDeliveriesAreCounted: over subscriptions that are opened anew.
func TestDeliveriesAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q, _ := under(t, forever)
		if err := q.Send(t.Context(), consumer.Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			src, err := q.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ms, err := src.Receive(t.Context(), 1)
			if err != nil || len(ms) != 1 || ms[0].Deliveries != i+1 {
				t.Fatalf("delivery %d: %+v, %v", i+1, ms[0], err)
			}
			if err := src.Nack(t.Context(), []consumer.Nack{{Message: ms[0], Delay: time.Hour}}); err != nil { // ended by Close
				t.Fatal(err)
			}
			if err := src.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLasting: one subscription serves all sources, so that nothing is lost with
// a driver that forgets; it is opened again when it has failed.
func TestLasting(t *testing.T) {
	s := newService(t, forever)
	opened := 0
	q := newQueue(gocloud.Options{Lasting: true, Open: func(ctx context.Context) (*pubsub.Subscription, error) {
		opened++
		return s.open(ctx)
	}})
	source := func() consumer.Source {
		src, err := q.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	if err := source().Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := gocloud.Send(t.Context(), s.topic, consumer.Message{Body: []byte("between two sources")}); err != nil {
		t.Fatal(err)
	}
	src := source()
	ms, err := src.Receive(t.Context(), 1)
	if err != nil || len(ms) != 1 || opened != 1 {
		t.Fatalf("%v, %v; %d subscriptions", ms, err, opened)
	}
	if err := src.Ack(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	s.cut(errors.New("cut off"))
	if _, err := src.Receive(t.Context(), 1); !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("receive when it is cut off: %v", err)
	}
	if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.cut(nil)
	if source(); opened != 2 {
		t.Errorf("%d subscriptions, want another one after the failure", opened)
	}
	for range 2 {
		if err := q.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	why := errors.New("why")
	q := newQueue(gocloud.Options{Open: func(context.Context) (*pubsub.Subscription, error) { return nil, why }})
	if _, err := q.Open(t.Context()); !errors.Is(err, why) {
		t.Error(err)
	}
	q = newQueue(gocloud.Options{Open: func(context.Context) (*pubsub.Subscription, error) { return nil, nil }})
	if _, err := q.Open(t.Context()); err == nil {
		t.Error("no subscription is a subscription")
	}
	var e *actors.OptionError
	if _, err := gocloud.New(gocloud.Options{}); !errors.As(err, &e) || e.Error() != "gocloud: New: Options.Open is missing" {
		t.Error(err)
	}
}

// newQueue returns a queue with options that are good.
func newQueue(o gocloud.Options) *gocloud.Queue {
	q, err := gocloud.New(o)
	if err != nil {
		panic(err)
	}
	return q
}
