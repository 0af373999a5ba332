// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/cmd/example/internal/service/listpb"
	"github.com/protoloop/protoloop/consumer"
)

// changer is who changes the list: its worker in this process, or that of its key in a cluster.
type changer interface {
	// put returns when the item is stored, or was.
	put(t *actors.Task, i Item) error
	// early has an item put that is put into the queue, too. It waits for nothing.
	early(t *actors.Task, i Item)
	// remove reports whether the item was there.
	remove(t *actors.Task, key string) (bool, error)
}

// removeWithin bounds how long a client waits for a removal.
const removeWithin = 10 * time.Second

// ofProcess is the list worker of this process.
type ofProcess struct{ list *actor.PID }

func (c ofProcess) put(t *actors.Task, i Item) error {
	_, err := actors.Ask[actors.None](t, c.list, put{i})
	return err
}

func (c ofProcess) early(t *actors.Task, i Item) { t.Send(c.list, early{i}) }

func (c ofProcess) remove(t *actors.Task, key string) (bool, error) {
	return actors.Ask[bool](t, c.list, remove{key}, actors.Timeout(removeWithin))
}

// ofCluster is the worker of the list's key, on whichever node that is.
type ofCluster struct{ storage *storage }

// putWithin is long enough for another node to take the key over.
const putWithin = 30 * time.Second

func (c ofCluster) put(t *actors.Task, i Item) error {
	list, err := c.storage.sharedList()
	if err == nil {
		_, err = actors.Ask[*emptypb.Empty](t, list, &listpb.Put{Item: protoOf(i)}, actors.Timeout(putWithin), actors.Idempotent())
	}
	for _, lost := range []error{errNotOpen, actors.ErrUnavailable, actors.ErrStopping, actors.ErrNodeLost, actors.ErrTimeout, actors.ErrFenced} {
		if errors.Is(err, lost) {
			return consumer.Unavailable(err) // which is no try of the item's
		}
	}
	return err
}

func (c ofCluster) early(t *actors.Task, i Item) {
	list, err := c.storage.sharedList()
	if err != nil {
		return
	}
	// Of the root: it goes on when the client is gone.
	f := actors.RequestFuture[*emptypb.Empty](t.ActorSystem().Root, list, &listpb.Put{Item: protoOf(i)}, actors.Timeout(putWithin), actors.Idempotent())
	f.OnDone(func(*emptypb.Empty, error) {}) // or it comes by the queue
}

func (c ofCluster) remove(t *actors.Task, key string) (bool, error) {
	list, err := c.storage.sharedList()
	if err != nil {
		return false, err
	}
	r, err := actors.Ask[*listpb.Removed](t, list, &listpb.Remove{Key: key}, actors.Timeout(removeWithin), actors.Idempotent())
	return r.GetRemoved(), err
}
