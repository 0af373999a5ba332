// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Publisher publishes messages to streams, from anywhere: Publish never blocks,
// and tells by a call when a message is stored. Messages are on their way while
// others wait to be confirmed, as with the jetstream package's PublishMsgAsync,
// but without a timer and two channels for each.
type Publisher struct {
	nc    *nats.Conn
	inbox string // and a number: where a message is confirmed
	sub   *nats.Subscription

	mu      sync.Mutex
	last    uint64
	free    []place                 // of what is confirmed
	open    map[uint64]*publication // by number: not confirmed, nor given up
	queue   []*publication          // of those, not sent yet
	sending bool                    // a goroutine is at it
	timer   *time.Timer             // gives up; runs while there are open ones
	closed  bool
}

// publication is a message that is not confirmed.
type publication struct {
	place
	msg   *nats.Msg
	began time.Time
	done  func(seq uint64, err error)
}

// place is where a message is confirmed. It is used again, once that has
// happened: the server remembers of a subject whom it goes to, and would have to
// find out for each message, and to forget another one, if each had its own. The
// place of one that is given up is not: it may be confirmed yet.
type place struct {
	number  uint64
	subject string
}

const (
	publishWithin = 10 * time.Second // then a message is given up
	maxOpen       = 10_000           // messages at a time
)

var (
	errTooMany     = errors.New("jetstream: too many messages wait to be stored")
	errUnconfirmed = fmt.Errorf("jetstream: not confirmed within %v", publishWithin)
)

// NewPublisher returns a publisher on a connection, which stays the caller's.
func NewPublisher(nc *nats.Conn) (*Publisher, error) {
	p := &Publisher{nc: nc, inbox: nc.NewInbox() + ".", open: map[uint64]*publication{}}
	var err error
	if p.sub, err = nc.Subscribe(p.inbox+"*", p.confirmed); err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return p, nil
}

// Publish publishes m, whose Reply is the publisher's. done is told the
// sequence number in the stream when m is stored, or why it may not be: the
// server has refused it, with a [*jetstream.APIError], or has not confirmed it
// within ten seconds. It is called once, in the order in which the server
// confirms, on a goroutine that it must not hold up.
func (p *Publisher) Publish(m *nats.Msg, done func(seq uint64, err error)) {
	if err := p.enqueue(m, done); err != nil {
		done(0, err)
	}
}

func (p *Publisher) enqueue(m *nats.Msg, done func(seq uint64, err error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nats.ErrConnectionClosed
	case len(p.open) >= maxOpen:
		return errTooMany
	}
	one := &publication{place: p.place(), msg: m, began: time.Now(), done: done}
	if len(p.open) == 0 {
		if p.timer == nil {
			p.timer = time.AfterFunc(publishWithin, p.giveUp)
		} else {
			p.timer.Reset(publishWithin)
		}
	}
	p.open[one.number] = one
	p.queue = append(p.queue, one)
	if !p.sending { // not here: a connection that takes nothing blocks
		p.sending = true
		go p.send()
	}
	return nil
}

// place returns one that is free. With mu held.
func (p *Publisher) place() place {
	if last := len(p.free) - 1; last >= 0 {
		at := p.free[last]
		p.free = p.free[:last]
		return at
	}
	p.last++
	return place{p.last, p.inbox + strconv.FormatUint(p.last, 36)}
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
		for _, one := range batch {
			one.msg.Reply = one.subject
			if err := p.nc.PublishMsg(one.msg); err != nil && p.failed(one) {
				one.done(0, fmt.Errorf("jetstream: %w", err))
			}
		}
	}
}

// failed takes a publication that could not be sent from the open ones. false:
// it is none any more.
func (p *Publisher) failed(one *publication) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[one.number] != one {
		return false
	}
	delete(p.open, one.number)
	return true
}

// take returns an open publication that is confirmed, once.
func (p *Publisher) take(number uint64) *publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.open[number]
	if one != nil {
		delete(p.open, number)
		p.free = append(p.free, one.place)
	}
	return one
}

// confirmed is what the server says about a message.
func (p *Publisher) confirmed(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, p.inbox), 36, 64)
	if err != nil {
		return // not from the server
	}
	if one := p.take(number); one != nil {
		one.done(sequence(m))
	}
}

// giveUp ends the wait for confirmations that are overdue.
func (p *Publisher) giveUp() {
	var late []*publication
	p.mu.Lock()
	for number, one := range p.open {
		if time.Since(one.began) >= publishWithin {
			late = append(late, one)
			delete(p.open, number)
		}
	}
	if len(p.open) > 0 {
		p.timer.Reset(time.Second)
	}
	p.mu.Unlock()
	for _, one := range late {
		one.done(0, errUnconfirmed)
	}
}

// Close ends the publisher. What is not confirmed may have been stored.
func (p *Publisher) Close() {
	_ = p.sub.Unsubscribe() // of a connection that may be closed
	p.mu.Lock()
	p.closed = true
	open := p.open
	p.open = map[uint64]*publication{}
	p.mu.Unlock()
	for _, one := range open {
		one.done(0, nats.ErrConnectionClosed)
	}
}
