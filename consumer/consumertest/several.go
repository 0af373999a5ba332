// SPDX-License-Identifier: Apache-2.0

package consumertest

import (
	"context"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/consumer"
)

// nackComesOnce: what one process gives back comes once to another one that
// waits for it, be it a lot.
func nackComesOnce(s *suite) {
	if s.q.OneSource {
		s.Skip("there are no two sources at a time")
	}
	const n = 200
	var ms []consumer.Message
	for i := range n {
		ms = append(ms, body(fmt.Sprint(i)))
	}
	s.send(ms...)
	first, second := s.open(), s.openTill()
	got := s.receive(first, n, 2*within)
	if st, ok := first.(consumer.Streamer); ok {
		s.call("drain", func(ctx context.Context) error { _, err := st.Drain(ctx); return err })
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	came := make(chan *consumer.Message)
	go func() {
		defer close(came)
		for ctx.Err() == nil {
			ms, err := second.Receive(ctx, 2*n)
			if err != nil && ctx.Err() == nil {
				s.Errorf("receive: %v", err)
				return
			}
			for _, m := range ms {
				came <- m
			}
		}
	}()
	<-time.After(300 * time.Millisecond) // it waits by now, and if not the test is easier to pass
	s.nack(first, 0, got...)
	s.close(first)
	at := map[string]time.Time{}
	enough, limit := make(<-chan time.Time), time.After(within+s.back())
	for done := false; !done; {
		select {
		case m, open := <-came:
			if !open {
				return // it has told why
			}
			if before, twice := at[m.ID]; twice {
				s.Errorf("%q came again after %v, with %d deliveries", m.Body, m.ReceivedAt.Sub(before), m.Deliveries)
			}
			if at[m.ID] = m.ReceivedAt; len(at) == n {
				enough = time.After(300 * time.Millisecond) // for doubles
			}
		case <-enough:
			done = true
		case <-limit:
			s.Errorf("%d of %d messages came back", len(at), n)
			done = true
		}
	}
	cancel()
	for range came { // until its Receive has ended
	}
}
