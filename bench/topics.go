// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

// topicSubscribers is how many there are in these cases, each at a connection of its own.
var topicSubscribers = []int{1, 8}

const (
	// topicBatch is after how many publications each subscriber publishes what they add up to. It is little beside them.
	topicBatch = 1000
	// topicAhead is how many batches may be published that not all have heard: more would be lost, or wait in ever longer queues.
	topicAhead = 4
	// topicSilence is after how long something is lost: a message comes at most once.
	topicSilence = time.Minute
)

// The numbers are published by one node, and what they add up to by the others. A number below 0 asks who is there.
var (
	topicNumbers = grid.TopicOf[number]("numbers")
	topicSums    = grid.TopicOf[number]("sums")
)

// topicCases are about a publication, until all subscribers have heard it: workers of other nodes, and beside them subscribers of NATS alone, with
// the same message, certificates and subjects, over the same three hubs. All subscribers are in one process. The nodes are at different hubs.
func topicCases() (cs []*benchCase) {
	for _, n := range topicSubscribers {
		to := fmt.Sprintf("%d subscribers", n)
		if n == 1 {
			to = "one subscriber"
		}
		cs = append(cs,
			&benchCase{topicName("bare", n), "core NATS alone, to " + to, topicBatch, publishTo(n, true)},
			&benchCase{topicName("grid", n), "… a topic, to workers of other nodes", topicBatch, publishTo(n, false)})
	}
	return cs
}

func topicName(what string, n int) string { return fmt.Sprintf("topics/%s-%d", what, n) }

func topicRules() (rs []rule) {
	for _, n := range topicSubscribers {
		bare, of := topicName("bare", n), topicName("grid", n)
		rs = append(rs, rule{of: of, against: bare, as: "core NATS", figure: wall}, rule{of: of, against: bare, as: "core NATS", figure: moreMicros})
	}
	return rs
}

// publisher publishes numbers to n subscribers, and hears their sums.
type publisher struct {
	n       int
	publish func(v int64) error
	sums    chan int64
}

// sumOf is what a subscriber publishes; below 0: that it is there.
func sumOf(subscriber int, sum int64) int64 { return int64(subscriber)<<32 | sum }

func hereIs(subscriber int) int64 { return -1 - int64(subscriber) }

// publishTo has publications to n subscribers in a process of their own.
func publishTo(n int, bare bool) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		hubs, ca, err := e.startHubs(3)
		if err != nil {
			return nil, err
		}
		c := child{Topic: &topicChild{Hubs: hubs, Bare: bare}}
		for i := range n {
			files, err := ca.Node(fmt.Sprint("subscriber-", i))
			if err != nil {
				return nil, err
			}
			c.Topic.Certificates = append(c.Topic.Certificates, files)
		}
		if _, err := e.startAll(c); err != nil {
			return nil, err
		}
		p := &publisher{n: n, sums: make(chan int64, 1024)}
		files, err := ca.Node("publisher")
		if err != nil {
			return nil, err
		}
		if bare {
			err = p.connectBare(e, hubs[0], files)
		} else {
			err = p.joinCluster(e, hubs[:1], files)
		}
		if err != nil {
			return nil, err
		}
		return p.publishAll, p.awaitAll()
	}
}

// joinCluster makes it a node.
func (p *publisher) joinCluster(e *env, hubs []string, files certs.Files) error {
	g, err := joinCluster(e.ctx, e.sys, hubclient.Options{Cluster: cluster, Hubs: hubs, Certificates: &files, Logger: quiet()}, nil)
	if err != nil {
		return err
	}
	e.onClose(g.close)
	p.publish = func(v int64) error { return topicNumbers.Publish(e.sys.Root, wrapperspb.Int64(v)) }
	_, err = e.spawn("sums", func(w *actors.Worker) error {
		topicSums.On(w, func(_ *actors.Task, sum number) error {
			p.sums <- sum.Value
			return nil
		})
		return nil
	})
	return err
}

// connectBare makes it a client of NATS.
func (p *publisher) connectBare(e *env, hub string, files certs.Files) error {
	b, err := connectBare(hub, "publisher", files)
	if err != nil {
		return err
	}
	e.onClose(func() error { b.nc.Close(); return nil })
	p.publish = func(v int64) error { return b.publishNumber(topicNumbers, v) }
	return b.subscribeTo(topicSums, func(v int64) { p.sums <- v })
}

// awaitAll publishes until all are there: who has subscribed a moment ago may not be known to all hubs. It does so at times, and not at each
// answer: all that are there answer each, and while one is missing that would double the load until connections are given up.
func (p *publisher) awaitAll() error {
	here := map[int64]bool{}
	again, tooLate := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for len(here) < p.n {
		select {
		case v := <-p.sums:
			here[v] = true
		case <-again.C:
			if err := p.publish(-1); err != nil {
				return err
			}
		case <-tooLate:
			return fmt.Errorf("%d of %d subscribers are there", len(here), p.n)
		}
	}
	return nil
}

func (p *publisher) publishAll(n int) (sum int, err error) {
	heard := make([]int, p.n) // batches
	await := func(batches int) error {
		for slices.Min(heard) < batches {
			select {
			case v := <-p.sums:
				if v < 0 { // it was asked more than once
					continue
				}
				if got := int(uint32(v)); got != topicBatch*(topicBatch-1)/2 {
					return fmt.Errorf("what a subscriber has heard adds up to %d", got)
				}
				heard[v>>32]++
				sum += int(uint32(v))
			case <-time.After(topicSilence):
				return fmt.Errorf("the subscribers have heard so many batches of %d: %v", batches, heard)
			}
		}
		return nil
	}
	for batch := range n / topicBatch {
		for i := range topicBatch {
			if err := p.publish(int64(i)); err != nil {
				return 0, err
			}
		}
		if err := await(batch + 1 - topicAhead); err != nil {
			return 0, err
		}
	}
	if err := await(n / topicBatch); err != nil {
		return 0, err
	}
	return sum / p.n, nil // each was found to be right
}

// topicChild is a process with subscribers, of which each is a node or a client of NATS.
type topicChild struct {
	Hubs         []string
	Certificates []certs.Files // of each
	Bare         bool
}

func (c *topicChild) run() error {
	for i, files := range c.Certificates {
		at := (i + 1) % len(c.Hubs)
		s := &subscriber{number: i}
		if c.Bare {
			b, err := connectBare(c.Hubs[at], fmt.Sprint("subscriber-", i), files)
			if err != nil {
				return err
			}
			err = b.subscribeTo(topicNumbers, func(v int64) {
				if answer, is := s.addHeard(v); is {
					_ = b.publishNumber(topicSums, answer) // the publisher misses it then, and says so
				}
			})
			if err != nil {
				return err
			}
			continue
		}
		sys, o := silent(), hubclient.Options{Cluster: cluster, Hubs: c.Hubs[at : at+1], Certificates: &files, Logger: quiet()}
		if _, err := joinCluster(context.Background(), sys, o, nil); err != nil {
			return err
		}
		_, err := actors.Spawn(context.Background(), sys.Root, "subscriber", func(w *actors.Worker) error {
			topicNumbers.On(w, func(t *actors.Task, v number) error {
				if answer, is := s.addHeard(v.Value); is {
					return topicSums.Publish(t, wrapperspb.Int64(answer))
				}
				return nil
			})
			return nil
		}, actors.Options{})
		if err != nil {
			return err
		}
	}
	return nil
}

// subscriber adds up what it hears.
type subscriber struct {
	number int
	count  int
	sum    int64
}

// addHeard takes a number. is: it has something to publish.
func (s *subscriber) addHeard(v int64) (answer int64, is bool) {
	if v < 0 {
		return hereIs(s.number), true
	}
	s.sum += v
	if s.count++; s.count < topicBatch {
		return 0, false
	}
	answer = sumOf(s.number, s.sum)
	s.count, s.sum = 0, 0
	return answer, true
}

// bareClient is a client of NATS, at a hub, as a node.
type bareClient struct {
	nc   *nats.Conn
	node string
}

func connectBare(hub, node string, files certs.Files) (*bareClient, error) {
	conf, err := files.TLS()
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect("nats://"+hub, nats.Secure(conf), nats.Timeout(patience))
	return &bareClient{nc, node}, err
}

func (b *bareClient) publishNumber(topic grid.Topic[number], v int64) error {
	data, err := proto.Marshal(wrapperspb.Int64(v))
	if err != nil {
		return err
	}
	return b.nc.Publish(gridsubject.Topic(cluster, topic.Name())+gridsubject.Token(b.node), data)
}

func (b *bareClient) subscribeTo(topic grid.Topic[number], hear func(v int64)) error {
	_, err := b.nc.Subscribe(gridsubject.Topic(cluster, topic.Name())+"*", func(m *nats.Msg) {
		var v wrapperspb.Int64Value
		if proto.Unmarshal(m.Data, &v) == nil {
			hear(v.Value)
		}
	})
	if err != nil {
		return err
	}
	return b.nc.Flush()
}
