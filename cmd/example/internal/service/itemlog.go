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
)

// itemLog is the log of the list: a JetStream stream with one subject a key,
// which keeps the newest entry of each. An item is written once, however often
// it is put, and its place in the stream is its place in the list. A removal is
// an entry, too: it takes the item's place, so that the item does not come back
// when its message is delivered again, and goes after a week.
type itemLog struct{ js jetstream.JetStream }

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
	js, err := jetstream.New(nc)
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
	return &itemLog{js}, nil
}

// subject is where the entry of a key stands. A key may be any text, a part of
// a subject may not.
func subject(key string) string {
	return logSubject + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// add writes an item unless there is an entry of its key.
func (l *itemLog) add(ctx context.Context, i Item) error {
	err := l.write(ctx, entry{Item: Item{Key: i.Key, Text: i.Text}}, jetstream.WithExpectLastSequencePerSubject(0))
	if errors.Is(err, errChanged) {
		return nil // it is there, or was
	}
	return err
}

// remove writes the removal of an item unless it was removed meanwhile.
func (l *itemLog) remove(ctx context.Context, i Item) error {
	err := l.write(ctx, entry{Item: Item{Key: i.Key}, Removed: true},
		jetstream.WithExpectLastSequencePerSubject(i.Seq), jetstream.WithMsgTTL(forgetRemoved))
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

var errChanged = errors.New("the entry is another one")

func (l *itemLog) write(ctx context.Context, e entry, opts ...jetstream.PublishOpt) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = l.js.PublishMsg(ctx, &nats.Msg{Subject: subject(e.Key), Data: body}, opts...)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return errChanged
		}
	}
	if err != nil {
		return fmt.Errorf("write to the list's log: %w", err)
	}
	return nil
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
