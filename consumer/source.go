// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Open opens a source. It is called in every incarnation of a worker, and may
// block until ctx ends.
type Open func(ctx context.Context) (Source, error)

// Source is a queue as one incarnation of a consumer sees it. Its methods may
// block until their ctx ends; the consumer makes each call of Receive on a goroutine
// of its own, and the others, which should not take long, through
// [actors.Offload]: several at a time, but Close last and alone.
//
// Ack, Nack, Extend and DeadLetter return nil, a [*BatchError] about some of
// the messages, or any other error about all of them. A message whose error
// is [ErrGone] is given up; the others are tried again.
type Source interface {
	// Receive returns from 1 to most messages as soon as there are any (a long
	// poll). None, without an error, is the answer when there were none for as
	// long as the source cares to wait. When ctx ends it returns at once, with
	// the messages that it has taken from the queue by then, if any: the
	// consumer gives them back.
	//
	// An error is taken for an outage: the consumer waits and calls again. One
	// that is [ErrClosed] fails the worker, so that its supervisor has the
	// source opened again.
	Receive(ctx context.Context, most int) ([]*Message, error)
	// Ack removes messages from the queue: they have been handled.
	Ack(ctx context.Context, ms []*Message) error
	// Nack gives messages back, each to be delivered again after its delay. A
	// queue with a longest delay uses that.
	Nack(ctx context.Context, ns []Nack) error
	// Extend lets messages with a Lease stay hidden for another Lease from now
	// on. A source without such a call sets no Lease.
	Extend(ctx context.Context, ms []*Message) error
	// Close lets go of the source, not of the queue. What was received and
	// neither acked nor nacked comes back by itself.
	Close(ctx context.Context) error
}

// DeadLetterer is a Source with a place for messages that are given up. Its
// DeadLetter puts them there, each with its reason, and removes them from the
// queue, in this order. If no place was configured, or for a message that does
// not fit there, the error is [errors.ErrUnsupported]: it then stays in the queue
// and comes back after the longest delay, so that a queue's own redrive policy
// can work.
type DeadLetterer interface {
	Source
	DeadLetter(ctx context.Context, ds []Dead) error
}

// Streamer is a Source that goes on to take messages from the queue, as many as
// its Receive was asked for and has not returned: those are the first that the
// next call returns. That call comes as soon as there is room for one, and not
// only when there is room for many, as with other sources, whose calls cost
// more: what has been taken has a lease.
//
// Drain ends that, and returns what has been taken and not received; a Receive
// after it begins anew. The consumer calls it at its end and when its breaker
// opens, when no Receive is under way and before it gives messages back: they are
// not to come into the stream again, where nobody would handle them, and each time
// counts as a delivery.
type Streamer interface {
	Source
	Drain(ctx context.Context) ([]*Message, error)
}

// Message is one delivery of a message. It belongs to the consumer and its
// source; a handler has a copy, and must not change what that points to.
type Message struct {
	// ID is the queue's own name of the message, the same in each delivery.
	ID string
	// Key is the idempotency key: the producer's if it has set one, else ID.
	// What a handler does twice for one Key should have one effect.
	Key string
	// Group is the producer's group of messages that belong in order, or
	// empty; see [ByGroup].
	Group string
	// Body is what the producer has sent.
	Body []byte
	// Attributes are what it has sent beside that. May be nil.
	Attributes map[string]string
	// Deliveries is how often the message has been delivered, with this time;
	// 0 if the queue does not tell.
	Deliveries int
	// SentAt is when the queue got it; zero if it does not tell.
	SentAt time.Time
	// ReceivedAt is when the source got it.
	ReceivedAt time.Time
	// Lease is for how long the queue hides the message from others unless
	// that is extended; 0: it need not be.
	Lease time.Duration
	// Ref is the source's own, such as a receipt handle.
	Ref any
}

// Nack is a message that is to be delivered again.
type Nack struct {
	Message *Message
	Delay   time.Duration // 0: at once
}

// Dead is a message that is given up.
type Dead struct {
	Message *Message
	Reason  error
	Tries   int // how often it was tried
}

// Names of the attributes that sources add to a dead letter. Where a queue
// restricts such names, its package says what it has instead.
const (
	AttrReason = "Dead-Letter-Reason"
	AttrTries  = "Dead-Letter-Tries"
	AttrID     = "Dead-Letter-Message-Id"
	AttrKey    = "Dead-Letter-Key"
	AttrGroup  = "Dead-Letter-Group"
	AttrSentAt = "Dead-Letter-Sent-At" // RFC 3339
)

// maxReason is how many bytes of a reason go with a dead letter.
const maxReason = 1024

// DeadAttributes are the attributes of d's message and those that say why it
// is dead. A reason is cut to 1 KiB of printable text.
func DeadAttributes(d Dead) map[string]string {
	all := make(map[string]string, len(d.Message.Attributes)+6)
	for k, v := range d.Message.Attributes {
		all[k] = v
	}
	all[AttrReason] = Printable(d.Reason.Error(), maxReason)
	all[AttrTries] = fmt.Sprint(d.Tries)
	all[AttrID] = d.Message.ID
	all[AttrKey] = d.Message.Key
	if d.Message.Group != "" {
		all[AttrGroup] = d.Message.Group
	}
	if !d.Message.SentAt.IsZero() {
		all[AttrSentAt] = d.Message.SentAt.UTC().Format(time.RFC3339Nano)
	}
	return all
}

var (
	// ErrGone: the message is no longer this consumer's: its lease is over, or
	// somebody has deleted it.
	ErrGone = errors.New("consumer: the message is no longer ours")
	// ErrClosed: this source will not work again; another one may.
	ErrClosed = errors.New("consumer: the source is closed")
)

// BatchError says which messages of a batch a call has failed for. It has
// succeeded for the others.
type BatchError struct {
	Errs map[int]error // by index in the batch
}

// Fail notes that the call has failed for the message of that index.
func (e *BatchError) Fail(index int, err error) {
	if e.Errs == nil {
		e.Errs = map[int]error{}
	}
	e.Errs[index] = err
}

// Err is e if there is an error in it, and nil otherwise.
func (e *BatchError) Err() error {
	if len(e.Errs) == 0 {
		return nil
	}
	return e
}

// Error tells how many have failed, and why the first of them.
func (e *BatchError) Error() string {
	first := -1
	for i := range e.Errs {
		if first < 0 || i < first {
			first = i
		}
	}
	if first < 0 {
		return "consumer: no message of a batch has failed"
	}
	return fmt.Sprintf("consumer: %d messages of a batch have failed, the first: %v", len(e.Errs), e.Errs[first])
}

// Unwrap is all of the errors, in the order of the batch.
func (e *BatchError) Unwrap() []error {
	indexes := make([]int, 0, len(e.Errs))
	for i := range e.Errs {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	errs := make([]error, 0, len(indexes))
	for _, i := range indexes {
		errs = append(errs, e.Errs[i])
	}
	return errs
}

// errorOf is the error of one message of the batch, given the call's.
func errorOf(err error, index int) error {
	if b, ok := err.(*BatchError); ok {
		return b.Errs[index]
	}
	return err
}
