// SPDX-License-Identifier: Apache-2.0

package nettest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/grid"
)

// RunTopics tries the topics of a network, whose lines are each a [grid.TopicLine].
func RunTopics(t *testing.T, o Options) {
	o.runEach(t, map[string]func(n *network){
		"what is published comes to all that have subscribed, in order": testPublish,
		"many that publish, one call at a time":                         testPublishers,
		"names of topics of any bytes":                                  testTopics,
		"frames that are published, of all sizes":                       testPublishSizes,
		"a frame that was published is the receiver's":                  testPublishOwn,
		"a subscription that has ended":                                 testSubscriptionEnds,
		"one subscription follows another":                              testSubscriptions,
		"topics of a line that was closed":                              testTopicsClosed,
		"subscribed and ended at any time":                              testTopicsStress,
	})
}

func (p *peer) topics() grid.TopicLine {
	p.Helper()
	l, is := p.Line.(grid.TopicLine)
	if !is {
		p.Fatalf("a %T is no grid.TopicLine", p.Line)
	}
	return l
}

// publish publishes, again if too much waits to be sent.
func (p *peer) publish(topic string, frame []byte) {
	p.Helper()
	l, err := p.topics(), error(nil)
	p.eventually("a frame to be taken", func() bool {
		err = l.Publish(topic, frame)
		return err == nil
	})
}

// subscriber is a [grid.TopicReceiver].
type subscriber struct {
	*peer
	topic string
	end   func()

	calls atomic.Int32
	ended atomic.Bool

	mu    sync.Mutex
	heard map[string][][]byte // by who has published it
}

func (p *peer) subscribe(topic string) *subscriber {
	p.Helper()
	s := &subscriber{peer: p, topic: topic, heard: map[string][][]byte{}}
	end, err := p.topics().Subscribe(topic, s)
	if err != nil {
		p.Fatalf("subscribe to %q: %v", topic, err)
	}
	s.end = func() {
		end()
		s.ended.Store(true)
	}
	p.Cleanup(end) // perhaps again
	return s
}

func (s *subscriber) called() (done func()) {
	if s.calls.Add(1) != 1 {
		s.Error("the receiver of a topic is called twice at a time")
	}
	if s.ended.Load() || s.peer.closed.Load() {
		s.Error("the receiver of a topic is called after the end of its subscription")
	}
	return func() { s.calls.Add(-1) }
}

func (s *subscriber) Published(from string, frame []byte) {
	defer s.called()()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard[from] = append(s.heard[from], frame)
}

func (s *subscriber) Missed() { s.called()() }

func (s *subscriber) from(node string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[node]
}

// meets publishes hellos until one has come: that somebody has subscribed is not known everywhere at once. What is
// published afterwards comes, and behind all hellos.
func (s *subscriber) meets(from *peer) {
	s.Helper()
	for before := len(s.from(from.is.Node)); len(s.from(from.is.Node)) == before; {
		from.publish(s.topic, []byte(hello))
		for range 100 { // it may come, but need not
			if len(s.from(from.is.Node)) > before {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	last := fmt.Sprint(hello, " for the last time, ", met.Add(1))
	from.publish(s.topic, []byte(last))
	s.eventually("the last hello", func() bool { return s.has(from, last) })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.heard, from.is.Node)
}

var met atomic.Int64

func (s *subscriber) has(from *peer, frame string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.heard[from.is.Node]
	return len(all) > 0 && string(all[len(all)-1]) == frame
}

func (s *subscriber) hears(from string, want ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d frames of %q from %q", len(want), s.topic, from), func() bool { return len(s.from(from)) >= len(want) })
	for i, got := range s.from(from) {
		if i >= len(want) || string(got) != want[i] {
			s.Fatalf("frame %d of %q from %q is %.40q, want %.80q", i, s.topic, from, got, want)
		}
	}
}

func testPublish(n *network) {
	a := n.open("a", 1)
	a.publish("prices", []byte("to nobody"))
	var all []*subscriber
	for i := range 4 {
		p := n.open(fmt.Sprint("node-", i), uint64(i+2))
		all = append(all, p.subscribe("prices"))
	}
	for _, s := range all {
		s.meets(a)
	}
	want := numbered(500)
	for _, s := range want {
		a.publish("prices", []byte(s))
	}
	for _, s := range all {
		// The hellos for those that came behind may have come, too.
		s.eventually("the last frame", func() bool { return s.has(a, want[len(want)-1]) })
		var got []string
		for _, f := range s.from("a") {
			if !strings.HasPrefix(string(f), hello) {
				got = append(got, string(f))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			n.Errorf("%s has heard %.200q", s.is.Node, got)
		}
	}
}

func testPublishers(n *network) {
	to := n.open("to", 1).subscribe("prices")
	var all []*peer
	for i := range 5 {
		p := n.open(fmt.Sprint("node-", i), uint64(i+2))
		to.meets(p)
		all = append(all, p)
	}
	want := numbered(200)
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			for _, s := range want {
				p.publish("prices", []byte(s))
			}
		})
	}
	wg.Wait()
	for _, p := range all {
		to.hears(p.is.Node, want...)
	}
}

// testTopics: no name is heard by who has subscribed to another.
func testTopics(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	names := []string{"prices", "*", ">", "a.*", "a.b", "a b", "%2A", "$topic", "gone", "é", "\x00\xff\r\n", "PRICES", strings.Repeat("\xff", 85), strings.Repeat("x", 85)}
	var all []*subscriber
	for _, name := range names {
		s := b.subscribe(name)
		s.meets(a)
		all = append(all, s)
	}
	for _, name := range names {
		a.publish(name, []byte("to "+name))
	}
	for _, s := range all {
		s.hears("a", "to "+s.topic)
	}
}

func testPublishSizes(n *network) {
	a, s := n.open("a", 1), n.open("b", 2).subscribe("prices")
	s.meets(a)
	longest := a.MaxFrame()
	big := bytes.Repeat([]byte("x"), longest+1)
	if err := a.topics().Publish("prices", big); err == nil {
		n.Error("a frame longer than MaxFrame was taken")
	}
	big[longest-1] = 'e'
	a.publish("prices", nil)
	a.publish("prices", big[:longest])
	a.publish("prices", []byte("last"))
	s.hears("a", "", string(big[:longest]), "last")
}

func testPublishOwn(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	one, two := b.subscribe("prices"), b.subscribe("prices")
	one.meets(a)
	two.meets(a)
	one.meets(a)
	frame := []byte("frame ?")
	var want []string
	for i := range 100 {
		frame[6] = byte('0' + i%10)
		want = append(want, string(frame))
		a.publish("prices", frame)
		frame[6] = '!'
	}
	last := func(s *subscriber) func() bool {
		return func() bool { return s.has(a, want[99]) && len(s.from("a")) >= 100 }
	}
	one.eventually("all frames", last(one))
	for _, f := range one.from("a") {
		_ = append(f, "what the receiver adds"...)
		clear(f)
	}
	two.eventually("all frames", last(two))
	got := two.from("a")
	for i, f := range got[len(got)-100:] {
		if string(f) != want[i] {
			n.Fatalf("frame %d is %q, want %q", i, f, want[i])
		}
	}
}

func testSubscriptionEnds(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	s, other := b.subscribe("prices"), b.subscribe("other")
	s.meets(a)
	other.meets(a)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.publish("prices", []byte("x"))
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	s.eventually("frames", func() bool { return len(s.from("a")) > 100 })
	s.end()
	for i := range 10 { // what was on the way comes to nobody
		a.publish("other", fmt.Append(nil, i))
	}
	other.eventually("frames of the other topic", func() bool { return len(other.from("a")) >= 10 })
	close(stop)
	wg.Wait()
}

// testSubscriptions: while one subscription to a topic begins, and the one before ends, nothing is lost.
func testSubscriptions(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	first := b.subscribe("prices")
	first.meets(a)
	second := b.subscribe("prices")
	second.meets(a)
	first.meets(a) // the hellos have come to both
	a.publish("prices", []byte("to both"))
	for _, s := range []*subscriber{first, second} {
		s.eventually("a frame", func() bool { return s.has(a, "to both") })
	}
	first.end()
	a.publish("prices", []byte("to one"))
	second.eventually("a frame", func() bool { return second.has(a, "to one") })
}

func testTopicsClosed(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	s, line := b.subscribe("prices"), b.topics()
	s.meets(a)
	if err := b.Line.Close(); err != nil {
		n.Error(err)
	}
	b.closed.Store(true)
	if err := line.Publish("prices", []byte("x")); err == nil {
		n.Error("a line that was closed publishes")
	}
	if _, err := line.Subscribe("prices", s); err == nil {
		n.Error("a line that was closed subscribes")
	}
	s.end()
	c := n.open("c", 3).subscribe("prices")
	c.meets(a)
	a.publish("prices", []byte("later"))
	c.hears("a", "later")
}

// testTopicsStress begins and ends subscriptions while others publish.
func testTopicsStress(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.publish("prices", []byte("x"))
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	for range 20 {
		s := b.subscribe("prices")
		s.eventually("a frame", func() bool { return len(s.from("a")) > 0 })
		s.end()
	}
	close(stop)
	wg.Wait()
}
