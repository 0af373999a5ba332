// SPDX-License-Identifier: Apache-2.0

package reminders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid/remind"
)

// Options of a store. The zero value is usable.
type Options struct {
	// Name of the stream; its subjects begin with it in lower case. Empty: REMINDERS.
	Name string
	// Lease is for how long what is due is hidden from other programs while it is delivered;
	// it is extended. 0: 30 s.
	Lease time.Duration
	// Replicas of the streams in a cluster, if they do not exist. 0: 1.
	Replicas int
	// Stream, if not nil, changes how the streams are made. It is called for each.
	Stream func(*natsjs.StreamConfig)
}

const defaultName = "REMINDERS"

// Store is the reminders of a stream.
type Store struct {
	js     natsjs.JetStream
	queue  *jetstream.Queue
	name   string
	prefix string // of all subjects, with a dot

	mu     sync.Mutex
	stream natsjs.Stream // nil: it was not looked for yet
}

var _ remind.Store = (*Store)(nil)

// New returns a store on a connection, which stays the caller's. It asks the server for nothing yet:
// the streams are made when they are first needed. Options that cannot be meant are all in
// one error, each an [*actors.OptionError].
func New(nc *nats.Conn, o Options) (*Store, error) {
	name := cmp.Or(o.Name, defaultName)
	s := &Store{name: name, prefix: strings.ToLower(name) + "."}
	var err error
	if s.js, err = natsjs.New(nc); err != nil {
		return nil, fmt.Errorf("reminders: %w", err)
	}
	s.queue, err = jetstream.New(nc, jetstream.Options{
		Name: name, Subject: s.prefix + ">", Lease: o.Lease, Replicas: o.Replicas,
		Stream: func(c *natsjs.StreamConfig) {
			if c.Name == name {
				c.AllowMsgSchedules, c.AllowRollup, c.MaxMsgsPerSubject = true, true, 1
			}
			if o.Stream != nil {
				o.Stream(c)
			}
		},
		Consumer: func(c *natsjs.ConsumerConfig) { c.FilterSubject = s.prefix + dueKind + ".>" },
	})
	return s, err
}

// Ensure makes the streams, as far as they do not exist. The other methods do so, too.
func (s *Store) Ensure(ctx context.Context) error {
	_, err := s.findStream(ctx)
	return err
}

// findStream is the stream, which it makes if it has to.
func (s *Store) findStream(ctx context.Context) (natsjs.Stream, error) {
	s.mu.Lock()
	stream := s.stream
	s.mu.Unlock()
	if stream != nil {
		return stream, nil
	}
	if err := s.queue.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("reminders: %w", err)
	}
	stream, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, fmt.Errorf("reminders: stream %s: %w", s.name, err)
	}
	if err := whyUnfit(stream.CachedInfo().Config); err != nil {
		return nil, fmt.Errorf("reminders: stream %s: %w", s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = stream
	return stream, nil
}

// whyUnfit tells why reminders would be lost in such a stream.
func whyUnfit(c natsjs.StreamConfig) error {
	switch {
	case !c.AllowMsgSchedules:
		return errors.New("it does not schedule messages (AllowMsgSchedules), which a server does from version 2.12 on: nothing in it would ever be due")
	case c.MaxMsgsPerSubject != 1:
		return fmt.Errorf("its MaxMsgsPerSubject is %d and has to be 1", c.MaxMsgsPerSubject)
	case c.MaxAge > 0:
		return fmt.Errorf("its messages expire after %v (MaxAge), and so would reminders", c.MaxAge)
	case c.Retention != natsjs.WorkQueuePolicy:
		return fmt.Errorf("its Retention is %v and has to be that of a work queue", c.Retention)
	case c.AllowDirect:
		return errors.New("it has AllowDirect: what is read could be what was before")
	}
	return nil
}

// The kinds of messages in the stream, and of their subjects.
const (
	recordKind = "record"
	timerKind  = "timer"
	dueKind    = "due"
)

// subjectOf is that of the record of a reminder, or of another kind of message, with a version.
func (s *Store) subjectOf(kind string, k remind.Key, version ...string) string {
	return s.prefix + strings.Join(append([]string{kind, subjectToken(k.Kind), subjectToken(k.ID), subjectToken(k.Name)}, version...), ".")
}

// subjectToken is a part of a subject, which may have few kinds of bytes.
func subjectToken(part string) string {
	var b strings.Builder
	for i := range len(part) {
		switch c := part[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// versionHeader has the version of the record that a timer is of.
const versionHeader = "Reminder-Version"

func formatVersion(version uint64) string { return strconv.FormatUint(version, 10) }

// record is what stands of a reminder.
type record struct {
	remind.Entry
	version uint64 // 0: there is none
}

// readRecord reads the record of a reminder, by the leader of the stream.
func readRecord(ctx context.Context, stream natsjs.Stream, subject string) (record, error) {
	m, err := stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, natsjs.ErrMsgNotFound):
		return record{}, nil
	case err != nil:
		return record{}, err
	}
	r := record{version: m.Sequence}
	return r, r.UnmarshalBinary(m.Data)
}

// writeRecord stores a record in the place of a version, and returns the new one.
func (s *Store) writeRecord(ctx context.Context, e remind.Entry, in uint64) (uint64, error) {
	body, err := e.AppendBinary(nil)
	if err != nil {
		return 0, err
	}
	ack, err := s.js.Publish(ctx, s.subjectOf(recordKind, e.Key), body, natsjs.WithExpectLastSequencePerSubject(in))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// deleteRecord deletes the record of that version. false: there is another one, or none.
func deleteRecord(ctx context.Context, stream natsjs.Stream, version uint64) (bool, error) {
	err := stream.DeleteMsg(ctx, version)
	if errors.Is(err, natsjs.ErrMsgDeleteUnsuccessful) { // with why in its text alone
		if _, missing := stream.GetMsg(ctx, version); errors.Is(missing, natsjs.ErrMsgNotFound) {
			return false, nil
		}
	}
	return err == nil, err
}

// startTimer has a record of that version become due.
func (s *Store) startTimer(ctx context.Context, e remind.Entry, version uint64) error {
	body, err := e.AppendBinary(nil)
	if err != nil {
		return err
	}
	m := nats.NewMsg(s.subjectOf(timerKind, e.Key, formatVersion(version)))
	m.Data = body
	m.Header.Set(versionHeader, formatVersion(version))
	// The client's own WithScheduleAt cuts the time to seconds, so that it would be early.
	m.Header.Set(natsjs.ScheduleHeader, "@at "+e.At.UTC().Format(time.RFC3339Nano))
	m.Header.Set(natsjs.ScheduleTargetHeader, s.subjectOf(dueKind, e.Key, formatVersion(version)))
	_, err = s.js.PublishMsg(ctx, m)
	return err
}

// endTimer removes the timer of a version, and what it has made due. If that fails it comes, and is
// found not to stand.
func (s *Store) endTimer(ctx context.Context, stream natsjs.Stream, k remind.Key, version uint64) {
	_ = stream.Purge(ctx, natsjs.WithPurgeSubject(s.subjectOf("*", k, formatVersion(version))))
}

// isStale reports whether a record was not written because there is another version. A replicated
// stream says so by a code of its own, also while a write before it is under way.
func isStale(err error) bool {
	var api *natsjs.APIError
	return errors.As(err, &api) && (api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequence || api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequenceConstant)
}

// pauseBeforeRead waits before a record is read again that somebody else has changed.
func pauseBeforeRead(ctx context.Context, n int) error {
	select {
	case <-time.After(min(time.Millisecond<<min(n, 10), 100*time.Millisecond)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Set is [remind.Store]'s.
func (s *Store) Set(ctx context.Context, e remind.Entry) error {
	stream, err := s.findStream(ctx)
	if err != nil {
		return err
	}
	before := uint64(0) // most are new: what there is otherwise the server says, and is not asked
	for n := 0; ; n++ {
		version, err := s.writeRecord(ctx, e, before)
		if isStale(err) {
			if before, err = s.lastVersion(ctx, stream, e.Key, err, n); err != nil {
				return wrapError(err)
			}
			continue
		}
		if err == nil {
			err = s.startTimer(ctx, e, version)
		}
		if err != nil {
			return wrapError(err)
		}
		if before > 0 {
			s.endTimer(ctx, stream, e.Key, before)
		}
		return nil
	}
}

// lastVersion is the version of the record that stale is about, which try n at a write has failed with. The server has said it, unless a
// write before it is under way, and within the text of the error alone: what is not found there is read.
func (s *Store) lastVersion(ctx context.Context, stream natsjs.Stream, k remind.Key, stale error, n int) (uint64, error) {
	var api *natsjs.APIError
	if errors.As(stale, &api) {
		if said, is := strings.CutPrefix(api.Description, "wrong last sequence: "); is && n == 0 {
			if version, err := strconv.ParseUint(said, 10, 64); err == nil {
				return version, nil
			}
		}
	}
	if err := pauseBeforeRead(ctx, n); err != nil {
		return 0, err
	}
	r, err := readRecord(ctx, stream, s.subjectOf(recordKind, k))
	return r.version, err
}

// Cancel is [remind.Store]'s.
func (s *Store) Cancel(ctx context.Context, k remind.Key) (bool, error) {
	stream, err := s.findStream(ctx)
	if err != nil {
		return false, err
	}
	for n := 0; ; n++ {
		r, err := readRecord(ctx, stream, s.subjectOf(recordKind, k))
		if err != nil || r.version == 0 {
			return false, wrapError(err)
		}
		was, err := deleteRecord(ctx, stream, r.version)
		if err != nil {
			return false, wrapError(err)
		}
		if was {
			s.endTimer(ctx, stream, k, r.version)
			return true, nil
		}
		if err := pauseBeforeRead(ctx, n); err != nil {
			return false, err
		}
	}
}

func wrapError(err error) error {
	if err != nil {
		err = fmt.Errorf("reminders: %w", err)
	}
	return err
}

// List is [remind.Store]'s.
func (s *Store) List(ctx context.Context, kind, id string) ([]remind.Entry, error) {
	if _, err := s.findStream(ctx); err != nil {
		return nil, err
	}
	stream, err := s.js.Stream(ctx, s.name) // of its own: its Info changes it
	if err != nil {
		return nil, wrapError(err)
	}
	info, err := stream.Info(ctx, natsjs.WithSubjectFilter(s.prefix+strings.Join([]string{recordKind, subjectToken(kind), subjectToken(id), "*"}, ".")))
	if err != nil {
		return nil, wrapError(err)
	}
	var all []remind.Entry
	for subject := range info.State.Subjects {
		r, err := readRecord(ctx, stream, subject)
		if err != nil {
			return nil, wrapError(err)
		}
		if r.version > 0 { // it may have ended since
			all = append(all, r.Entry)
		}
	}
	slices.SortFunc(all, func(a, b remind.Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
