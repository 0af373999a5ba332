// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
)

// Options of a queue. Only Name is required.
type Options struct {
	// Name of the stream, such as ITEMS. It must not have spaces, dots,
	// wildcards or slashes in it.
	Name string
	// Subject that messages are sent to. Empty: the name in lower case.
	Subject string
	// Durable is the name of the consumer. Empty: "consumer".
	Durable string
	// Lease is for how long a received message is hidden from others: JetStream's
	// AckWait. A consumer that exists with another one is changed, for all
	// processes: they should agree. What it has delivered or been given back before
	// that waits by the new one. 0: that of the consumer if it exists, else 30 s.
	Lease time.Duration
	// Wait is the long poll of Receive, at least a second. 0: 30 s.
	Wait time.Duration
	// Linger holds back the ack of the last message of a batch until the next
	// ack, the Close of the source, or for that long, at most a third of the
	// lease. A queue in a file that becomes empty gets a new file, which takes
	// longer than all else that the server does for a message; at a rate that
	// leaves it empty most of the time that is for each message. After a crash
	// the message comes again, though Ack had returned. 0: nothing is held back.
	Linger time.Duration
	// DeadLetters is the name of the stream of dead letters; its subject is
	// that in lower case. Empty: Name with "_DEAD" behind.
	DeadLetters string
	// NoDeadLetters: there is no place for them.
	NoDeadLetters bool
	// Replicas of the streams in a cluster, if they do not exist; the consumer has
	// as many as its stream. 0: 1. With 3 the queue goes on when a server is lost,
	// after the seconds that the others take to elect who leads.
	Replicas int
	// Stream, if not nil, changes how the streams are made, for instance their
	// limits. It is called for each.
	Stream func(*jetstream.StreamConfig)
	// Consumer, if not nil, changes how the consumer is made. What would lose
	// messages is refused, as it is of a consumer that exists: an AckPolicy that is
	// not explicit, MaxDeliver, BackOff, HeadersOnly. With a MaxAckPending so many
	// messages that wait for their next try hold up all others.
	Consumer func(*jetstream.ConsumerConfig)
}

// defaultLease is that of a consumer that is made without another.
const defaultLease = 30 * time.Second

// unlimited is how many messages may be on their way to, or in the hands of, all
// processes together. What was given back with a delay counts as well, until that is
// over: with a limit, so many messages that fail would hold up all others. What a
// process has in flight its consumer bounds.
const unlimited = -1

func (o Options) resolved() (Options, error) {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "jetstream: New", Field: "Options." + field, Value: value, Why: why})
	}
	for _, f := range []struct{ field, name string }{{"Name", o.Name}, {"Durable", cmp.Or(o.Durable, "x")}, {"DeadLetters", cmp.Or(o.DeadLetters, "x")}} {
		switch {
		case f.name == "":
			bad(f.field, nil, "is missing")
		case strings.ContainsAny(f.name, " .*>/\\\t\r\n"):
			bad(f.field, f.name, "is no name of a stream or consumer")
		}
	}
	for _, f := range []struct {
		field string
		d     time.Duration
	}{{"Lease", o.Lease}, {"Wait", o.Wait}, {"Linger", o.Linger}} {
		if f.d < 0 {
			bad(f.field, f.d, "is negative")
		}
	}
	if o.NoDeadLetters && o.DeadLetters != "" {
		bad("DeadLetters", o.DeadLetters, "is set with NoDeadLetters")
	}
	if o.Replicas < 0 {
		bad("Replicas", o.Replicas, "is negative")
	}
	if err := errors.Join(errs...); err != nil {
		return o, err
	}
	o.Subject = cmp.Or(o.Subject, strings.ToLower(o.Name))
	o.Durable = cmp.Or(o.Durable, "consumer")
	o.Wait = max(cmp.Or(o.Wait, 30*time.Second), time.Second)
	o.DeadLetters = cmp.Or(o.DeadLetters, o.Name+"_DEAD")
	o.Replicas = cmp.Or(o.Replicas, 1)
	return o, nil
}

func (o Options) streamConfig() jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: o.Name, Subjects: []string{o.Subject}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage, Replicas: o.Replicas,
	}
	if o.Stream != nil {
		o.Stream(&cfg)
	}
	return cfg
}

func (o Options) deadConfig() jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: o.DeadLetters, Subjects: []string{strings.ToLower(o.DeadLetters)},
		Storage: jetstream.FileStorage, Replicas: o.Replicas,
	}
	if o.Stream != nil {
		o.Stream(&cfg)
	}
	return cfg
}

func (o Options) consumerConfig() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: o.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: cmp.Or(o.Lease, defaultLease),
		MaxDeliver: -1, MaxAckPending: unlimited, // as many replicas as the stream, which may be somebody else's
	}
	if o.Consumer != nil {
		o.Consumer(&cfg)
	}
	return cfg
}
