// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/protoloop/protoloop/actors"
)

// State is the state of one key, all of which is stored by each save. Only tasks of its worker
// may use it.
type State[S any] struct {
	value *S
	saver *saver

	// Where the store is limited each Update encodes the state, so that it knows whether it fits.
	format  Format
	encoded []byte // the state, as the last Update has left it; nil: the zero value
	current bool   // the state is as it was encoded last
}

// Load loads the state of a key, and makes the worker its owner. It is called in setup, which
// waits meanwhile. A key of which nothing is stored has the zero value.
func Load[S any](w *actors.Worker, id string, o Options) (*State[S], error) {
	sv, r, err := loadRecord(w, id, o)
	if err != nil {
		return nil, err
	}
	s := &State[S]{value: new(S), saver: sv, format: o.Format, encoded: r.Snapshot}
	if r.Snapshot != nil {
		if err := o.Format.decodeValue(r.Snapshot, s.value); err != nil {
			return nil, err
		}
	}
	sv.makeWrite = func() (Write, error) {
		if s.current {
			return Write{Snapshot: s.encoded}, nil
		}
		data, err := o.Format.encodeValue(s.value)
		return Write{Snapshot: data}, err
	}
	return s, nil
}

// Value is the state, to be read. It shows also what was not acknowledged yet: see Saved.
func (s *State[S]) Value() *S { return s.value }

// Update has change change the state, and returns when the store has acknowledged that; with
// AnswerFirst when the save has begun. change must not await. If it returns an error, Update returns that
// and saves nothing, so it should leave the state as it was then.
//
// An error of the save says that the change may be stored or not. The worker fails of it, and its
// next incarnation loads what is stored; an Update that begins before that fails, too. If it is an [actors.ErrFenced], the change is not stored. A task
// that is ended while it waits, as by its asker's Timeout, is told so; the save goes on.
//
// If the store does not take so large a state, Update fails at once with an [ErrTooLarge], and the state is as it was before: it is
// decoded anew, so what points into it does not count any more.
func (s *State[S]) Update(t *actors.Task, change func(v *S) error) error {
	if s.saver.failed != nil {
		return s.saver.failed
	}
	if err := change(s.value); err != nil {
		return err
	}
	if s.saver.limited != nil {
		if err := s.fit(t); err != nil {
			return err
		}
	}
	return s.saver.saveChanges(t)
}

// fit fails if the state is too large for the store, and then it is as before.
func (s *State[S]) fit(t *actors.Task) error {
	s.current = false
	data, err := s.format.encodeValue(s.value)
	if err != nil {
		return nil // the save fails of it
	}
	if err := s.saver.checkSize(recordRoom + len(data)); err != nil {
		restore(t, s.format, s.value, s.encoded)
		s.current = s.encoded != nil
		return err
	}
	s.encoded, s.current = data, true
	return nil
}

// Saved returns when the store has acknowledged all that Value shows.
func (s *State[S]) Saved(t *actors.Task) error { return s.saver.awaitSaves(t) }
