// SPDX-License-Identifier: Apache-2.0

package service

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/socketio"
)

// gateway is what Socket.IO clients can ask for:
//
//	add {text, key?}      acknowledged with {key} when the queue has the item
//	item_removed {key}    acknowledged with {removed} when the log has it
//	items {before}        acknowledged when older_items was sent
//
// and what they are told:
//
//	items Page            on connect: the newest items
//	older_items Page      on items: those before that Seq
//	item_added Item       to all
//	item_removed {key}    to all
//	stopping              to all: the process has begun to stop
type gateway struct {
	telemetry *telemetry
	storage   *storage
	shown     *actor.PID // the worker that shows the list
	list      changer
	full      func() bool // whether the list is
	pace      *pace
}

func (g gateway) register(io *socketio.Server) {
	io.OnConnect(func(t *actors.Task, s *socketio.Socket) error { return g.show(t, show{s, "items", 0}) })
	socketio.OnAck(io, "add", g.add)
	socketio.OnAck(io, "item_removed", g.remove)
	// Not the acknowledgement has the items: this session sends it, in a turn of
	// its own, and a removal that the list tells meanwhile would be before it.
	socketio.On(io, "items", func(t *actors.Task, s *socketio.Socket, from struct{ Before uint64 }) error {
		return g.show(t, show{s, "older_items", from.Before})
	})
}

func (g gateway) show(t *actors.Task, s show) error {
	_, err := actors.Ask[actors.None](t, g.shown, s)
	return err
}

// notKept is the error of an add that may succeed if it is sent again, with its
// key: the queue has not confirmed it.
func notKept() error {
	return &socketio.Error{Message: "the queue did not confirm it", Data: map[string]bool{"retry": true}}
}

var errFull = errors.New("the list is full: remove something first")

// add puts an item into the queue. A client that sends a key of its own may
// send the same item again when it has not heard of the first. Once the queue
// has the item its key is acknowledged.
func (g gateway) add(t *actors.Task, _ *socketio.Socket, i Item) (keyed, error) {
	if i.Key == "" {
		i.Key = rand.Text()
	}
	i.Seq = 0
	i, err := i.checked()
	if err != nil {
		return keyed{}, err
	}
	if g.full() {
		return keyed{}, errFull
	}
	body, err := json.Marshal(i)
	if err != nil {
		return keyed{}, err
	}
	if err := g.pace.begin(t, i.Key); err != nil {
		return keyed{}, err
	}
	if slowness() == 0 {
		g.list.early(t, i) // while the queue stores it, see early
	}
	if err := g.store(t, consumer.Message{Key: i.Key, Body: body}); err != nil {
		g.pace.end(i.Key)
		return keyed{}, notKept() // why is in the log, and none of a visitor's business
	}
	return keyed{i.Key}, nil
}

// store returns when the queue has the message.
func (g gateway) store(t *actors.Task, m consumer.Message) error {
	o := g.storage.now.Load()
	if o == nil {
		return errNotOpen
	}
	sent := g.telemetry.startSend(t, &m)
	_, err := actors.Await(t, o.adds.do(m))
	sent(err)
	return err
}

// removed is the acknowledgement of a removal.
type removed struct {
	Removed bool `json:"removed"` // false: it was not there
}

func (g gateway) remove(t *actors.Task, _ *socketio.Socket, i keyed) (removed, error) {
	was, err := g.list.remove(t, i.Key)
	return removed{was}, err
}
