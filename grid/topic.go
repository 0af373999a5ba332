// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/keyed"
)

// Topic is what messages of type T are published to, for all workers that have subscribed to it by then, on whatever
// node. Declare it once, for who publishes and who subscribes:
//
//	var Prices = grid.TopicOf[*pb.Price]("prices")
//
//	Prices.On(w, func(t *actors.Task, p *pb.Price) error { … }) // in setup
//	err := Prices.Publish(t, &pb.Price{Item: "tea", Cents: 250}) // in a task; elsewhere with system.Root
//
// A message comes at most once to each worker, and nothing is stored. What one task or goroutine publishes comes in that
// order to each worker that it comes to. It is lost to a worker
//
//   - that has subscribed a moment ago: the other nodes may not know of that yet,
//   - whose mailbox is full: see MailboxSize of [actors.Options],
//   - that restarts: it subscribes anew in its setup,
//   - on a node that is cut off, held, or too slow: until it is there again, and what was on the way,
//   - if the node that publishes is cut off: until the network has noticed, Publish does not say so.
//
// OnEvent of [Options] is told [Missed] where a mailbox was full, and where a node has lost its connection or was too slow. Of
// the others nobody is told.
type Topic[T proto.Message] struct{ name string }

// maxTopic is how long a name may be: in what a network calls it each byte may become three.
const maxTopic = 85

// TopicOf is the topic of that name, of 1 to 85 bytes. It panics for any other, and for a T that controls actors or is an
// interface. To two topics of one name and other types each worker hears what is of its type; the rest is refused and counted.
func TopicOf[T proto.Message](name string) Topic[T] {
	if name == "" || len(name) > maxTopic {
		panic(fmt.Sprintf("grid: TopicOf called with the name %q: it has 1 to %d bytes", name, maxTopic))
	}
	typ := Message{reflect.TypeFor[T]()}
	if why := typ.mistake(false); why != "" {
		panic(fmt.Sprintf("grid: TopicOf: the type %s %s", typ, why))
	}
	return Topic[T]{name}
}

// Name is that of the topic.
func (p Topic[T]) Name() string { return p.name }

func (p Topic[T]) check(what string) {
	if p.name == "" {
		panic("grid: " + what + " called for the zero Topic: use TopicOf")
	}
}

// On subscribes a worker, in its setup: h is its handler, as that of [actors.On], and each message is the worker's
// own copy. It ends with the incarnation of the worker. Any worker may subscribe, and whether it is one of a key or not makes no
// difference; nothing that is published starts one. If h fails, that is logged.
//
// A worker may subscribe to several topics of the same type, with the same options. A handler of its own for that type it
// cannot have.
//
// The worker may be there before the grid is started. Until then it hears what is published in this process.
func (p Topic[T]) On(w *actors.Worker, h func(t *actors.Task, msg T) error, opts ...actors.HandlerOption) {
	p.check("Topic.On")
	if h == nil {
		panic("grid: Topic.On called with a nil function")
	}
	inbox := keyed.InboxOf(w, "grid.Topic.On")
	if inbox == nil {
		return // the setup was abandoned: another may have begun
	}
	ts := topicsOf(w.ActorSystem())
	s, now := ts.subscriberOf(w, inbox)
	typ := reflect.TypeFor[T]()
	of, is := now.handlers[typ].(*handlersOf[T])
	switch {
	case !is:
		of = &handlersOf[T]{opts: opts, byTopic: map[string]func(*actors.Task, T) error{}}
		actors.On(w, of.handle, opts...)
		now.handlers[typ] = of
	case of.byTopic[p.name] != nil:
		panic(fmt.Sprintf("grid: Topic.On: a second handler for the topic %q", p.name))
	case !slices.Equal(of.opts, opts):
		panic(fmt.Sprintf("grid: Topic.On: the topic %q has other options than one before of the same type, %s", p.name, typ))
	}
	of.byTopic[p.name] = h
	ts.subscribe(s, p.name, reflect.Zero(typ).Interface().(proto.Message).ProtoReflect().Type())
}

// handlersOf are those of one incarnation of a worker for the topics of one type.
type handlersOf[T proto.Message] struct {
	opts    []actors.HandlerOption
	byTopic map[string]func(*actors.Task, T) error // written in setup alone
}

// topicHeader has the topic that a message was published to.
const topicHeader = "protoloop-topic"

func (of *handlersOf[T]) handle(t *actors.Task, msg T) error {
	if header := t.MessageHeader(); header != nil {
		if h := of.byTopic[header.Get(topicHeader)]; h != nil {
			return h(t, msg)
		}
	}
	return fmt.Errorf("%w: a %T that was not published to a topic of this worker", actors.ErrUnhandled, msg)
}

// ErrHereOnly is why a Publish has reached the workers of this process alone. To publish again would reach them twice.
var ErrHereOnly = errors.New("grid: published in this process only")

// Publish sends a message to all that have subscribed. s is the task that does it, or the root context of the actor
// system: any goroutine may publish. It does not wait for anybody, and that it returns nil does not say that somebody has got it.
//
// It fails with [actors.ErrUnsendable], if nobody gets it: it cannot be serialized or is longer than the network takes; with
// [ErrHereOnly] if only the workers of this process do: the node has no connection, is not in the cluster or drained, or no grid runs;
// and with [actors.ErrStopped] in a task that was abandoned.
//
// The registered context values of the task and its trace go with the message. Sender middleware does not see it.
func (p Topic[T]) Publish(s actor.SenderContext, msg T) error {
	p.check("Topic.Publish")
	header, live := keyed.HeaderOf(s, "grid.Topic.Publish")
	if !live {
		return fmt.Errorf("%w: publish to %s: the task was abandoned", actors.ErrStopped, p.name)
	}
	return topicsOf(s.ActorSystem()).publish(p.name, msg, header)
}
