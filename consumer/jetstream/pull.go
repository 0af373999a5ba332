// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
)

// maxBatch is the most messages that one Receive returns, and that may be
// asked for.
const maxBatch = 1024

// heartbeat is how often the server says that a pull waits. After two that
// did not come the pull is lost, with a server or a connection.
const heartbeat = time.Second

// heartbeatSlack is how much later one may come.
const heartbeatSlack = 300 * time.Millisecond

// pull is what the server has been asked to send. It stands from one Receive
// to the next: a message comes as soon as it is stored, and not when it has
// been asked for anew. Whoever has the source's turn owns it.
//
// It is written out here because the jetstream package's Fetch and Consume drop
// what arrives while they end: those messages would come back after their lease
// only.
type pull struct {
	sub   *nats.Subscription
	msgs  chan *nats.Msg   // has room for all that is asked for and what the server says about it
	conns chan nats.Status // tells of another connection
	asked int              // messages that have not come; the server may know of fewer
}

// pullRequest asks for the next Batch messages, until it Expires.
type pullRequest struct {
	Batch     int           `json:"batch"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// Receive returns what has come of the pull, which it asks to go on.
func (s *source) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if s.closed {
		return nil, fmt.Errorf("jetstream: %w", consumer.ErrClosed)
	}
	if err := s.order.broken(); err != nil {
		return nil, err
	}
	ms, err := s.collect(ctx, min(most, maxBatch))
	if err == nil {
		return ms, nil
	}
	if errors.Is(err, consumer.ErrClosed) && s.order.broken() == nil { // where a delivery is lost the consumer has somebody who leads it
		time.AfterFunc(lastAnswerWithin, s.endCalls)
	}
	more, moreErr := s.abandon()
	if ms = append(ms, more...); len(ms) > 0 {
		return ms, nil // what is wrong the next call will find, too
	}
	return nil, errors.Join(err, moreErr)
}

// Drain ends the pull. It is for [consumer.Streamer].
func (s *source) Drain(ctx context.Context) ([]*consumer.Message, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.abandon()
}

// collect returns at least one message.
func (s *source) collect(ctx context.Context, most int) (ms []*consumer.Message, err error) {
	if err := s.ask(most); err != nil {
		return nil, err
	}
	for len(ms) < most {
		var m *nats.Msg
		select {
		case m = <-s.pull.msgs:
		default:
			if len(ms) > 0 {
				return ms, nil
			}
			if m, err = s.await(ctx); err != nil {
				return ms, err
			}
		}
		switch {
		case m == nil: // by another pull: the server may know of this one after all, and would send what both have asked for
			if ms, err = s.abandon(); err != nil || len(ms) > 0 {
				return ms, err
			}
			if err = s.order.broken(); err == nil {
				err = s.ask(most)
			}
		case isStatus(m):
			if err = s.status(ctx, m); err == nil {
				err = s.ask(most)
			}
		default:
			s.pull.asked--
			s.somethingHasCome()
			var c *consumer.Message
			if c, err = s.inOrder(m); err == nil {
				ms = append(ms, c)
			}
		}
		if err != nil {
			return ms, err
		}
	}
	return ms, nil
}

// ask has the server send up to most messages, if it has less than half of
// that left to send.
func (s *source) ask(most int) error {
	if s.pull == nil {
		p := &pull{msgs: make(chan *nats.Msg, maxBatch+256)}
		var err error
		if p.sub, err = s.q.nc.ChanSubscribe(s.q.nc.NewInbox(), p.msgs); err != nil {
			return s.failed(err)
		}
		p.conns = s.q.nc.StatusChanged(nats.CONNECTED)
		select {
		case <-s.doubt: // that was about a pull before this one
		default:
		}
		s.pull = p
	}
	if s.pull.asked > most/2 {
		return nil
	}
	n := most - s.pull.asked
	body, err := json.Marshal(pullRequest{Batch: n, Expires: s.q.o.Wait, Heartbeat: s.heartbeat()})
	if err == nil {
		err = s.q.nc.PublishRequest(s.next, s.pull.sub.Subject, body)
	}
	if err != nil {
		return s.failed(err)
	}
	s.pull.asked += n
	return nil
}

func (s *source) heartbeat() time.Duration { return min(heartbeat, s.q.o.Wait/3) }

// await waits for what the server sends next. It returns nothing when the server seems to have forgotten what it was asked for.
func (s *source) await(ctx context.Context) (*nats.Msg, error) {
	wait := 2*s.heartbeat() + time.Second
	silence := time.NewTimer(wait)
	defer silence.Stop()
	for again := false; ; {
		select {
		case m := <-s.pull.msgs:
			return m, nil
		case <-s.pull.conns: // by which the pull goes on if the server has not missed the one before; then the next heartbeat comes
			again, wait = true, s.heartbeat()+heartbeatSlack
			silence.Reset(wait)
		case <-s.doubt:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-silence.C:
			err := s.nothingComes(wait, silentWithin, "the server is silent")
			if again && !errors.Is(err, consumer.ErrClosed) {
				err = nil
			}
			return nil, err
		}
	}
}

// isStatus tells what the server says from messages, which any producer may
// have given a header "Status": only messages can be acked.
func isStatus(m *nats.Msg) bool { return !strings.HasPrefix(m.Reply, "$JS.ACK.") }

// status reads what the server says about the pull.
func (s *source) status(ctx context.Context, m *nats.Msg) error {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch code {
	case "100": // a heartbeat
		s.somethingHasCome()
		return s.order.heartbeat(m)
	case "408": // a request is over; as many messages will not come
		rest, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		if err != nil {
			rest = s.pull.asked
		}
		s.pull.asked = max(s.pull.asked-rest, 0)
		return nil
	case "503": // nobody there: no leader at the moment, or no consumer
		return s.nobodyThere(ctx)
	}
	if code == "409" && strings.Contains(strings.ToLower(text), "consumer deleted") {
		return fmt.Errorf("jetstream: %w: %s", consumer.ErrClosed, text)
	}
	return fmt.Errorf("jetstream: the server ends the pull: %s %s", code, text)
}

// For how long a consumer of a part may have nobody who leads it, as far as its source can tell, until that ends.
const (
	// unledWithin is for one that nobody takes pulls for. A server that is told to end, and lets another lead, takes less.
	unledWithin = 2 * time.Second
	// silentWithin is for one whose heartbeats do not come: twice as long as a source waits for them.
	silentWithin = 6 * time.Second
	// newWithin is for one of which nothing has come yet. Servers that are busy take a while until all know where it is, and another one would
	// be more work for them.
	newWithin = 10 * time.Second
)

// nothingComes is the error of a pull that has failed after a wait, because of why. It ends the source of a part if that has been so for as long as
// within: the next one has a consumer of its own, with somebody who leads it long before the servers have elected one for this consumer.
// Without a connection it says nothing of the consumer.
func (s *source) nothingComes(wait, within time.Duration, why string) error {
	switch {
	case s.order == nil:
	case !s.q.nc.IsConnected(): // nor would anything from somebody who leads it
		s.unledSince = time.Time{}
	default:
		if s.unledSince.IsZero() {
			s.unledSince = time.Now().Add(-wait)
		}
		if !s.hasCome {
			within = newWithin
		}
		if time.Since(s.unledSince) >= within {
			return fmt.Errorf("jetstream: %w: %s", consumer.ErrClosed, why)
		}
	}
	return fmt.Errorf("jetstream: %s", why)
}

// somethingHasCome: the consumer has somebody who leads it.
func (s *source) somethingHasCome() { s.hasCome, s.unledSince = true, time.Time{} }

// nobodyThere is why nobody has taken a pull.
func (s *source) nobodyThere(ctx context.Context) error {
	if s.order == nil {
		err := callWithin(ctx, quickTry, func(ctx context.Context) error { // who leads the servers knows if there is one
			_, err := s.c.Info(ctx)
			return err
		})
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("jetstream: %w: %w", consumer.ErrClosed, err)
		}
	}
	return s.nothingComes(0, unledWithin, "no responders")
}

// abandonWithin bounds the round trip that ends a pull.
const abandonWithin = 2 * time.Second

// abandon ends the pull, which the server may still answer, and returns what
// has arrived: once the server has confirmed that nobody listens any more,
// nothing is on its way.
func (s *source) abandon() (ms []*consumer.Message, err error) {
	p := s.pull
	if p == nil {
		return nil, nil
	}
	s.pull = nil
	s.q.nc.RemoveStatusListener(p.conns)
	ctx, cancel := context.WithTimeout(context.Background(), abandonWithin)
	defer cancel()
	if err = p.sub.Drain(); err == nil {
		err = s.q.nc.FlushWithContext(ctx)
	}
	if err != nil {
		_ = p.sub.Unsubscribe() // else the client's next connection has it, too
	}
	for {
		select {
		case m := <-p.msgs:
			if isStatus(m) {
				continue
			}
			if c, err := s.inOrder(m); err == nil {
				ms = append(ms, c)
			}
		default:
			return ms, s.failed(err)
		}
	}
}
