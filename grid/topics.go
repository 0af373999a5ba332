// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/persystem"
)

// topics tracks which workers of an actor system have subscribed to what. It outlives a grid, as workers do. Any
// goroutine may call its methods.
type topics struct {
	init sync.Once
	sys  *actor.ActorSystem
	hub  *hub

	mu sync.RWMutex
	// All below with mu held.
	byName  map[string]*topic
	workers map[string]*subscriber // by the ids of their PIDs
}

// subscriber is a worker. It is the process that the engine tells of the worker's end: if setup has failed no hook of that runs.
type subscriber struct {
	ts      *topics
	pid     *actor.PID
	inbox   keyed.Inbox // the same in all incarnations, and in no other worker
	watcher *actor.PID  // its own

	// With mu of topics held.
	current       *incarnation // nil: none has subscribed
	subscriptions []*subscription
}

// incarnation is that of a worker that has subscribed.
type incarnation struct {
	of       *actors.Worker
	handlers map[reflect.Type]any // by the type of messages, each a handlersOf that type; in setup alone
}

var _ actor.Process = (*subscriber)(nil)

// topic has subscribers, or has had some a moment ago.
type topic struct {
	name  string
	count topicCount

	// With mu of topics held.
	list []*subscription // what is there is not written to: others read it without mu
	live int             // of list

	wire sync.Mutex // of its subscription of the network, one for all workers
	// With wire held.
	on  *link // where it is subscribed, nil: nowhere
	end func()
}

// subscription is that of one worker to one topic.
type subscription struct {
	topic *topic
	by    *subscriber
	typ   protoreflect.MessageType
	gone  atomic.Bool
	full  missing // for want of room
}

func topicsOf(sys *actor.ActorSystem) *topics {
	ts := persystem.Of[topics](sys)
	ts.init.Do(func() {
		ts.sys, ts.hub = sys, persystem.Of[hub](sys)
		ts.byName, ts.workers = map[string]*topic{}, map[string]*subscriber{}
	})
	return ts
}

// subscriberOf is a worker, in its setup.
func (ts *topics) subscriberOf(w *actors.Worker, inbox keyed.Inbox) (*subscriber, *incarnation) {
	pid := w.Self()
	ts.mu.RLock()
	s := ts.workers[pid.Id]
	var current *incarnation
	if s != nil && s.inbox == inbox {
		current = s.current
	} else {
		s = nil
	}
	ts.mu.RUnlock()
	if s == nil {
		s = ts.watch(pid, inbox)
	}
	if current == nil || current.of != w {
		ts.unsubscribe(s) // if the setup before has failed
		current = &incarnation{w, map[reflect.Type]any{}}
		ts.mu.Lock()
		s.current = current
		ts.mu.Unlock()
		w.OnStop(func(*actors.Task) error {
			ts.unsubscribe(s)
			return nil
		})
	}
	return s, current
}

// watch begins with a worker that has subscribed to nothing.
func (ts *topics) watch(pid *actor.PID, inbox keyed.Inbox) *subscriber {
	s := &subscriber{ts: ts, pid: pid, inbox: inbox}
	for added := false; !added; {
		s.watcher, added = ts.sys.ProcessRegistry.Add(s, "grid-topics"+ts.sys.ProcessRegistry.NextId())
	}
	ts.mu.Lock()
	ts.workers[pid.Id] = s
	ts.mu.Unlock()
	if p, ok := ts.sys.ProcessRegistry.Get(pid); ok {
		p.SendSystemMessage(pid, &actor.Watch{Watcher: s.watcher})
	}
	return s
}

// SendSystemMessage is the engine's. It is called where the worker ends.
func (s *subscriber) SendSystemMessage(_ *actor.PID, m any) {
	if _, is := m.(*actor.Terminated); !is {
		return
	}
	ts := s.ts
	ts.sys.ProcessRegistry.Remove(s.watcher)
	ts.unsubscribe(s)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.workers[s.pid.Id] == s { // else another has that name by now
		delete(ts.workers, s.pid.Id)
	}
}

// SendUserMessage is the engine's. Nobody sends it any.
func (s *subscriber) SendUserMessage(*actor.PID, any) {}

// Stop is the engine's.
func (s *subscriber) Stop(*actor.PID) {}

// subscribe adds a subscription.
func (ts *topics) subscribe(s *subscriber, name string, typ protoreflect.MessageType) {
	ts.mu.Lock()
	p := ts.byName[name]
	if p == nil {
		p = &topic{name: name}
		ts.byName[name] = p
	}
	sub := &subscription{topic: p, by: s, typ: typ}
	p.list = append(p.list, sub)
	p.live++
	s.subscriptions = append(s.subscriptions, sub)
	ts.mu.Unlock()
	if g := ts.hub.grid.Load(); g != nil {
		if n := g.network(); n != nil && !n.c.connected() {
			go ts.syncWire(p) // it may take as long as there is no connection, and this is a worker's turn
			return
		}
	}
	ts.syncWire(p)
}

// unsubscribe ends all that a worker has subscribed to.
func (ts *topics) unsubscribe(s *subscriber) {
	var empty []*topic
	ts.mu.Lock()
	for _, sub := range s.subscriptions {
		sub.gone.Store(true)
		if p := sub.topic; p.removeHeld() {
			delete(ts.byName, p.name)
			empty = append(empty, p)
		}
	}
	s.subscriptions = nil
	ts.mu.Unlock()
	for _, p := range empty {
		go ts.syncWire(p) // it may be the engine's system frame, in which a network has no business
	}
}

// removeHeld notes that one of the list is gone, and reports whether none is left. With mu of topics held.
func (p *topic) removeHeld() (empty bool) {
	p.live--
	if p.live < len(p.list)/2 {
		list := make([]*subscription, 0, p.live)
		for _, sub := range p.list {
			if !sub.gone.Load() {
				list = append(list, sub)
			}
		}
		p.list = list
	}
	return p.live == 0
}

// listOf is the subscriptions to a topic, some of which may have ended.
func (ts *topics) listOf(name string) []*subscription {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	if p := ts.byName[name]; p != nil {
		return p.list
	}
	return nil
}

// publish sends a message to the workers here and the other nodes.
func (ts *topics) publish(name string, m proto.Message, header map[string]string) error {
	payload, err := marshalPublished(m)
	if err != nil {
		return fmt.Errorf("%w: publish a %T to %s: %w", actors.ErrUnsendable, m, name, err)
	}
	typ := m.ProtoReflect().Descriptor().FullName()
	g := ts.hub.grid.Load()
	line, frame, why := topicFrame(g, &gridwire.Publication{Type: []byte(typ), Payload: payload, Header: header})
	if line != nil && len(frame) > line.MaxFrame() {
		return fmt.Errorf("%w: publish a %T to %s: it has %d bytes, and the network takes %d at most", actors.ErrUnsendable, m, name, len(frame), line.MaxFrame())
	}
	if g != nil {
		g.topicCounts.published.Add(1)
	}
	deliver(g, name, ts.listOf(name), typ, payload, header)
	if line != nil {
		why = line.Publish(name, frame)
	}
	if why != nil {
		return fmt.Errorf("%w: to %s: %w", ErrHereOnly, name, why)
	}
	return nil
}

var (
	errNoGrid   = errors.New("no grid runs")
	errNoTopics = errors.New("the network of this node carries no topics")
)

// topicFrame is what goes to the other nodes, and by which line; or why nothing does. All three are nil if there are no others.
func topicFrame(g *Grid, p *gridwire.Publication) (TopicLine, []byte, error) {
	if g == nil {
		return nil, nil, errNoGrid
	}
	n := g.network()
	if n == nil {
		return nil, nil, nil
	}
	l := n.link.Load()
	if l == nil {
		return nil, nil, errNoLink
	}
	line, is := l.line.(TopicLine)
	if !is {
		return nil, nil, errNoTopics
	}
	p.Origin = n.origin
	return line, gridwire.AppendPublication(make([]byte, 0, gridwire.SizePublication(p)), p), nil
}

// marshalPublished calls methods of the user's. Their panic is an error.
func marshalPublished(m proto.Message) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("a panic as it was serialized: %v", p)
		}
	}()
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil, errors.New("it is nil")
	}
	return proto.Marshal(m)
}

// deliver gives each worker here that has subscribed its copy.
func deliver(g *Grid, name string, to []*subscription, typ protoreflect.FullName, payload []byte, header map[string]string) {
	for _, sub := range to {
		if sub.gone.Load() {
			continue
		}
		msg, err := sub.copyOf(typ, payload)
		if err != nil {
			sub.topic.count.refused.Add(1)
			if g != nil {
				g.topicCounts.refused.Add(1)
				if g.refusals.mayLog() {
					g.log.Warn("grid: what was published was refused", "topic", name, "worker", sub.by.pid.Id, "message", string(typ), "error", err)
				}
			}
			continue
		}
		of := make(map[string]string, len(header)+1) // each has its own: middleware may write to it
		maps.Copy(of, header)
		of[topicHeader] = name
		switch sub.by.inbox.Offer(&actor.MessageEnvelope{Header: of, Message: msg}) {
		case keyed.Reserved:
			sub.topic.count.delivered.Add(1)
			if g != nil {
				g.topicCounts.delivered.Add(1)
			}
		case keyed.Full:
			sub.topic.count.full.Add(1)
			if g != nil {
				g.topicCounts.full.Add(1)
				sub.full.note(g, Event{Kind: Missed, Topic: name, Worker: sub.by.pid})
			}
		}
	}
}

func (sub *subscription) copyOf(typ protoreflect.FullName, payload []byte) (proto.Message, error) {
	if is := sub.typ.Descriptor().FullName(); is != typ {
		return nil, fmt.Errorf("the worker has subscribed to messages of type %s", is)
	}
	return parse(sub.typ, payload)
}

// missing tells how many publications were missed: at the first, and then once a second.
type missing struct {
	mu    sync.Mutex
	count int
	timer bool
}

const missedAgain = time.Second

func (m *missing) note(g *Grid, e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	if !m.timer {
		m.tellHeld(g, e)
	}
}

func (m *missing) tellHeld(g *Grid, e Event) {
	e.Count, m.count, m.timer = m.count, 0, true
	g.tell(e)
	time.AfterFunc(missedAgain, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.timer = false; m.count > 0 {
			m.tellHeld(g, e)
		}
	})
}

// syncWire has the network's subscription of a topic be as it is to be.
func (ts *topics) syncWire(p *topic) {
	p.wire.Lock()
	defer p.wire.Unlock()
	var n *network
	if g := ts.hub.grid.Load(); g != nil {
		n = g.network()
	}
	var l *link
	if n != nil {
		l = n.link.Load()
	}
	ts.mu.RLock()
	wanted := p.live > 0
	ts.mu.RUnlock()
	if p.on != nil && (p.on != l || !wanted) {
		p.end()
		p.on, p.end = nil, nil
	}
	if p.on != nil || l == nil || !wanted {
		return
	}
	line, is := l.line.(TopicLine)
	if !is {
		return // who publishes is told
	}
	end, err := line.Subscribe(p.name, &topicEar{ts: ts, link: l, topic: p})
	if err != nil {
		n.g.log.Warn("grid: this node does not hear what others publish", "topic", p.name, "error", err)
		return
	}
	p.on, p.end = l, end
}

// linkOpened: the node has a session. What was published before has not come to its workers.
func (ts *topics) linkOpened(g *Grid, again bool) {
	ts.mu.RLock()
	all := make([]*topic, 0, len(ts.byName))
	for _, p := range ts.byName {
		all = append(all, p)
	}
	ts.mu.RUnlock()
	for _, p := range all {
		ts.syncWire(p)
		if again {
			g.tell(Event{Kind: Missed, Topic: p.name})
		}
	}
}

// topicEar is the [TopicReceiver] of a topic on a link.
type topicEar struct {
	ts    *topics
	link  *link
	topic *topic
}

var _ TopicReceiver = (*topicEar)(nil)

// Published is [TopicReceiver]'s.
func (e *topicEar) Published(from string, frame []byte) {
	n := e.link.n
	if n.link.Load() != e.link { // the link of a later session has it, too
		return
	}
	p, err := gridwire.ReadPublication(frame)
	if err != nil {
		n.refuseFrame(from, frame, err)
		return
	}
	if p.Origin == n.origin { // the workers here have it
		return
	}
	n.g.topicCounts.received.Add(1)
	e.ts.mu.RLock()
	to := e.topic.list // not by its name: that may be another with a subscription of its own by now
	e.ts.mu.RUnlock()
	deliver(n.g, e.topic.name, to, protoreflect.FullName(p.Type), p.Payload, p.Header)
}

// Missed is [TopicReceiver]'s.
func (e *topicEar) Missed() {
	if n := e.link.n; n.link.Load() == e.link {
		n.g.tell(Event{Kind: Missed, Topic: e.topic.name})
	}
}

// topicCount is what has become of publications.
type topicCount struct {
	published, received      atomic.Int64
	delivered, full, refused atomic.Int64
}

// TopicCounts is what has become of what was published.
type TopicCounts struct {
	Published int64 // by this process
	Received  int64 // from other nodes
	Delivered int64 // to a worker; one message may be for many
	Full      int64 // not delivered, because the mailbox of the worker was full
	Refused   int64 // not delivered, because it was not of the type that the worker has subscribed to, or malformed
}

func (c *topicCount) counts() TopicCounts {
	return TopicCounts{c.published.Load(), c.received.Load(), c.delivered.Load(), c.full.Load(), c.refused.Load()}
}

// TopicInfo is a topic that workers of this process have subscribed to.
type TopicInfo struct {
	Name    string
	Workers int
	Counts  TopicCounts // since the first of them
}

// Topics is what workers of this process have subscribed to, by name. Workers that end are not counted any more.
func (g *Grid) Topics() []TopicInfo {
	ts := topicsOf(g.sys)
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	all := make([]TopicInfo, 0, len(ts.byName))
	for _, p := range ts.byName {
		all = append(all, TopicInfo{p.name, p.live, p.count.counts()})
	}
	slices.SortFunc(all, func(a, b TopicInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}
