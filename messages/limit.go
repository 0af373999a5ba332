// SPDX-License-Identifier: Apache-2.0

package messages

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// SetLimit says how long a message to or from another machine may be, in bytes: an actor system's requests and answers
// that are longer fail with actors.ErrUnsendable. 0: 4 MB, which is what gRPC receives by default; negative: no bound. Set
// it where the machines' remotes are configured with grpc.MaxRecvMsgSize.
//
// The engine's remote sends up to remote.WithEndpointWriterBatchSize messages, 1,000 by default, as one. If that is longer
// than the other side receives, the connection is lost. So the other side's grpc.MaxRecvMsgSize should be as much as this
// limit times that number.
func SetLimit(sys *actor.ActorSystem, bytes int) {
	if sys == nil {
		panic("messages: SetLimit called with a nil actor system")
	}
	persystem.Of[persystem.RemoteLimit](sys).Store(int64(bytes))
}
