// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"errors"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// Options are those of the state of all keys of a kind. Store and Kind are needed.
type Options struct {
	// Store is where it is kept.
	Store Store
	// Kind is the first part of what a key is called in the store.
	Kind string
	// Format is how the state is stored.
	Format Format
	// SaveWithin is for how long a load or a save that fails is tried again, with pauses that
	// grow from 10 ms to a second. After that a load fails the setup, and a save fails
	// the worker. 0: ten seconds; negative: it is tried once.
	SaveWithin time.Duration
	// AnswerFirst has Update and Record return when the save has begun. Then a handler's answer
	// does not say that it was saved: what the store has not acknowledged when the worker or
	// the process ends is lost, although its asker was told that it is done.
	AnswerFirst bool
}

const (
	defaultSaveWithin = 10 * time.Second
	defaultEvery      = 100
)

var pauses = actors.Backoff{Initial: 10 * time.Millisecond, Max: time.Second, Jitter: 0.2}

func (o Options) resolved() Options {
	o.SaveWithin = cmp.Or(o.SaveWithin, defaultSaveWithin)
	return o
}

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "state", Field: field, Value: value, Why: why})
	}
	if o.Store == nil {
		bad("Store", nil, "is missing")
	}
	if o.Kind == "" {
		bad("Kind", nil, "is missing")
	}
	if err := o.Format.findMistake(); err != nil {
		bad("Format", nil, err.Error())
	}
	return errors.Join(errs...)
}
