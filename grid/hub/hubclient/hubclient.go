// SPDX-License-Identifier: Apache-2.0

// Package hubclient connects a node of package grid to the hubs of its cluster:
//
//	hubs, err := hubclient.Dial(ctx, hubclient.Options{Cluster: "shop", Hubs: []string{"10.0.0.1:7420", "10.0.0.2:7420", "10.0.0.3:7420"}, Certificates: files})
//	defer hubs.Close()
//	g, err := grid.Start(ctx, system, grid.Options{Node: hubs.Node(), Store: hubs.Store(), Net: hubs.Net(), Kinds: kinds})
//
// It links the clients alone. The servers are in package hub.
package hubclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/nats"
	"github.com/protoloop/protoloop/internal/gridsubject"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Options are those of a node. Cluster and Hubs are needed, and Certificates or Node.
type Options struct {
	// Cluster is the name of the cluster.
	Cluster string
	// Hubs are where the hubs are: of each the IP address and the first of its ports, as in hub.Options.
	Hubs []string
	// Certificates are this node's. The name in them is that of the node. nil: all hubs are on this machine.
	Certificates *certs.Files
	// Node is the name of the node, if there are no Certificates.
	Node string
	// Logger is told of lost connections, and of what the hubs refuse. nil: slog.Default().
	Logger *slog.Logger
}

// Client is a node's connections to the hubs. Any goroutine may call its methods.
type Client struct {
	o      Options
	log    *slog.Logger
	tls    *tls.Config
	client *clientv3.Client
	store  *etcd.Store
	net    *nats.Net
}

func (o Options) validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "hubclient", Field: field, Value: value, Why: why})
	}
	if o.Cluster == "" {
		bad("Cluster", nil, "is missing")
	}
	if len(o.Hubs) == 0 {
		bad("Hubs", nil, "is missing")
	}
	for _, addr := range o.Hubs {
		host, port, err := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		n, portErr := strconv.ParseUint(port, 10, 16)
		switch {
		case err != nil || ip == nil || portErr != nil || n == 0:
			bad("Hubs", addr, "is no IP address and port")
		case o.Certificates == nil && !ip.IsLoopback():
			bad("Certificates", nil, "is missing, and the hub "+addr+" is not on this machine: anybody on the way could read and forge what nodes send")
		}
	}
	if o.Certificates == nil && o.Node == "" {
		bad("Node", nil, "is missing, and there are no Certificates that have the name")
	}
	return errors.Join(errs...)
}

// Dial connects to the hubs, and waits until one of them is up, or ctx ends. It fails if a hub refuses this node, or is of another cluster.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	c := &Client{o: o, log: safelog.Contain(o.Logger)}
	if err := c.dial(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("hubclient: %w", err)
	}
	return c, nil
}

func (c *Client) dial(ctx context.Context) error {
	if f := c.o.Certificates; f != nil {
		name, err := f.Name()
		if err == nil && c.o.Node != "" && c.o.Node != name {
			err = fmt.Errorf("the certificate %s is that of %q, and the node is called %q", f.Cert, name, c.o.Node)
		}
		if err == nil {
			c.tls, err = f.TLS()
		}
		if err != nil {
			return err
		}
		c.o.Node = name
	}
	var err error
	c.net, err = nats.Connect(ctx, nats.Options{Cluster: c.o.Cluster, URL: c.natsURL(), TLS: c.tls, Ping: pingEvery, Logger: c.o.Logger, Wait: true, NATS: c.natsOptions()})
	if err == nil {
		err = c.net.Check(ctx, c.o.Node)
	}
	if err != nil {
		return fmt.Errorf("the hubs %s: %w", strings.Join(c.o.Hubs, ", "), err)
	}
	var endpoints []string
	for _, addr := range c.o.Hubs {
		scheme := "http://"
		if c.tls != nil {
			scheme = "https://"
		}
		endpoints = append(endpoints, scheme+plus(addr, 1))
	}
	c.client, err = clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: c.tls, DialTimeout: 2 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		Logger: zap.NewNop(), // the store tells what goes wrong
	})
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	c.store, err = etcd.New(c.client, etcd.Options{Cluster: c.o.Cluster, Logger: c.o.Logger})
	return err
}

func (c *Client) natsURL() string {
	urls := make([]string, len(c.o.Hubs))
	for i, addr := range c.o.Hubs {
		urls[i] = "nats://" + addr
	}
	return strings.Join(urls, ",")
}

func (c *Client) natsOptions() []natsgo.Option {
	opts := []natsgo.Option{natsgo.CustomInboxPrefix(gridsubject.Inbox(c.o.Node))}
	if c.tls == nil {
		opts = append(opts, natsgo.UserInfo(c.o.Node, "")) // so that the hub knows who is gone
	}
	return opts
}

func plus(addr string, n int) string {
	host, port, _ := net.SplitHostPort(addr)
	first, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(first+n))
}

// Node is the name of this node.
func (c *Client) Node() string { return c.o.Node }

// Store is for [grid.Options].
func (c *Client) Store() grid.Store { return c.store }

// Net is for the Net of [grid.Options].
func (c *Client) Net() grid.Net { return c.net }

// A hub that is held, or cut off, does not answer pings, and nothing else tells that. The default would take a minute until the node goes to
// another, in which nothing is saved and no queue is read.
const (
	// A hub pings a node from which nothing has come for 350 ms, and gives it up if it does not answer soon. It cannot while much waits
	// for it: it has to read all that before the ping. So a node is never silent for that long.
	pingEvery = 250 * time.Millisecond
	pingsOut  = 11
)

// Queues connects to NATS anew, for the queues, buckets and reminders that hub.Options names: see consumer/jetstream. A hub that does not answer is
// left after three seconds. The connection is the caller's. What the
// hub has not made, a node cannot make: a queue with other options than a hub gives it fails when it is opened, and one that no hub has, soon.
func (c *Client) Queues(opts ...natsgo.Option) (*natsgo.Conn, error) {
	all := append(c.natsOptions(), natsgo.IgnoreDiscoveredServers(), natsgo.PingInterval(pingEvery), natsgo.MaxPingsOutstanding(pingsOut), natsgo.ErrorHandler(c.tellOfQueues))
	if c.tls != nil {
		all = append(all, natsgo.Secure(c.tls))
	}
	return jetstream.Connect(c.natsURL(), append(all, opts...)...)
}

// tellOfQueues is told what no caller is. The client would write it to standard error.
func (c *Client) tellOfQueues(_ *natsgo.Conn, sub *natsgo.Subscription, err error) {
	attrs := []any{"error", err}
	if sub != nil {
		attrs = append(attrs, "subject", sub.Subject)
	}
	c.log.Warn("hubclient: error of the connection for queues and buckets", attrs...)
}

// Close ends the connections. Drain the grid first.
func (c *Client) Close() {
	if c.store != nil {
		c.store.Close()
	}
	if c.client != nil {
		c.client.Close()
	}
	if c.net != nil {
		_ = c.net.Close()
	}
}
