// SPDX-License-Identifier: Apache-2.0

package messages

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxMessage bounds Failure.Message, in bytes. An error's text can hold whatever its maker put there; an answer that says
// that a request failed must not be too large to send.
const maxMessage = 4 << 10

// ellipsis ends a message that was cut.
const ellipsis = "…"

// NewFailure returns the Failure that carries err to another process: its text, valid UTF-8 and cut at 4 KiB, and the
// codes of the registered errors that it matches under errors.Is, in order of registration. An error that matches none
// has the code "error". ran says whether the work had begun, and retrySafe whether asking again cannot do it twice.
//
// Where err is or wraps Failures, which have crossed a process already, their codes come first, also those that are not
// registered here. The work ran if ran says so or any of them, and a retry is safe if retrySafe and each of them say so.
// If it is not known to have run, it may have if any of them says so; then no retry is safe.
// Whoever only passes on what another has answered says false and true.
//
// NewFailure panics when err is nil. A panic in a method of err is contained.
func NewFailure(err error, ran, retrySafe bool) *Failure {
	if err == nil {
		panic("messages: NewFailure(nil): a success is no Failure")
	}
	f := &Failure{Ran: ran, RetrySafe: retrySafe}
	var codes []string
	for _, inner := range failuresIn(err) {
		codes = append(codes, inner.Code)
		codes = append(codes, inner.Causes...)
		f.Ran, f.RetrySafe = f.Ran || inner.Ran, f.RetrySafe && inner.RetrySafe && !inner.MaybeRan
		f.MaybeRan = f.MaybeRan || inner.MaybeRan
	}
	f.MaybeRan = f.MaybeRan && !f.Ran
	f.setCodes(append(codes, sentinels.codes(err)...))
	if direct, ok := err.(*Failure); ok {
		f.Message = sendable(direct.GetMessage()) // not Error, whose code would be in the text twice
	} else {
		f.Message = sendable(text(err))
	}
	return f
}

// setCodes makes the first of codes the Code and the others the Causes, without repeats.
func (f *Failure) setCodes(codes []string) {
	f.Code = codeUnknown
	for _, c := range codes {
		c = strings.ToValidUTF8(c, string(utf8.RuneError))
		switch {
		case c == "" || c == codeUnknown || c == f.Code || slices.Contains(f.Causes, c):
		case f.Code == codeUnknown:
			f.Code = c
		default:
			f.Causes = append(f.Causes, c)
		}
	}
}

// Error returns the message, followed by the code in parentheses unless the code is "error" or the message ends with it.
func (f *Failure) Error() string {
	switch {
	case f == nil:
		return "<nil>"
	case f.Code == "" || f.Code == codeUnknown:
		if f.Message == "" {
			return "unknown error"
		}
		return f.Message
	case f.Message == "":
		return f.Code
	}
	code := "(" + f.Code + ")"
	if strings.HasSuffix(f.Message, code) {
		return f.Message // it wraps a Failure with this code
	}
	return f.Message + " " + code
}

// Is reports whether target is the registered error of the code or of a cause, or is matched by one of them. It makes
// errors.Is work on the far side as it did where the error was made.
//
// Is rather than Unwrap() []error: the registered errors are what the failure matches, not what it wraps, and errors.As
// finds the *Failure itself.
func (f *Failure) Is(target error) bool {
	if f == nil {
		return false
	}
	for _, e := range sentinels.list() {
		if (e.code == f.Code || slices.Contains(f.Causes, e.code)) && errors.Is(e.sentinel, target) {
			return true
		}
	}
	return false
}

// failuresIn returns the Failures in err's tree, in errors.As's order. It stops at a method that panics.
func failuresIn(err error) (found []*Failure) {
	defer func() { _ = recover() }()
	var walk func(error)
	walk = func(err error) {
		if f, ok := err.(*Failure); ok && f != nil {
			found = append(found, f)
			return
		}
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			walk(w.Unwrap())
		case interface{ Unwrap() []error }:
			for _, e := range w.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	return found
}

// text returns err.Error(), or what is known of err if that panics.
func text(err error) (s string) {
	defer func() {
		if v := recover(); v != nil {
			s = fmt.Sprintf("%T whose Error method panicked", err)
		}
	}()
	return err.Error()
}

// sendable returns s as valid UTF-8, which protobuf insists on, cut at maxMessage.
func sendable(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage - len(ellipsis)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
