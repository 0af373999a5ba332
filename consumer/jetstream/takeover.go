// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
)

// takeOver is how an owner gets a part: by a consumer of its own, in the place of those that there are.
//
// After the loss of a server the others elect who leads them, who leads each stream, and who leads each consumer, each of which takes 4 to 9 s.
// Nobody answers a call to whoever is not elected yet, and the client would wait for that for 5 s. So a part asks nobody but whoever leads the
// servers, waits for a moment, and asks again. What it has done so far stays done.
type takeOver struct {
	p     *Partitions
	q     *Queue // of the part
	part  int
	owner uint64
	made  []string // the consumers that were to be made, and not deleted since: one of which nothing was heard may be there after all, or will be

	patience time.Duration // how long a call waits for its answer
	longer   time.Duration // … until a consumer is made: that one stays, and the next attempt may delete it
}

const (
	// quickTry is how long a call waits for its answer at first.
	quickTry = time.Second
	// pauseTry is the wait after an answer that it cannot be done now.
	pauseTry = 100 * time.Millisecond
	// takeOverWithin is for how long it is tried until the worker is told why it does not succeed.
	takeOverWithin = 15 * time.Second
)

// run takes the part over. Calls wait longer the longer that takes: servers that are busy answer late, and each call is more work for them.
func (t *takeOver) run(ctx context.Context) (jetstream.Consumer, error) {
	if err := unfit(t.q.o.consumerConfig()); err != nil { // before it ends what there is
		return nil, fmt.Errorf("jetstream: Options.Consumer: %w", err)
	}
	for began := time.Now(); ; {
		t.patience, t.longer = max(quickTry, time.Since(began)/4), max(quickTry, time.Since(began)/2)
		c, err := t.attempt(ctx)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil || !mayPass(err) || time.Since(began) >= takeOverWithin:
			return nil, fmt.Errorf("jetstream: take over part %d of stream %s: %w", t.part, t.q.o.Name, err)
		case !errors.Is(err, context.DeadlineExceeded):
			select {
			case <-time.After(pauseTry):
			case <-ctx.Done():
			}
		}
	}
}

// errStillThere: nobody has said that a former consumer is deleted, and it is not.
var errStillThere = errors.New("its former consumer is not deleted")

// notUnique is the code of the server's error that the part has a consumer. Another owner has just made it, or it is about to be deleted.
const notUnique = 10100

// mayPass reports whether a call that has failed so may succeed in a moment.
func mayPass(err error) bool {
	if api, is := errors.AsType[*jetstream.APIError](err); is {
		return api.Code == 503 || api.ErrorCode == notUnique || api.ErrorCode == jetstream.JSErrCodeStreamNotFound // and is made anew
	}
	for _, one := range []error{context.DeadlineExceeded, errStillThere, nats.ErrNoResponders, nats.ErrReconnectBufExceeded, nats.ErrDisconnected} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// callWithin makes a call that ends after d.
func callWithin(ctx context.Context, d time.Duration, call func(ctx context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return call(within)
}

func (t *takeOver) attempt(ctx context.Context) (jetstream.Consumer, error) {
	stream, err := t.p.openStream(ctx, t.patience)
	if err != nil {
		return nil, err
	}
	former, err := t.findFormer(ctx, stream)
	if err != nil {
		return nil, err
	}
	for _, name := range former {
		if slices.Contains(t.made, name) {
			if c := t.findMade(ctx, name); c != nil {
				return c, nil
			}
		}
	}
	for _, name := range former { // a stream of this kind allows one consumer for a subject
		if err := t.deleteFormer(ctx, stream, name); err != nil {
			return nil, err
		}
	}
	return t.makeConsumer(ctx)
}

// brief is how long a call waits which nobody answers if nobody leads the consumer that it is about.
func (t *takeOver) brief() time.Duration { return t.longer / 3 }

// deleteFormer deletes a consumer. It is deleted also if nobody leads it, and then the list says so.
func (t *takeOver) deleteFormer(ctx context.Context, stream jetstream.Stream, name string) error {
	t.made = slices.DeleteFunc(t.made, func(made string) bool { return made == name }) // the servers may do that later
	err := callWithin(ctx, t.brief(), func(ctx context.Context) error { return t.q.js.DeleteConsumer(ctx, t.q.o.Name, name) })
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil
	case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return err
	}
	left, err := t.findFormer(ctx, stream)
	if err == nil && slices.Contains(left, name) {
		err = errStillThere
	}
	return err
}

// findFormer lists the consumers of the part. It fails if a later owner has one.
func (t *takeOver) findFormer(ctx context.Context, stream jetstream.Stream) (former []string, err error) {
	err = callWithin(ctx, t.patience, func(ctx context.Context) error {
		names := stream.ConsumerNames(ctx)
		for name := range names.Name() {
			if strings.HasPrefix(name, t.prefix()) {
				former = append(former, name)
			}
		}
		return names.Err()
	})
	if err != nil {
		t.p.forgetStream(err)
		return nil, err
	}
	for _, name := range former {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, t.prefix()), "-")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && n > t.owner {
			return nil, fmt.Errorf("%w: it is that of owner %d, and this is owner %d", actors.ErrFenced, n, t.owner)
		}
	}
	return former, nil
}

// prefix begins the names of all consumers of the part.
func (t *takeOver) prefix() string { return fmt.Sprintf("part-%d-", t.part) }

// findMade is the consumer of that name that an attempt before has made after all, or nil if nobody leads it.
func (t *takeOver) findMade(ctx context.Context, name string) (c jetstream.Consumer) {
	_ = callWithin(ctx, t.brief(), func(ctx context.Context) (err error) { // else it is deleted
		c, err = t.q.js.Consumer(ctx, t.q.o.Name, name)
		return err
	})
	return c
}

// makeConsumer makes a consumer. For a minute after the loss of a server the others take it for one that is there: in one of three cases they
// choose it to lead the new consumer, which then has no leader for 4 to 9 s. So the next attempt makes another, which is done sooner.
func (t *takeOver) makeConsumer(ctx context.Context) (c jetstream.Consumer, err error) {
	cfg := t.q.o.consumerConfig()
	cfg.Durable = fmt.Sprintf("%s%d-%s", t.prefix(), t.owner, rand.Text()) // of a name that never was: late acks of the former ones lead nowhere
	cfg.FilterSubject, cfg.InactiveThreshold = t.q.o.Subject, idleConsumer
	t.made = append(t.made, cfg.Durable)
	err = callWithin(ctx, t.longer, func(ctx context.Context) (err error) {
		c, err = t.q.js.CreateConsumer(ctx, t.q.o.Name, cfg)
		return err
	})
	t.p.forgetStream(err)
	return c, err
}

// openStream is the stream of all parts. Whether it is as it has to be this process asks once: whoever leads the stream knows, and nobody may.
func (p *Partitions) openStream(ctx context.Context, within time.Duration) (jetstream.Stream, error) {
	if s := p.stream.Load(); s != nil {
		return *s, nil
	}
	q := p.parts[0]
	var s jetstream.Stream
	err := callWithin(ctx, 2*within, func(ctx context.Context) (err error) {
		if err = q.ensureStreams(ctx); err == nil {
			s, err = q.js.Stream(ctx, q.o.Name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	p.stream.Store(&s)
	return s, nil
}

// forgetStream has the stream be made anew if err says that there is none.
func (p *Partitions) forgetStream(err error) {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		p.stream.Store(nil)
	}
}
