// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

// topic is a line's subscription to a topic.
type topic struct {
	line   *line
	prefix string // of the subjects
	to     grid.TopicReceiver
	sub    *nats.Subscription // constant before anything comes

	mu sync.Mutex
	// With mu held, as the receiver is called.
	closed  bool
	senders senders
}

func newTopic(l *line, name string, to grid.TopicReceiver) *topic {
	return &topic{line: l, prefix: gridsubject.Topic(l.n.o.Cluster, name), to: to, senders: newSenders(l.n.o.Cluster)}
}

var _ grid.TopicLine = (*line)(nil)

// noRoute is the number of no route: that nobody has subscribed to a topic is not told.
const noRoute = ".0."

// Publish is [grid.TopicLine]'s.
func (l *line) Publish(topic string, frame []byte) error {
	if why := nameMistake(topic); why != "" {
		return fmt.Errorf("grid/nats: the name of the topic %q %s", topic, why)
	}
	return l.publish(gridsubject.Topic(l.n.o.Cluster, topic)+gridsubject.Token(l.self.Node), noRoute, 0, frame)
}

// Subscribe is [grid.TopicLine]'s.
func (l *line) Subscribe(name string, to grid.TopicReceiver) (end func(), err error) {
	if why := nameMistake(name); why != "" {
		return nil, fmt.Errorf("grid/nats: the name of the topic %q %s", name, why)
	}
	t := newTopic(l, name, to)
	t.mu.Lock() // nothing comes until it is complete
	defer t.mu.Unlock()
	sub, err := l.n.nc.Subscribe(t.prefix+"*", t.received)
	if err != nil {
		return nil, fmt.Errorf("grid/nats: %w", err)
	}
	t.sub = sub
	_ = sub.SetPendingLimits(-1, l.n.o.ReceiveBuffer) // it fails for one that is closed
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.closed.Load() {
		_ = sub.Unsubscribe()
		return nil, errClosed
	}
	l.topics[t] = struct{}{}
	return t.end, nil
}

func (l *line) allTopics() []*topic {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	all := make([]*topic, 0, len(l.topics))
	for t := range l.topics {
		all = append(all, t)
	}
	return all
}

func (t *topic) end() {
	n := t.line.n
	n.mu.Lock()
	delete(t.line.topics, t)
	n.mu.Unlock()
	t.close()
}

// close waits until the receiver is called no more.
func (t *topic) close() {
	_ = t.sub.Unsubscribe() // the connection may be closed
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

func (t *topic) missed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.to.Missed()
	}
}

// received is what the server sends to the topic.
func (t *topic) received(m *nats.Msg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	from, ok := strings.CutPrefix(m.Subject, t.prefix)
	s, epoch, known := t.senders.find(m.Reply)
	switch {
	case !ok || !known || s.token != from:
		t.line.n.refuse(m)
	case epoch < s.epoch: // see line.frame
		t.to.Missed()
	default:
		s.epoch = epoch
		t.to.Published(s.name, m.Data)
	}
}
