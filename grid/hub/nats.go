// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
)

// natsServer is the NATS server of a hub.
type natsServer struct {
	s      *server.Server
	log    *natsLog
	system *nats.Conn // to the account that is told of connections
	conn   *nats.Conn
	gone   *goneNotices
}

// A client that does not answer is lost after four pings at most: it may just have been heard of when
// the first is due. With the 250 ms until the others are told that is within two seconds.
const (
	pingEvery = 350 * time.Millisecond
	pingsOut  = 2
	// Nodes leave a hub that is held by themselves, so hubs need not know at once. To connect hubs anew costs much.
	pingHubs = time.Second
)

// handshakeSeconds is how long a client may take to show who it is. It is generous for machines that are busy.
const handshakeSeconds = 10

func (h *Hub) natsDir() string { return filepath.Join(h.o.Dir, "nats") }

func (h *Hub) newAuth() *auth {
	return &auth{cluster: h.o.Cluster, queues: h.o.Queues, buckets: h.o.Buckets, partitions: h.o.Partitions, reminders: h.o.Reminders, hubs: h.o.Hubs, secret: rand.Text(), log: h.log, open: h.o.Certificates == nil}
}

// natsOptions are those of a server that the other hubs know as one of theirs.
func (h *Hub) natsOptions(auth *auth) (*server.Options, error) {
	o := &server.Options{
		NoSigs: true, NoLog: true,
		PingInterval: pingEvery, MaxPingsOut: pingsOut, TLSTimeout: handshakeSeconds, AuthTimeout: handshakeSeconds + 1,
		CustomClientAuthentication: auth,
	}
	if len(h.o.Hubs) > 1 {
		o.Cluster = server.ClusterOpts{
			Name: h.o.Cluster, Host: hostOf(h.addr), Port: portOf(at(h.addr, natsHubs)), NoAdvertise: true, TLSTimeout: handshakeSeconds,
			PingInterval: pingHubs, MaxPingsOut: pingsOut, ConnectBackoff: true,
		}
		for name, addr := range h.o.Hubs {
			if name != h.o.Name {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: at(addr, natsHubs)})
			}
		}
	}
	if h.o.Certificates != nil {
		nodes, err := h.o.Certificates.TLS()
		if err != nil {
			return nil, err
		}
		hubs, err := h.o.Certificates.TLS()
		if err != nil {
			return nil, err
		}
		hubs.VerifyConnection = func(s tls.ConnectionState) error { return h.checkIsHub(s) }
		o.TLSConfig, o.Cluster.TLSConfig = nodes, hubs
	}
	return o, nil
}

func (h *Hub) startNATS(ctx context.Context) error {
	n := &natsServer{log: &natsLog{l: h.log}}
	h.nats = n
	auth := h.newAuth()
	o, err := h.natsOptions(auth)
	if err != nil {
		return err
	}
	o.ServerName, o.Host, o.Port = h.o.Name, hostOf(h.addr), portOf(at(h.addr, natsNodes))
	o.JetStream, o.StoreDir, o.SyncAlways = true, h.natsDir(), true
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	auth.system = s.SystemAccount
	s.SetLoggerV2(n.log, false, false, false)
	n.s = s
	s.Start()
	for !s.ReadyForConnections(50 * time.Millisecond) {
		if err := cmp.Or(context.Cause(ctx), n.log.fatalError()); err != nil {
			return fmt.Errorf("NATS is not ready: %w", err)
		}
	}
	if err := n.log.fatalError(); err != nil || !s.JetStreamEnabled() {
		return fmt.Errorf("NATS cannot use %s: %w", h.o.Dir, cmp.Or(err, n.log.lastError(), errors.New("it does not say why")))
	}
	if n.conn, err = n.connect(ctx, auth, internalUser); err != nil {
		return err
	}
	if n.system, err = n.connect(ctx, auth, systemUser); err != nil {
		return err
	}
	if n.gone, err = watchGone(h.o.Cluster, n); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	if err := h.ensureQueues(ctx); err != nil {
		return err
	}
	return h.ensureBuckets(ctx)
}

// checkIsHub refuses nodes at the ports for hubs, where they could do anything.
func (h *Hub) checkIsHub(s tls.ConnectionState) error {
	name := s.PeerCertificates[0].Subject.CommonName
	if _, is := h.o.Hubs[name]; !is || name == h.o.Name {
		return fmt.Errorf("hub: %q is not one of the other hubs", name)
	}
	return nil
}

// connect connects to the server within the process. It tries again: the client gives up if the server pings it before it has
// had its first answer, which it does on a machine that is busy.
func (n *natsServer) connect(ctx context.Context, a *auth, user string) (*nats.Conn, error) {
	for {
		nc, err := nats.Connect("", nats.InProcessServer(n.s), nats.UserInfo(user, a.secret), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(handshakeSeconds*time.Second))
		if err == nil {
			return nc, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("NATS: connect within the process: %w: %w", context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ensureQueues makes the queues, and the streams of reminders, which are queues as well.
func (h *Hub) ensureQueues(ctx context.Context) error {
	for _, name := range h.o.Queues {
		q, err := jetstream.New(h.nats.conn, jetstream.Options{Name: name, Replicas: len(h.o.Hubs)})
		if err == nil {
			err = untilMade(ctx, "queue "+name, q.Ensure)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range h.o.Partitions {
		p, err := jetstream.NewPartitions(h.nats.conn, jetstream.Options{Name: name, Replicas: len(h.o.Hubs)}, 1) // the stream takes all parts
		if err == nil {
			err = untilMade(ctx, "queue "+name, p.Ensure)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range h.o.Reminders {
		s, err := reminders.New(h.nats.conn, reminders.Options{Name: name, Replicas: len(h.o.Hubs)})
		if err == nil {
			err = untilMade(ctx, "stream of reminders "+name, s.Ensure)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ensureBuckets makes the buckets. The client would make them with AllowDirect, see auth.permissions, and AllowRollup, by which a
// write removes others.
func (h *Hub) ensureBuckets(ctx context.Context) error {
	js, err := natsjs.New(h.nats.conn)
	if err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	for _, name := range h.o.Buckets {
		cfg := natsjs.StreamConfig{
			Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"}, Replicas: len(h.o.Hubs), Storage: natsjs.FileStorage,
			MaxMsgsPerSubject: 1, Discard: natsjs.DiscardNew, DenyDelete: true, DenyPurge: true,
		}
		err := untilMade(ctx, "bucket "+name, func(ctx context.Context) error {
			_, err := js.CreateStream(ctx, cfg)
			if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) { // with what somebody has changed of it
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// untilMade makes something in JetStream. Until most hubs are there, and have elected who leads, that fails.
func untilMade(ctx context.Context, what string, ensure func(ctx context.Context) error) error {
	for {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := ensure(within)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("make the %s: %w: %w", what, context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (n *natsServer) health() error {
	s := n.s.Healthz(&server.HealthzOptions{})
	if s.Error == "" && s.StatusCode < 300 {
		return nil
	}
	return fmt.Errorf("hub: NATS is %s: %s", s.Status, s.Error)
}

// failure is why the server is of no use until it is started anew, or nil. All else that is wrong may pass, such as that there is no quorum.
func (n *natsServer) failure() error {
	if err := n.log.fatalError(); err != nil {
		return fmt.Errorf("hub: NATS has failed: %w", err)
	}
	if !n.s.Running() {
		return fmt.Errorf("hub: NATS has ended by itself: %w", cmp.Or(n.log.lastError(), errors.New("it does not say why")))
	}
	if !n.s.JetStreamEnabled() { // it has run out of room, and would not begin again when there is some
		return fmt.Errorf("hub: NATS stores nothing any more: %w", cmp.Or(n.log.writeError(), errors.New("JetStream was disabled")))
	}
	s := n.s.Healthz(&server.HealthzOptions{Details: true}) // all that is wrong, of which the first may pass
	for _, e := range s.Errors {
		if slices.ContainsFunc(lasting, func(part string) bool { return strings.Contains(e.Error, part) }) {
			return fmt.Errorf("hub: NATS: %s", e.Error)
		}
	}
	return nil
}

// lasting is what an error of the server's health has that does not pass: what could not be written, or understood, is not tried again.
var lasting = []string{"write error", "apply error", "meta layer is not running"}

func (n *natsServer) shutdown() {
	if n.gone != nil {
		n.gone.stop()
	}
	for _, nc := range []*nats.Conn{n.conn, n.system} {
		if nc != nil {
			nc.Close()
		}
	}
	if n.s != nil {
		n.s.Shutdown()
		n.s.WaitForShutdown()
	}
}

// natsLog is the server's logger: it hands on warnings and errors.
type natsLog struct {
	l *slog.Logger

	mu          sync.Mutex
	last, fatal error
	write       error // the last about something that could not be written
}

func (l *natsLog) failed(fatal bool, format string, args []any) {
	err := fmt.Errorf(format, args...)
	l.l.Error("hub: NATS: " + err.Error())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last = err; fatal {
		l.fatal = err
	}
	if strings.Contains(err.Error(), "write error") {
		l.write = err
	}
}

func (l *natsLog) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *natsLog) writeError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write
}

// fatalError is that of a call after which the server does not expect to run.
func (l *natsLog) fatalError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *natsLog) Fatalf(format string, args ...any) { l.failed(true, format, args) }
func (l *natsLog) Errorf(format string, args ...any) { l.failed(false, format, args) }
func (l *natsLog) Warnf(format string, args ...any) {
	l.l.Warn("hub: NATS: " + fmt.Sprintf(format, args...))
}
func (l *natsLog) Noticef(string, ...any) {}
func (l *natsLog) Debugf(string, ...any)  {}
func (l *natsLog) Tracef(string, ...any)  {}
