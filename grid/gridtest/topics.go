// SPDX-License-Identifier: Apache-2.0

package gridtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/protoloop/protoloop/grid"
)

// subscription is that of a line to a topic.
type subscription struct {
	line *line
	to   grid.TopicReceiver

	calls sync.Mutex // held while the receiver is called
	ended bool       // with it held
}

// publication is what a process that is paused has published.
type publication struct {
	topic string
	bytes []byte
}

// Publish is [grid.TopicLine]'s. The frame has the faults of the ways to each of the others for itself.
func (l *line) Publish(topic string, bytes []byte) error {
	c := l.node.c
	c.mu.Lock()
	if err := l.whyNotSent(bytes); err != nil {
		c.mu.Unlock()
		return err
	}
	l.published = append(l.published, publication{topic, slices.Clone(bytes)})
	c.mu.Unlock()
	l.node.run(l.departPublished)
	return nil
}

// departPublished lets the first of what was published go to all that have subscribed.
func (l *line) departPublished() {
	c := l.node.c
	c.mu.Lock()
	defer c.mu.Unlock()
	p := l.published[0]
	l.published = l.published[1:]
	for _, at := range c.linesInOrder() {
		if len(at.topics[p.topic]) > 0 {
			l.departHeld(l.pair(at.self), at.self, frame{topic: p.topic, bytes: slices.Clone(p.bytes)})
		}
	}
}

// pushPublished has those told that have subscribed to the topic of a frame. With mu of the Cluster held.
func (l *line) pushPublished(f frame, from string) {
	c := l.node.c
	for i, s := range l.topics[f.topic] {
		bytes := f.bytes
		if i > 0 {
			bytes = slices.Clone(bytes)
		}
		l.waiting += len(bytes)
		l.push(1, func(grid.Receiver) {
			c.mu.Lock()
			l.waiting -= len(bytes)
			c.mu.Unlock()
			s.tell(func(to grid.TopicReceiver) { to.Published(from, bytes) })
		})
	}
}

// missedTopics tells of all topics that something may have been lost. With mu of the Cluster held.
func (l *line) missedTopics() {
	for _, all := range l.topics {
		for _, s := range all {
			l.push(1, func(grid.Receiver) { s.tell(grid.TopicReceiver.Missed) })
		}
	}
}

// tell tells the receiver, unless the subscription has ended.
func (s *subscription) tell(what func(grid.TopicReceiver)) {
	s.calls.Lock()
	defer s.calls.Unlock()
	if !s.ended {
		what(s.to)
	}
}

// Subscribe is [grid.TopicLine]'s.
func (l *line) Subscribe(topic string, to grid.TopicReceiver) (end func(), err error) {
	c := l.node.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("gridtest: no subscription to %s: the line is closed", topic)
	}
	s := &subscription{line: l, to: to}
	l.topics[topic] = append(l.topics[topic], s)
	return func() {
		c.mu.Lock()
		l.topics[topic] = slices.DeleteFunc(slices.Clone(l.topics[topic]), func(o *subscription) bool { return o == s })
		if len(l.topics[topic]) == 0 {
			delete(l.topics, topic)
		}
		c.mu.Unlock()
		s.calls.Lock() // until the call under way is over
		defer s.calls.Unlock()
		s.ended = true
	}, nil
}
