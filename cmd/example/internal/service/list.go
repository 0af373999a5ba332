package service

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// list is the worker with the item list. What it knows it has read from the
// log, so that it begins each life with the list it has had before, and
// several processes on one log have the same. Whoever wants the list changed
// has it write to the log; it tells the clients when it reads what was written.
type list struct {
	storage    *storage
	io         *socketio.Server
	max        int
	forgetting forgetting

	log      *itemLog
	items    map[string]Item
	order    []Item // by Seq; a removed one may stay for a while, see gone
	removals removals
	total    atomic.Int64 // len(items), for others
	// failure is why the log is read no more.
	failure func() error
}

// What the list can be asked.
type (
	put    struct{ Item }       // answered with nothing when it is in the log
	remove struct{ key string } // likewise with whether it was there
	show   struct {             // sends a client the list, as event "items"
		to *socketio.Socket
	}
	older struct{ before uint64 } // is answered with a Page
)

// Page is a part of the list, the newest items first.
type Page struct {
	Items []Item `json:"items"`
	// Older: there are items before the last one of these, to be asked for by
	// its Seq.
	Older bool `json:"older"`
	// Total is how many items the list has.
	Total int `json:"total"`
}

const pageSize = 500

// keyed says which item is meant.
type keyed struct {
	Key string `json:"key"`
}

func (l *list) setup(w *actors.Worker) error {
	t := w.Task()
	l.items, l.order, l.removals = map[string]Item{}, nil, removals{}
	entries, err := l.read(w)
	if err != nil {
		return err
	}
	if err := l.replay(t, entries); err != nil {
		return err
	}
	actors.Handle(w, l.put)
	actors.Handle(w, l.remove)
	actors.Handle(w, func(_ *actors.Task, o older) (Page, error) { return l.page(o.before), nil })
	actors.Handle(w, func(_ *actors.Task, s show) (struct{}, error) {
		// In the same turn as the look at the list: what the client is told after
		// this comes after it.
		return struct{}{}, s.to.Emit("items", l.page(0))
	})
	w.Background("follow", func(t *actors.Task) error { return l.follow(t, entries) })
	w.Background("forget", l.forget)
	return nil
}

// read begins to read the log. The channel is closed when the worker is told
// to stop, or when the log cannot be read any more.
func (l *list) read(w *actors.Worker) (<-chan logged, error) {
	t := w.Task()
	open := func(ctx context.Context) (*itemLog, error) {
		o := l.storage.now.Load()
		if o == nil {
			return nil, errNotOpen
		}
		return openLog(ctx, o.log)
	}
	var err error
	if l.log, err = actors.Await(t, actors.Offload(t, open)); err != nil {
		return nil, err
	}
	entries := make(chan logged, 1024)
	ctx, cancel := context.WithCancelCause(context.Background())
	stopping, log := t.Stopping(), l.log
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(entries)
		cancel(log.follow(ctx, entries))
	}()
	go func() {
		select {
		case <-stopping:
		case <-ctx.Done():
		}
		cancel(nil)
	}()
	w.OnStop(func(t *actors.Task) error {
		cancel(nil)
		_, _, err := actors.Receive(t, ended)
		return err
	})
	l.failure = func() error { return context.Cause(ctx) }
	return entries, nil
}

// replay applies what the log has, and tells nobody.
func (l *list) replay(t *actors.Task, entries <-chan logged) error {
	n, err := actors.Await(t, actors.Offload(t, l.log.len))
	if err != nil {
		return err
	}
	if n == 0 {
		l.total.Store(0)
		return nil
	}
	for {
		e, ok, err := actors.Receive(t, entries)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the list's log ended: %w", l.failure())
		}
		l.apply(e.entry)
		if e.behind == 0 {
			l.total.Store(int64(len(l.items)))
			return nil
		}
	}
}

// follow applies what comes, and tells the clients.
func (l *list) follow(t *actors.Task, entries <-chan logged) error {
	for n := 1; ; n++ {
		e, ok, err := actors.Receive(t, entries)
		if err != nil {
			return err
		}
		if !ok && t.StopRequested() {
			return nil
		}
		if !ok {
			return fmt.Errorf("the list's log ended: %w", l.failure())
		}
		if err := l.tell(e.entry); err != nil {
			return err
		}
		if n%turnful == 0 {
			if err := t.Yield(); err != nil {
				return err
			}
		}
	}
}

// turnful is how many entries are applied in one turn, if as many are there:
// who asks for something wants a turn, too.
const turnful = 64

// tell applies an entry and tells the clients if that has changed the list.
func (l *list) tell(e entry) error {
	if !l.apply(e) {
		return nil
	}
	l.total.Store(int64(len(l.items)))
	if e.Removed {
		return l.io.Emit("item_removed", keyed{e.Key})
	}
	return l.io.Emit("item_added", e.Item)
}

// apply changes the list and reports whether that was a change.
func (l *list) apply(e entry) bool {
	if e.Removed {
		l.removals.add(e.Seq, time.Now())
	}
	_, here := l.items[e.Key]
	if here != e.Removed {
		return false
	}
	if !e.Removed {
		l.items[e.Key] = e.Item
		l.order = append(l.order, e.Item) // the log is read in order
		return true
	}
	delete(l.items, e.Key)
	if len(l.order) > 2*len(l.items)+pageSize {
		l.order = slices.DeleteFunc(l.order, l.gone)
	}
	return true
}

// gone reports whether an item of order was removed, or replaced by a later
// one of the same key.
func (l *list) gone(i Item) bool { return l.items[i.Key].Seq != i.Seq }

// page is the newest items before a place in the log; 0 is its end.
func (l *list) page(before uint64) Page {
	p := Page{Items: []Item{}, Total: len(l.items)}
	end := len(l.order)
	if before > 0 {
		end, _ = slices.BinarySearchFunc(l.order, before, func(i Item, seq uint64) int {
			if i.Seq < seq {
				return -1
			}
			return 1
		})
	}
	for i := end - 1; i >= 0; i-- {
		if l.gone(l.order[i]) {
			continue
		}
		if len(p.Items) == pageSize {
			p.Older = true
			break
		}
		p.Items = append(p.Items, l.order[i])
	}
	return p
}

func (l *list) put(t *actors.Task, p put) (struct{}, error) {
	if _, here := l.items[p.Key]; here {
		return struct{}{}, nil
	}
	return actors.Await(t, l.log.add(p.Item))
}

func (l *list) remove(t *actors.Task, r remove) (bool, error) {
	i, here := l.items[r.key]
	if !here {
		return false, nil
	}
	_, err := actors.Await(t, l.log.remove(i))
	return err == nil, err
}

// full reports whether there is no room for another item. It may be called
// from anywhere.
func (l *list) full() bool { return l.total.Load() >= int64(l.max) }
