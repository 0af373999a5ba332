// SPDX-License-Identifier: Apache-2.0

package service

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/cmd/example/internal/service/listpb"
	"github.com/protoloop/protoloop/socketio"
)

// view is the worker that has the list of a cluster as this process knows it, and tells it to the clients of this process. It
// follows the worker of the list's key: see sharedList.
type view struct {
	contents
	storage *storage
	io      *socketio.Server
	max     int
	logger  *slog.Logger

	seq    uint64 // of the last change that it has
	isFull atomic.Bool
}

// The pause before the list is asked again, when it could not be.
const askAgain = 200 * time.Millisecond

func (v *view) setup(w *actors.Worker) error {
	v.contents, v.seq = newContents(), 0
	first, err := v.ask(w.Task(), &listpb.Follow{All: true})
	if err != nil {
		return err
	}
	for _, c := range first.Changes {
		v.apply(changeOf(c).entry)
	}
	v.seq = first.Seq
	v.noteFull()
	actors.On(w, func(_ *actors.Task, s show) error {
		return s.to.Emit(s.event, v.page(s.before)) // in the turn of the look, see list.setup
	})
	w.Background("follow", func(t *actors.Task) error { return t.UntilStop(v.follow) })
	return nil
}

// ask asks until there is an answer, or the task has ended.
func (v *view) ask(t *actors.Task, f *listpb.Follow) (*listpb.Changes, error) {
	for failed := false; ; failed = true {
		list, err := v.storage.sharedList()
		if err != nil {
			return nil, err
		}
		answer, err := actors.Ask[*listpb.Changes](t, list, f, actors.Timeout(3*followFor), actors.Idempotent())
		switch {
		case err == nil && failed:
			v.logger.Info("the list answers again")
			return answer, nil
		case err == nil:
			return answer, nil
		case t.Context().Err() != nil:
			return nil, err
		case !failed:
			v.logger.Warn("the list does not answer; its clients see what it was", "err", err)
		}
		if err := t.Sleep(askAgain); err != nil {
			return nil, err
		}
	}
}

// follow applies changes and tells the clients.
func (v *view) follow(t *actors.Task) error {
	for {
		answer, err := v.ask(t, &listpb.Follow{Seq: v.seq})
		if err != nil {
			return err
		}
		changes := make([]entry, len(answer.Changes))
		for i, c := range answer.Changes {
			changes[i] = changeOf(c).entry
		}
		if answer.All {
			changes = v.differences(changes)
		}
		for n, c := range changes {
			if err := v.tell(c); err != nil {
				return err
			}
			if n%turnful == turnful-1 {
				if err := t.Yield(); err != nil {
					return err // the setup begins anew
				}
			}
		}
		v.seq = answer.Seq
	}
}

// differences is what makes this list the one with these items.
func (v *view) differences(items []entry) (changes []entry) {
	is := map[string]uint64{}
	for _, e := range items {
		is[e.Key] = e.Seq
	}
	for _, i := range v.order {
		if !v.gone(i) && is[i.Key] != i.Seq {
			changes = append(changes, entry{Item: Item{Key: i.Key}, Removed: true})
		}
	}
	for _, e := range items {
		if v.items[e.Key].Seq != e.Seq {
			changes = append(changes, e)
		}
	}
	return changes
}

// tell applies an entry and tells the clients if that has changed the list.
func (v *view) tell(e entry) error {
	if !v.apply(e) {
		return nil
	}
	v.noteFull()
	if e.Removed {
		return v.io.Emit(e.event(), keyed{e.Key})
	}
	return v.io.Emit(e.event(), e.Item)
}

// viewRoom is less than maxStored, because the view does not know what is remembered of removals.
const viewRoom = maxStored * 7 / 8

func (v *view) noteFull() { v.isFull.Store(len(v.items) >= v.max || v.stored() >= viewRoom) }

// full reports whether there is no room for another item. It may be called from anywhere.
func (v *view) full() bool { return v.isFull.Load() }
