// SPDX-License-Identifier: Apache-2.0

// Package safeerr reads errors whose methods may panic. An error of a user's that does is made
// easily: a nil pointer in an interface, whose Unwrap reads a field. Where it is read there may be no
// task around: a panic would end the process, or leave a lock held for ever.
package safeerr

import "errors"

// Is reports whether [errors.Is] holds for one of targets. An error whose methods
// panic before that is found is none of them.
func Is(err error, targets ...error) (is bool) {
	if err == nil {
		return false
	}
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As is [errors.AsType]. In an error whose methods panic before that is found there is none.
func As[E error](err error) (e E, ok bool) {
	if err == nil {
		return e, false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return errors.AsType[E](err)
}

// Check calls all methods of err that [errors.Is], [errors.As] and whoever prints it would call.
// If one panics it calls panicked with the value, while the stack is that of the panic.
func Check(err error, panicked func(v any)) {
	if err == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			panicked(v)
		}
	}()
	errors.Is(err, errUnknown)
	errors.As(err, new(*unknownError))
	_ = err.Error()
}

// unknownError is no error of anybody else's, so a search for it goes through all of an error.
type unknownError struct{}

func (*unknownError) Error() string { return "" }

var errUnknown error = &unknownError{}
