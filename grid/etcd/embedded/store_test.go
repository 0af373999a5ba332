// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
	"github.com/protoloop/protoloop/grid/gridtest/storetest"
)

// startServer starts one that is alone.
func startServer(t testing.TB) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir(), StartWithin: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return srv
}

func connect(t testing.TB, srv *embedded.Server) *clientv3.Client {
	t.Helper()
	client, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func newStore(t testing.TB, client *clientv3.Client, cluster string) *etcd.Store {
	return storeWith(t, client, etcd.Options{Cluster: cluster})
}

// newQuietStore is one for what is meant to fail.
func newQuietStore(t testing.TB, client *clientv3.Client, cluster string) *etcd.Store {
	return storeWith(t, client, etcd.Options{Cluster: cluster, Logger: slog.New(slog.DiscardHandler)})
}

func storeWith(t testing.TB, client *clientv3.Client, o etcd.Options) *etcd.Store {
	t.Helper()
	s, err := etcd.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// clusters are clusters of a server, each of another name.
func clusters(client func() *clientv3.Client) func(t *testing.T) storetest.Cluster {
	var n atomic.Int64
	return func(t *testing.T) storetest.Cluster {
		name := fmt.Sprint("cluster-", n.Add(1))
		return storetest.Cluster{Shortest: time.Second, Node: func(t *testing.T, _ string) grid.Store { return newStore(t, client(), name) }}
	}
}

func TestStore(t *testing.T) {
	client := connect(t, startServer(t))
	storetest.Run(t, clusters(func() *clientv3.Client { return client }), nil)
}
