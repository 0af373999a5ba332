// SPDX-License-Identifier: Apache-2.0

package grid

import "context"

// Peer is a node in one of its sessions.
type Peer struct {
	Node    string
	Session uint64
}

// Net carries frames between the nodes of a cluster. Each node has one of its own. grid/gridtest has one
// in memory.
type Net interface {
	// Open lets the others reach self, which is in the cluster from now on. An earlier line of the node
	// that has not been closed goes on.
	Open(ctx context.Context, self Peer, to Receiver) (Line, error)
}

// Line is the way from and to a node, as long as it has one session. Any goroutine may call its methods.
type Line interface {
	// Send puts a frame on its way to a peer, and does not wait until it is there. It may be lost, and comes
	// at most once. What one line sends to one peer comes in that order. The frame may be written to when Send
	// has returned. tag is what [Receiver.Undelivered] is called with.
	//
	// It fails if the frame is longer than MaxFrame, or the line closed; and if the line has too much to
	// send already, or no connection: a frame does not wait for one. If it fails the frame is not sent.
	Send(to Peer, tag uint64, frame []byte) error
	// MaxFrame is how many bytes a frame may have.
	MaxFrame() int
	// Close ends it. When it has returned, the receiver is not called any more.
	Close() error
}

// ConnectedLine is a Line that knows whether it has a connection. A Line need not: then a node that the network does not reach, and the store does,
// keeps what it owns, and nobody can ask for it.
type ConnectedLine interface {
	Line
	// Connected reports whether frames can be sent, as far as the line knows.
	Connected() bool
}

// TopicLine is a Line that carries topics, too. A Net need not have it: then what is published reaches the workers of
// the same process only, and who publishes is told so. Any goroutine may call its methods, but no [TopicReceiver].
type TopicLine interface {
	Line
	// Publish puts a frame on its way to all lines of the cluster that have subscribed to a topic, and does not wait until it is
	// there. To each it comes at most once, and what one line publishes to one topic comes in that order. It comes to the line
	// itself, too, or not. The frame may be written to when Publish has returned. It fails as Send does.
	//
	// The name of a topic is one of 1 to 85 bytes, whatever they are.
	Publish(topic string, frame []byte) error
	// Subscribe has a receiver told of what is published to a topic from now on, or from a moment later, until end has
	// returned, or Close. A topic may have several for a moment, each of which is told. It does not wait for the network, and fails
	// if the line is closed.
	Subscribe(topic string, to TopicReceiver) (end func(), err error)
}

// TopicReceiver is told what is published to a topic. It does not block, and is called by one goroutine at a time.
type TopicReceiver interface {
	// Published is a frame that a node has published, by whose name the network vouches. The frame is the receiver's.
	Published(from string, frame []byte)
	// Missed: frames of this topic may have been lost just now, as in a reconnect or for want of room.
	Missed()
}

// Receiver is told what comes on a line. It does not block, and is called by one goroutine at a time.
type Receiver interface {
	// Received is a frame that a node has sent, by whose name the network vouches. The frame is the receiver's.
	Received(from string, frame []byte)
	// Undelivered: nobody was there as that peer when the frame with this tag came to the network, so nobody has it.
	Undelivered(to Peer, tag uint64)
	// Gone: the network has lost a node, and it has not come back at once. It may live, and is not one whose
	// session is over: see [View].
	Gone(node string)
	// Missed: frames to this line may have been lost just now, as in a reconnect or for want of room.
	Missed()
}
