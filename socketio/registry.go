// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// All returns the servers of an actor system that have been made and not stopped, in that
// order.
func All(system *actor.ActorSystem) []*Server {
	if system == nil {
		panic("socketio: All called with a nil actor system")
	}
	r := registryOf(system)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.servers)
}

// registry tracks the servers of one actor system.
type registry struct {
	mu      sync.Mutex
	servers []*Server
}

func registryOf(system *actor.ActorSystem) *registry { return persystem.Of[registry](system) }

func (r *registry) add(srv *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.servers, srv) {
		r.servers = append(r.servers, srv)
	}
}

func (r *registry) remove(srv *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.servers, srv); i >= 0 {
		r.servers = slices.Delete(r.servers, i, i+1)
	}
}
