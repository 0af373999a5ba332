// SPDX-License-Identifier: Apache-2.0

package consumertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/testtools"
)

func deadLetter(s *suite) {
	src := s.openTill()
	s.send(consumer.Message{Body: []byte("bad"), Attributes: map[string]string{"color": "blue"}}, body("good"))
	ms := s.receive(src, 2, within)
	if len(ms) != 2 {
		s.Fatalf("received %d", len(ms))
	}
	if string(ms[0].Body) != "bad" {
		ms[0], ms[1] = ms[1], ms[0]
	}
	d := consumer.Dead{Message: ms[0], Reason: errors.New("no\nway: ü"), Tries: 3}
	dl, ok := src.(consumer.DeadLetterer)
	if s.q.Dead == nil {
		if ok {
			if err := dl.DeadLetter(context.Background(), []consumer.Dead{d}); !errors.Is(err, errors.ErrUnsupported) {
				s.Errorf("dead letter without a place: %v", err)
			}
		}
		s.Skip("there is no place for dead letters")
	}
	if !ok {
		s.Fatal("the source is no DeadLetterer")
	}
	s.call("dead letter", func(ctx context.Context) error { return dl.DeadLetter(ctx, []consumer.Dead{d}) })
	s.ack(src, ms[1])
	s.empty()
	s.none(src, time.Second)
	dead := s.dead(1)
	attr := func(name string) string {
		if s.q.Attribute != nil {
			name = s.q.Attribute(name)
		}
		return dead[0].Attributes[name]
	}
	if string(dead[0].Body) != "bad" || dead[0].Attributes["color"] != "blue" || attr(consumer.AttrReason) != "no way: ü" ||
		attr(consumer.AttrTries) != "3" || attr(consumer.AttrID) != ms[0].ID || attr(consumer.AttrKey) != ms[0].Key {
		s.Errorf("dead letter: %q %v", dead[0].Body, dead[0].Attributes)
	}
}

// deadLetterSentBack: who mends what a dead letter has died of sends it back as it
// is, at once, and gets the same message: with its key, by which its handlers are
// idempotent, though a queue that drops doubles has seen that key. So it does when
// it has died once more.
func deadLetterSentBack(s *suite) {
	if s.q.Dead == nil {
		s.Skip("there is no place for dead letters")
	}
	src := s.openTill()
	died := 0
	for _, m := range []consumer.Message{{Key: "key-1", Group: "group-1"}, {}} {
		if s.q.NoKeys {
			m.Key = ""
		}
		if s.q.NoGroups {
			m.Group = ""
		}
		m.Attributes = map[string]string{"color": "blue"}
		s.sendBackThrice(src, m, &died)
	}
	s.empty()
}

// sendBackThrice sends m, and again each time it has died; died counts that.
func (s *suite) sendBackThrice(src consumer.Source, m consumer.Message, died *int) {
	s.Helper()
	key := m.Key
	for round := range 3 {
		m.Body = fmt.Append(nil, "bad ", *died)
		s.send(m)
		got := s.one(src)
		if key == "" {
			key = got.Key
		}
		if !bytes.Equal(got.Body, m.Body) || got.Key != key || got.Group != m.Group || got.Attributes["color"] != "blue" {
			s.Errorf("round %d: received %q with key %q, want %q; %+v", round, got.Body, got.Key, key, got)
		}
		s.call("dead letter", func(ctx context.Context) error {
			return src.(consumer.DeadLetterer).DeadLetter(ctx, []consumer.Dead{{Message: got, Reason: errors.New("why"), Tries: 1}})
		})
		*died++
		for _, d := range s.dead(*died) {
			if !bytes.Equal(d.Body, got.Body) {
				continue
			}
			if m = d; d.Key != key || d.Group != got.Group {
				s.Errorf("round %d: the dead letter has key %q and group %q", round, d.Key, d.Group)
			}
		}
	}
}

// deadLetterTooLarge: a message that is too large for a dead letter with its
// reason has no place, and does not take others along.
func deadLetterTooLarge(s *suite) {
	if s.q.Largest == 0 || s.q.Dead == nil {
		s.Skip("there is no limit, or no place for dead letters")
	}
	src := s.openTill()
	large := strings.Repeat("x", s.q.Largest)
	s.send(body("a"), body("b"))
	s.send(body(large))
	s.send(body("c"))
	var ds []consumer.Dead
	for _, m := range s.receive(src, 4, within) {
		ds = append(ds, consumer.Dead{Message: m, Reason: errors.New("why"), Tries: 1})
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var batch *consumer.BatchError
	if err := src.(consumer.DeadLetterer).DeadLetter(ctx, ds); !errors.As(err, &batch) || len(batch.Errs) != 1 {
		s.Fatalf("dead letters, one of which does not fit: %v", err)
	}
	for i, err := range batch.Errs {
		if len(ds[i].Message.Body) != len(large) || !errors.Is(err, errors.ErrUnsupported) {
			s.Errorf("a message of %d bytes: %v", len(ds[i].Message.Body), err)
		}
		s.nack(src, 0, ds[i].Message)
	}
	s.dead(3)
	if m := s.one(src); len(m.Body) != len(large) {
		s.Errorf("%q is in the queue yet", m.Body)
	}
}

// dead waits for n different dead letters. There may be more of one: a queue
// that does not tell doubles gets it again if it was not heard the first time.
func (s *suite) dead(n int) []consumer.Message {
	s.Helper()
	var all map[string]consumer.Message
	testtools.Poll(within, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		dead, err := s.q.Dead(ctx)
		cancel()
		if err != nil {
			s.Fatalf("dead letters: %v", err)
		}
		all = map[string]consumer.Message{}
		for _, d := range dead {
			all[string(d.Body)] = d
		}
		return len(all) >= n
	})
	if len(all) != n {
		s.Fatalf("%d different dead letters, want %d", len(all), n)
	}
	return slices.Collect(maps.Values(all))
}
