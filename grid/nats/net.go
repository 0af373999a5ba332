// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/gridsubject"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Net is a [grid.Net]: a node's connection to the servers of its cluster. Any goroutine may call its methods.
type Net struct {
	o   Options
	log *slog.Logger
	nc  *nats.Conn
	// out is the last connection to a server. What waited in an earlier one is gone.
	out      atomic.Pointer[outbox]
	maxFrame atomic.Int64 // see line.MaxFrame
	dials    atomic.Uint64
	bad      atomic.Int64  // see Refused
	closed   chan struct{} // closed when nothing is called any more

	mu sync.Mutex
	// All below with mu held.
	lines map[*line]struct{}
	here  map[string]struct{} // nodes with a subscription that tells the hubs that they are
}

var _ grid.Net = (*Net)(nil)

// Connect connects to a server. It tries each up to three times, or with Options.Wait until ctx ends, and fails if there is none, or one
// refuses this node, or if ctx ends.
// Later, when the connection is lost, it is made anew for as long as that takes.
func Connect(ctx context.Context, o Options) (*Net, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.resolved()
	n := &Net{o: o, log: safelog.Contain(o.Logger), closed: make(chan struct{}), lines: map[*line]struct{}{}, here: map[string]struct{}{}}
	d := &dialer{n: n, ctx: ctx}
	opts := []nats.Option{
		nats.Name("grid " + o.Cluster), nats.SetCustomDialer(d), nats.Timeout(o.Timeout),
		// What comes to nobody at once is not worth to be sent later: see the audit of package grid.
		nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.CustomReconnectDelay(reconnectDelay),
		nats.IgnoreAuthErrorAbort(), nats.IgnoreDiscoveredServers(), nats.SkipSubjectValidation(),
		nats.PingInterval(o.Ping), nats.MaxPingsOutstanding(unansweredPings), // see outbox.Read
		nats.ErrorHandler(n.failed), nats.DisconnectErrHandler(n.disconnected), nats.ReconnectHandler(n.reconnected),
		nats.ClosedHandler(func(*nats.Conn) { close(n.closed) }),
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	nc, err := n.connect(ctx, append(opts, o.NATS...))
	if err != nil {
		d.connected()
		if ended := context.Cause(ctx); ended != nil {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return nil, fmt.Errorf("grid/nats: no connection to a server: %w", err)
	}
	d.connected()
	n.nc = nc
	n.opened()
	if _, err := nc.Subscribe(gridsubject.Gone(o.Cluster, "*"), n.heardGone); err != nil {
		nc.Close()
		return nil, fmt.Errorf("grid/nats: %w", err)
	}
	return n, nil
}

// triesOfConnect is for how often all servers are tried, unless it is to wait for one.
const triesOfConnect = 3

// connect tries again what may go well the next time: the client gives up if the server pings it before
// it has had its first answer, which it does on a machine that is busy.
func (n *Net) connect(ctx context.Context, opts []nats.Option) (*nats.Conn, error) {
	var last error // that is not by the end of ctx
	for attempt := 1; ; attempt++ {
		nc, err := nats.Connect(n.o.URL, opts...)
		if err == nil {
			return nc, nil
		}
		if last == nil || ctx.Err() == nil {
			last = inWords(err)
		}
		if isLasting(err) || attempt == triesOfConnect && !n.o.Wait {
			return nil, last
		}
		if attempt == triesOfConnect {
			n.log.Warn("grid/nats: there is no connection to a server; it is tried until there is", "error", last)
		}
		select {
		case <-ctx.Done():
			return nil, last
		case <-time.After(reconnectDelay(attempt)):
		}
	}
}

// isLasting reports whether a server is there, and refuses this node, or is refused by it.
func isLasting(err error) bool {
	_, foreign := errors.AsType[*tls.CertificateVerificationError](err)
	_, refused := errors.AsType[tls.AlertError](err)
	return foreign || refused || errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrSecureConnRequired) || errors.Is(err, nats.ErrSecureConnWanted)
}

// inWords adds what to do about an error.
func inWords(err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("the server does not take the certificate or user of this node: %w", err)
	case errors.Is(err, nats.ErrSecureConnRequired):
		return fmt.Errorf("the server wants TLS: set Options.TLS: %w", err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("the server has no TLS, and Options.TLS asks for it: %w", err)
	}
	return err
}

// reconnectDelay is the wait after all servers have been tried in vain.
func reconnectDelay(attempts int) time.Duration {
	wait := min(20*time.Millisecond<<min(attempts, 10), time.Second)
	return wait/2 + rand.N(wait/2)
}

// dialer makes connections on which a Write does not wait.
type dialer struct {
	n *Net

	mu    sync.Mutex
	ctx   context.Context // of the Connect; nil: it is over
	stops []func() bool   // of what ends its connections with ctx
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx := d.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if before := d.n.out.Load(); before != nil {
		_ = before.Close() // the client forgets one whose handshake has failed, and does not close it
	}
	c, err := (&net.Dialer{Timeout: d.n.o.Timeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	o := newOutbox(c, d.n.dials.Add(1), d.n.o.Ping)
	d.n.out.Store(o)
	if d.ctx != nil {
		d.stops = append(d.stops, context.AfterFunc(ctx, func() { o.Close() }))
	}
	return o, nil
}

// connected: the Connect is over.
func (d *dialer) connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, stop := range d.stops {
		stop()
	}
	d.ctx, d.stops = nil, nil
}

// Refused is how much has come to this node that no node sends, and was dropped.
func (n *Net) Refused() int64 { return n.bad.Load() }

func (n *Net) refuse(m *nats.Msg) {
	if n.bad.Add(1) == 1 {
		n.log.Warn("grid/nats: something has come that no node sends; it is dropped, and so is what else is like that", "subject", m.Subject, "reply", m.Reply)
	}
}

// Close ends all lines, and the connection when what was sent has come to a server, or a second later.
func (n *Net) Close() error {
	n.mu.Lock()
	lines := n.lines
	n.lines = nil
	n.mu.Unlock()
	for l := range lines {
		l.end()
	}
	_ = n.nc.FlushTimeout(time.Second) // there may be no connection
	n.nc.Close()
	<-n.closed
	return nil
}

// each calls f for each line.
func (n *Net) each(f func(*line)) {
	n.mu.Lock()
	lines := make([]*line, 0, len(n.lines))
	for l := range n.lines {
		lines = append(lines, l)
	}
	n.mu.Unlock()
	for _, l := range lines {
		f(l)
	}
}

func (n *Net) disconnected(_ *nats.Conn, err error) {
	if err != nil {
		n.log.Warn("grid/nats: the connection to a server is lost; another is made", "error", err)
	}
}

// opened: the client has said that there is a connection.
func (n *Net) opened() {
	out := n.out.Load()
	if !n.nc.IsConnected() {
		return // it is lost by now, and maybe out is not greeted yet
	}
	out.opened() // it, or a later one, which will be told of, too
	n.maxFrame.Store(n.nc.MaxPayload())
}

func (n *Net) reconnected(nc *nats.Conn) {
	n.opened()
	n.log.Info("grid/nats: there is a connection to a server again", "server", nc.ConnectedUrlRedacted())
	// Until the server has all subscriptions again it may drop frames.
	_ = nc.FlushTimeout(n.o.Timeout) // if that fails, another connection will be made, which is told, too
	n.each((*line).missed)
}

// failed is told what no caller is.
func (n *Net) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrSlowConsumer):
		n.log.Warn("grid/nats: frames were dropped, because more were waiting than Options.ReceiveBuffer allows")
		n.each(func(l *line) {
			if l.isOf(sub) {
				l.call(l.to.Missed)
			}
			for _, t := range l.allTopics() {
				if t.sub == sub {
					t.missed()
				}
			}
		})
	case errors.Is(err, nats.ErrPermissionViolation):
		if strings.Contains(err.Error(), `"`+gridsubject.Gone(n.o.Cluster, "*")+`"`) {
			n.log.Warn("grid/nats: the server does not tell which nodes are gone: asks to one that is lost end with its lease", "error", err)
			return
		}
		if strings.Contains(err.Error(), `"`+gridsubject.Topics(n.o.Cluster)) {
			n.log.Error("grid/nats: the server does not let this node subscribe to topics: a hub of an earlier version does not, and another server has to permit "+gridsubject.Topics(n.o.Cluster)+">", "error", err)
			return
		}
		refused := false
		n.each(func(l *line) { refused = l.refuse(err) || refused })
		if !refused {
			n.log.Error("grid/nats: the server refuses what this node sends or subscribes to", "error", err)
		}
	default:
		n.log.Warn("grid/nats: error of the connection", "error", err)
	}
}

func (n *Net) heardGone(m *nats.Msg) {
	_, token, _ := strings.Cut(m.Subject, ".gone.")
	node, ok := gridsubject.Name(token)
	if !ok || m.Subject != gridsubject.Gone(n.o.Cluster, node) || m.Reply != gridsubject.Hub(n.o.Cluster) {
		return
	}
	n.each(func(l *line) { l.gone(node) })
}

// Open is [grid.Net]'s. It fails if the server does not let the node be called so.
func (n *Net) Open(ctx context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	l, err := n.open(ctx, self, to, true)
	if err != nil {
		return nil, fmt.Errorf("grid/nats: no line for the node %s: %w", self.Node, err)
	}
	return l, nil
}

// open opens a line. shown: the hubs see that the node is there.
func (n *Net) open(ctx context.Context, self grid.Peer, to grid.Receiver, shown bool) (*line, error) {
	if why := nameMistake(self.Node); why != "" {
		return nil, fmt.Errorf("its name %s", why)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	l := newLine(n, self, to)
	n.mu.Lock()
	if n.lines == nil {
		n.mu.Unlock()
		return nil, errClosed
	}
	n.lines[l] = struct{}{}
	err := error(nil)
	if shown {
		err = n.show(self.Node)
	}
	if err == nil {
		err = n.subscribe(l)
	}
	n.mu.Unlock()
	if err == nil {
		err = l.probe(ctx)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Check fails, as Open would, if the server does not let a node be called so in the cluster. It does not show the node to others.
func (n *Net) Check(ctx context.Context, node string) error {
	l, err := n.open(ctx, grid.Peer{Node: node}, nobody{}, false) // no session has the number 0
	if err != nil {
		return fmt.Errorf("grid/nats: the node %s: %w", node, err)
	}
	return l.Close()
}

// nobody is told nothing.
type nobody struct{}

func (nobody) Received(string, []byte)       {}
func (nobody) Undelivered(grid.Peer, uint64) {}
func (nobody) Gone(string)                   {}
func (nobody) Missed()                       {}

// show lets the hubs see that a node is here. With mu held.
func (n *Net) show(node string) error {
	if _, is := n.here[node]; is {
		return nil
	}
	if _, err := n.nc.Subscribe(gridsubject.Here(n.o.Cluster, node), func(*nats.Msg) {}); err != nil {
		return err
	}
	n.here[node] = struct{}{}
	return nil
}

// subscribe subscribes to the frames of a line. With mu held.
func (n *Net) subscribe(l *line) error {
	sub, err := n.nc.Subscribe(l.prefix+">", l.received)
	if err != nil {
		return err
	}
	l.sub = sub
	return sub.SetPendingLimits(-1, n.o.ReceiveBuffer)
}
