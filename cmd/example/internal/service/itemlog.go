// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	queues "github.com/protoloop/protoloop/consumer/jetstream"
)

// itemLog is the log of the list: a JetStream stream with one subject a key,
// which keeps the newest entry of each. An item is written once, however often
// it is put, and its place in the stream is its place in the list. A removal is
// an entry, too: it takes the item's place, so that the item does not come back
// when its message is delivered again, and goes after a week, or before that if
// there are many: see forgetting.
type itemLog struct {
	js     jetstream.JetStream
	p      *queues.Publisher
	shared bool // other processes may write to it
}

const (
	logName       = "LIST"
	logSubject    = "list." // and the key
	forgetRemoved = 7 * 24 * time.Hour
)

// entry is an entry of the log.
type entry struct {
	Item
	Removed bool `json:"removed,omitempty"`
}

// openLog makes the stream if there is none. It has no limits, and the list has
// them instead, see list.room: a stream with limits has files of 8 MB, one without
// of 4. The server keeps the newest file in memory, in a buffer that doubles: while it
// copies 4 MB into one of 8, all that is to be written waits.
func openLog(ctx context.Context, nc *nats.Conn, shared bool) (*itemLog, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: logName, Subjects: []string{logSubject + "*"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, AllowMsgTTL: true,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil, fmt.Errorf("the list's log: %w", err)
	}
	p, err := queues.NewPublisher(nc)
	if err != nil {
		return nil, err
	}
	return &itemLog{js: js, p: p, shared: shared}, nil
}

// subject is where the entry of a key stands. A key may be any text, a part of
// a subject may not.
func subject(key string) string {
	return logSubject + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// ofNew is the header of an entry that is to be the first of its key: one for
// all, since nobody writes to it, and a map for each item would be garbage.
var ofNew = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}

// header tells the server that e is to be written in the place of the entry
// with Seq old, see write, and for how long it is to be kept.
func (e entry) header(old uint64) nats.Header {
	if old == 0 && !e.Removed {
		return ofNew
	}
	h := nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(old, 10)}}
	if e.Removed {
		h[jetstream.MsgTTLHeader] = []string{forgetRemoved.String()}
	}
	return h
}

// write has an entry written in the place of another, whose Seq is old; 0: there
// must be none. The future has the entry's Seq, or 0 if it is another that stands
// there: then the entry is in the log already, or was.
func (l *itemLog) write(e entry, old uint64) *actors.Future[uint64] {
	body, err := json.Marshal(e)
	if err != nil {
		return futures.Failed[uint64](err)
	}
	m := &nats.Msg{Subject: subject(e.Key), Data: body, Header: e.header(old)}
	p := new(actors.Promise[uint64])
	l.p.Publish(m, func(seq uint64, err error) {
		switch api, _ := errors.AsType[*jetstream.APIError](err); {
		case err == nil:
			p.Resolve(seq)
		case api != nil && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
			p.Resolve(0)
		default:
			p.Reject(fmt.Errorf("write to the list's log: %w", err))
		}
	})
	return p.Future()
}

// logged is an entry as it is read.
type logged struct {
	entry
	behind uint64 // how many entries of the log come after it
}

// follow sends all entries from a Seq on to out, and those to come, until ctx
// ends; then it returns nil. It leaves out those that are known when they come.
// If nobody else writes to the log it returns when there are no more: what is
// written from then on is known by its confirmation.
func (l *itemLog) follow(ctx context.Context, from uint64, known func(seq uint64) bool, out chan<- logged) error {
	c, err := l.js.OrderedConsumer(ctx, logName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return fmt.Errorf("read the list's log: %w", err)
	}
	messages, err := c.Messages()
	if err != nil {
		return fmt.Errorf("read the list's log: %w", err)
	}
	defer l.forgetReader(c)
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
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read the list's log: %w", err)
		}
		last := !l.shared && meta.NumPending == 0
		if known(meta.Sequence.Stream) {
			if last {
				return nil
			}
			continue
		}
		read, err := decode(m, meta)
		if err != nil {
			return err
		}
		select {
		case out <- read:
		case <-ctx.Done():
			return nil
		}
		if last {
			return nil
		}
	}
}

// forgetReader has the server forget a consumer, which it would keep for a while
// and tell of each entry.
func (l *itemLog) forgetReader(c jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if info := c.CachedInfo(); info != nil {
		_ = l.js.DeleteConsumer(ctx, logName, info.Name) // of a connection that may be closed
	}
}

func decode(m jetstream.Msg, meta *jetstream.MsgMetadata) (logged, error) {
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
