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
}

// Load loads the state of a key, and makes the worker its owner. It is called in setup, which
// waits meanwhile. A key of which nothing is stored has the zero value.
func Load[S any](w *actors.Worker, id string, o Options) (*State[S], error) {
	sv, r, err := loadRecord(w, id, o)
	if err != nil {
		return nil, err
	}
	s := &State[S]{new(S), sv}
	if r.Snapshot != nil {
		if err := o.Format.decodeValue(r.Snapshot, s.value); err != nil {
			return nil, err
		}
	}
	sv.makeWrite = func() (Write, error) {
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
func (s *State[S]) Update(t *actors.Task, change func(v *S) error) error {
	if s.saver.failed != nil {
		return s.saver.failed
	}
	if err := change(s.value); err != nil {
		return err
	}
	return s.saver.saveChanges(t)
}

// Saved returns when the store has acknowledged all that Value shows.
func (s *State[S]) Saved(t *actors.Task) error { return s.saver.awaitSaves(t) }
