// SPDX-License-Identifier: Apache-2.0

package consumertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/protoloop/protoloop/consumer"
)

func receiveWaits(s *suite) {
	src := s.openTill()
	got := make(chan time.Time, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		for ctx.Err() == nil {
			if ms, err := src.Receive(ctx, 10); len(ms) > 0 || err != nil {
				got <- time.Now()
				return
			}
		}
		got <- time.Time{}
	}()
	select {
	case <-got:
		s.Fatal("receive did not wait")
	case <-time.After(700 * time.Millisecond):
	}
	s.send(body("x"))
	if at := <-got; at.IsZero() {
		s.Error("what was sent has not come")
	}
}

// lag counts what nobody has received.
func lag(s *suite) {
	src := s.openTill()
	l, ok := src.(consumer.Lagger)
	if !ok {
		s.Skip("the source does not tell how many messages wait")
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	until := func(want int64) { // a queue may be late in telling
		s.Helper()
		for {
			n, err := l.Lag(ctx)
			switch {
			case err != nil:
				s.Fatalf("lag: %v", err)
			case n == want:
				return
			}
			select {
			case <-ctx.Done():
				s.Fatalf("%d messages wait, want %d", n, want)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	until(0)
	s.send(body("a"), body("b"), body("c"))
	until(3)
	m := s.one(src)
	until(2)
	s.ack(src, m)
	until(2)
}

func receiveEnds(s *suite) {
	src := s.openTill()
	soonest := within
	for range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan int, 1)
		go func() {
			ms, _ := src.Receive(ctx, 10)
			ended <- len(ms)
		}()
		select {
		case n := <-ended:
			cancel()
			s.Fatalf("receive ended with %d messages, and its context had not", n)
		case <-time.After(150 * time.Millisecond):
		}
		cancel()
		began := time.Now()
		if n := <-ended; n != 0 {
			s.Errorf("received %d messages of none", n)
		}
		soonest = min(soonest, time.Since(began))
	}
	if soonest > time.Second { // a poll that does not look at its context takes its time each time, and a slow machine now and then
		s.Errorf("receive ended %v after its context", soonest)
	}
	s.send(body("x"))
	s.ack(src, s.one(src)) // else the calls before have it, and it comes when their lease is over
}

func fields(s *suite) {
	src := s.openTill()
	m := consumer.Message{Body: []byte("héllo\n\t{\"a\": 1}"), Attributes: map[string]string{"color": "dark blue", "n": "17"}}
	if !s.q.TextOnly {
		m.Body = nil
		for i := range 256 {
			m.Body = append(m.Body, byte(i))
		}
	}
	if !s.q.NoKeys {
		m.Key = "key-1"
	}
	if !s.q.NoGroups {
		m.Group = "group-1"
	}
	before := time.Now()
	s.send(m)
	got := s.one(src)
	if !bytes.Equal(got.Body, m.Body) || got.Attributes["color"] != "dark blue" || got.Attributes["n"] != "17" || got.Group != m.Group {
		s.Errorf("received %+v", got)
	}
	if got.ID == "" || got.Key == "" || m.Key != "" && got.Key != m.Key {
		s.Errorf("ID %q, key %q", got.ID, got.Key)
	}
	if got.ReceivedAt.Before(before) || got.ReceivedAt.After(time.Now()) {
		s.Errorf("received at %v", got.ReceivedAt)
	}
	if at := got.SentAt; !at.IsZero() && (at.Before(before.Add(-time.Minute)) || at.After(time.Now().Add(time.Minute))) {
		s.Errorf("sent at %v", at)
	}
	if want := s.q.Lease; !s.q.NoExtend && got.Lease != want || s.q.NoExtend && got.Lease != 0 {
		s.Errorf("lease %v", got.Lease)
	}
	s.nack(src, 0, got)
	again := s.one(src)
	if again.ID != got.ID || again.Key != got.Key || !bytes.Equal(again.Body, got.Body) {
		s.Errorf("the second delivery is another message: %+v", again)
	}
	if !s.q.NoCount && (got.Deliveries != 1 || again.Deliveries != 2) {
		s.Errorf("deliveries %d and %d", got.Deliveries, again.Deliveries)
	}
	s.ack(src, again)
}

// anyBytes: what a queue cannot hold as it is it refuses, and sends the others.
// What it takes comes as it was sent.
func anyBytes(s *suite) {
	src := s.openTill()
	ms := []consumer.Message{body("good 0"), body("bad \xff"), body("bad \x00"), body("good 1"),
		{Body: []byte("keyed 0"), Key: "key \xff"}, {Body: []byte("keyed 1"), Key: "key \xfe"}, {Body: []byte("attribute"), Attributes: map[string]string{"bytes": "\x01\xff"}},
		{Body: []byte("grouped"), Group: "group \xff"}}
	if s.q.NoKeys {
		ms[4].Key, ms[5].Key = "", ""
	}
	if s.q.NoGroups {
		ms[7].Group = ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := s.q.Send(ctx, ms...)
	var refused *consumer.BatchError
	if err != nil && !errors.As(err, &refused) {
		s.Fatalf("send: %v", err)
	}
	want := map[string]consumer.Message{}
	for i, m := range ms {
		if refused == nil || refused.Errs[i] == nil {
			want[string(m.Body)] = m
		}
	}
	for i, m := range ms {
		if _, taken := want[string(m.Body)]; !taken && strings.HasPrefix(string(m.Body), "good") {
			s.Errorf("%q is refused with others: %v", m.Body, refused.Errs[i])
		}
	}
	n := len(want)
	for _, got := range s.receive(src, n, within) {
		m, sent := want[string(got.Body)]
		if !sent || m.Key != "" && got.Key != m.Key || got.Group != m.Group || got.Attributes["bytes"] != m.Attributes["bytes"] {
			s.Errorf("received %q with key %q, group %q, %q; sent %+v, refused %v", got.Body, got.Key, got.Group, got.Attributes, m, err)
		}
		delete(want, string(got.Body))
		s.ack(src, got)
	}
	if len(want) > 0 {
		s.Errorf("%d of %d messages did not come", len(want), n)
	}
	s.empty()
}

func batch(s *suite) {
	src := s.openTill()
	var ms []consumer.Message
	for i := range 100 {
		ms = append(ms, body(fmt.Sprint(i)))
	}
	s.send(ms...)
	seen := map[string]bool{}
	ctx, cancel := context.WithTimeout(context.Background(), 2*within)
	defer cancel()
	calls := 0
	for len(seen) < 100 && ctx.Err() == nil {
		got, err := src.Receive(ctx, 7)
		if err != nil {
			s.Fatal(err)
		}
		if len(got) > 7 {
			s.Fatalf("received %d messages, asked for 7", len(got))
		}
		for _, m := range got {
			if seen[string(m.Body)] {
				s.Errorf("received %q twice", m.Body)
			}
			seen[string(m.Body)] = true
		}
		if calls++; len(got) > 0 {
			s.ack(src, got...)
		}
	}
	if len(seen) != 100 {
		s.Errorf("received %d of 100 messages", len(seen))
	}
	s.empty()
}

func ack(s *suite) {
	src := s.openTill()
	s.send(body("a"), body("b"), body("c"))
	began := time.Now()
	ms := s.receive(src, 3, within)
	if len(ms) != 3 {
		s.Fatalf("received %d", len(ms))
	}
	s.ack(src, ms...)
	if time.Since(began) > s.q.Lease/2 {
		s.Skip("the machine is too slow: their leases may have been over before the ack")
	}
	s.none(src, s.q.Lease+time.Second)
	s.empty()
}

func ackTwice(s *suite) {
	src := s.openTill()
	s.send(body("a"), body("b"))
	ms := s.receive(src, 2, within)
	if len(ms) != 2 {
		s.Fatalf("received %d", len(ms))
	}
	s.ack(src, ms[0])
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := src.Ack(ctx, ms)
	var partial *consumer.BatchError
	switch {
	case err == nil && !s.q.AckGone:
	case errors.As(err, &partial) && len(partial.Errs) == 1 && errors.Is(partial.Errs[0], consumer.ErrGone) && s.q.AckGone:
	default:
		s.Errorf("ack of two, the first for the second time: %v", err)
	}
	s.none(src, time.Second)
	s.empty()
}

func nack(s *suite) {
	src := s.openTill()
	s.send(body("a"), body("b"))
	ms := s.receive(src, 2, within)
	s.nack(src, 0, ms...)
	again := s.receive(src, 2, s.back())
	if len(again) != 2 {
		s.Errorf("%d messages came back", len(again))
	}
	s.ack(src, again...)
	s.empty()
}

func nackDelays(s *suite) {
	if s.q.NoDelay {
		s.Skip("the queue does not delay")
	}
	src := s.openTill()
	s.send(body("a"), body("b"))
	ms := s.receive(src, 2, within)
	if len(ms) != 2 {
		s.Fatalf("received %d", len(ms))
	}
	began := time.Now()
	long, short := 3*time.Second, time.Second
	delays := map[string]time.Duration{string(ms[0].Body): long, string(ms[1].Body): short}
	s.call("nack", func(ctx context.Context) error {
		return src.Nack(ctx, []consumer.Nack{{Message: ms[0], Delay: long}, {Message: ms[1], Delay: short}})
	})
	for range 2 {
		m := s.one(src)
		at, want := time.Since(began), delays[string(m.Body)]
		if at < want-50*time.Millisecond {
			s.Errorf("%q came back after %v, want no less than %v", m.Body, at, want)
		}
		s.ack(src, m)
	}
}

func leaseEnds(s *suite) {
	src := s.openTill()
	began := time.Now() // its lease begins later
	s.send(body("a"))
	m := s.one(src)
	again := s.one(src)
	if d := time.Since(began); d < s.q.Lease-500*time.Millisecond {
		s.Errorf("it came back after %v, with a lease of %v", d, s.q.Lease)
	}
	if again.ID != m.ID {
		s.Errorf("another message came back: %s, %s", again.ID, m.ID)
	}
	s.ack(src, again)
	s.empty()
}

func leaseIsExtended(s *suite) {
	if s.q.NoExtend {
		s.Skip("the queue cannot extend a lease")
	}
	src := s.openTill()
	for range 10 {
		if s.extendsLease(src) {
			return
		}
	}
	s.Skip("the machine is too slow to extend a lease before it is over")
}

// extendsLease keeps a message for longer than its lease. It returns false if it was kept from extending that in time, which tells nothing.
func (s *suite) extendsLease(src consumer.Source) bool {
	s.Helper()
	last := time.Now() // the lease is no older
	s.send(body("a"))
	m := s.one(src)
	late := func() bool { return time.Since(last) > s.q.Lease*9/10 }
	leave := func(again ...*consumer.Message) bool { // the next try finds nothing
		again = append(again, s.receive(src, 1, s.q.Lease+time.Second)...)
		for _, m := range append(again, m) {
			_ = src.Ack(context.Background(), []*consumer.Message{m}) // the earlier ones are not ours any more
		}
		return false
	}
	for over := time.Now().Add(s.q.Lease + s.q.Lease/2); time.Now().Before(over); {
		again := s.receive(src, 1, s.q.Lease/3)
		asked := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), within)
		err := src.Extend(ctx, []*consumer.Message{m})
		cancel()
		if late() {
			return leave(again...)
		}
		for _, m := range again {
			s.Errorf("received %q again", m.Body)
		}
		if err != nil {
			s.Errorf("extend: %v", err)
		}
		last = asked
	}
	s.ack(src, m)
	if late() {
		return leave()
	}
	s.none(src, s.q.Lease+time.Second)
	s.empty()
	return true
}

// closeKeepsNothing: what a source may have taken from the queue in advance
// is there at once for the next.
func closeKeepsNothing(s *suite) {
	var ms []consumer.Message
	for i := range 50 {
		ms = append(ms, body(fmt.Sprint(i)))
	}
	s.send(ms...)
	first := s.open()
	got := s.receive(first, 5, within)
	s.ack(first, got...)
	s.close(first)
	second := s.openTill()
	rest := s.receive(second, 50-len(got), s.back())
	if len(rest) != 50-len(got) {
		s.Errorf("%d of %d messages came", len(rest), 50-len(got))
	}
	s.ack(second, rest...)
	s.empty()
}

func closed(s *suite) {
	src := s.open()
	s.close(src)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if ms, err := src.Receive(ctx, 1); err == nil || len(ms) > 0 || !errors.Is(err, consumer.ErrClosed) {
		s.Errorf("a closed source returned %d messages, %v", len(ms), err)
	}
}
