// SPDX-License-Identifier: Apache-2.0

// Package embedded is an etcd server within the process, for development, for tests, and for programs
// that are a server of the cluster themselves:
//
//	srv, err := embedded.Start(embedded.Options{Dir: "data"})
//	client, err := srv.Connect()
//	store, err := etcd.New(client, etcd.Options{Cluster: "shop"})
//
// It is a module of its own because it links the whole server. A program that only connects to servers outside
// links [github.com/protoloop/protoloop/grid/etcd] alone.
//
// A leader that is lost is replaced after half a second (election timeout 500 ms, heartbeat 50 ms): that is for servers
// that are a few milliseconds from each other, and lets leases be as short as one second. What
// is acknowledged is on the disk. Revisions older than ten minutes are removed.
//
// Without certificates it listens to this machine only. With them both sides show one, and who has none that
// the CA has signed is refused.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/dirlock"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Options of a server. Only Dir is required, for one that is alone.
type Options struct {
	// Dir is the folder of the files. It is made if it does not exist.
	Dir string
	// ClientAddr is where it listens to clients, as an IP address and a port. "": 127.0.0.1, at any free port.
	ClientAddr string
	// Name is that of the server among Servers. It stays when the server is started anew.
	Name string
	// Servers is where all servers of the cluster, this one too, listen to each other, by their names. They are the same for all,
	// and those with which the cluster was started for the first time. nil: it is alone.
	Servers map[string]string
	// Certificates are shown to clients, to other servers, and by Connect. nil: every address is one of this machine.
	Certificates *Certificates
	// Replace has a server that has no files take the place of the one that it was before they were lost, as with its disk. It begins as another
	// member of the cluster, which has no vote until it has what the others have, and the start waits for that. More than half of Servers have
	// to be there without it. If it fails half-way, it can be done again, with a Dir that is empty. It must not be used for a server that
	// runs elsewhere: that ends then.
	Replace bool
	// StartWithin bounds the start, in which the server reads its files, and waits until more than
	// half of Servers are there. 0: 30 s.
	StartWithin time.Duration
	// Logger is told the server's warnings and errors. nil: slog.Default().
	Logger *slog.Logger

	cheapPasswords bool // a test does not wait for bcrypt
}

// Certificates are files in PEM format.
type Certificates struct {
	Cert, Key string // of this server, for servers and for clients
	CA        string // whose certificates are taken
	// OnlyServers refuses, where servers listen to each other, certificates whose common name is not among Servers: a client
	// with a certificate could be a server of the cluster otherwise, and do anything. And such a client may read, write and watch
	// keys and have leases, but not administer the servers: no members, users, compaction, snapshot, or the like.
	OnlyServers bool
}

// Server is a server that runs.
type Server struct {
	o      Options
	e      *embed.Etcd
	log    *zap.Logger
	last   *lastError
	unlock func()
}

func (o Options) validate() error {
	const of = "embedded: Start"
	if o.Dir == "" {
		return &actors.OptionError{Of: of, Field: "Options.Dir", Why: "is missing"}
	}
	if o.StartWithin < 0 {
		return &actors.OptionError{Of: of, Field: "Options.StartWithin", Value: o.StartWithin, Why: "is negative"}
	}
	if c := o.Certificates; c != nil && (c.Cert == "" || c.Key == "" || c.CA == "") {
		return &actors.OptionError{Of: of, Field: "Options.Certificates", Why: "needs Cert, Key and CA"}
	}
	if o.Servers != nil && o.Servers[o.Name] == "" {
		return &actors.OptionError{Of: of, Field: "Options.Name", Value: o.Name, Why: "is not among Servers"}
	}
	if o.Replace && len(o.Servers) < 3 {
		return &actors.OptionError{Of: of, Field: "Options.Replace", Value: true, Why: "is for one of three Servers or more: without it fewer have no majority"}
	}
	if o.ClientAddr != "" {
		if err := o.checkAddr("Options.ClientAddr", o.ClientAddr); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Servers)) {
		if name == "" || strings.ContainsAny(name, "=,") {
			return &actors.OptionError{Of: of, Field: "Options.Servers", Value: name, Why: "has a name that is empty, or has = or a comma"}
		}
		if err := o.checkAddr(fmt.Sprintf("Options.Servers[%q]", name), o.Servers[name]); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) checkAddr(field, addr string) error {
	const of = "embedded: Start"
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil:
		return &actors.OptionError{Of: of, Field: field, Value: addr, Why: "is no IP address and port"}
	case o.Certificates == nil && !ip.IsLoopback():
		return &actors.OptionError{Of: of, Field: field, Value: addr, Why: "is not on this machine, and there are no Certificates: anybody could become the owner of a key"}
	}
	return nil
}

// Start starts a server and waits until it is ready: in a cluster, until it knows a leader. A Dir can have one
// server at a time, of all processes. For that there is a file named lock in the Dir. Where the system is no
// Unix, other processes are not kept off. A start that does not end, as one on damaged files may, cannot be cut off: it
// is abandoned, and the Dir refused to others as long as the process lives.
func Start(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.StartWithin = cmp.Or(o.StartWithin, 30*time.Second)
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	var unlock func()
	if err == nil {
		unlock, err = dirlock.Lock(dir)
		if errors.Is(err, dirlock.ErrInUse) {
			err = fmt.Errorf("%w by another server, or by one whose start has not ended", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	s := &Server{o: o, unlock: unlock}
	s.log, s.last = newLogger(safelog.Contain(cmp.Or(o.Logger, slog.Default())).With("dir", o.Dir))
	if len(o.Servers) < 2 {
		return s.start(filepath.Join(dir, "etcd"), s.o.StartWithin)
	}
	return s.startOneOfMany(filepath.Join(dir, "etcd"))
}

// startOneOfMany starts a server that has others.
func (s *Server) startOneOfMany(dir string) (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.StartWithin)
	defer cancel()
	all, err := s.others()
	switch has := hasFiles(dir); {
	case err != nil:
	case s.o.Replace && has:
		err = errors.New("it has files, and one that takes the place of another begins without any")
	case s.o.Replace:
		if err = s.checkPorts(); err == nil {
			err = all.join(ctx)
		}
	case !has:
		err = all.checkNew(ctx)
	}
	if err != nil {
		s.unlock()
		return nil, s.unusable(err)
	}
	deadline, _ := ctx.Deadline()
	if s, err = s.start(dir, time.Until(deadline)); err != nil {
		return nil, err
	}
	if err := all.promote(ctx); err != nil {
		s.Shutdown()
		return nil, s.unusable(err)
	}
	return s, nil
}

// checkPorts fails if somebody listens where this server would, such as the one that it is to take the place of.
func (s *Server) checkPorts() error {
	for _, addr := range []string{s.o.Servers[s.o.Name], cmp.Or(s.o.ClientAddr, "127.0.0.1:0")} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("does it run already? %w", err)
		}
		l.Close()
	}
	return nil
}

func (s *Server) config(dir string) *embed.Config {
	o := s.o
	c := embed.NewConfig()
	c.Dir = dir
	c.Name = cmp.Or(o.Name, "protoloop")
	c.TickMs, c.ElectionMs = 50, 500
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, "10m"
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(s.log)
	at := func(addr string) []url.URL {
		u := url.URL{Scheme: "http", Host: addr}
		if o.Certificates != nil {
			u.Scheme = "https"
		}
		return []url.URL{u}
	}
	const anywhere = "127.0.0.1:0"
	servers := o.Servers
	if servers == nil {
		servers = map[string]string{c.Name: anywhere} // which nobody connects to
	}
	c.ListenClientUrls = at(cmp.Or(o.ClientAddr, anywhere))
	c.ListenPeerUrls = at(servers[c.Name])
	c.AdvertiseClientUrls, c.AdvertisePeerUrls = c.ListenClientUrls, c.ListenPeerUrls
	var cluster []string
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		url := at(servers[name])[0]
		cluster = append(cluster, name+"="+url.String())
	}
	c.InitialCluster = strings.Join(cluster, ",")
	c.InitialClusterToken = "protoloop"
	if o.Replace {
		c.ClusterState = embed.ClusterStateFlagExisting
	}
	if o.cheapPasswords {
		c.BcryptCost = 4
	}
	if o.Certificates != nil {
		c.ClientTLSInfo, c.PeerTLSInfo = o.Certificates.info(), o.Certificates.info()
		if o.Certificates.OnlyServers {
			c.PeerTLSInfo.AllowedCNs = slices.Sorted(maps.Keys(servers))
			c.GRPCAdditionalServerOptions = checkCalls(servers)
		}
	}
	return c
}

func (c *Certificates) info() transport.TLSInfo {
	return transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, TrustedCAFile: c.CA, ClientCertAuth: true}
}

// start starts it on a folder that is locked. If it does not come up that is unlocked when it has ended, be it
// long after start has returned.
func (s *Server) start(dir string, within time.Duration) (*Server, error) {
	started := make(chan error, 1)
	gaveUp := errors.New("it has given up")
	go func() {
		err := gaveUp
		defer func() { started <- err }() // also if an error ends the goroutine
		s.e, err = embed.StartEtcd(s.config(dir))
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	late := fmt.Errorf("it is not ready after %v; of a cluster, more than half of the servers must be there", s.o.StartWithin)
	var err error
	select {
	case err = <-started:
		if err != nil {
			s.unlock()
			return nil, s.unusable(err)
		}
	case <-s.last.gave: // maybe in another goroutine, for which the start waits for ever
		err = gaveUp
	case <-timer.C:
		err = late
	}
	if err != nil {
		go func() {
			if <-started == nil {
				s.abandon()
			} else {
				s.unlock()
			}
		}()
		return nil, s.unusable(err)
	}
	select {
	case <-s.e.Server.ReadyNotify():
		return s, nil
	case err = <-s.e.Err():
	case <-s.e.Server.StopNotify():
		err = errors.New("it has stopped")
	case <-s.last.gave:
		err = gaveUp
	case <-timer.C:
		err = late
	}
	go s.abandon()
	return nil, s.unusable(err)
}

// abandon shuts down what is not ready.
func (s *Server) abandon() {
	s.last.stopping.Store(true)
	s.e.Server.Stop() // Close waits for those who wait until it is ready
	s.Shutdown()
}

func (s *Server) unusable(err error) error {
	if last := s.last.String(); last != "" {
		return fmt.Errorf("embedded: the server cannot use %s: %w: %s", s.o.Dir, err, last)
	}
	return fmt.Errorf("embedded: the server cannot use %s: %w", s.o.Dir, err)
}

// ClientAddr is where it listens to clients.
func (s *Server) ClientAddr() string { return s.e.Clients[0].Addr().String() }

// Endpoint is ClientAddr as clients have it.
func (s *Server) Endpoint() string {
	if s.o.Certificates != nil {
		return "https://" + s.ClientAddr()
	}
	return "http://" + s.ClientAddr()
}

// Connect returns a client of this server, with the server's certificate if it has one.
func (s *Server) Connect() (*clientv3.Client, error) {
	c := clientv3.Config{Endpoints: []string{s.Endpoint()}, Logger: zap.NewNop(), DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second}
	if s.o.Certificates != nil {
		info := s.o.Certificates.info()
		tls, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("embedded: the certificates: %w", err)
		}
		c.TLS = tls
	}
	return clientv3.New(c)
}

// Failed yields why the server does nothing any more, such as that its disk fails: what would end the process in etcd
// ends only what the server has begun. Then the process is to be ended, soon.
func (s *Server) Failed() <-chan error {
	failed := make(chan error, 1)
	go func() {
		var err error
		select {
		case err = <-s.e.Err():
			if err == nil {
				return // shut down
			}
		case <-s.last.gave:
			err = errors.New(s.last.String())
		}
		failed <- fmt.Errorf("embedded: the server on %s has ended: %w", s.o.Dir, err)
	}()
	return failed
}

// afterFailure is how long Shutdown waits for a server that has failed.
const afterFailure = 5 * time.Second

// Shutdown stops the server and waits until its files are written. Close connections to it first: it waits
// for their calls, some seconds at most. A server that has failed may never end, as it waits for what the failure has ended: after
// five seconds it is abandoned, and the Dir refused to others as long as the process lives.
func (s *Server) Shutdown() {
	s.last.stopping.Store(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.e.Close()
		s.unlock()
	}()
	select {
	case <-ended:
		return
	case <-s.last.gave:
	}
	select {
	case <-ended:
	case <-time.After(afterFailure):
		s.last.log.Error("embedded: the server has failed, does not end, and is abandoned", "error", s.last.String())
	}
}
