// SPDX-License-Identifier: Apache-2.0

package reminders

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid/remind"
)

// due is what is due, as it was received.
type due struct {
	remind.Entry
	version uint64 // of the record that it is of
	seq     uint64 // its own
}

var errForeign = errors.New("reminders: this is no reminder that is due")

func dueOf(m consumer.Message) (due, error) {
	var d due
	var errs [2]error
	d.version, errs[0] = strconv.ParseUint(m.Attributes[versionHeader], 10, 64)
	d.seq, errs[1] = strconv.ParseUint(m.ID, 10, 64)
	if errors.Join(errs[:]...) != nil || d.version == 0 || d.UnmarshalBinary(m.Body) != nil {
		return due{}, errForeign
	}
	return d, nil
}

// standingRecord is the record of what is due: that which it is of, a later one, or none.
func (s *Store) standingRecord(ctx context.Context, stream natsjs.Stream, d due) (record, error) {
	subject := s.subjectOf(recordKind, d.Key)
	r, err := readRecord(ctx, stream, subject)
	if err != nil || r.version >= d.version {
		return r, err
	}
	// It was cancelled, or is done; or a server that leads no more has answered, or one that has not
	// come so far. One that has what is due has had its record, too.
	now, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return record{}, err
	}
	if last := now.CachedInfo().State.LastSeq; last < d.seq {
		return record{}, fmt.Errorf("reminders: the server is behind: its last message is %d, and %d is due", last, d.seq)
	}
	if r, err = readRecord(ctx, stream, subject); err == nil && r.version > 0 && r.version < d.version {
		err = fmt.Errorf("reminders: the server is behind: it has version %d of %s, and %d is due", r.version, d.Key, d.version)
	}
	return r, err
}

// Stands is [remind.Store]'s.
func (s *Store) Stands(ctx context.Context, m consumer.Message) (bool, error) {
	d, err := dueOf(m)
	if err != nil {
		return false, consumer.Poison(err)
	}
	stream, err := s.findStream(ctx)
	if err != nil {
		return false, err
	}
	r, err := s.standingRecord(ctx, stream, d)
	return err == nil && r.version == d.version, wrapError(err)
}

// endDue ends the record of what is done or given up, or has it due again. It may be called again.
func (s *Store) endDue(ctx context.Context, stream natsjs.Stream, m *consumer.Message) error {
	d, err := dueOf(*m)
	if err != nil {
		return nil // somebody else's
	}
	if next, again := d.Next(time.Now()); again {
		version, err := s.writeRecord(ctx, next, d.version)
		if err == nil {
			err = s.startTimer(ctx, next, version)
		}
		if !isStale(err) {
			return err
		}
	} else if was, err := deleteRecord(ctx, stream, d.version); was || err != nil {
		return err
	}
	// The record is another one, or gone. Whoever has made it may have ended before it had a timer.
	r, err := s.standingRecord(ctx, stream, d)
	switch {
	case err != nil || r.version == 0:
		return err
	case r.version == d.version: // another write was under way
		return errBusy
	}
	_, err = stream.GetLastMsgForSubject(ctx, s.subjectOf("*", r.Key, formatVersion(r.version)))
	if errors.Is(err, natsjs.ErrMsgNotFound) {
		// It has none, or is done just now; then what it makes due does not stand.
		err = s.startTimer(ctx, r.Entry, r.version)
	}
	return err
}

var errBusy = errors.New("reminders: the record is being written")

// Open is [remind.Store]'s.
func (s *Store) Open(ctx context.Context) (consumer.Source, error) {
	stream, err := s.findStream(ctx)
	if err != nil {
		return nil, err
	}
	src, err := s.queue.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &source{src.(queueSource), s, stream}, nil
}

// queueSource is what the source of a queue can do.
type queueSource interface {
	consumer.DeadLetterer
	consumer.Streamer
	consumer.Lagger
}

// source is that of the queue, but for what ends a delivery.
type source struct {
	queueSource
	s      *Store
	stream natsjs.Stream
}

// endWithin bounds the calls that end one delivery, as those of the queue are bounded.
const endWithin = 5 * time.Second

// endAll calls endDue, side by side, for those that are chosen and have no error in batch, where it
// notes errors.
func (s *source) endAll(ctx context.Context, ms []*consumer.Message, chosen func(i int) bool, batch *consumer.BatchError) {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	errs := make([]error, len(ms))
	var all sync.WaitGroup
	for i, m := range ms {
		if chosen(i) && batch.Errs[i] == nil {
			all.Go(func() { errs[i] = s.s.endDue(ctx, s.stream, m) })
		}
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			batch.Fail(i, wrapError(err))
		}
	}
}

// tellQueue tells the queue about those that have no error in batch, where it notes errors. tell gets
// their indexes.
func tellQueue(n int, batch *consumer.BatchError, tell func(left []int) error) {
	left := make([]int, 0, n)
	for i := range n {
		if batch.Errs[i] == nil {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return
	}
	err := tell(left)
	var part *consumer.BatchError
	partly := errors.As(err, &part)
	for j, i := range left {
		if partly {
			err = part.Errs[j]
		}
		if err != nil {
			batch.Fail(i, err)
		}
	}
}

func pickAt[T any](all []T, at []int) []T {
	picked := make([]T, len(at))
	for j, i := range at {
		picked[j] = all[i]
	}
	return picked
}

// Ack is [consumer.Source]'s. The record ends before the delivery: else one that repeats could be lost
// in between.
func (s *source) Ack(ctx context.Context, ms []*consumer.Message) error {
	var batch consumer.BatchError
	s.endAll(ctx, ms, func(int) bool { return true }, &batch)
	tellQueue(len(ms), &batch, func(left []int) error { return s.queueSource.Ack(ctx, pickAt(ms, left)) })
	return batch.Err()
}

// DeadLetter is [consumer.DeadLetterer]'s. One that repeats is due again before this time is given up,
// as in Ack. One that does not ends afterwards: else it could be in neither place.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	ms := make([]*consumer.Message, len(ds))
	repeats := make([]bool, len(ds))
	for i, d := range ds {
		e, err := remind.EntryOf(*d.Message)
		ms[i], repeats[i] = d.Message, err == nil && e.Every > 0
	}
	var batch consumer.BatchError
	s.endAll(ctx, ms, func(i int) bool { return repeats[i] }, &batch)
	tellQueue(len(ds), &batch, func(left []int) error { return s.queueSource.DeadLetter(ctx, pickAt(ds, left)) })
	s.endAll(ctx, ms, func(i int) bool { return !repeats[i] }, &batch)
	return batch.Err()
}
