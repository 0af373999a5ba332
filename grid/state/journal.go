// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"errors"

	"github.com/protoloop/protoloop/actors"
)

// Applier is a state that changes of type C are applied to. Its pointer has the method.
type Applier[S, C any] interface {
	*S
	// Apply changes the state. It is called when a change is recorded, and again for each stored
	// change when the state is loaded. So it depends on nothing else, and does not fail.
	Apply(change C)
}

// JournalOptions are those of a [Journal].
type JournalOptions struct {
	Options
	// Changes is how changes are stored.
	Changes Format
	// Every is how many changes there are from one snapshot to the next. 0: 100.
	Every int
}

// Journal is the state of one key, of which each save stores the changes, and after some of them
// all. Only tasks of its worker may use it.
type Journal[S, C any, P Applier[S, C]] struct {
	value   P
	saver   *saver
	format  Format   // of changes
	pending [][]byte // changes that no save has yet
	since   int      // changes since the last snapshot, without those

	// Of a store that is limited.
	state Format
	size  int  // of the record with all changes, at most
	fold  bool // the next save is a snapshot: with the changes, the record would be too large
}

// LoadJournal is [Load] for a journal.
func LoadJournal[S, C any, P Applier[S, C]](w *actors.Worker, id string, o JournalOptions) (*Journal[S, C, P], error) {
	if err := o.Changes.findMistake(); err != nil {
		return nil, errors.Join(&actors.OptionError{Of: "state", Field: "Changes", Why: err.Error()}, o.Validate())
	}
	sv, r, err := loadRecord(w, id, o.Options)
	if err != nil {
		return nil, err
	}
	j := &Journal[S, C, P]{value: P(new(S)), saver: sv, format: o.Changes, since: len(r.Changes), state: o.Format, size: recordRoom + len(r.Snapshot)}
	if r.Snapshot != nil {
		if err := o.Format.decodeValue(r.Snapshot, (*S)(j.value)); err != nil {
			return nil, err
		}
	}
	for _, data := range r.Changes {
		var c C
		if err := o.Changes.decodeValue(data, &c); err != nil {
			return nil, err
		}
		j.value.Apply(c)
		j.size += changeRoom + len(data)
	}
	every := cmp.Or(o.Every, defaultEvery)
	sv.makeWrite = func() (Write, error) {
		changes := j.pending
		j.pending = nil
		if j.since += len(changes); j.since <= every && !j.fold {
			return Write{Changes: changes}, nil
		}
		j.since = 0 // the snapshot has these changes
		data, err := o.Format.encodeValue((*S)(j.value))
		if err == nil && !j.fold && sv.checkSize(recordRoom+len(data)) != nil {
			return Write{Changes: changes}, nil // these fit
		}
		j.size, j.fold = recordRoom+len(data), false
		return Write{Snapshot: data}, err
	}
	return j, nil
}

// Value is the state, to be read. It shows also what was not acknowledged yet: see Saved.
func (j *Journal[S, C, P]) Value() *S { return (*S)(j.value) }

// Record applies changes to the state, and returns when the store has acknowledged them; with
// AnswerFirst when the save has begun. They are stored together. Its errors are those of
// [State.Update]. If a change cannot be encoded, nothing has changed.
func (j *Journal[S, C, P]) Record(t *actors.Task, changes ...C) error {
	if j.saver.failed != nil {
		return j.saver.failed
	}
	encoded := make([][]byte, len(changes))
	for i := range changes {
		var err error
		if encoded[i], err = j.format.encodeValue(&changes[i]); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return j.Saved(t)
	}
	more := 0
	for _, data := range encoded {
		more += changeRoom + len(data)
	}
	if j.fold || j.saver.checkSize(j.size+more) != nil {
		if err := j.applyFolded(t, changes); err != nil {
			return err
		}
	} else {
		for _, c := range changes {
			j.value.Apply(c)
		}
	}
	j.size += more
	j.pending = append(j.pending, encoded...)
	return j.saver.saveChanges(t)
}

// Saved returns when the store has acknowledged all that Value shows.
func (j *Journal[S, C, P]) Saved(t *actors.Task) error { return j.saver.awaitSaves(t) }

// applyFolded applies changes that the record has no room for. If all of the state has room, the next save is a snapshot; if not,
// nothing has changed.
func (j *Journal[S, C, P]) applyFolded(t *actors.Task, changes []C) error {
	before, err := j.state.encodeValue((*S)(j.value))
	if err != nil {
		return err
	}
	for _, c := range changes {
		j.value.Apply(c)
	}
	after, err := j.state.encodeValue((*S)(j.value))
	if err == nil {
		err = j.saver.checkSize(recordRoom + len(after))
	}
	if err != nil {
		restore(t, j.state, (*S)(j.value), before)
		return err
	}
	j.fold = true
	return nil
}
