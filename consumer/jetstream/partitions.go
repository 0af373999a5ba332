// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/ownership"
)

// Partitions is a queue in parts, each of which one process consumes at a time. The messages of a group are all in one
// part, so their order is kept over processes. Whoever takes a part over begins with all that nobody has acked, in order.
//
// Who consumes which part is not decided here. A grid.Kind whose Always is Parts has a worker for each:
//
//	grid.Kind{Name: "orders", Always: q.Parts(), Setup: func(w *actors.Worker, part string) error {
//		token, err := grid.TokenOf(w.Task())
//		if err != nil {
//			return err
//		}
//		c, err := consumer.New(q.Opener(part, token.Rev), handle, consumer.Options{Order: consumer.ByGroup})
//		if err != nil {
//			return err
//		}
//		return c.Setup(w)
//	}}
//
// The number of parts stays: with another one, messages of a group would be in two of them.
type Partitions struct {
	parts  []*Queue                         // by number
	stream atomic.Pointer[jetstream.Stream] // of all parts; nil: it is yet to be made, or looked at
}

// MaxPartitions is how many parts a queue may have: each has a consumer in the server.
const MaxPartitions = 1024

// idleConsumer is for how long the consumer of a part is kept that nobody asks for messages. What it has
// delivered and nobody has acked stays in the stream, and comes from the next one.
const idleConsumer = time.Hour

// NewPartitions returns a queue in n parts. Options are those of [New]: the stream has the subject of each part, which is
// Subject with a dot and its number behind. Durable is to be empty: each owner of a part has a consumer of its own, whose name and subject Consumer does not change.
func NewPartitions(nc *nats.Conn, o Options, n int) (*Partitions, error) {
	bad := func(field string, value any, why string) error {
		return &actors.OptionError{Of: "jetstream: NewPartitions", Field: field, Value: value, Why: why}
	}
	var errs []error
	if n < 1 || n > MaxPartitions {
		errs = append(errs, bad("n", n, fmt.Sprintf("is not from 1 to %d", MaxPartitions)))
	}
	if o.Durable != "" {
		errs = append(errs, bad("Options.Durable", o.Durable, "does not count: each owner of a part has a consumer of its own"))
	}
	base, err := o.resolved()
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	stream := base.Stream
	base.Stream = func(cfg *jetstream.StreamConfig) {
		if cfg.Name == base.Name {
			cfg.Subjects = []string{base.Subject + ".*"}
		}
		if stream != nil {
			stream(cfg)
		}
	}
	q, err := New(nc, base)
	if err != nil {
		return nil, err
	}
	p := &Partitions{parts: make([]*Queue, n)}
	for i := range p.parts {
		part := *q // one publisher for all
		part.o.Subject = fmt.Sprintf("%s.%d", base.Subject, i)
		p.parts[i] = &part
	}
	return p, nil
}

// Parts are the names of all parts: "0", "1" and so on.
func (p *Partitions) Parts() []string {
	names := make([]string, len(p.parts))
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// PartOf is the name of the part that the messages of a group are in.
func (p *Partitions) PartOf(group string) string { return strconv.Itoa(p.partOf(group)) }

func (p *Partitions) partOf(group string) int {
	return ownership.ShardOf(group, len(p.parts))
}

// queueOf is where m is sent to. One without a group is in the part of its key, so that a second one of it is there, too.
func (p *Partitions) queueOf(m consumer.Message) *Queue {
	if m.Group != "" {
		return p.parts[p.partOf(m.Group)]
	}
	return p.parts[p.partOf(m.Key)]
}

// Send is [Queue.Send]: each message goes to the part of its Group, or of its Key if it has none.
func (p *Partitions) Send(ctx context.Context, ms ...consumer.Message) error {
	return p.parts[0].sendTo(ctx, p.queueOf, ms)
}

// SendAsync is [Queue.SendAsync].
func (p *Partitions) SendAsync(m consumer.Message, done func(err error)) {
	p.queueOf(m).SendAsync(m, done)
}

// Ensure makes the streams, as far as they do not exist. Opener does so, too; a program that only sends calls it once.
func (p *Partitions) Ensure(ctx context.Context) error {
	return p.parts[0].unlessRefused(ctx, p.parts[0].ensureStreams)
}

// Opener returns what opens a source of a part, by one of the names of Parts, for the owner with that number: a consumer.Open. Of two
// owners the later one has the greater number, such as the Rev of a grid.Token; 0 if there is never more than one process.
//
// It takes the part from whoever had it with the same or a smaller number, and begins with the first message that is not
// acked. The source of that one ends with [consumer.ErrClosed], and what it acks then is refused. So does one that lacks a delivery
// which was lost on its way, as with a server: nothing behind that is to be handled first. And so does one whose consumer nobody leads, as after the
// loss of a server: another one has somebody who leads it before the servers have elected one for this. Who has a smaller number than the one that
// has the part is told [actors.ErrFenced]. A message that was tried by the former owner has all its tries anew.
func (p *Partitions) Opener(part string, owner uint64) consumer.Open {
	return func(ctx context.Context) (consumer.Source, error) {
		i, err := strconv.Atoi(part)
		if err != nil || i < 0 || i >= len(p.parts) || strconv.Itoa(i) != part {
			return nil, fmt.Errorf("jetstream: queue %s has no part %.100q: it has 0 to %d", p.parts[0].o.Name, part, len(p.parts)-1)
		}
		q := p.parts[i]
		var src *source
		err = q.unlessRefused(ctx, func(ctx context.Context) error {
			c, err := (&takeOver{p: p, q: q, part: i, owner: owner}).run(ctx)
			if err == nil {
				src = newSource(q, c)
				src.order = &order{}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return src, nil
	}
}
