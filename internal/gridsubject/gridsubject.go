// SPDX-License-Identifier: Apache-2.0

// Package gridsubject has the NATS subjects of a cluster of package grid: what its nodes send to each other, what they
// may, and what a hub tells them.
//
//	pl.CLUSTER.NODE.SESSION.SENDER              a frame for a node in a session, from SENDER
//	pl.CLUSTER.NODE.SESSION.EPOCH.PEER.TAG      the reply subject of a frame that NODE has sent
//	pl.CLUSTER.NODE.here                        has a subscription as long as the node is connected
//	pl.CLUSTER.$topic.TOPIC.SENDER              what SENDER has published to a topic, with the reply subject of a frame
//	pl.CLUSTER.gone.NODE                        a hub has lost a node, with the reply subject pl.CLUSTER.hub
//
// A server that vouches for names lets a node publish to what ends with a SENDER alone, with itself as that. Nobody may
// publish to a reply subject: what comes there is the server's notice that nobody has got the frame.
//
// A node can have the server answer to any subject, as JetStream does to a request with that as its reply subject. So whatever
// has no reply subject of its own, or not the right one, is neither a frame nor a notice of a hub.
package gridsubject

import (
	"strconv"
	"strings"
)

// Root is what all subjects begin with, up to the dot.
const Root = "pl"

const root = Root + "."

// No name becomes one of these tokens.
const (
	gone  = "gone"
	topic = "$topic"
)

// plain reports whether a byte of a name stays as it is. All others could end a token, or are wildcards, or
// cannot be seen in a log.
func plain(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

const hex = "0123456789ABCDEF"

// Token is a name, which is not empty, as one token: %XX stands for a byte that cannot be in one.
func Token(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) && name != gone {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// Name is the name that a token stands for. There is one token of each name.
func Name(token string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '%' {
			b.WriteByte(token[i])
			continue
		}
		if len(token)-i < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	name = b.String()
	return name, name != "" && Token(name) == token
}

// Node is what all subjects of a node begin with, up to the dot.
func Node(cluster, node string) string { return root + Token(cluster) + "." + Token(node) + "." }

// Session is what the subjects of a node in a session begin with, up to the dot.
func Session(cluster, node string, session uint64) string {
	return Node(cluster, node) + strconv.FormatUint(session, 10) + "."
}

// Frames is the subject of the frames that one node sends to another in a session.
func Frames(cluster, to string, session uint64, from string) string {
	return Session(cluster, to, session) + Token(from)
}

// Here is the subject that a node subscribes to as long as it is connected.
func Here(cluster, node string) string { return Node(cluster, node) + "here" }

// Gone is the subject of the notices that a node was lost. "*" is any.
func Gone(cluster, node string) string {
	if node != "*" {
		node = Token(node)
	}
	return root + Token(cluster) + "." + gone + "." + node
}

// Topics is what the subjects of all topics begin with.
func Topics(cluster string) string { return root + Token(cluster) + "." + topic + "." }

// Topic is what the subjects of a topic begin with, up to the dot before the sender.
func Topic(cluster, name string) string { return Topics(cluster) + Token(name) + "." }

// Hub is the reply subject of the notices of hubs. Nobody subscribes to it.
func Hub(cluster string) string { return root + Token(cluster) + ".hub" }

// Probe is a subject that a node may publish to and nobody subscribes to.
func Probe(cluster, node string) string { return Node(cluster, node) + "-." + Token(node) }

// Publish is all that a node may publish to.
func Publish(cluster, node string) string { return root + Token(cluster) + ".*.*." + Token(node) }

// Subscribe is all that a node may subscribe to.
func Subscribe(cluster, node string) []string {
	return []string{Node(cluster, node) + ">", Gone(cluster, "*"), Topics(cluster) + "*.*"}
}

// Inbox is what the subjects begin with to which a node gets answers, as of JetStream.
func Inbox(node string) string { return "_INBOX." + Token(node) }
