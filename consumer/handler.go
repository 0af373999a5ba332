// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/safeerr"
)

// Handler handles one message, as a task of the consumer's worker: at most
// one runs at a time, others go on while it awaits. nil: the message is done
// and will be acked. An error or a panic: it is tried again, at most
// [Options].MaxTries times, or not at all if the error is [Poison].
//
// A message may come more than once: what the handler does has to be
// idempotent by m.Key.
type Handler func(t *actors.Task, m Message) error

// ErrPoison is what every error made by [Poison] matches.
var ErrPoison = errors.New("consumer: poison message")

// Poison marks err as one that no further try would mend: the message becomes
// a dead letter at once. A nil err stays nil.
func Poison(err error) error {
	if err == nil {
		return nil
	}
	return &poisonError{err}
}

// ErrUnavailable is what every error made by [Unavailable] matches.
var ErrUnavailable = errors.New("consumer: unavailable")

// Unavailable marks err as no fault of the message: what its handler needs, such
// as a database, cannot be had. The message is tried again, and that was no try of
// it; it becomes no dead letter however often that happens. [Options].Breaker says
// after how many such errors the consumer stops taking messages until one of them
// succeeds. A nil err stays nil.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &unavailableError{err}
}

type unavailableError struct{ err error }

func (e *unavailableError) Error() string        { return e.err.Error() }
func (e *unavailableError) Unwrap() error        { return e.err }
func (e *unavailableError) Is(target error) bool { return target == ErrUnavailable }

type poisonError struct{ err error }

func (e *poisonError) Error() string        { return e.err.Error() }
func (e *poisonError) Unwrap() error        { return e.err }
func (e *poisonError) Is(target error) bool { return target == ErrPoison }

// sound returns err, or if a method of its panics, as that of a nil pointer in an
// error does, one that says so, and is poison or Unavailable if err is. Otherwise
// it would panic where it is told to the source, in each incarnation anew.
func sound(err error) (safe error) {
	safe = err
	safeerr.Check(err, func(v any) {
		safe = &actors.PanicError{Value: fmt.Sprintf("the handler's error, a %T, cannot be read: %v", err, v), Stack: panicstack.Take(1)}
		if safeerr.Is(err, ErrPoison) {
			safe = Poison(safe)
		}
		if safeerr.Is(err, ErrUnavailable) {
			safe = Unavailable(safe)
		}
	})
	return safe
}

// JSON returns a Handler for messages whose body is the JSON of a T, as
// [json.Unmarshal] reads it. Any other body is poison.
func JSON[T any](h func(t *actors.Task, v T, m Message) error) Handler {
	if h == nil {
		panic("consumer: JSON called with a nil function")
	}
	return func(t *actors.Task, m Message) error {
		var v T
		if err := json.Unmarshal(m.Body, &v); err != nil {
			return Poison(fmt.Errorf("consumer: the body is no JSON of a %T: %w", v, err))
		}
		return h(t, v, m)
	}
}

// Printable returns s as one line of at most most bytes, valid UTF-8 without
// control characters: what any queue takes as an attribute.
func Printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	s = s[:max(most, 0)]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
