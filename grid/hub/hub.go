// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/grid/etcd/embedded"
	"github.com/protoloop/protoloop/internal/dirlock"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Hub is one that runs. Any goroutine may call its methods.
type Hub struct {
	o      Options
	addr   string
	log    *slog.Logger
	unlock func()
	nats   *natsServer
	etcd   *embedded.Server
	client *clientv3.Client // of etcd, for Health
	failed chan error
	ended  chan struct{} // closed when it is being shut down
	end    sync.Once

	replaces bool // it takes the place of the one whose folder is lost
}

// Start starts a hub and waits until it can be used: of three hubs, until two are there. If ctx ends before, or
// it takes too long, it is shut down.
func Start(ctx context.Context, o Options) (*Hub, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.resolved()
	ctx, cancel := context.WithTimeoutCause(ctx, o.StartWithin, fmt.Errorf("it is not ready after %v", o.StartWithin))
	defer cancel()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("hub: not started: %w", err)
	}
	if o.Certificates != nil {
		if err := o.Certificates.CheckHub(o.Name, hostOf(o.Hubs[o.Name])); err != nil {
			return nil, fmt.Errorf("hub: not started: %w", err)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("hub: not started: %w", err)
	}
	unlock, err := dirlock.Lock(o.Dir)
	if errors.Is(err, dirlock.ErrInUse) {
		err = fmt.Errorf("%w by another hub", err)
	}
	if err != nil {
		return nil, fmt.Errorf("hub: not started: %w", err)
	}
	h := &Hub{o: o, log: safelog.Contain(o.Logger).With("hub", o.Name), unlock: unlock, failed: make(chan error, 1), ended: make(chan struct{})}
	if err := h.start(ctx); err != nil {
		h.Shutdown()
		return nil, fmt.Errorf("hub: not started: %w", err)
	}
	go h.watch(h.etcd.Failed(), h.nats)
	return h, nil
}

// start starts the servers. It can be that another process takes one of the ports that were free before.
func (h *Hub) start(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		h.addr = h.o.Hubs[h.o.Name]
		free := portOf(h.addr) == 0
		if free {
			var err error
			if h.addr, err = freePorts(hostOf(h.addr)); err != nil {
				return err
			}
		} else if err := checkPorts(h.addr); err != nil {
			return err
		}
		err := h.prepareFolder(ctx)
		if err == nil {
			err = h.startServers(ctx)
		}
		if err == nil {
			err = h.noteReplaced()
		}
		if err == nil || !free || attempt == 3 || ctx.Err() != nil {
			return err
		}
		h.stopServers()
		h.nats, h.client, h.etcd = nil, nil, nil
	}
}

// freePorts is an address with four free ports. They are not among those that systems give to whoever dials.
func freePorts(host string) (string, error) {
	var err error
	for range 100 {
		addr := net.JoinHostPort(host, fmt.Sprint(10_000+rand.IntN(20_000)))
		if err = checkPorts(addr); err == nil {
			return addr, nil
		}
	}
	return "", err
}

// checkPorts fails if one of the ports of a hub is not free, which the servers say less clearly.
func checkPorts(addr string) error {
	for port := range portCount {
		l, err := net.Listen("tcp", at(addr, port))
		if err != nil {
			return fmt.Errorf("of its four ports one is not to be had: %w", err)
		}
		l.Close()
	}
	return nil
}

// startServers starts both, each of which waits for those of the other hubs. NATS is not to begin before etcd has seen that the folder is the one
// that others count on: without what it had its vote in JetStream would lose what others have acknowledged.
func (h *Hub) startServers(ctx context.Context) error {
	if err := h.startEtcd(ctx); err != nil {
		return err
	}
	return h.startNATS(ctx)
}

func (h *Hub) startEtcd(ctx context.Context) error {
	o := embedded.Options{
		Dir: h.storeDir(), ClientAddr: at(h.addr, etcdNodes), Logger: h.log, Name: h.o.Name,
		Servers: map[string]string{h.o.Name: at(h.addr, etcdHubs)}, Replace: h.replaces,
	}
	for name, addr := range h.o.Hubs {
		if name != h.o.Name {
			o.Servers[name] = at(addr, etcdHubs)
		}
	}
	if c := h.o.Certificates; c != nil {
		o.Certificates = &embedded.Certificates{Cert: c.Cert, Key: c.Key, CA: c.CA, OnlyServers: true}
	}
	deadline, _ := ctx.Deadline()
	o.StartWithin = max(time.Until(deadline), 0) + time.Second // so that it is ctx that ends it
	type result struct {
		s   *embedded.Server
		err error
	}
	started := make(chan result, 1)
	go func() {
		s, err := embedded.Start(o)
		started <- result{s, err}
	}()
	select {
	case r := <-started:
		if errors.Is(r.err, embedded.ErrFilesLost) {
			return fmt.Errorf("%w; if its disk is lost, empty the folder and start it with Replace, which is hub -replace", r.err)
		}
		if r.err != nil {
			return r.err
		}
		h.etcd = r.s
		client, err := r.s.Connect()
		h.client = client
		return err
	case <-ctx.Done():
		go func() { // its folder stays locked until it has ended
			if r := <-started; r.s != nil {
				r.s.Shutdown()
			}
		}()
		return fmt.Errorf("etcd is not ready: %w", context.Cause(ctx))
	}
}

// Once in lookEvery the NATS server is asked whether it has failed. That counts when it says so tooOften in a row.
const (
	lookEvery = time.Second
	tooOften  = 2
)

// watch tells that a server has ended by itself, or cannot go on: NATS switches off what it could not write, and never on again. With
// all that is read and written by etcd it would be a hub that is never well.
func (h *Hub) watch(etcd <-chan error, nats *natsServer) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for failed := 0; ; {
		select {
		case err := <-etcd:
			h.failed <- fmt.Errorf("hub: %w", err)
			return
		case <-h.ended:
			return
		case <-look.C:
			err := nats.failure()
			if err == nil {
				failed = 0
			} else if failed++; failed == tooOften {
				h.failed <- err
				return
			}
		}
	}
}

// Addr is where nodes dial it: an IP address and the first of its ports.
func (h *Hub) Addr() string { return h.addr }

// Name is that of the hub.
func (h *Hub) Name() string { return h.o.Name }

// Failed yields why one of the two servers has ended by itself, or is of no use until it is started anew, such as that the disk is full. Then Shutdown is to be called, or the
// process to be ended.
func (h *Hub) Failed() <-chan error { return h.failed }

// Health is what is wrong with the hub, or nil: that it cannot be used for want of the others, too.
func (h *Hub) Health(ctx context.Context) error {
	select {
	case <-h.ended:
		return errors.New("hub: it is shut down")
	default:
	}
	err := h.nats.health()
	if _, getErr := h.client.Get(ctx, "health"); getErr != nil { // from a quorum
		err = errors.Join(err, fmt.Errorf("hub: etcd does not answer: %w", getErr))
	}
	return err
}

// Shutdown stops the hub and waits until its files are written. Nodes go to another hub.
func (h *Hub) Shutdown() {
	h.end.Do(func() {
		close(h.ended)
		h.stopServers()
		h.unlock()
	})
}

func (h *Hub) stopServers() {
	var wg sync.WaitGroup
	if s := h.nats; s != nil {
		wg.Go(s.shutdown)
	}
	if h.client != nil {
		h.client.Close()
	}
	if s := h.etcd; s != nil {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
}
