// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// list is the worker with the item list. What it knows is in the log, so that it
// begins each life with the list it has had before, and several processes on
// one log have the same. Whoever wants the list changed has it write to the log;
// it tells the clients when that is confirmed, or read: see reading.
type list struct {
	telemetry  *telemetry
	storage    *storage
	io         *socketio.Server
	max        int
	forgetting forgetting

	contents
	log      *itemLog
	reading  reading
	writing  map[string]*actors.Future[uint64] // items on their way into the log, by key
	removals removals
	total    atomic.Int64 // len(items), for others
}

// What the list can be asked.
type (
	put    struct{ Item }       // answered with nothing when it is in the log
	early  struct{ Item }       // an item that is put into the queue, too; no answer
	remove struct{ key string } // likewise with whether it was there
	show   struct {             // sends a client a Page, as the event
		to     *socketio.Socket
		event  string
		before uint64
	}
)

// keyed says which item is meant.
type keyed struct {
	Key string `json:"key"`
}

func (l *list) setup(w *actors.Worker) error {
	t := w.Task()
	l.contents, l.removals = newContents(), removals{}
	l.writing = map[string]*actors.Future[uint64]{}
	if err := l.read(w); err != nil {
		return err
	}
	if err := l.replay(t); err != nil {
		return err
	}
	actors.On(w, blocking(l.put))
	actors.On(w, l.early)
	actors.Handle(w, l.remove)
	actors.On(w, func(_ *actors.Task, s show) error {
		// In the same turn as the look at the list: what the client is told after
		// this comes after it.
		return s.to.Emit(s.event, l.page(s.before))
	})
	actors.On(w, l.wrote)
	w.Background("follow", l.follow)
	w.Background("forget", l.forget)
	return nil
}

// tell applies an entry and tells the clients if that has changed the list.
func (l *list) tell(e entry) error {
	if !l.apply(e) {
		return nil
	}
	l.total.Store(int64(len(l.items)))
	if e.Removed {
		return l.io.Emit(e.event(), keyed{e.Key})
	}
	return l.io.Emit(e.event(), e.Item)
}

// event is what clients are told of an entry.
func (e entry) event() string {
	if e.Removed {
		return "item_removed"
	}
	return "item_added"
}

// apply changes the list and reports whether that was a change.
func (l *list) apply(e entry) bool {
	if e.Removed {
		l.removals.add(e.Seq, time.Now())
	}
	return l.contents.apply(e)
}

func (l *list) put(t *actors.Task, p put) error {
	if _, here := l.items[p.Key]; here {
		return nil
	}
	if err := l.room(); err != nil {
		return err
	}
	return t.Await(l.writeItem(t, p.Item))
}

// early has an item written while the queue stores it: the clients hear of it when the log has
// it, and need not wait until the queue has stored and delivered it. That takes a third of the
// way (docs/service.md). The queue is there for what goes wrong meanwhile: the handler of its
// message does not return before the log has the item. If only the log gets it, the client has
// heard that its add may be sent again, with its key, and it is the same item.
func (l *list) early(t *actors.Task, e early) error {
	if _, here := l.items[e.Key]; !here && l.room() == nil {
		l.writeItem(t, e.Item)
	}
	return nil
}

// writeItem has a new item written, once for all who ask for it meanwhile.
func (l *list) writeItem(t *actors.Task, i Item) *actors.Future[uint64] {
	if f := l.writing[i.Key]; f != nil {
		if _, err := f.TryResult(); err == nil || !f.Done() { // it is in the log, or will be
			return f
		}
	}
	f := l.write(t, entry{Item: Item{Key: i.Key, Text: i.Text}}, 0)
	l.writing[i.Key] = f
	return f
}

func (l *list) remove(t *actors.Task, r remove) (bool, error) {
	i, here := l.items[r.key]
	if !here {
		return false, nil
	}
	seq, err := actors.Await(t, l.write(t, entry{Item: Item{Key: r.key}, Removed: true}, i.Seq))
	return seq != 0 && err == nil, err // 0: another removal was first
}

// The list's bounds, whoever has put the items into the queue. Those that a
// client adds are refused at -max-items already.
const (
	maxEntries = 1_000_000 // in the log
	maxBytes   = 1 << 30   // of items
)

var errNoRoom = errors.New("the list has no room for another item")

// room reports why there is none for another item, about: those that are being
// written do not count. It is for the consumer to try again, or to bury the item.
func (l *list) room() error {
	if len(l.items)+len(l.removals.all) >= maxEntries || l.bytes >= maxBytes {
		return errNoRoom
	}
	return nil
}

// full reports whether there is no room for another item. It may be called
// from anywhere.
func (l *list) full() bool { return l.total.Load() >= int64(l.max) }
