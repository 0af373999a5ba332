// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"crypto/subtle"
	"log/slog"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoloop/protoloop/internal/gridsubject"
)

// Users of the connections within the process, whose password is the secret.
const (
	internalUser = "hub"
	systemUser   = "system"
)

// maxName is how long a name may be in a subject: see package grid/nats.
const maxName = 255

// auth says who a client of the NATS server is, and what it may do.
type auth struct {
	cluster string
	queues  []string
	buckets []string
	hubs    map[string]string
	// partitions are queues in parts.
	partitions []string
	reminders  []string
	secret     string
	open       bool // there are no certificates: whoever is on this machine may do anything
	system     func() *server.Account
	log        *slog.Logger
}

var _ server.Authentication = (*auth)(nil)

// Check is [server.Authentication]'s.
func (a *auth) Check(c server.ClientAuthentication) bool {
	o, state := c.GetOpts(), c.GetTLSConnectionState()
	if state == nil {
		if subtle.ConstantTimeCompare([]byte(o.Password), []byte(a.secret)) == 1 {
			u := &server.User{Username: o.Username}
			if o.Username == systemUser {
				u.Account = a.system()
			}
			c.RegisterUser(u)
			return true
		}
		if a.open { // the name is what the client says: only the notices that it is gone are about that
			c.RegisterUser(&server.User{Username: o.Username})
		}
		return a.open
	}
	if len(state.PeerCertificates) == 0 { // it cannot be: the handshake wants one
		return false
	}
	cert := state.PeerCertificates[0]
	name := cert.Subject.CommonName
	why := ""
	if _, is := a.hubs[name]; is {
		why = "it is that of a hub, and this port is for nodes"
	} else if name == "" || len(gridsubject.Token(name)) > maxName {
		why = "its common name is empty or too long, and cannot be that of a node"
	}
	if why != "" {
		a.log.Warn("hub: a certificate was refused: "+why, "name", name, "from", c.RemoteAddress())
		return false
	}
	c.RegisterUser(&server.User{Username: name, Permissions: a.permissions(name), ConnectionDeadline: cert.NotAfter})
	return true
}

// permissions are those of a node.
func (a *auth) permissions(name string) *server.Permissions {
	publish := []string{gridsubject.Publish(a.cluster, name)}
	subscribe := append(gridsubject.Subscribe(a.cluster, name), gridsubject.Inbox(name)+".>")
	if len(a.queues)+len(a.buckets)+len(a.partitions)+len(a.reminders) > 0 {
		// Both tell names alone.
		publish = append(publish, "$JS.API.INFO", "$JS.API.STREAM.NAMES")
	}
	consume := func(stream string) {
		publish = append(publish,
			"$JS.API.STREAM.INFO."+stream, "$JS.API.CONSUMER.INFO."+stream+".*", "$JS.API.CONSUMER.MSG.NEXT."+stream+".*", "$JS.ACK."+stream+".>")
	}
	for _, q := range a.queues {
		for _, stream := range []string{q, q + "_DEAD"} {
			publish = append(publish, strings.ToLower(stream))
			consume(stream)
		}
	}
	for _, q := range a.partitions {
		subject := strings.ToLower(q) + ".*"
		consume(q)
		consume(q + "_DEAD")
		publish = append(publish, subject, strings.ToLower(q+"_DEAD"),
			"$JS.API.CONSUMER.NAMES."+q, "$JS.API.CONSUMER.DELETE."+q+".*", "$JS.API.CONSUMER.CREATE."+q+".*."+subject)
	}
	for _, r := range a.reminders {
		subject := strings.ToLower(r)
		consume(r)
		consume(r + "_DEAD")
		// Records are read and deleted, and the timers of those that were replaced are purged. What is due is published by the server.
		publish = append(publish, subject+".record.>", subject+".timer.>", strings.ToLower(r+"_DEAD"),
			"$JS.API.STREAM.MSG.GET."+r, "$JS.API.STREAM.MSG.DELETE."+r, "$JS.API.STREAM.PURGE."+r)
	}
	for _, b := range a.buckets {
		// Not DIRECT.GET: its answer is what a node has stored as it is, and goes to any subject.
		publish = append(publish, "$KV."+b+".>", "$JS.API.STREAM.INFO.KV_"+b, "$JS.API.STREAM.MSG.GET.KV_"+b)
	}
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
}
