// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoloop/protoloop/grid/hub"
)

// TestReplicas: a hub is not replaced before the two others both have what was acknowledged, of each stream and consumer.
func TestReplicas(t *testing.T) {
	hubs := map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:10", "c": "127.0.0.1:20"}
	for want, change := range map[string]func(parts map[string]*server.JSInfo){
		"": func(map[string]*server.JSInfo) {},
		"1 have answered": func(parts map[string]*server.JSInfo) {
			delete(parts, "c")
		},
		"have no list of streams": func(parts map[string]*server.JSInfo) {
			parts["b"].Meta.Replicas = nil // nobody leads
		},
		"do not all have the list of streams": func(parts map[string]*server.JSInfo) {
			parts["b"].Meta.Replicas[1].Current = false
		},
		"the other hubs hear of a": func(parts map[string]*server.JSInfo) {
			parts["b"].Meta.Replicas[0].Active = time.Second
		},
		"do not all have the stream S": func(parts map[string]*server.JSInfo) {
			parts["c"].AccountDetails[0].Streams[0].Cluster.Replicas[1].Lag = 1
		},
		"or nobody leads it": func(parts map[string]*server.JSInfo) {
			for _, part := range parts {
				part.AccountDetails[0].Streams[0].Cluster.Leader = ""
			}
		},
		"do not all have the consumer C of S": func(parts map[string]*server.JSInfo) {
			parts["b"].AccountDetails[0].Streams[0].Consumer[0].Cluster.Replicas[1].Current = false
		},
	} {
		replicas := func(other string, current bool) []*server.PeerInfo {
			return []*server.PeerInfo{{Name: "a", Active: time.Minute}, {Name: other, Current: current, Active: time.Second}}
		}
		parts := map[string]*server.JSInfo{}
		for name, other := range map[string]string{"b": "c", "c": "b"} { // c leads the stream, and b all else
			part := &server.JSInfo{Meta: &server.MetaClusterInfo{Leader: "b"}}
			if name == "b" {
				part.Meta.Replicas = replicas(other, true)
			}
			consumer := &server.ConsumerInfo{Name: "C", Cluster: &server.ClusterInfo{Leader: "b", Replicas: replicas(other, name == "b")}}
			alone := &server.ConsumerInfo{Name: "alone", Cluster: &server.ClusterInfo{Leader: name}}
			stream := server.StreamDetail{Name: "S", Cluster: &server.ClusterInfo{Leader: "c", Replicas: replicas(other, name == "c")}, Consumer: []*server.ConsumerInfo{consumer, alone}}
			part.AccountDetails = []*server.AccountDetail{{Streams: []server.StreamDetail{stream}}}
			parts[name] = part
		}
		change(parts)
		err := hub.CheckReplicas("a", hubs, parts)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}
