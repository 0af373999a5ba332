// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	neturl "net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

// Options are those of a [Net]. Cluster and URL are needed, and TLS off loopback.
type Options struct {
	// Cluster is the name of the cluster. Several may share servers.
	Cluster string
	// URL is that of a server, such as nats://host:7420, or those of several with commas between. Others that a server knows of are
	// not used.
	URL string
	// TLS has the certificate by which a server knows this node, and those by which the node knows a server. nil: there is
	// none, which is refused unless all servers are on this machine.
	TLS *tls.Config
	// SendBuffer is how many bytes may wait to be sent; with more, a Send fails. 0: 8 MiB.
	SendBuffer int
	// ReceiveBuffer is how many bytes may wait for the receiver of a line, and for that of each topic; with more, frames are
	// dropped, and it is told that it has missed some. It is to be more than what all nodes have in flight to this one. 0: 64 MiB.
	ReceiveBuffer int
	// Ping is how often a server is asked whether it is there. One from which nothing has come for five times as long, or no answer for
	// fifty times, is given up for another. It is to be less than the server's own interval, or that asks, too, and gives up a
	// node to which so much is sent that it is late to answer. 0: 250 ms.
	Ping time.Duration
	// Timeout is for how long a server is tried. 0: 5 s.
	Timeout time.Duration
	// Wait has [Connect] wait until there is a server, or its context ends.
	Wait bool
	// NATS are more options of the connection, such as a user. What they change of the above is not told here.
	NATS []nats.Option
	// Logger is told of lost connections and of what was dropped. nil: slog.Default().
	Logger *slog.Logger
}

// maxToken is how long a name may be in a subject. The line that a frame begins with has five of them, and a server
// takes 4,096 bytes.
const maxToken = 255

func (o Options) resolved() Options {
	o.SendBuffer = cmp.Or(o.SendBuffer, 8<<20)
	o.ReceiveBuffer = cmp.Or(o.ReceiveBuffer, 64<<20)
	o.Ping = cmp.Or(o.Ping, 250*time.Millisecond)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "grid/nats", Field: field, Value: value, Why: why})
	}
	if why := nameMistake(o.Cluster); why != "" {
		bad("Cluster", o.Cluster, why)
	}
	if o.URL == "" {
		bad("URL", nil, "is missing")
	} else {
		for server := range strings.SplitSeq(o.URL, ",") {
			u, err := neturl.Parse(strings.TrimSpace(server))
			switch {
			case err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls":
				bad("URL", nil, "is not that of a server, as nats://host:7420 is") // it may have a password
			case o.TLS == nil && u.Scheme == "tls":
				bad("TLS", nil, "is missing for "+u.Redacted())
			case o.TLS == nil && !isLoopback(u.Hostname()):
				bad("TLS", nil, "is missing, and "+u.Redacted()+" is not on this machine: anybody on the way could read and forge what nodes send")
			}
		}
	}
	for field, n := range map[string]int64{"SendBuffer": int64(o.SendBuffer), "ReceiveBuffer": int64(o.ReceiveBuffer), "Ping": int64(o.Ping), "Timeout": int64(o.Timeout)} {
		if n < 0 {
			bad(field, n, "is negative")
		}
	}
	return errors.Join(errs...)
}

// nameMistake is why a cluster or node cannot be called so, or empty.
func nameMistake(name string) string {
	switch {
	case name == "":
		return "is missing"
	case len(gridsubject.Token(name)) > maxToken:
		return fmt.Sprintf("is too long: it has %d bytes as a part of a subject, and may have %d", len(gridsubject.Token(name)), maxToken)
	}
	return ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
