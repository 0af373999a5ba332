// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// saver tracks the saves of one key. Only tasks of its worker touch it.
//
// There is one save at a time. Whoever has changed something meanwhile waits for the next one,
// which has all of that.
type saver struct {
	opts      Options
	key       string
	owner     Owner
	starter   Starter // the owner, if it is one
	limited   Limited // likewise
	token     uint64
	seq       uint64                // of the last write
	makeWrite func() (Write, error) // what is to be saved, as it is now
	next      *actors.Promise[none] // of the save that has not begun; nil: nothing has changed since the last
	current   *actors.Promise[none] // of the one under way
	failed    error                 // no save is made any more
}

type none = actors.None

// loadRecord loads the record of a key. In setup.
func loadRecord(w *actors.Worker, id string, o Options) (*saver, Record, error) {
	if err := o.Validate(); err != nil {
		return nil, Record{}, err
	}
	s := &saver{opts: o.resolved(), key: o.Kind + "/" + id}
	var r Record
	err := s.retryCall(w.Task(), "load", time.Now(), func(ctx context.Context) (err error) {
		s.owner, r, err = o.Store.Open(ctx, s.key)
		return err
	})
	if err != nil {
		return nil, r, fmt.Errorf("state: %s was not loaded: %w", s.key, err)
	}
	s.token, s.seq = r.Token, r.Seq
	s.limited, _ = s.owner.(Limited)
	if s.opts.SaveWithin < 0 || s.opts.SaveWithin >= startWithin {
		s.starter, _ = s.owner.(Starter)
	}
	return s, r, nil
}

// startWithin is what a Starter may take. Whoever wants to know sooner what became of a save has it made by Save alone.
const startWithin = time.Second

// saveWrite has a write saved.
func (s *saver) saveWrite(t *actors.Task, w Write) error {
	begun := time.Now()
	if s.starter != nil {
		started := s.starter.Start(w)
		if err := t.Await(started); err == nil || isFinal(err) {
			return err
		}
		started.OnDone(func(none, error) {}) // if this task has ended nobody looks at it
	}
	return s.retryCall(t, "save", begun, func(ctx context.Context) error { return s.owner.Save(ctx, w) })
}

// isFinal reports whether a save has failed for good.
func isFinal(err error) bool { return errors.Is(err, actors.ErrFenced) || errors.Is(err, ErrTooLarge) }

// What a record has beside its parts, and for each change, at most.
const (
	recordRoom = 4 * binary.MaxVarintLen64
	changeRoom = binary.MaxVarintLen64
)

// checkSize fails if the store does not take a record of so many bytes.
func (s *saver) checkSize(size int) error {
	if s.limited == nil {
		return nil
	}
	if most := s.limited.MaxSize(); size > most {
		return fmt.Errorf("state: %s: %w: it would be %d bytes, and may be %d", s.key, ErrTooLarge, size, most)
	}
	return nil
}

// restore has a value be what was encoded before; nil: nothing was, so it is the zero value.
func restore[S any](t *actors.Task, f Format, value *S, before []byte) {
	var zero S
	*value = zero
	if before == nil {
		return
	}
	if err := f.decodeValue(before, value); err != nil {
		t.Exit(err) // the next incarnation loads what is stored
	}
}

// retryCall calls f until it succeeds, fails for good, or SaveWithin is over.
func (s *saver) retryCall(t *actors.Task, what string, begun time.Time, f func(ctx context.Context) error) error {
	within := max(s.opts.SaveWithin, 0)
	for n := 1; ; n++ {
		opts := []actors.CallOption{actors.Name("state: " + what)}
		if within > 0 { // a call that hangs is not to hold up the next save for ever
			opts = append(opts, actors.Timeout(max(within-time.Since(begun), time.Millisecond)))
		}
		err := t.AwaitOffload(f, opts...)
		pause := pauses.Wait(n)
		if err == nil || isFinal(err) || time.Since(begun)+pause >= within {
			return err
		}
		if ended := t.Sleep(pause); ended != nil {
			return fmt.Errorf("%w, after %w", ended, err)
		}
	}
}

// saveChanges has what has changed saved, and waits for that unless AnswerFirst is set.
func (s *saver) saveChanges(t *actors.Task) error {
	if s.failed != nil {
		return s.failed
	}
	if s.next == nil {
		s.next = new(actors.Promise[none])
		s.next.Future().OnDone(func(none, error) {}) // the worker fails of it: nobody else needs to look
	}
	saved := s.next.Future()
	if s.current == nil {
		// It is nobody's child: who gives up waiting has changed the state all the same, and
		// others wait for this save, too.
		t.Go(s.runSaves, actors.Detached(), actors.Name("state: save"))
	}
	if s.opts.AnswerFirst {
		return s.failed
	}
	return t.Await(saved)
}

// awaitSaves waits until all that has changed so far is saved.
func (s *saver) awaitSaves(t *actors.Task) error {
	switch {
	case s.failed != nil:
		return s.failed
	case s.next != nil:
		return t.Await(s.next.Future())
	case s.current != nil:
		return t.Await(s.current.Future())
	}
	return nil
}

// runSaves makes saves as long as something changes.
func (s *saver) runSaves(t *actors.Task) error {
	defer func() {
		if s.current != nil { // it panics: in the encoding most likely
			s.failSaves(t, fmt.Errorf("state: %s was not saved: the save has panicked", s.key))
		}
	}()
	for s.next != nil {
		s.current, s.next = s.next, nil
		w, err := s.makeWrite()
		if err == nil {
			s.seq++
			w.Token, w.Seq = s.token, s.seq
			err = s.saveWrite(t, w)
		}
		if err != nil {
			s.failSaves(t, fmt.Errorf("state: %s was not saved: %w", s.key, err))
			_ = t.Yield() // they return that to their askers before the failure of the worker ends them
			return nil    // its waiters are told
		}
		done := s.current
		s.current = nil
		done.Resolve(none{})
	}
	return nil
}

// failSaves ends all saves. What the store has is not known, so the worker begins anew, from what that is.
func (s *saver) failSaves(t *actors.Task, err error) {
	s.failed = err
	for _, p := range []*actors.Promise[none]{s.current, s.next} {
		if p != nil {
			p.Reject(err)
		}
	}
	s.current, s.next = nil, nil
	t.Exit(err)
}
