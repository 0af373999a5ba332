package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/socketio"
)

// gateway is what Socket.IO clients can ask for:
//
//	add {text, key?}      acknowledged with {key} when the queue has the item
//	item_removed {key}    acknowledged with {removed} when the log has it
//	items {before}        acknowledged with the Page of items before that Seq
//
// and what they are told:
//
//	items Page            on connect: the newest items
//	item_added Item       to all
//	item_removed {key}    to all
//	stopping              to all: the process has begun to stop
type gateway struct{ adds, list *actor.PID }

func (g gateway) register(io *socketio.Server) {
	io.OnConnect(func(t *actors.Task, s *socketio.Socket) error {
		_, err := actors.Ask[struct{}](t, g.list, show{s})
		return err
	})
	socketio.OnAck(io, "add", g.add)
	socketio.OnAck(io, "item_removed", g.remove)
	socketio.OnAck(io, "items", func(t *actors.Task, _ *socketio.Socket, from struct{ Before uint64 }) (Page, error) {
		return actors.Ask[Page](t, g.list, older{from.Before})
	})
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
	space, err := actors.Ask[bool](t, g.list, room{}, actors.Timeout(sendWithin))
	if err != nil {
		return keyed{}, notKept()
	}
	if !space {
		return keyed{}, errFull
	}
	if _, err := actors.Ask[struct{}](t, g.adds, send{i}, actors.Timeout(sendWithin)); err != nil {
		return keyed{}, notKept() // why is in the log, and none of a visitor's business
	}
	return keyed{i.Key}, nil
}

// removed is the acknowledgement of a removal.
type removed struct {
	Removed bool `json:"removed"` // false: it was not there
}

func (g gateway) remove(t *actors.Task, _ *socketio.Socket, i keyed) (removed, error) {
	was, err := actors.Ask[bool](t, g.list, remove{i.Key}, actors.Timeout(sendWithin))
	return removed{was}, err
}

// adds is the worker that puts items into the queue: it bounds how many wait
// for the queue at a time, whatever the number of clients.
type adds struct{ storage *storage }

type send struct{ Item }

const (
	sendWithin = 10 * time.Second
	sendAtOnce = 32
	sendQueued = 10_000
)

func (a *adds) setup(w *actors.Worker) error {
	o := a.storage.now.Load()
	if o == nil {
		return errNotOpen
	}
	actors.Handle(w, func(t *actors.Task, s send) (struct{}, error) {
		body, err := json.Marshal(s.Item)
		if err != nil {
			return struct{}{}, err
		}
		_, err = actors.Await(t, actors.Offload(t, func(ctx context.Context) (struct{}, error) {
			ctx, cancel := context.WithTimeout(ctx, sendWithin)
			defer cancel()
			return struct{}{}, o.queue.Send(ctx, consumer.Message{Key: s.Key, Body: body})
		}))
		if err != nil {
			w.Logger().Warn("an item was not taken by the queue", "key", s.Key, "err", err)
		}
		return struct{}{}, err
	})
	return nil
}
