// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/backoff"
	"github.com/protoloop/protoloop/messages"
)

// Kind is what all workers of one kind have in common. Name, Setup and Accepts are needed; the
// zero value of each other field is usable.
type Kind struct {
	// Name is the first part of what is asked for, and what the workers are grouped by where
	// they are counted: see package inspect. It has no slash.
	Name string
	// Setup is that of the worker of a key, and runs for each of its incarnations; see [Options] for
	// a node without it. It may await: only what was sent to this key waits meanwhile. If it fails, all that wait are
	// told why; so is who asks before the Backoff is over. The next message starts it anew.
	Setup func(w *actors.Worker, id string) error
	// Options are those of the workers. IdleAfter and Kind do not count.
	Options actors.Options
	// Always are all the keys of a kind whose workers run without being asked, each on the node that owns it, for as long
	// as there is one; see also [Singleton]. One that ends is started anew after the Backoff. There is no other key: who asks one
	// is told [actors.ErrDeadLetter].
	Always []string
	// Idle ends a worker that has had nothing to do for that long: nothing is queued or in
	// flight, nothing begins later. The next message starts the next one, once the last task
	// of this has ended. 0: two minutes; negative: never, as for those of Always.
	Idle time.Duration
	// Accepts is what may be sent to the workers. Anything else is refused with
	// [actors.ErrUnhandled], and so is what would stop or control them.
	Accepts []Message
	// Share passes messages and answers as they are, and not as copies. Any type will do
	// then, errors stay what they are, and a request costs what it costs by PID. What that
	// gives up: two workers may hold one pointer, and what works in this process may not
	// work between two.
	Share bool
	// MaxRestarts within Within are allowed for each key: a worker that fails is restarted
	// after the Backoff, and keeps what has not started. With one more it ends, and that
	// fails with [actors.ErrUnavailable]. 0: five within ten seconds; negative: none.
	MaxRestarts int
	Within      time.Duration
	// Backoff is the wait before a restart, and before the next start of a key whose worker
	// could not be started or has failed too often. It grows with each failure in a row, and
	// begins anew for a worker that has been up for five seconds. Zero: 10 ms, doubled up to
	// 30 s, with a Jitter of 0.2.
	Backoff actors.Backoff
}

// Message is a type of messages, see [MessageOf].
type Message struct{ typ reflect.Type }

// MessageOf names T where a [Kind] says what it accepts. Unless the kind has Share it is a
// [proto.Message].
func MessageOf[T any]() Message { return Message{reflect.TypeFor[T]()} }

// String is the name of the type.
func (m Message) String() string {
	if m.typ == nil {
		return "<nil>"
	}
	return m.typ.String()
}

const (
	defaultIdle        = 2 * time.Minute
	defaultMaxRestarts = 5
	defaultWithin      = 10 * time.Second
	defaultShards      = 1024
	defaultLease       = 2 * time.Second
	defaultSettle      = 2 * time.Second
	defaultWindow      = 4096
	defaultGrace       = 5 * time.Second // of package actors
	resetAfter         = 5 * time.Second // up for so long, a worker has had no failures in a row
)

var defaultBackoff = actors.Backoff{Initial: 10 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.2}

// resolved is k with the defaults in place.
func (k Kind) resolved() Kind {
	if len(k.Always) > 0 {
		k.Idle = -1
	}
	k.Idle = cmp.Or(k.Idle, defaultIdle)
	k.Options.IdleAfter, k.Options.Kind = max(k.Idle, 0), k.Name
	k.MaxRestarts = max(cmp.Or(k.MaxRestarts, defaultMaxRestarts), 0)
	k.Within = cmp.Or(k.Within, defaultWithin)
	k.Backoff = cmp.Or(k.Backoff, defaultBackoff)
	return k
}

// Options are those of a grid.
type Options struct {
	// Kinds are those that can be asked. In a cluster a node whose kinds have no Setup has no workers, and only
	// asks those of the others. All nodes that have workers are to have the same kinds.
	Kinds []Kind
	// Store is what the nodes of a cluster agree by on who owns which keys. nil: all keys are this process's.
	Store Store
	// Net is how the nodes ask each other. It needs a Store. nil: to ask a key of another node fails with
	// [actors.ErrUnavailable], which names the node. Then each node has workers.
	Net Net
	// Window is how many asks may be in flight to one node, and how many may wait for one that has their keys. One
	// more fails with [actors.ErrMailboxFull]. 0: 4,096. Of another node this one takes two windows of its own, whatever
	// the other's window is. What is more has not run, and fails with [actors.ErrUnavailable].
	Window int
	// Node is the name of this process in the cluster. It stays when the process is started anew, and no
	// other has it. Needed with a Store.
	Node string
	// Shards is how many the cluster has: it is the same in all nodes, for ever. 0: 1,024.
	Shards int
	// Lease is for how long the node owns something after it was heard of last, and so how long its keys have no
	// worker after its crash. 0: 2 s.
	Lease time.Duration
	// Settle is how long a newcomer has to be there before it gets what others own. 0: 2 s; negative: at once.
	Settle time.Duration
	// OnEvent is told what happens in the cluster, and of what was published and has not come, on a goroutine of its own, one call
	// after the other. 1,024 events wait for it at most; what is more is dropped, and counted in the next. nil: nobody.
	OnEvent func(Event)
	// Logger receives what nobody is told otherwise: failures of workers, and what was sent
	// to a key and refused. nil: the actor system's.
	Logger *slog.Logger
}

// resolved is o with the defaults of a cluster in place.
func (o Options) resolved() Options {
	o.Shards, o.Lease = cmp.Or(o.Shards, defaultShards), cmp.Or(o.Lease, defaultLease)
	o.Settle = max(cmp.Or(o.Settle, defaultSettle), 0)
	o.Window = cmp.Or(o.Window, defaultWindow)
	return o
}

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "grid", Field: field, Value: value, Why: why})
	}
	if len(o.Kinds) == 0 {
		bad("Kinds", nil, "is missing")
	}
	if (o.Store == nil) != (o.Node == "") {
		bad("Node", o.Node, "and Store need each other")
	}
	if o.Net != nil && o.Store == nil {
		bad("Net", nil, "needs a Store")
	}
	if o.Window < 0 {
		bad("Window", o.Window, "is negative")
	}
	asksOnly := o.Net != nil
	for _, k := range o.Kinds {
		asksOnly = asksOnly && k.Setup == nil
	}
	if o.Shards < 0 {
		bad("Shards", o.Shards, "is negative")
	}
	if o.Lease < 0 {
		bad("Lease", o.Lease, "is negative")
	}
	seen := map[string]bool{}
	for i, k := range o.Kinds {
		of := "grid: kind " + cmp.Or(k.Name, fmt.Sprint("number ", i))
		bad := func(field string, value any, why string) {
			errs = append(errs, &actors.OptionError{Of: of, Field: field, Value: value, Why: why})
		}
		switch {
		case k.Name == "":
			bad("Name", nil, "is missing")
		case strings.Contains(k.Name, "/"):
			bad("Name", k.Name, "has a slash, which ends the name of a kind where a key is named")
		case seen[k.Name]:
			bad("Name", k.Name, "is that of another kind")
		}
		seen[k.Name] = true
		switch {
		case k.Setup != nil || asksOnly:
		case o.Net != nil:
			bad("Setup", nil, "is missing, and another kind of this node has one")
		default:
			bad("Setup", nil, "is missing")
		}
		if k.Options.IdleAfter != 0 {
			bad("Options.IdleAfter", k.Options.IdleAfter, "does not count: use Idle")
		}
		if k.Options.Kind != "" && k.Options.Kind != k.Name {
			bad("Options.Kind", k.Options.Kind, "does not count: the workers are called by Name")
		}
		if k.Within < 0 {
			bad("Within", k.Within, "is negative")
		}
		backoff.Backoff(k.Backoff).EachMistake(func(field string, value any, why string) { bad("Backoff."+field, value, why) })
		names := map[string]bool{}
		for _, id := range k.Always {
			switch {
			case id == "":
				bad("Always", id, "has an empty key")
			case names[id]:
				bad("Always", id, "is there twice")
			}
			names[id] = true
		}
		if len(k.Always) > 0 && k.Idle > 0 {
			bad("Idle", k.Idle, "does not count: the workers of Always do not end")
		}
		if len(k.Accepts) == 0 && len(k.Always) == 0 {
			bad("Accepts", nil, "is missing: nothing could be sent to the workers")
		}
		for _, m := range k.Accepts {
			if why := m.mistake(k.Share); why != "" {
				bad("Accepts", m, why)
			}
		}
	}
	return errors.Join(errs...)
}

// mistake is why it cannot be accepted, or empty.
func (m Message) mistake(share bool) string {
	switch {
	case m.typ == nil:
		return "names no type: use MessageOf"
	case m.typ.Kind() == reflect.Interface:
		return "is an interface; a message is found by its own type"
	case isControl(reflect.Zero(m.typ).Interface()):
		return "controls actors: none of these may be sent to a key"
	case !share && !m.typ.Implements(reflect.TypeFor[proto.Message]()):
		return "is no proto.Message: make it one, or set Share"
	}
	return ""
}

// isControl reports whether a message is one that stops, watches or otherwise controls actors, or a batch of others.
func isControl(m any) bool {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage, actor.MessageBatch, *messages.Stop, *messages.StatusRequest, *actor.MessageEnvelope:
		return true
	}
	return false
}
