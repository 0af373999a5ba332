// SPDX-License-Identifier: Apache-2.0

package messages

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/protoloop/protoloop/internal/safeerr"
)

// codeUnknown stands for an error that matches no registered one. It cannot be registered.
const codeUnknown = "error"

// RegisterError gives sentinel the code under which it crosses to other processes. Both ends must register the same pair.
// A code is a short stable name with its owner in front, such as "shop.sold_out".
//
// It panics when code is empty, not UTF-8 or "error" (which stands for any other error), when sentinel is nil, not
// comparable or a *[Failure], when the code belongs to another error, and when the error has another code. To register the
// same pair again does nothing. It may be called at any time, from any goroutine; the order of registration decides which
// of several matching errors becomes a Failure's code, so register the more specific error first.
func RegisterError(code string, sentinel error) {
	sentinels.register(code, sentinel)
}

// sentinels is package-level because the codes are: they name errors of the process, as package variables do.
var sentinels registry

// registry maps codes to errors and back, in order of registration. The zero value is empty.
type registry struct {
	mu      sync.Mutex // held by writers
	entries atomic.Pointer[[]entry]
}

type entry struct {
	code     string
	sentinel error
}

// list returns the entries. They are never changed in place.
func (r *registry) list() []entry {
	if p := r.entries.Load(); p != nil {
		return *p
	}
	return nil
}

func (r *registry) register(code string, sentinel error) {
	switch {
	case code == "":
		panic("messages: RegisterError with an empty code: the code is the error's name on the wire")
	case code == codeUnknown:
		panic(`messages: RegisterError with the code "error": it stands for errors that are not registered`)
	case !utf8.ValidString(code):
		panic(fmt.Sprintf("messages: RegisterError with the code %q: protobuf strings are UTF-8", code))
	case sentinel == nil:
		panic(fmt.Sprintf("messages: RegisterError(%q, nil): a code needs an error", code))
	case !reflect.ValueOf(sentinel).Comparable():
		panic(fmt.Sprintf("messages: RegisterError(%q): a %T is not comparable, so errors.Is could not find it", code, sentinel))
	}
	// A Failure matches what its codes name. As a sentinel it could name itself, and Is would not end.
	if f := (*Failure)(nil); errors.As(sentinel, &f) {
		panic(fmt.Sprintf("messages: RegisterError(%q): a *Failure stands for registered errors and cannot be one", code))
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.list()
	for _, e := range old {
		switch {
		case e.code == code && e.sentinel == sentinel:
			return
		case e.code == code:
			panic(fmt.Sprintf("messages: RegisterError(%q, %q): the code belongs to %q", code, sentinel, e.sentinel))
		case e.sentinel == sentinel:
			panic(fmt.Sprintf("messages: RegisterError(%q, %q): the error has the code %q", code, sentinel, e.code))
		}
	}
	// A copy, so that readers need no lock: registration is rare, look-ups are not.
	next := append(slices.Clip(old), entry{code, sentinel})
	r.entries.Store(&next)
}

// codes returns the codes of the registered errors that err matches, in order of registration.
func (r *registry) codes(err error) []string {
	var codes []string
	for _, e := range r.list() {
		if safeerr.Is(err, e.sentinel) {
			codes = append(codes, e.code)
		}
	}
	return codes
}
