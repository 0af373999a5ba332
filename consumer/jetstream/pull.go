package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
)

// maxBatch is the most messages of one pull.
const maxBatch = 1024

// heartbeat is how often the server says that a pull waits. After two that
// did not come the pull is lost, with a server or a connection.
const heartbeat = time.Second

// puller is an inbox for pulls, one at a time.
//
// The pull is written out here because the jetstream package's Fetch drops
// what arrives while its context ends: those messages would come back after
// AckWait only.
type puller struct {
	sub  *nats.Subscription
	msgs chan *nats.Msg // has room for a whole batch and what the server says about it
}

// pullRequest asks for up to Batch messages: for those that are there, and if
// there are none, for the next one until it Expires.
type pullRequest struct {
	Batch     int           `json:"batch"`
	NoWait    bool          `json:"no_wait"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

func (s *source) puller() (*puller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("jetstream: %w", consumer.ErrClosed)
	}
	if n := len(s.idle); n > 0 {
		p := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return p, nil
	}
	p := &puller{msgs: make(chan *nats.Msg, maxBatch+64)}
	var err error
	p.sub, err = s.q.nc.ChanSubscribe(s.q.nc.NewInbox(), p.msgs)
	return p, s.failed(err)
}

// release keeps a puller whose pull has ended for the next one.
func (s *source) release(p *puller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = p.sub.Unsubscribe() // of a connection that may be closed
		return
	}
	s.idle = append(s.idle, p)
}

// Receive pulls messages.
func (s *source) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	p, err := s.puller()
	if err != nil {
		return nil, err
	}
	request := pullRequest{Batch: min(most, maxBatch), NoWait: true, Expires: s.q.o.Wait, Heartbeat: min(heartbeat, s.q.o.Wait/3)}
	body, err := json.Marshal(request)
	if err == nil {
		err = s.q.nc.PublishRequest(s.next, p.sub.Subject, body)
	}
	if err != nil {
		s.release(p)
		return nil, s.failed(err)
	}
	ms, over, err := s.collect(ctx, p, request)
	if over {
		s.release(p)
		return ms, err
	}
	more, moreErr := s.abandon(p)
	if ms = append(ms, more...); len(ms) > 0 {
		return ms, nil
	}
	return nil, errors.Join(err, moreErr)
}

// collect takes what a pull yields. over: the server says that it has ended.
func (s *source) collect(ctx context.Context, p *puller, r pullRequest) (ms []*consumer.Message, over bool, err error) {
	silence := time.NewTimer(2*r.Heartbeat + time.Second)
	defer silence.Stop()
	for len(ms) < r.Batch {
		var m *nats.Msg
		select {
		case m = <-p.msgs:
		default:
			silence.Reset(2*r.Heartbeat + time.Second)
			select {
			case m = <-p.msgs:
			case <-ctx.Done():
				return ms, false, context.Cause(ctx)
			case <-silence.C:
				return ms, false, errors.New("jetstream: the server is silent")
			}
		}
		if over, err = s.status(ctx, m); over {
			if len(ms) > 0 {
				err = nil // the next pull will say so again
			}
			return ms, true, err
		}
		if isStatus(m) {
			continue
		}
		c, err := s.convert(m, time.Now())
		if err != nil {
			return ms, false, err
		}
		ms = append(ms, c)
	}
	return ms, true, nil
}

// isStatus tells what the server says from messages, which any producer may
// have given a header "Status": only messages can be acked.
func isStatus(m *nats.Msg) bool { return !strings.HasPrefix(m.Reply, "$JS.ACK.") }

// status reads what the server says about a pull.
func (s *source) status(ctx context.Context, m *nats.Msg) (over bool, err error) {
	if !isStatus(m) {
		return false, nil
	}
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch code {
	case "100": // a heartbeat
		return false, nil
	case "404", "408": // there is nothing more
		return true, nil
	case "503": // nobody there: no leader at the moment, or no consumer
		_, err := s.c.Info(ctx)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return true, fmt.Errorf("jetstream: %w: %w", consumer.ErrClosed, err)
		}
		return true, errors.New("jetstream: no responders")
	}
	if code == "409" && strings.Contains(strings.ToLower(text), "consumer deleted") {
		return true, fmt.Errorf("jetstream: %w: %s", consumer.ErrClosed, text)
	}
	return true, fmt.Errorf("jetstream: the server ends the pull: %s %s", code, text)
}

// abandonWithin bounds the round trip that ends a pull.
const abandonWithin = 2 * time.Second

// abandon ends a pull that the server may still answer, and returns what has
// arrived: once the server has confirmed that nobody listens any more,
// nothing is on its way.
func (s *source) abandon(p *puller) ([]*consumer.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), abandonWithin)
	defer cancel()
	err := p.sub.Drain()
	if err == nil {
		err = s.q.nc.FlushWithContext(ctx)
	}
	var ms []*consumer.Message
	for {
		select {
		case m := <-p.msgs:
			if isStatus(m) {
				continue
			}
			if c, err := s.convert(m, time.Now()); err == nil {
				ms = append(ms, c)
			}
		default:
			return ms, s.failed(err)
		}
	}
}
