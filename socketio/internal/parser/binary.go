// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"bytes"
	"crypto/rand"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Binary is binary data that may stand anywhere in an argument. See its
// exported face in package socketio. It has no methods: to encoding/json it is
// a []byte.
type Binary []byte

// binaries tracks the Binary values of one argument on their way through
// encoding/json, which passes no context to a MarshalJSON. The argument is
// encoded with a stand-in for each, and the stand-ins are found in the JSON
// again. A stand-in begins with random bytes that are made for this argument and
// that no code but this sees, so that nothing in the argument can be taken for
// one, whoever has sent it.
//
// Rejected: an object with a reserved key, written by a method of Binary's: data
// that clients send could have it. And an encoder of our own for what contains a
// Binary: the copy keeps all types, so that every rule of encoding/json holds.
type binaries struct {
	nonce [nonceSize]byte
	data  [][]byte
	seen  ancestors
}

const (
	nonceSize = 24 // a multiple of 3: its base64 is the beginning of the stand-in's
	indexSize = 3
)

// newBinaries returns nil if there is no Binary in v.
func newBinaries(v any) *binaries {
	var seen ancestors
	if !seen.anyHolds(v) {
		return nil
	}
	b := &binaries{}
	_, _ = rand.Read(b.nonce[:]) // never fails
	return b
}

// standIn returns what is encoded in place of data.
func (b *binaries) standIn(data []byte) reflect.Value {
	i := len(b.data)
	b.data = append(b.data, data)
	return reflect.ValueOf(append(Binary(b.nonce[:]), byte(i>>16), byte(i>>8), byte(i)))
}

// cut returns what is in front of the next stand-in, what it stands for, and
// what is behind it.
func (b *binaries) cut(encoded []byte) (before, data, after []byte, found bool) {
	mark := base64.StdEncoding.AppendEncode([]byte{'"'}, b.nonce[:])
	before, after, found = bytes.Cut(encoded, mark)
	if !found {
		return before, nil, nil, false
	}
	var index [indexSize]byte
	_, _ = base64.StdEncoding.Decode(index[:], after[:indexSize/3*4]) // it is ours
	i := int(index[0])<<16 | int(index[1])<<8 | int(index[2])
	return before, b.data[i], after[indexSize/3*4+1:], true
}

// anyHolds reports whether there is a Binary in v. What decoded JSON consists of
// is looked at without reflection.
func (a *ancestors) anyHolds(v any) bool {
	switch w := v.(type) {
	case nil, string, bool, float64, int, int64, json.Number, json.RawMessage, []byte, []string:
		return false
	case Binary:
		return true
	case map[string]any:
		if !a.enterAny(v) {
			return false
		}
		defer a.leave()
		for _, e := range w {
			if a.anyHolds(e) {
				return true
			}
		}
		return false
	case []any:
		if !a.enterAny(v) {
			return false
		}
		defer a.leave()
		for _, e := range w {
			if a.anyHolds(e) {
				return true
			}
		}
		return false
	}
	return a.holds(reflect.ValueOf(v))
}

// holds reports whether encoding/json would come upon a Binary in v.
func (a *ancestors) holds(v reflect.Value) bool {
	t := typeOf(v.Type())
	switch {
	case t.binary:
		return true
	case !t.holds, t.leaf(v):
		return false
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.NumMethod() == 0 && v.CanInterface() {
			return a.anyHolds(v.Interface())
		}
		return !v.IsNil() && a.holds(v.Elem())
	case reflect.Pointer:
		if v.IsNil() || !a.enter(v) {
			return false
		}
		defer a.leave()
		return a.holds(v.Elem())
	case reflect.Slice:
		if !a.enter(v) {
			return false
		}
		defer a.leave()
		return a.listHolds(v)
	case reflect.Array:
		return a.listHolds(v)
	case reflect.Map:
		if !a.enter(v) {
			return false
		}
		defer a.leave()
		for it := v.MapRange(); it.Next(); {
			if a.holds(it.Value()) {
				return true
			}
		}
	case reflect.Struct:
		for i := range t.fields {
			if f := &t.fields[i]; f.holds {
				if w := v.Field(f.index); !f.omitted(w) && a.holds(w) {
					return true
				}
			}
		}
	}
	return false
}

func (a *ancestors) listHolds(v reflect.Value) bool {
	for i := range v.Len() {
		if a.holds(v.Index(i)) {
			return true
		}
	}
	return false
}

// copy returns v, of the same type, with stand-ins.
func (b *binaries) copy(v reflect.Value) reflect.Value {
	t := v.Type()
	switch info := typeOf(t); {
	case info.binary:
		return b.standIn(v.Bytes())
	case !info.holds, info.leaf(v):
		return v
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		c := reflect.New(t).Elem()
		c.Set(b.copy(v.Elem()))
		return c
	case reflect.Pointer:
		if v.IsNil() || !b.seen.enter(v) {
			return v
		}
		defer b.seen.leave()
		c := reflect.New(t.Elem())
		b.fill(c.Elem(), v.Elem())
		return c.Convert(t)
	case reflect.Slice:
		if v.IsNil() || !b.seen.enter(v) {
			return v
		}
		defer b.seen.leave()
		c := reflect.MakeSlice(t, v.Len(), v.Len())
		for i := range v.Len() {
			b.fill(c.Index(i), v.Index(i))
		}
		return c
	case reflect.Map:
		if v.IsNil() || !b.seen.enter(v) {
			return v
		}
		defer b.seen.leave()
		c := reflect.MakeMapWithSize(t, v.Len())
		for it := v.MapRange(); it.Next(); {
			c.SetMapIndex(it.Key(), b.copy(it.Value()))
		}
		return c
	}
	c := reflect.New(t).Elem()
	b.fill(c, v)
	return c
}

// fill is copy into a variable.
func (b *binaries) fill(c, v reflect.Value) {
	t := typeOf(v.Type())
	switch {
	case !t.holds, t.leaf(v):
		c.Set(v)
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			b.fill(c.Index(i), v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		b.fillStruct(c, v)
	default:
		c.Set(b.copy(v))
	}
}

// fillStruct copies what encoding/json can see: the others may belong to a lock
// that is held by somebody else.
func (b *binaries) fillStruct(c, v reflect.Value) {
	t := typeOf(v.Type())
	if t.hidden && t.isZero && v.CanInterface() {
		c.Set(v) // for a method that may look at what is hidden
	}
	for i := range t.fields {
		f := &t.fields[i]
		b.fillField(f, c.Field(f.index), v.Field(f.index))
	}
}

func (b *binaries) fillField(f *field, c, v reflect.Value) {
	switch {
	case f.exported && (!f.holds || f.omitted(v)):
		c.Set(v)
	case f.exported:
		b.fill(c, v)
	case v.Kind() == reflect.Struct: // embedded, with fields that are exported
		b.fillStruct(c, v)
	case !v.IsNil(): // likewise, by a pointer, which reflection sets by way of its address only
		p := reflect.NewAt(v.Type().Elem(), v.UnsafePointer())
		if f.holds && b.seen.enter(v) {
			p = reflect.New(v.Type().Elem())
			b.fillStruct(p.Elem(), v.Elem())
			b.seen.leave()
		}
		reflect.NewAt(v.Type(), c.Addr().UnsafePointer()).Elem().Set(p)
	}
}

// ancestors tracks what a walk is within, so that it ends in a value that
// contains itself; encoding/json has an error for that. As there, the few that
// most values are deep go without.
type ancestors struct {
	depth int
	path  []any
	on    map[any]struct{}
}

const uncheckedDepth = 1000

// enter reports whether v is none of what it is within.
func (a *ancestors) enter(v reflect.Value) bool {
	if a.depth < uncheckedDepth {
		a.depth++
		return true
	}
	var key any = v.UnsafePointer()
	if v.Kind() == reflect.Slice {
		key = [2]any{key, v.Len()}
	}
	if _, within := a.on[key]; within {
		return false
	}
	if a.on == nil {
		a.on = map[any]struct{}{}
	}
	a.on[key] = struct{}{}
	a.path = append(a.path, key)
	a.depth++
	return true
}

// enterAny is enter without a reflect.Value where none is needed.
func (a *ancestors) enterAny(v any) bool {
	if a.depth < uncheckedDepth {
		a.depth++
		return true
	}
	return a.enter(reflect.ValueOf(v))
}

func (a *ancestors) leave() {
	if a.depth--; a.depth < uncheckedDepth {
		return
	}
	last := len(a.path) - 1
	delete(a.on, a.path[last])
	a.path = a.path[:last]
}

// typeInfo is what has to be known of a type.
type typeInfo struct {
	binary     bool    // it is Binary
	holds      bool    // there may be a Binary in it, or it is one
	marshals   bool    // a method decides what it is in JSON
	marshalsAt bool    // likewise, one of the pointer to it
	fields     []field // of a struct: those that encoding/json looks at
	hidden     bool    // there are others
	isZero     bool    // it, or a pointer to it, has a method IsZero, which omitzero calls
}

type field struct {
	index               int
	exported, holds     bool
	omitEmpty, omitZero bool
}

// leaf reports whether a method decides what v is in JSON.
func (info *typeInfo) leaf(v reflect.Value) bool {
	return info.marshals || info.marshalsAt && v.CanAddr()
}

var (
	binaryType    = reflect.TypeFor[Binary]()
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	zeroer        = reflect.TypeFor[isZeroer]()
)

type isZeroer interface{ IsZero() bool }

// types has a *typeInfo for each reflect.Type that has come by.
var types sync.Map

func typeOf(t reflect.Type) *typeInfo {
	if known, ok := types.Load(t); ok {
		return known.(*typeInfo)
	}
	info := &typeInfo{
		binary: t == binaryType, holds: mayHold(t, map[reflect.Type]bool{}), marshals: marshals(t),
		marshalsAt: t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && marshals(reflect.PointerTo(t)),
		isZero:     reflect.PointerTo(t).Implements(zeroer),
	}
	if t.Kind() == reflect.Struct {
		info.addFields(t)
	}
	known, _ := types.LoadOrStore(t, info)
	return known.(*typeInfo)
}

func (info *typeInfo) addFields(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !visible(f) {
			info.hidden = true
			continue
		}
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		options = "," + options + ","
		info.fields = append(info.fields, field{
			index: i, exported: f.IsExported(), holds: mayHold(f.Type, map[reflect.Type]bool{}),
			omitEmpty: strings.Contains(options, ",omitempty,"), omitZero: strings.Contains(options, ",omitzero,"),
		})
	}
}

// marshals reports whether a method decides what values of the type are in JSON.
func marshals(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && (t.Implements(marshaler) || t.Implements(textMarshaler))
}

// mayHold reports whether there may be a Binary in values of the type, which is
// within others that are looked at.
func mayHold(t reflect.Type, within map[reflect.Type]bool) bool {
	switch {
	case t == binaryType:
		return true
	case within[t], marshals(t):
		return false
	}
	within[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return mayHold(t.Elem(), within)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); visible(f) && mayHold(f.Type, within) {
				return true
			}
		}
	}
	return false
}

// visible reports whether encoding/json looks at a field.
func visible(f reflect.StructField) bool {
	if f.Tag.Get("json") == "-" {
		return false
	}
	if f.IsExported() {
		return true
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.Anonymous && t.Kind() == reflect.Struct
}

// omitted reports whether encoding/json leaves the field out although a
// stand-in in it would not be left out.
func (f *field) omitted(v reflect.Value) bool {
	if f.omitEmpty && v.Type() == binaryType && v.Len() == 0 {
		return true
	}
	if !f.omitZero {
		return false
	}
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Interface) && v.IsNil() {
		return true
	}
	switch t := v.Type(); {
	case !v.CanInterface():
	case t.Implements(zeroer):
		if e := v.Elem; t.Kind() == reflect.Interface && e().Kind() == reflect.Pointer && e().IsNil() {
			return true
		}
		return v.Interface().(isZeroer).IsZero()
	case v.CanAddr() && reflect.PointerTo(t).Implements(zeroer):
		return v.Addr().Interface().(isZeroer).IsZero()
	}
	return v.IsZero()
}
