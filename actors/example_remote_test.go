// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
)

// remoteBounds are options of remote.Configure, for each machine. With them no batch of
// messages is longer than what the other side receives; TestRemoteBatches shows it.
func remoteBounds() []remote.ConfigOption {
	return []remote.ConfigOption{
		remote.WithEndpointWriterBatchSize(16),                  // messages at once, …
		remote.WithServerOptions(grpc.MaxRecvMsgSize(64 << 20)), // … times 4 MB, the longest that is sent
	}
}
