// SPDX-License-Identifier: Apache-2.0

package consumertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/testtools"
)

// Queue is an empty queue under test.
type Queue struct {
	// Open opens a source.
	Open consumer.Open
	// Send puts messages into the queue; Body, Key, Group and Attributes count.
	Send func(ctx context.Context, ms ...consumer.Message) error
	// Lease is for how long the queue hides a message.
	Lease time.Duration
	// Dead returns the dead letters, in any order and as one who consumes them
	// receives them: Body, Key, Group and Attributes count. nil: there is no place
	// for them.
	Dead func(ctx context.Context) ([]consumer.Message, error)
	// Largest is how large a body the queue takes, in bytes. 0: no matter which.
	Largest int
	// Len is how many messages are in the queue, hidden ones included. nil: it
	// does not tell.
	Len func(ctx context.Context) (int, error)
	// Outage cuts the queue off, so that its calls fail, and returns what ends
	// that. The queue keeps its messages. nil: that cannot be tried.
	Outage func(t *testing.T) (restore func())

	NoExtend bool // it cannot extend a lease
	NoDelay  bool // it does not delay what is given back
	NoCount  bool // it does not count deliveries
	NoGroups bool // it knows no groups
	NoKeys   bool // a producer cannot set a key
	// OneSource: to open a source ends the one before.
	OneSource bool
	// CutPolls: a Receive whose context ends may take messages with it, which
	// come back when their lease is over.
	CutPolls  bool
	TextOnly  bool          // bodies are valid text
	NackAfter time.Duration // what is given back without a delay may take as long
	// AckGone: to ack what is not there is an error that is
	// consumer.ErrGone; otherwise it is none.
	AckGone bool
	// Attribute changes the name of a dead letter's attribute to what the
	// queue has for it. nil: it is the same.
	Attribute func(name string) string
}

// The leases that tests ask for: some have to wait for their end, and others must not see it, whatever the machine does.
const (
	shortLease = 3 * time.Second
	longLease  = time.Hour
)

// Run tries a queue. new makes an empty one for each test, which ends with the
// test's cleanups. It should have the lease; whichever it has is in Queue.Lease.
func Run(t *testing.T, new func(t *testing.T, lease time.Duration) Queue) {
	const (
		long  = iota
		short // its lease ends in it
		cut   // its lease ends in it if CutPolls
	)
	cases := []struct {
		name  string
		lease int
		f     func(s *suite)
	}{
		{"ReceiveWaits", long, receiveWaits},
		{"ReceiveEndsWithItsContext", cut, receiveEnds},
		{"Fields", long, fields},
		{"AnyBytes", long, anyBytes},
		{"Batch", long, batch},
		{"Ack", short, ack},
		{"AckTwice", long, ackTwice},
		{"Nack", long, nack},
		{"NackComesOnce", long, nackComesOnce},
		{"NackDelays", long, nackDelays},
		{"LeaseEnds", short, leaseEnds},
		{"LeaseIsExtended", short, leaseIsExtended},
		{"DeadLetter", long, deadLetter},
		{"DeadLetterSentBack", long, deadLetterSentBack},
		{"DeadLetterTooLarge", long, deadLetterTooLarge},
		{"Lag", long, lag},
		{"CloseKeepsNothing", cut, closeKeepsNothing},
		{"Closed", long, closed},
		{"Consume", long, consume},
		{"RestartsLoseNothing", short, restarts},
		{"BreakerSparesTries", short, breaker},
		{"StopGivesBack", cut, stopGivesBack},
		{"OutageLosesNothing", short, outage},
	}
	// They mostly wait, so they run together, whatever -parallel says.
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() {
			t.Run(c.name, func(t *testing.T) {
				lease := longLease
				if c.lease == short {
					lease = shortLease
				}
				q := new(t, lease)
				if c.lease == cut && q.CutPolls {
					q = new(t, shortLease)
				}
				c.f(&suite{T: t, q: q})
			})
		})
	}
	all.Wait()
}

// suite is one test.
type suite struct {
	*testing.T
	q Queue
}

// within bounds what is to happen, on a slow machine: it is only waited for when a test fails.
const within = time.Minute

// back is how long to wait for what comes back: because it was given back, or where leases end because its lease has.
func (s *suite) back() time.Duration {
	if s.q.Lease < longLease {
		return within + s.q.Lease + s.q.NackAfter
	}
	return within + s.q.NackAfter
}

func (s *suite) open() consumer.Source {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	src, err := s.q.Open(ctx)
	if err != nil {
		s.Fatalf("open: %v", err)
	}
	return src
}

// openTill opens a source that is closed at the end of the test.
func (s *suite) openTill() consumer.Source {
	s.Helper()
	src := s.open()
	s.Cleanup(func() { s.close(src) })
	return src
}

func (s *suite) close(src consumer.Source) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := src.Close(ctx); err != nil {
		s.Errorf("close: %v", err)
	}
}

func (s *suite) send(ms ...consumer.Message) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := s.q.Send(ctx, ms...); err != nil {
		s.Fatalf("send: %v", err)
	}
}

func body(s string) consumer.Message { return consumer.Message{Body: []byte(s)} }

// receive receives until there are n messages, or for d.
func (s *suite) receive(src consumer.Source, n int, d time.Duration) []*consumer.Message {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var all []*consumer.Message
	for len(all) < n && ctx.Err() == nil {
		ms, err := src.Receive(ctx, n-len(all))
		all = append(all, ms...)
		if err != nil && ctx.Err() == nil {
			s.Fatalf("receive: %v", err)
		}
	}
	return all
}

// one receives one message, soon.
func (s *suite) one(src consumer.Source) *consumer.Message {
	s.Helper()
	ms := s.receive(src, 1, s.back())
	if len(ms) != 1 {
		s.Fatalf("received %d messages, want 1", len(ms))
	}
	return ms[0]
}

// none fails if a message comes within d.
func (s *suite) none(src consumer.Source, d time.Duration) {
	s.Helper()
	for _, m := range s.receive(src, 1, d) {
		s.Errorf("received %q again", m.Body)
	}
}

// call calls f with a context that ends.
func (s *suite) call(what string, f func(ctx context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := f(ctx); err != nil {
		s.Errorf("%s: %v", what, err)
	}
}

func (s *suite) ack(src consumer.Source, ms ...*consumer.Message) {
	s.Helper()
	s.call("ack", func(ctx context.Context) error { return src.Ack(ctx, ms) })
}

func (s *suite) nack(src consumer.Source, d time.Duration, ms ...*consumer.Message) {
	s.Helper()
	ns := make([]consumer.Nack, len(ms))
	for i, m := range ms {
		ns[i] = consumer.Nack{Message: m, Delay: d}
	}
	s.call("nack", func(ctx context.Context) error { return src.Nack(ctx, ns) })
}

// empty waits until the queue is.
func (s *suite) empty() {
	s.Helper()
	if s.q.Len == nil {
		return
	}
	n, err := -1, error(nil)
	if !testtools.Poll(within, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		n, err = s.q.Len(ctx)
		return n == 0 && err == nil
	}) {
		s.Errorf("%d messages are left in the queue, %v", n, err)
	}
}
