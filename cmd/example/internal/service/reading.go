// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// reading is how the list knows what is in the log. It reads it, from its
// beginning on; and it is told of each entry of its own when that is confirmed,
// with its Seq, which is earlier by the way to the server and back. An entry that
// is confirmed is applied at once if all before it are known. Either way entries
// are applied in the order of the log, each of them once.
//
// If nobody else writes to the log all is told by confirmations, and the log is
// read again only when something is amiss: one is missing, or its entry does not
// come next.
type reading struct {
	entries chan logged                  // as they are read; closed when they are no more
	again   chan struct{}                // has a value when the log is to be read again
	applied atomic.Uint64                // Seq of the last entry that is known; the loop sets it
	early   []entry                      // that are confirmed, by their Seq: not all before them are known
	tell    func(context.Context, wrote) // tells the list, whatever became of the task that has written
	failure func() error                 // why the log is read no more
}

// wrote is what became of a write: its entry, with Seq 0 if another one was in
// its place.
type wrote struct {
	entry
	err error
}

// knows reports whether the entry with that Seq has been applied, and so all
// before it. It may be called from anywhere.
func (r *reading) knows(seq uint64) bool { return seq <= r.applied.Load() }

// doubt has the log read again.
func (r *reading) doubt() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// read begins to read the log: until the worker is told to stop, or the log
// cannot be read any more.
func (l *list) read(w *actors.Worker) error {
	t := w.Task()
	open := func(ctx context.Context) (*itemLog, error) {
		o := l.storage.now.Load()
		if o == nil {
			return nil, errNotOpen
		}
		return openLog(ctx, o.log, l.storage.cfg.store() != Embedded)
	}
	log, err := actors.Await(t, actors.Offload(t, open))
	if err != nil {
		return err
	}
	l.log = log
	r := &l.reading
	r.entries, r.again, r.early = make(chan logged, 1024), make(chan struct{}, 1), nil
	r.applied.Store(0)
	root, self := w.ActorSystem().Root, w.Self()
	r.tell = func(trace context.Context, one wrote) { root.Send(self, l.telemetry.within(trace, one)) }
	entries, again := r.entries, r.again
	ctx, cancel := context.WithCancelCause(context.Background())
	stopping := t.Stopping()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(entries)
		for ctx.Err() == nil {
			if err := log.follow(ctx, r.applied.Load()+1, r.knows, entries); err != nil {
				cancel(err)
			}
			select {
			case <-again:
			case <-ctx.Done():
			}
		}
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
		log.p.Close() // of what is not confirmed the next life is told that it may be there
		_, _, err := loopsync.Receive(t, ended)
		return err
	})
	r.failure = func() error { return context.Cause(ctx) }
	return nil
}

// replay applies what the log has, and tells nobody.
func (l *list) replay(t *actors.Task) error {
	n, err := actors.Await(t, actors.Offload(t, l.log.len))
	if err != nil {
		return err
	}
	for last := n == 0; !last; {
		e, ok, err := loopsync.Receive(t, l.reading.entries)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the list's log ended: %w", l.reading.failure())
		}
		l.apply(e.entry)
		l.reading.applied.Store(e.Seq)
		last = e.behind == 0
	}
	l.total.Store(int64(len(l.items)))
	return nil
}

// turnful is how many entries are applied in one turn, if as many are there:
// who asks for something wants a turn, too.
const turnful = 64

// follow applies what is read, and tells the clients.
func (l *list) follow(t *actors.Task) error {
	for n := 1; ; n++ {
		e, ok, err := loopsync.Receive(t, l.reading.entries)
		if err != nil {
			return err
		}
		if !ok && t.StopRequested() {
			return nil
		}
		if !ok {
			return fmt.Errorf("the list's log ended: %w", l.reading.failure())
		}
		if err := l.next(e.entry); err != nil {
			return err
		}
		if n%turnful == 0 {
			if err := t.Yield(); err != nil {
				return err
			}
		}
	}
}

// write has an entry written in the place of another, see itemLog.write, and the
// list told of what became of that.
func (l *list) write(t *actors.Task, e entry, old uint64) *actors.Future[uint64] {
	tell, trace := l.reading.tell, l.telemetry.traceOf(t)
	f := l.log.write(e, old)
	f.OnDone(func(seq uint64, err error) {
		e.Seq = seq
		tell(trace, wrote{e, err})
	})
	return f
}

// wrote is told of each write, those of an earlier life included.
func (l *list) wrote(t *actors.Task, w wrote) error {
	if !w.Removed {
		delete(l.writing, w.Key)
	}
	_, here := l.items[w.Key]
	_, refused := errors.AsType[*jetstream.APIError](w.err)
	switch {
	case refused, l.log.shared && (w.err != nil || w.Seq == 0): // or it will be read
	case w.err != nil, w.Seq == 0 && here == w.Removed:
		l.reading.doubt()
	case w.Seq == l.reading.applied.Load()+1:
		l.telemetry.noteBroadcast(t, w.event())
		return l.next(w.entry)
	case !l.reading.knows(w.Seq):
		l.ahead(w.entry)
	}
	return nil
}

// ahead keeps an entry until all before it are known.
func (l *list) ahead(e entry) {
	r := &l.reading
	at, _ := slices.BinarySearchFunc(r.early, e.Seq, func(e entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	r.early = slices.Insert(r.early, at, e)
	if !l.log.shared {
		r.doubt()
	}
}

// next applies an entry, all before which are known, and those that were kept
// for after it, and tells the clients.
func (l *list) next(e entry) error {
	r := &l.reading
	if r.knows(e.Seq) {
		return nil
	}
	for {
		r.applied.Store(e.Seq)
		if err := l.tell(e); err != nil {
			return err
		}
		known := 0
		for known < len(r.early) && r.knows(r.early[known].Seq) {
			known++
		}
		if r.early = r.early[known:]; len(r.early) == 0 || r.early[0].Seq != e.Seq+1 {
			return nil
		}
		e = r.early[0]
	}
}
