// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

// Options of a hub. Cluster and Dir are needed; Name with Hubs, and Certificates off this machine.
type Options struct {
	// Cluster is the name of the cluster, with letters, digits, dots, hyphens and underscores.
	Cluster string
	// Dir is the folder of the files. It is made if it does not exist. etcd wants a disk that is not busy otherwise.
	Dir string
	// Hubs is where all hubs are, this one too, by their names: an IP address and the first of four ports. It is the same for all of
	// them, for ever. nil: this is the only one, at any free ports of 127.0.0.1.
	Hubs map[string]string
	// Name is which of Hubs this is.
	Name string
	// Certificates are this hub's. nil: all hubs are on this machine, and whoever is may do anything.
	Certificates *certs.Files
	// Queues are the names of queues of consumer/jetstream that nodes may use. They are made with as many replicas as there are
	// hubs, with a place for dead letters and the defaults of all else.
	Queues []string
	// Buckets are the names of key-value buckets of JetStream that nodes may use: see grid/state/natskv. They are made with as many
	// replicas as there are hubs. Values do not expire, and a node may read and write keys and nothing else.
	Buckets []string
	// Partitions are the names of queues in parts that nodes may use: see jetstream.NewPartitions. They are made as Queues are. A
	// node that takes a part over makes a consumer, and may have it deliver to any subject: nodes trust each other with what is in these.
	Partitions []string
	// Reminders are the names of streams of reminders that nodes may use: see consumer/jetstream/reminders, whose default is REMINDERS. They
	// are made as Queues are. A node may remove any message of theirs, as it has to for those that it cancels: nodes trust each other with these.
	Reminders []string
	// Replace has a hub whose disk is lost begin with an empty Dir, in its own place, while the others go on. It does nothing if Dir has files of its
	// own data, so it may stay. More than half of Hubs have to be there without it, and to have all that was acknowledged. If it fails half-way, it is
	// to be started with Replace again.
	Replace bool
	// StartWithin bounds the start, which waits until more than half of Hubs are there. 0: two minutes.
	StartWithin time.Duration
	// Logger is told what the servers warn of. nil: slog.Default().
	Logger *slog.Logger
}

// alone is the name of a hub that has none.
const alone = "hub"

// The ports of a hub, from its first.
const (
	natsNodes = iota
	etcdNodes
	natsHubs
	etcdHubs
	portCount
)

func (o Options) resolved() Options {
	o.StartWithin = cmp.Or(o.StartWithin, 2*time.Minute)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if len(o.Hubs) == 0 {
		o.Name = cmp.Or(o.Name, alone)
		o.Hubs = map[string]string{o.Name: "127.0.0.1:0"}
	}
	return o
}

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "hub", Field: field, Value: value, Why: why})
	}
	switch {
	case o.Cluster == "":
		bad("Cluster", nil, "is missing")
	case len(o.Cluster) > 100:
		bad("Cluster", o.Cluster, "is longer than 100 letters")
	case strings.Trim(o.Cluster, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "":
		bad("Cluster", o.Cluster, "has more than letters, digits, dots, hyphens and underscores")
	}
	if o.Dir == "" {
		bad("Dir", nil, "is missing")
	}
	if o.StartWithin < 0 {
		bad("StartWithin", o.StartWithin, "is negative")
	}
	if _, is := o.Hubs[o.Name]; !is && len(o.Hubs) > 0 {
		if o.Name == "" {
			bad("Name", nil, "is missing: it says which of Hubs this is")
		} else {
			bad("Name", o.Name, "is not among Hubs")
		}
	}
	if n := len(o.Hubs); n == 2 {
		bad("Hubs", slices.Sorted(maps.Keys(o.Hubs)), "are two, which fail together as soon as one does: have one or three")
	}
	if o.Replace && len(o.Hubs) < 3 {
		bad("Replace", true, "is for one of three Hubs: nobody has what one that is alone has lost")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Hubs)) {
		if name == "" || strings.ContainsAny(name, "=, \t\r\n") {
			bad("Hubs", name, "has a name that is empty, or has a space, a comma or an equals sign")
		}
		if why := o.addrMistake(o.Hubs[name]); why != "" {
			bad(fmt.Sprintf("Hubs[%q]", name), o.Hubs[name], why)
		}
	}
	for _, q := range o.Queues {
		if q == "" || strings.ContainsAny(q, ".*> /\\\t\r\n") {
			bad("Queues", q, "is no name of a queue: it has to be without spaces, dots, wildcards and slashes")
		}
	}
	for _, q := range o.Partitions {
		if q == "" || strings.ContainsAny(q, ".*> /\\\t\r\n") {
			bad("Partitions", q, "is no name of a queue: it has to be without spaces, dots, wildcards and slashes")
		} else if slices.Contains(o.Queues, q) {
			bad("Partitions", q, "is one of Queues, too")
		}
	}
	for _, r := range o.Reminders {
		switch {
		case r == "" || strings.ContainsAny(r, ".*> /\\\t\r\n"):
			bad("Reminders", r, "is no name of a stream: it has to be without spaces, dots, wildcards and slashes")
		case slices.Contains(o.Queues, r) || slices.Contains(o.Partitions, r):
			bad("Reminders", r, "is one of Queues or Partitions, too")
		case strings.EqualFold(r, gridsubject.Root):
			bad("Reminders", r, "is what the subjects of all nodes begin with: the stream would store what they send")
		}
	}
	for _, b := range o.Buckets {
		if strings.Trim(b, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || b == "" {
			bad("Buckets", b, "is no name of a bucket: it has to be of letters, digits, hyphens and underscores")
		}
	}
	return errors.Join(errs...)
}

func (o Options) addrMistake(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || ip == nil || portErr != nil:
		return "is no IP address and port"
	case ip.IsUnspecified():
		return "is no address that others can dial"
	case n == 0 && len(o.Hubs) > 1:
		return "has no port, and the others would not find it"
	case n > 1<<16-portCount:
		return "leaves no room for four ports in a row"
	case o.Certificates == nil && !ip.IsLoopback():
		return "is not on this machine, and there are no Certificates: anybody who can reach it could do anything"
	}
	return ""
}

// at is one of the addresses of a hub.
func at(addr string, port int) string {
	host, first, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(first)
	return net.JoinHostPort(host, strconv.Itoa(n+port))
}

// hostOf is the IP address of a hub.
func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}
