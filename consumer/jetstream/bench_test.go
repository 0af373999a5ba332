// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// BenchmarkConsume takes messages of 200 bytes from a queue of an embedded
// server, does nothing with them and acks them: by a bare loop over nats.go's
// own consumer, as its documentation has it, and by a consumer's worker. What
// they reach per second is comparable within one run.
func BenchmarkConsume(b *testing.B) {
	b.Run("nats.go", func(b *testing.B) { benchmarkConsume(b, bareLoop) })
	b.Run("consumer", func(b *testing.B) { benchmarkConsume(b, worker(consumer.Options{Prefetch: 500})) })
	b.Run("consumer-defaults", func(b *testing.B) { benchmarkConsume(b, worker(consumer.Options{})) })
}

// BenchmarkSend puts messages of 200 bytes into the queue of an embedded server: one
// at a time, 1,000 in one call, one at a time from 16 goroutines, and without a wait
// for the one before.
func BenchmarkSend(b *testing.B) {
	body := fmt.Appendf(nil, "%0200d", 1)
	send := func(b *testing.B, q *jetstream.Queue, ms ...consumer.Message) {
		if err := q.Send(b.Context(), ms...); err != nil {
			b.Error(err)
		}
	}
	ways := map[string]func(b *testing.B, q *jetstream.Queue){
		"one": func(b *testing.B, q *jetstream.Queue) {
			for range b.N {
				send(b, q, consumer.Message{Body: body})
			}
		},
		"together": func(b *testing.B, q *jetstream.Queue) {
			ms := make([]consumer.Message, 1000)
			for i := range ms {
				ms[i].Body = body
			}
			for left := b.N; left > 0; left -= len(ms) {
				send(b, q, ms[:min(left, len(ms))]...)
			}
		},
		"16": func(b *testing.B, q *jetstream.Queue) {
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					for n := i; n < b.N; n += 16 {
						send(b, q, consumer.Message{Body: body})
					}
				})
			}
			wg.Wait()
		},
		"async": func(b *testing.B, q *jetstream.Queue) {
			room := make(chan struct{}, 1000)
			for range b.N {
				room <- struct{}{}
				q.SendAsync(consumer.Message{Body: body}, func(err error) {
					if err != nil {
						b.Error(err)
					}
					<-room
				})
			}
			for range cap(room) {
				room <- struct{}{}
			}
		},
	}
	for _, name := range []string{"one", "together", "16", "async"} {
		b.Run(name, func(b *testing.B) {
			q, err := jetstream.New(connectEmbedded(b, b.TempDir()), jetstream.Options{Name: "ITEMS"})
			if err != nil {
				b.Fatal(err)
			}
			if err := q.Ensure(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			ways[name](b, q)
		})
	}
}

// consumeFunc handles and acks n messages.
type consumeFunc func(b *testing.B, nc *nats.Conn, q *jetstream.Queue, n int)

func benchmarkConsume(b *testing.B, consume consumeFunc) {
	nc := connectEmbedded(b, b.TempDir())
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		b.Fatal(err)
	}
	if err := q.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	ms := make([]consumer.Message, b.N)
	for i := range ms {
		ms[i].Body = fmt.Appendf(nil, `{"id": %d, "text": "%0180d"}`, i, i)
	}
	if err := q.Send(b.Context(), ms...); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	consume(b, nc, q, b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// bareLoop is nats.go's Consume with a handler that acks.
func bareLoop(b *testing.B, nc *nats.Conn, _ *jetstream.Queue, n int) {
	js, err := natsjs.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	c, err := js.Consumer(b.Context(), "ITEMS", "consumer")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	handled := 0
	cc, err := c.Consume(func(m natsjs.Msg) {
		if err := m.Ack(); err != nil {
			b.Error(err)
		}
		if handled++; handled == n {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	<-done
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	cc.Stop()
	<-cc.Closed()
	empty(b, js)
}

// worker is a consumer. With a Prefetch of 500 it has as much in flight as the
// bare loop has in its buffer.
func worker(o consumer.Options) consumeFunc {
	return func(b *testing.B, nc *nats.Conn, q *jetstream.Queue, n int) { runWorker(b, nc, q, n, o) }
}

func runWorker(b *testing.B, nc *nats.Conn, q *jetstream.Queue, n int, o consumer.Options) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	defer sys.Shutdown()
	var handled atomic.Int64
	acked := &acked{done: make(chan struct{})}
	acked.left.Store(int64(n))
	open := func(ctx context.Context) (consumer.Source, error) {
		src, err := q.Open(ctx)
		return ackedSource{src, acked}, err
	}
	c, err := consumer.New(open, func(*actors.Task, consumer.Message) error { handled.Add(1); return nil }, o)
	if err != nil {
		b.Fatal(err)
	}
	pid, err := actors.Spawn(b.Context(), sys.Root, "consumer", c.Setup, actors.Options{})
	if err != nil {
		b.Fatal(err)
	}
	<-acked.done
	b.StopTimer()
	if _, err := actors.Stop(context.Background(), sys.Root, pid, time.Second); err != nil {
		b.Fatal(err)
	}
	if got := handled.Load(); got != int64(n) {
		b.Errorf("handled %d messages of %d", got, n)
	}
	js, err := natsjs.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	empty(b, js)
}

// acked tells when a number of messages has been acked.
type acked struct {
	left atomic.Int64
	done chan struct{}
}

// ackedSource counts what it acks.
type ackedSource struct {
	consumer.Source
	acked *acked
}

func (s ackedSource) Ack(ctx context.Context, ms []*consumer.Message) error {
	err := s.Source.Ack(ctx, ms)
	if err == nil && s.acked.left.Add(-int64(len(ms))) == 0 {
		close(s.acked.done)
	}
	return err
}

// empty fails unless all was acked.
func empty(b *testing.B, js natsjs.JetStream) {
	b.Helper()
	actortest.Eventually(b, "an empty queue", func() bool {
		s, err := js.Stream(b.Context(), "ITEMS")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}
