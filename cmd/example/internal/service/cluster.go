// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go/jetstream"

	queues "github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/state/natskv"
)

// bucketName is where the hubs keep the list.
const bucketName = "LIST"

// gridLeaseVariable has tests choose how soon a process that is lost has lost its list, too; the default is the grid's.
const gridLeaseVariable = "PROTOLOOP_TEST_GRID_LEASE"

// leaveWithin bounds how long others take to have what this process has owned, when it is stopped.
const leaveWithin = 10 * time.Second

// joined reports whether the process is one of several with one list.
func (c Config) joined() bool { return c.Join != "" }

// hubOptions are those of the hubs that Join names.
func (c Config) hubOptions() hubclient.Options {
	o := hubclient.Options{Cluster: c.Cluster, Node: c.Node}
	for addr := range strings.SplitSeq(c.Join, ",") {
		o.Hubs = append(o.Hubs, strings.TrimSpace(addr))
	}
	if c.Cert != "" {
		o.Certificates = &certs.Files{Cert: c.Cert, Key: c.Key, CA: c.CA}
	}
	return o
}

// join opens all that this process shares with others: the queue, and the list as a key of a grid, both on the hubs.
func (s *storage) join(ctx context.Context, o *opened) error {
	hubs, err := s.dialHubs(ctx)
	if err != nil {
		return err
	}
	o.close = append(o.close, hubs.Close)
	if o.log, err = hubs.Queues(); err != nil {
		return fmt.Errorf("the queue on the hubs: %w", err)
	}
	o.close = append(o.close, o.log.Close)
	// The hubs have made it, and say how long its lease is.
	q, err := queues.New(o.log, queues.Options{Name: queueName, Linger: s.cfg.Lease})
	if err == nil {
		err = q.Ensure(ctx)
	}
	if err != nil {
		return fmt.Errorf("the queue on the hubs (hub -queues %s): %w", queueName, err)
	}
	o.queue, o.adds = q, &pipeline{queue: q, logger: s.logger}
	js, err := jetstream.New(o.log)
	if err != nil {
		return err
	}
	store, err := natskv.New(ctx, js, bucketName)
	if err != nil {
		return fmt.Errorf("the bucket on the hubs (hub -buckets %s): %w", bucketName, err)
	}
	lease, _ := time.ParseDuration(os.Getenv(gridLeaseVariable))
	o.grid, err = grid.Start(ctx, s.system, grid.Options{
		Node: hubs.Node(), Store: hubs.Store(), Net: hubs.Net(), Kinds: []grid.Kind{sharedKindOf(store)},
		Lease: lease, Logger: s.logger, OnEvent: s.noteClusterEvent,
	})
	if err != nil {
		return err
	}
	o.close = append(o.close, func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
		defer cancel()
		if _, err := o.grid.Drain(ctx); err != nil {
			s.logger.Warn("the cluster was left before others had taken over", "err", err)
		}
	})
	s.logger.Info("joined", "cluster", s.cfg.Cluster, "node", hubs.Node())
	return nil
}

// dialHubs waits for the hubs, as long as ctx lasts: they may be started at the same time.
func (s *storage) dialHubs(ctx context.Context) (*hubclient.Client, error) {
	options := s.cfg.hubOptions()
	options.Logger = s.logger
	for first := true; ; first = false {
		hubs, err := hubclient.Dial(ctx, options)
		if err == nil || ctx.Err() != nil {
			return hubs, err
		}
		if first {
			s.logger.Warn("no hub answers", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}

// noteClusterEvent logs who comes and goes.
func (s *storage) noteClusterEvent(e grid.Event) {
	switch e.Kind {
	case grid.Joined, grid.Left, grid.Suspected, grid.Lost, grid.Fenced:
		s.logger.Info("cluster", "event", e.Kind.String(), "node", e.Node, "session", e.Session)
	}
}

// sharedList is the PID of the list's key.
func (s *storage) sharedList() (*actor.PID, error) {
	o := s.now.Load()
	if o == nil || o.grid == nil {
		return nil, errNotOpen
	}
	return o.grid.PID(sharedKind, sharedKey), nil
}

// validateJoin reports what is wrong with what -join needs, and with what it leaves no use for.
func (c Config) validateJoin() error {
	d := Defaults()
	var errs []error
	if !c.joined() {
		for name, value := range map[string]string{"-node": c.Node, "-cert": c.Cert, "-key": c.Key, "-ca": c.CA} {
			if value != "" {
				errs = append(errs, fmt.Errorf("%s is for -join", name))
			}
		}
		return errors.Join(errs...)
	}
	for _, addr := range c.hubOptions().Hubs {
		if hub, err := netip.ParseAddrPort(addr); err != nil || hub.Port() == 0 {
			errs = append(errs, fmt.Errorf("-join: %q is no IP address and port", addr))
		} else if c.Cert == "" && !hub.Addr().IsLoopback() {
			errs = append(errs, fmt.Errorf("-join: the hub %s is not on this machine: -cert, -key and -ca are needed", addr))
		}
	}
	if (c.Cert == "") != (c.Key == "") || (c.Cert == "") != (c.CA == "") {
		errs = append(errs, errors.New("-cert, -key and -ca: all or none are needed"))
	}
	if c.Node == "" && c.Cert == "" {
		errs = append(errs, errors.New("-join needs -cert, -key and -ca, or -node if the hubs have no certificates"))
	}
	if c.Queue != d.Queue || cmp.Or(c.Store, d.Store) != d.Store || c.Topic != "" || c.DeadLetters != "" || c.Lease != d.Lease || c.Sync {
		errs = append(errs, errors.New("-queue, -store, -topic, -dead-letters, -lease and -sync are for one process: with -join the queue and the list are on the hubs"))
	}
	return errors.Join(errs...)
}
