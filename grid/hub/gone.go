// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/internal/gridsubject"
)

// comesBack is how long a node that has lost its connection has until the others are told. It makes a new one within
// a few tens of milliseconds, be it to another hub.
const comesBack = 250 * time.Millisecond

// goneNotices tells the nodes which of them is gone. Each hub does so for those that were connected to it. Nobody does for
// those of a hub that is lost: they go to another, or their leases end.
type goneNotices struct {
	cluster string
	n       *natsServer
	server  string // the server's id

	mu      sync.Mutex
	stopped bool
	pending sync.WaitGroup
}

func watchGone(cluster string, n *natsServer) (*goneNotices, error) {
	g := &goneNotices{cluster: cluster, n: n, server: n.s.ID()}
	if _, err := n.system.Subscribe("$SYS.ACCOUNT.*.DISCONNECT", func(m *nats.Msg) { g.disconnected(m.Data) }); err != nil {
		return nil, err
	}
	return g, n.system.FlushTimeout(handshakeSeconds * time.Second)
}

func (g *goneNotices) disconnected(data []byte) {
	var event server.DisconnectEventMsg
	if err := json.Unmarshal(data, &event); err != nil || event.Server.ID != g.server || event.Client.User == "" {
		return // that of another hub: it looks itself
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return
	}
	g.pending.Add(1)
	time.AfterFunc(comesBack, func() {
		defer g.pending.Done()
		g.tell(event.Client.User)
	})
}

// tell tells the nodes, if it is true: a node that is connected to any hub, by whatever connection, has a subscription
// that shows it. Those of a hub that is lost are taken away with the connection to that.
func (g *goneNotices) tell(node string) {
	account, err := g.n.s.LookupAccount(server.DEFAULT_GLOBAL_ACCOUNT)
	if err != nil || account.SubscriptionInterest(gridsubject.Here(g.cluster, node)) {
		return
	}
	_ = g.n.conn.PublishRequest(gridsubject.Gone(g.cluster, node), gridsubject.Hub(g.cluster), nil) // it fails if the hub is being shut down
}

// stop waits for what is pending.
func (g *goneNotices) stop() {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.pending.Wait()
}
