// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

var (
	errClosed = errors.New("grid/nats: the line is closed")
	errFull   = errors.New("grid/nats: too much waits to be sent")
	errCutOff = errors.New("grid/nats: there is no connection to a server")
)

// line is a [grid.Line].
type line struct {
	n      *Net
	self   grid.Peer
	prefix string // of the subjects of this session
	to     grid.Receiver
	sub    *nats.Subscription // with mu of n held
	opened chan error         // whether the server lets it be; it has room for one
	closed atomic.Bool

	sending sync.RWMutex
	// With sending held.
	routes map[grid.Peer]*route
	peers  map[uint64]grid.Peer // by the number of their route
	number uint64               // of the last route

	mu sync.Mutex
	// With mu held, as the receiver is called.
	senders senders

	// With mu of n held.
	topics map[*topic]struct{}
}

// route is the way to a peer.
type route struct {
	subject string
	number  string // as a part of reply subjects, with dots around
}

// sender is a node in a session, of which frames have come.
type sender struct {
	token, name string
	epoch       uint64 // the greatest
}

// senders are those of whom frames have come by one subscription, by what the reply subjects of a session begin with.
type senders struct {
	cluster string
	known   map[string]*sender
}

// maxKnown is how many routes, and how many senders, a line remembers. A cluster has fewer nodes; over time
// they have more sessions.
const maxKnown = 1 << 14

func newLine(n *Net, self grid.Peer, to grid.Receiver) *line {
	return &line{
		n: n, self: self, to: to, prefix: gridsubject.Session(n.o.Cluster, self.Node, self.Session), opened: make(chan error, 1),
		routes: map[grid.Peer]*route{}, peers: map[uint64]grid.Peer{}, senders: newSenders(n.o.Cluster), topics: map[*topic]struct{}{},
	}
}

// The server refuses what a node may not send some time later, and the client tells no caller. So a line
// first sends something to nobody, by the subjects that frames have: the notice that nobody has got it
// shows that the node may send and subscribe, and that the server has such notices.
const (
	probePeer  = ".-."
	probeAgain = 500 * time.Millisecond // the connection may have been lost meanwhile
)

// probe waits until it is known that the line works.
func (l *line) probe(ctx context.Context) error {
	again := time.NewTicker(probeAgain)
	defer again.Stop()
	for {
		_ = l.n.nc.PublishRequest(gridsubject.Probe(l.n.o.Cluster, l.self.Node), l.prefix+"0"+probePeer+"0", nil)
		select {
		case err := <-l.opened:
			return err
		case <-ctx.Done():
			err := context.Cause(ctx)
			if !l.n.nc.IsConnected() {
				return fmt.Errorf("%w: %w", err, errCutOff)
			}
			return fmt.Errorf("%w: the server has not said that nobody takes a frame: does it have headers off, or does somebody subscribe to all subjects?", err)
		case <-again.C:
		}
	}
}

// refuse is told that the server refuses a subject, and reports whether it is one of the line's.
func (l *line) refuse(err error) bool {
	text := err.Error()
	if !strings.Contains(text, `"`+l.prefix+`>"`) && !strings.Contains(text, `"`+gridsubject.Probe(l.n.o.Cluster, l.self.Node)+`"`) {
		return false
	}
	select {
	case l.opened <- fmt.Errorf("the server does not let this node be called so in the cluster %q: it is a server of another cluster, or the certificate or user is another node's: %w", l.n.o.Cluster, err):
	default:
	}
	return true
}

// Send is [grid.Line]'s.
func (l *line) Send(to grid.Peer, tag uint64, frame []byte) error {
	r, err := l.route(to)
	if err != nil {
		return err
	}
	return l.publish(r.subject, r.number, tag, frame)
}

// publish publishes a frame. number is that of a route, as a part of reply subjects.
func (l *line) publish(subject, number string, tag uint64, frame []byte) error {
	if l.closed.Load() {
		return errClosed
	}
	if longest := l.MaxFrame(); len(frame) > longest {
		return fmt.Errorf("grid/nats: a frame of %d bytes is longer than the server takes, which is %d", len(frame), longest)
	}
	out := l.n.out.Load()
	if !out.phase.enter() {
		return errCutOff
	}
	defer out.phase.leave()
	if out.size.Load()+int64(len(frame)) > int64(l.n.o.SendBuffer) {
		return errFull
	}
	var room [256]byte
	reply := append(room[:0], l.prefix...)
	reply = strconv.AppendUint(reply, out.epoch, 10)
	reply = append(reply, number...)
	reply = strconv.AppendUint(reply, tag, 10)
	err := l.n.nc.PublishRequest(subject, string(reply), frame)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return errCutOff
	case errors.Is(err, nats.ErrConnectionClosed):
		return errClosed
	}
	return fmt.Errorf("grid/nats: %w", err)
}

func (l *line) route(to grid.Peer) (*route, error) {
	l.sending.RLock()
	r := l.routes[to]
	l.sending.RUnlock()
	if r != nil {
		return r, nil
	}
	if why := nameMistake(to.Node); why != "" {
		return nil, fmt.Errorf("grid/nats: the name of the node %q %s", to.Node, why)
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	if r := l.routes[to]; r != nil {
		return r, nil
	}
	if len(l.routes) == maxKnown {
		clear(l.routes)
		clear(l.peers)
	}
	l.number++
	r = &route{subject: gridsubject.Frames(l.n.o.Cluster, to.Node, to.Session, l.self.Node), number: fmt.Sprintf(".%d.", l.number)}
	l.routes[to], l.peers[l.number] = r, to
	return r, nil
}

// Connected is [grid.ConnectedLine]'s.
func (l *line) Connected() bool { return l.n.out.Load().phase.isOpen() }

// MaxFrame is [grid.Line]'s: what the server has said with which there was a connection last.
func (l *line) MaxFrame() int { return int(l.n.maxFrame.Load()) }

// Close is [grid.Line]'s. It must not be called by the receiver.
func (l *line) Close() error {
	l.n.mu.Lock()
	delete(l.n.lines, l)
	sub := l.sub
	l.n.mu.Unlock()
	l.end()
	if sub != nil {
		_ = sub.Unsubscribe() // the connection may be closed
	}
	return nil
}

// end waits until no receiver is called any more.
func (l *line) end() {
	l.mu.Lock()
	l.closed.Store(true)
	l.mu.Unlock()
	for _, t := range l.allTopics() {
		t.close()
	}
}

// call calls the receiver, alone, unless the line is closed.
func (l *line) call(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Load() {
		f()
	}
}

func (l *line) missed() {
	l.call(l.to.Missed)
	for _, t := range l.allTopics() {
		t.missed()
	}
}

func (l *line) gone(node string) {
	if node != l.self.Node { // as this node sees, it lives
		l.call(func() { l.to.Gone(node) })
	}
}

func (l *line) isOf(sub *nats.Subscription) bool {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	return l.sub == sub
}

// received is what the server sends to a subject of this session.
func (l *line) received(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return
	}
	// The subject is that by which it was sent, for which the server vouches. It is not always one that the line
	// subscribes to: a consumer of JetStream may have it delivered to another.
	rest, ok := strings.CutPrefix(m.Subject, l.prefix)
	if ok && strings.Contains(rest, ".") {
		ok = l.undelivered(m, rest)
	} else if ok {
		ok = l.frame(m, rest)
	}
	if !ok {
		l.n.refuse(m)
	}
}

// frame hands on a frame. It reports false if it is none.
func (l *line) frame(m *nats.Msg, from string) bool {
	s, epoch, ok := l.senders.find(m.Reply)
	switch {
	case !ok || s.token != from:
		return false
	case epoch < s.epoch:
		// The sender has another connection since, and this has been on the way by the one before. It would come
		// behind what was sent later.
		l.to.Missed()
		return true
	}
	s.epoch = epoch
	l.to.Received(s.name, m.Data)
	return true
}

func newSenders(cluster string) senders { return senders{cluster, map[string]*sender{}} }

// find is who has sent a frame with this reply subject, pl.CLUSTER.NODE.SESSION.EPOCH.PEER.TAG, and on which of its connections.
func (all *senders) find(reply string) (s *sender, epoch uint64, ok bool) {
	rest := reply
	var at [5]int // where its tokens end
	for i := range at {
		n := strings.IndexByte(rest, '.')
		if n < 0 {
			return nil, 0, false
		}
		if at[i] = n; i > 0 {
			at[i] += at[i-1] + 1
		}
		rest = rest[n+1:]
	}
	epoch, err := strconv.ParseUint(reply[at[3]+1:at[4]], 10, 64)
	if err != nil {
		return nil, 0, false
	}
	if s, ok = all.known[reply[:at[3]]]; ok {
		return s, epoch, true
	}
	token := reply[at[1]+1 : at[2]]
	name, ok := gridsubject.Name(token)
	session, err := strconv.ParseUint(reply[at[2]+1:at[3]], 10, 64)
	if !ok || err != nil || !strings.HasPrefix(reply, gridsubject.Session(all.cluster, name, session)) {
		return nil, 0, false
	}
	if len(all.known) == maxKnown {
		clear(all.known)
	}
	s = &sender{token: strings.Clone(token), name: name}
	all.known[strings.Clone(reply[:at[3]])] = s
	return s, epoch, true
}

// undelivered hands on that nobody has got a frame. rest is EPOCH.PEER.TAG of its reply subject. It reports false if it is
// nothing of the kind.
func (l *line) undelivered(m *nats.Msg, rest string) bool {
	if len(m.Data) > 0 || m.Header.Get("Status") != "503" {
		return false
	}
	if strings.HasSuffix(rest, probePeer+"0") {
		select {
		case l.opened <- nil:
		default:
		}
		return true
	}
	_, rest, _ = strings.Cut(rest, ".")
	peer, tag, _ := strings.Cut(rest, ".")
	number, err := strconv.ParseUint(peer, 10, 64)
	if err != nil {
		return false
	}
	value, err := strconv.ParseUint(tag, 10, 64)
	if err != nil {
		return false
	}
	l.sending.RLock()
	to, ok := l.peers[number]
	l.sending.RUnlock()
	if ok { // else it is long ago
		l.to.Undelivered(to, value)
	}
	return true
}
