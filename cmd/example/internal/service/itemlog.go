package service

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// itemLog is the log of the list: a JetStream stream with one subject a key,
// which keeps the newest entry of each. An item is written once, however often
// it is put, and its place in the stream is its place in the list. A removal is
// an entry, too: it takes the item's place, so that the item does not come back
// when its message is delivered again, and goes after a week, or before that if
// there are many: see forgetting.
type itemLog struct {
	js     jetstream.JetStream
	writes *batches[write]
}

const (
	logName       = "LIST"
	logSubject    = "list." // and the key
	forgetRemoved = 7 * 24 * time.Hour
	maxEntries    = 1_000_000
	maxLogBytes   = 1 << 30
)

// entry is an entry of the log.
type entry struct {
	Item
	Removed bool `json:"removed,omitempty"`
}

// openLog makes the stream if there is none.
func openLog(ctx context.Context, nc *nats.Conn) (*itemLog, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(writeWithin))
	if err != nil {
		return nil, err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: logName, Subjects: []string{logSubject + "*"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		MaxMsgs: maxEntries, MaxBytes: maxLogBytes, Discard: jetstream.DiscardNew,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil, fmt.Errorf("the list's log: %w", err)
	}
	l := &itemLog{js: js}
	l.writes = &batches[write]{call: l.writeAll, within: writeWithin, atOnce: 1}
	return l, nil
}

// subject is where the entry of a key stands. A key may be any text, a part of
// a subject may not.
func subject(key string) string {
	return logSubject + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// add has an item written unless there is an entry of its key.
func (l *itemLog) add(i Item) *actors.Future[struct{}] {
	return l.writes.do(write{entry: entry{Item: Item{Key: i.Key, Text: i.Text}}})
}

// remove has the removal of an item written unless it was removed meanwhile.
func (l *itemLog) remove(i Item) *actors.Future[struct{}] {
	return l.writes.do(write{entry{Item: Item{Key: i.Key}, Removed: true}, i.Seq})
}

// write is an entry to be written in the place of another.
type write struct {
	entry
	old uint64 // the other's Seq; 0: there must be none. Else it is done already
}

// writeWithin bounds a write to the log.
const writeWithin = 10 * time.Second

// writeAll writes entries: all are on their way before the first is confirmed.
func (l *itemLog) writeAll(ctx context.Context, ws []write) error {
	acks := make([]jetstream.PubAckFuture, len(ws))
	var errs consumer.BatchError
	for i, w := range ws {
		body, err := json.Marshal(w.entry)
		if err == nil {
			acks[i], err = l.js.PublishMsgAsync(&nats.Msg{Subject: subject(w.Key), Data: body}, w.options()...)
		}
		if err != nil {
			errs.Fail(i, fmt.Errorf("write to the list's log: %w", err))
		}
	}
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		if err := confirmed(ctx, ack); err != nil {
			errs.Fail(i, fmt.Errorf("write to the list's log: %w", err))
		}
	}
	return errs.Err()
}

func (w write) options() []jetstream.PublishOpt {
	if !w.Removed {
		return []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(w.old)}
	}
	return []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(w.old), jetstream.WithMsgTTL(forgetRemoved)}
}

// confirmed waits until an entry is in the log, or another one was in its
// place: then it is there already, or was.
func confirmed(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		if api, ok := errors.AsType[*jetstream.APIError](err); ok {
			switch api.ErrorCode {
			case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
				return nil
			}
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// logged is an entry as it is read.
type logged struct {
	entry
	behind uint64 // how many entries of the log come after it
}

// follow sends all entries to out, those of the past first, until ctx ends;
// then it returns nil.
func (l *itemLog) follow(ctx context.Context, out chan<- logged) error {
	c, err := l.js.OrderedConsumer(ctx, logName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("read the list's log: %w", err)
	}
	messages, err := c.Messages()
	if err != nil {
		return fmt.Errorf("read the list's log: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	for {
		m, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the list's log: %w", err)
		}
		read, err := decode(m)
		if err != nil {
			return err
		}
		select {
		case out <- read:
		case <-ctx.Done():
			return nil
		}
	}
}

func decode(m jetstream.Msg) (logged, error) {
	meta, err := m.Metadata()
	if err != nil {
		return logged{}, fmt.Errorf("read the list's log: %w", err)
	}
	read := logged{behind: meta.NumPending}
	if err := json.Unmarshal(m.Data(), &read.entry); err != nil {
		return logged{}, fmt.Errorf("entry %d of the list's log: %w", meta.Sequence.Stream, err)
	}
	read.Seq = meta.Sequence.Stream
	return read, nil
}

// len is how many entries there are.
func (l *itemLog) len(ctx context.Context) (uint64, error) {
	s, err := l.js.Stream(ctx, logName)
	if err != nil {
		return 0, fmt.Errorf("the list's log: %w", err)
	}
	return s.CachedInfo().State.Msgs, nil
}
