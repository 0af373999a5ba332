// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/internal/natsrefusal"
)

// Publisher publishes messages to streams, from anywhere: Publish never blocks,
// and tells by a call when a message is stored. Messages are on their way while
// others wait to be confirmed, as with the jetstream package's PublishMsgAsync,
// but without a timer and two channels for each. A [Queue] sends by one, too.
type Publisher struct {
	nc    *nats.Conn
	inbox string // and a number: where a message is confirmed
	sub   *nats.Subscription
	conns chan nats.Status // what becomes of the connection
	room  chan struct{}    // has one for each that is open, or about to be
	ended chan struct{}    // closed by Close

	mu      sync.Mutex
	last    uint64                  // number that was given out
	open    map[uint64]*publication // by number: not confirmed, nor given up
	queue   []*publication          // of those, not sent yet
	sending bool                    // a goroutine is at it
	timer   *time.Timer             // gives up; runs while there are open ones
	closed  bool
}

// publication is a message that is not confirmed. Its number is the last part of the subject where it will be, and no other
// message's ever after: a server that begins to lead the stream confirms once more what the one before it has confirmed last.
type publication struct {
	number  uint64
	msg     *nats.Msg
	began   time.Time
	order   uint64 // in which they came: its first number
	conn    uint32 // the connection that it has gone by: see Publisher.connection
	retries uint8  // see noStreamRetries
	sent    bool   // or is being sent
	again   bool   // it was sent by a connection before
	done    func(seq uint64, err error)
}

const (
	publishWithin = 10 * time.Second       // then a message is given up
	lookEvery     = 500 * time.Millisecond // for those, and for what the server has refused
	maxOpen       = 10_000                 // messages at a time
	maxOpenOfCall = 500                    // of one publishAll: others have room beside it, and a slow disk writes so many in time

	// A server that is electing a leader answers as one without a stream.
	noStreamRetries = 2
	noStreamWait    = 250 * time.Millisecond
)

// What ends a publication is also the error that nats.go has for it.
var (
	errTooMany     = fmt.Errorf("too many messages wait to be stored: %w", jetstream.ErrTooManyStalledMsgs)
	errLost        = fmt.Errorf("the connection was lost before the message was confirmed, and it has no Key to be sent again with: it may be stored: %w", nats.ErrDisconnected)
	errUnconfirmed = fmt.Errorf("not confirmed within %v: %w", publishWithin, jetstream.ErrAsyncPublishTimeout)
	errNoStream    = fmt.Errorf("no stream takes the message: %w", jetstream.ErrNoStreamResponse)
)

// NewPublisher returns a publisher on a connection, which stays the caller's.
func NewPublisher(nc *nats.Conn) (*Publisher, error) {
	p := newPublisher(nc, nc.NewInbox()+".")
	p.conns = nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED, nats.CLOSED)
	var err error
	if p.sub, err = nc.Subscribe(p.inbox+"*", p.confirmed); err != nil {
		nc.RemoveStatusListener(p.conns)
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	go p.watchConnection()
	return p, nil
}

func newPublisher(nc *nats.Conn, inbox string) *Publisher {
	return &Publisher{
		nc: nc, inbox: inbox, open: map[uint64]*publication{},
		room: make(chan struct{}, maxOpen), ended: make(chan struct{}),
	}
}

// Publish publishes m, whose Reply is the publisher's. done is told the
// sequence number in the stream when m is stored, or why it may not be: the
// server has refused it, with a [*jetstream.APIError], or does not let the client publish
// to its subject ([nats.ErrPermissionViolation]), or has not confirmed it
// within ten seconds ([jetstream.ErrAsyncPublishTimeout]), or 10,000 others wait
// already ([jetstream.ErrTooManyStalledMsgs]). It is called once, in the order in
// which the server confirms, on a goroutine that it must not hold up.
//
// If the connection is lost before m is confirmed, m may be stored. With a Nats-Msg-Id
// header, by which the server drops doubles, it is sent again when there is a
// connection. Without one done is told a [nats.ErrDisconnected].
func (p *Publisher) Publish(m *nats.Msg, done func(seq uint64, err error)) {
	p.publish(m, func(seq uint64, err error) {
		if err != nil {
			err = fmt.Errorf("jetstream: %w", err)
		}
		done(seq, err)
	})
}

// publish is Publish with errors that do not say whose they are.
func (p *Publisher) publish(m *nats.Msg, done func(seq uint64, err error)) {
	select {
	case p.room <- struct{}{}:
		p.enqueue(m, done)
	default:
		done(0, errTooMany)
	}
}

// publishAll publishes messages, of which some may be nil, waits until they are
// stored, and returns the error of each that may not be. Where publish refuses a
// message for lack of room, it waits for room.
func (p *Publisher) publishAll(ctx context.Context, msgs []*nats.Msg) map[int]error {
	type outcome struct {
		index int
		err   error
	}
	var (
		errs   = map[int]error{}
		waits  = make([]bool, len(msgs))                                   // for its outcome
		told   = make(chan outcome, max(min(len(msgs), maxOpenOfCall), 1)) // has room for all that wait, so that nobody is held up
		open   = 0                                                         // that wait
		settle = func(o outcome) {
			open--
			waits[o.index] = false
			if o.err != nil {
				errs[o.index] = o.err
			}
		}
		fail = func(from int, err error) map[int]error {
			for i, m := range msgs {
				if waits[i] || i >= from && m != nil {
					errs[i] = err
				}
			}
			return errs
		}
	)
	for i, m := range msgs {
		if m == nil {
			continue
		}
		for full := true; full; {
			room := p.room
			if open == cap(told) {
				room = nil
			}
			select {
			case <-ctx.Done():
				return fail(i, context.Cause(ctx))
			case <-p.ended:
				return fail(i, nats.ErrConnectionClosed)
			case o := <-told:
				settle(o)
			case room <- struct{}{}:
				full = false
			}
		}
		open++
		waits[i] = true
		p.enqueue(m, func(_ uint64, err error) { told <- outcome{i, err} })
	}
	for open > 0 {
		select {
		case o := <-told:
			settle(o)
		case <-ctx.Done():
			return fail(len(msgs), context.Cause(ctx))
		}
	}
	return errs
}

// enqueue has a message sent for which there is room.
func (p *Publisher) enqueue(m *nats.Msg, done func(seq uint64, err error)) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.room
		done(0, nats.ErrConnectionClosed)
		return
	}
	defer p.mu.Unlock()
	p.last++
	one := &publication{number: p.last, order: p.last, msg: m, began: time.Now(), done: done}
	if len(p.open) == 0 {
		if p.timer == nil {
			p.timer = time.AfterFunc(lookEvery, p.giveUp)
		} else {
			p.timer.Reset(lookEvery)
		}
	}
	p.open[one.number] = one
	p.sendHeld(one)
}

// sendHeld has an open publication sent. With mu held.
func (p *Publisher) sendHeld(one *publication) {
	p.queue = append(p.queue, one)
	if !p.sending { // not here: a connection that takes nothing blocks
		p.sending = true
		go p.send()
	}
}

// closeHeld takes a publication from the open ones. With mu held.
func (p *Publisher) closeHeld(one *publication) {
	delete(p.open, one.number)
	<-p.room
}

// send sends until nothing is left to be sent.
func (p *Publisher) send() {
	var batch []*publication
	for {
		p.mu.Lock()
		clear(batch)
		batch, p.queue = p.queue, batch[:0]
		p.sending = len(batch) > 0
		p.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		p.markSent(batch)
		for _, one := range batch {
			switch err := p.nc.PublishMsg(one.msg); {
			case err == nil:
			case one.again && errors.Is(err, nats.ErrReconnectBufExceeded): // lost again
				p.mu.Lock()
				one.conn = 0
				p.mu.Unlock()
				p.afterLoss() // there may be a connection by now
			case p.failed(one):
				one.done(0, err)
			}
		}
	}
}

func (p *Publisher) subjectOf(one *publication) string {
	return p.inbox + strconv.FormatUint(one.number, 36)
}

// failed takes a publication that could not be sent from the open ones. false:
// it is none any more.
func (p *Publisher) failed(one *publication) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[one.number] != one {
		return false
	}
	p.closeHeld(one)
	return true
}

// confirmed is what the server says about a message.
func (p *Publisher) confirmed(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, p.inbox), 36, 64)
	if err != nil {
		return // not from the server
	}
	seq, err := sequence(m)
	if one := p.take(number, errors.Is(err, errNoStream) || beingStored(err)); one != nil {
		one.done(seq, err)
	}
}

// take returns an open publication that is confirmed, once. One that no stream has
// taken is tried again before.
func (p *Publisher) take(number uint64, noStream bool) *publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.open[number]
	switch {
	case one == nil:
		return nil
	case noStream && (one.again || one.retries < noStreamRetries): // one that was sent before may be stored, which only the stream knows
		one.retries++
		time.AfterFunc(noStreamWait, func() { p.sendAgain(one) })
		return nil
	}
	p.closeHeld(one)
	return one
}

// sendAgain sends a publication once more, unless that is over.
func (p *Publisher) sendAgain(one *publication) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[one.number] == one {
		p.sendHeld(one)
	}
}

// giveUp ends the wait for confirmations that are overdue, and for those that nobody sends: what the server does not let the
// client publish it tells the connection alone.
func (p *Publisher) giveUp() {
	var late, refused []*publication
	var forbidden string // subject
	err := p.nc.LastError()
	if errors.Is(err, nats.ErrPermissionViolation) {
		forbidden = natsrefusal.Subject(err)
	}
	p.mu.Lock()
	for _, one := range p.open {
		switch waits := time.Since(one.began); {
		case waits >= publishWithin:
			late = append(late, one)
		case waits >= lookEvery && one.msg.Subject == forbidden:
			refused = append(refused, one)
		default:
			continue
		}
		p.closeHeld(one)
	}
	if len(p.open) > 0 {
		p.timer.Reset(lookEvery)
	}
	p.mu.Unlock()
	for _, one := range late {
		one.done(0, errUnconfirmed)
	}
	for _, one := range refused {
		one.done(0, fmt.Errorf("the server has no stream for %s, or this client may not publish to it; hubs have those of -queues, and of -partitions: %w", forbidden, err))
	}
}

// Close ends the publisher. What is not confirmed may have been stored.
func (p *Publisher) Close() {
	_ = p.sub.Unsubscribe() // of a connection that may be closed
	p.nc.RemoveStatusListener(p.conns)
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.ended)
	}
	p.mu.Unlock()
	p.endAll()
}
