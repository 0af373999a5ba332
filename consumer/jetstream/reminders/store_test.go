// SPDX-License-Identifier: Apache-2.0

package reminders_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid/remind/remindtest"
)

// server is one of this process, and connections to it.
type server struct {
	t   testing.TB
	srv *embedded.Server

	mu  sync.Mutex
	all []*nats.Conn
}

func startServer(t testing.TB, dir string) *server {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, srv: srv}
	t.Cleanup(s.stop)
	return s
}

func (s *server) connect() *nats.Conn {
	s.t.Helper()
	nc, err := s.srv.Connect(nats.Timeout(time.Minute)) // a machine may be slow
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, nc)
	return nc
}

func (s *server) store(name ...string) *reminders.Store {
	s.t.Helper()
	store, err := reminders.New(s.connect(), reminders.Options{Name: strings.Join(name, "")})
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

func (s *server) stop() {
	if s.srv == nil {
		return
	}
	for _, nc := range s.all {
		nc.Close()
	}
	s.srv.Shutdown()
	s.srv = nil
}

// deadLetters are what a queue on the stream of them has.
func deadLetters(t *testing.T, nc *nats.Conn, name string) []consumer.Message {
	t.Helper()
	q, err := jetstream.New(nc, jetstream.Options{Name: name + "_DEAD", NoDeadLetters: true})
	if err != nil {
		t.Fatal(err)
	}
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lag, err := src.(consumer.Lagger).Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []consumer.Message
	for int64(len(all)) < lag {
		ms, err := src.Receive(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		ns := make([]consumer.Nack, len(ms))
		for i, m := range ms {
			all = append(all, *m)
			ns[i].Message = m
		}
		defer func() {
			if err := src.Nack(context.Background(), ns); err != nil {
				t.Error(err)
			}
			if err := src.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	return all
}

func TestStore(t *testing.T) {
	s := startServer(t, t.TempDir())
	nc := s.connect()
	var n atomic.Int64
	remindtest.Run(t, func(t *testing.T) remindtest.Stores {
		name := fmt.Sprint("REMINDERS", n.Add(1))
		var dead []consumer.Message
		return remindtest.Stores{One: s.store(name), Two: s.store(name), Dead: func(t *testing.T) []consumer.Message {
			if dead == nil { // a suite asks when all is done
				dead = deadLetters(t, nc, name)
			}
			return dead
		}}
	}, func(t *testing.T, f func(t *testing.T)) {
		t.Parallel() // they wait for what is due
		f(t)
	})
}
