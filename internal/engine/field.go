// SPDX-License-Identifier: Apache-2.0

// Package engine reads what Proto.Actor keeps in private fields. It is the only
// place of the project that does: all reflection and unsafe on the engine's types
// is here.
//
// Each function says which field it reads, why the engine's public API does not
// do, and what it returns when a version of the engine has no such field. None
// of them fails then: callers take the engine's own way, which is slower or says
// less. Only [MailboxOf] has to work. TestEngineLayout names the fields that a
// version lacks.
package engine

import (
	"fmt"
	"reflect"
	"unsafe"
)

// field is a private field of type T in one of the engine's structs.
type field[T any] struct {
	offset  uintptr
	missing error // nil: the field is there
}

// fieldOf finds a field by its name. Where T is unsafe.Pointer, any pointer to a
// struct will do: its type has no name here.
func fieldOf[T any](in reflect.Type, name string) field[T] {
	f, ok := in.FieldByName(name)
	want := reflect.TypeFor[T]()
	switch {
	case !ok:
		return field[T]{missing: fmt.Errorf("%v has no field %q", in, name)}
	case want == reflect.TypeFor[unsafe.Pointer]():
		if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct {
			return field[T]{missing: fmt.Errorf("the field %q of %v is a %v, not a pointer to a struct", name, in, f.Type)}
		}
	case f.Type != want:
		return field[T]{missing: fmt.Errorf("the field %q of %v is a %v, not a %v", name, in, f.Type, want)}
	}
	return field[T]{offset: f.Offset}
}

// in is the field in the struct at p.
func (f *field[T]) in(p unsafe.Pointer) *T { return (*T)(unsafe.Add(p, f.offset)) }
