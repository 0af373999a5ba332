// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/consumer/jetstream"
)

// lossy is a way to a server that loses what has a word in it.
type lossy struct {
	srv    *server.Server
	mu     sync.Mutex
	losses map[string]int // by word: how often it is lost yet
	sent   map[string]int // by word: how often it was on its way
	closed bool

	intercepted map[string]func(n int, subject string) // by word
}

// interceptWord calls f with the subject that begins with that word, and how often the word was on its way, before that goes on. The word is one
// that is lost or watched. f is not to use the way.
func (l *lossy) interceptWord(word string, f func(n int, subject string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intercepted = map[string]func(n int, subject string){word: f}
}

// setClosed has nobody connect by the way, or anybody again.
func (l *lossy) setClosed(closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = closed
}

// lose has so many of what has that word be lost, from now on.
func (l *lossy) lose(word string, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.losses == nil {
		l.losses, l.sent = map[string]int{}, map[string]int{}
	}
	l.losses[word] = times
}

// watch counts what has that word.
func (l *lossy) watch(word string) { l.lose(word, 0) }

// count is how often what has that word was on its way, lost or not.
func (l *lossy) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[word]
}

func (l *lossy) isLost(b []byte) (lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for word, times := range l.losses {
		if bytes.Contains(b, []byte(word)) {
			l.sent[word]++
			l.losses[word] = max(times-1, 0)
			lost = lost || times > 0
			if f := l.intercepted[word]; f != nil {
				_, rest, _ := strings.Cut(string(b), word)
				f(l.sent[word], word+strings.Fields(rest)[0])
			}
		}
	}
	return lost
}

// Dial is that of a nats.CustomDialer.
func (l *lossy) Dial(network, addr string) (net.Conn, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, errors.New("the way is closed")
	}
	conn, err := net.Dial(network, addr)
	return &lossyConn{conn, l}, err
}

type lossyConn struct {
	net.Conn
	way *lossy
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if c.way.isLost(b) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if n == 0 || !c.way.isLost(b[:n]) {
			return n, err
		}
	}
}

// connectLossy starts a server, and connects to it by a way that loses nothing yet, and by another that never does.
func connectLossy(t *testing.T) (way *lossy, nc, sound *nats.Conn) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	way = &lossy{srv: srv}
	connect := func(opts ...nats.Option) *nats.Conn {
		nc, err := jetstream.Connect(srv.ClientURL(), append(opts, nats.Timeout(time.Minute), nats.PingInterval(time.Hour))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	return way, connect(nats.SetCustomDialer(way)), connect()
}

// What a client asks a server for, and what that answers.
const (
	nameConsumers  = "CONSUMER.NAMES"
	tellOfConsumer = "CONSUMER.INFO"
	tellOfStream   = "STREAM.INFO"
	makeConsumer   = "CONSUMER.CREATE"
	deleteConsumer = "CONSUMER.DELETE"
	consumerIsMade = "consumer_create_response"
	deleted        = "consumer_delete_response"
	pullNext       = "CONSUMER.MSG.NEXT"
	settle         = "PUB $JS.ACK"
)
