// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/safelog"
)

// maxContextValues is how many bytes the names and texts of a request's context values have at
// most, together. It is the least that W3C has each platform pass on as baggage.
const maxContextValues = 8 << 10

// RegisterContextValue has a value of contexts go with each request to another process: another
// node of a grid, or another machine by the engine's remote. What a call has by [WithContext],
// or its task has inherited, is a value of the handler's [Task.Context] there, by the same key,
// and goes on with what the handler asks. Within a process all values of a context are there
// anyway.
//
// Each process registers the same name, and a key and functions of its own. encode returns the
// value's text, which is UTF-8; decode is its reverse. They run where a request is made, and
// where its handler asks for the value, and must not block. Values with their names have 8 KiB
// in a request, as baggage of OpenTelemetry has. What is longer than that, no UTF-8, a value
// that is no T, an error of decode's and a panic of both are logged, and the value is not there.
// That is no failure of the request: a handler looks whether what it needs is there, and
// trusts it as it trusts the node that it comes from.
//
// The name is of the letters a to z, digits, and "-", "_" and ".", at most 64 bytes. It panics
// if the name is not that, if name or key are registered already, if key is nil or cannot be
// compared, and if a function is nil. It is called before requests are made, as in a variable's
// initialization; what is registered stays.
func RegisterContextValue[T any](name string, key any, encode func(v T) string, decode func(text string) (T, error)) {
	what := fmt.Sprintf("actors: RegisterContextValue(%q): ", name)
	switch {
	case !isHeaderName(name):
		panic(what + "the name is not one of at most 64 of a to z, 0 to 9, and -_.")
	case key == nil || !reflect.TypeOf(key).Comparable():
		panic(what + fmt.Sprintf("a %T is no key of a context's value", key))
	case encode == nil || decode == nil:
		panic(what + "a function is nil")
	}
	contextValues.register(what, &contextValue{
		name: name, header: valueHeader + name, key: key,
		encode: func(v any) (string, error) {
			x, is := v.(T)
			if !is {
				return "", fmt.Errorf("it is a %T, and no %s", v, typeName[T]())
			}
			return encode(x), nil
		},
		decode: func(text string) (any, error) { return decode(text) },
	})
}

func isHeaderName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// contextValue is a registered one. It is constant.
type contextValue struct {
	name, header string
	key          any
	encode       func(v any) (string, error)
	decode       func(text string) (any, error)
}

// sizeWith is what it takes of maxContextValues.
func (v *contextValue) sizeWith(text string) int { return len(v.header) + len(text) }

// contextValues are those of the process, as its types are.
var contextValues contextValueRegistry

// contextValueRegistry is the table of them, ordered by name.
type contextValueRegistry struct {
	mu  sync.Mutex // held by writers
	all atomic.Pointer[[]*contextValue]
}

// registered returns the entries. They are never changed in place.
func (r *contextValueRegistry) registered() []*contextValue {
	if p := r.all.Load(); p != nil {
		return *p
	}
	return nil
}

// roomForContextValues is how many bytes a request leaves for them, that has values or not.
func roomForContextValues(has bool) int64 {
	if !has || len(contextValues.registered()) == 0 {
		return 0
	}
	return maxContextValues
}

func (r *contextValueRegistry) register(what string, v *contextValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.registered()
	for _, o := range old {
		switch {
		case o.name == v.name:
			panic(what + "the name is registered")
		case o.key == v.key:
			panic(what + "the key is registered, as " + o.name)
		}
	}
	next := append(slices.Clip(old), v) // a copy: readers need no lock
	slices.SortFunc(next, func(a, b *contextValue) int { return cmp.Compare(a.name, b.name) })
	r.all.Store(&next)
}

var errTooLong = errors.New("it would be more than 8 KiB with the other values")

// setContextValues puts the registered values of ctx into the header. Methods of ctx and
// functions of the user's run here, for whoever makes the request.
func (s *system) setContextValues(env *actor.MessageEnvelope, ctx context.Context) {
	left := maxContextValues
	for _, v := range contextValues.registered() {
		switch text, has, err := v.textOf(ctx); {
		case err == nil && !has:
		case err == nil && v.sizeWith(text) > left:
			s.logContextValue(v, "is not sent", errTooLong)
		case err != nil:
			s.logContextValue(v, "is not sent", err)
		default:
			left -= v.sizeWith(text)
			env.SetHeader(v.header, text)
		}
	}
}

// textOf is the text of the value that ctx has, if it has one.
func (v *contextValue) textOf(ctx context.Context) (text string, has bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	x := ctx.Value(v.key)
	if x == nil {
		return "", false, nil
	}
	if text, err = v.encode(x); err == nil && !utf8.ValidString(text) { // which the remote would drop the message for
		err = errors.New("its text is no UTF-8")
	}
	return text, true, err
}

// logContextValue logs that a value does not cross. A peer may send what it likes, as often.
func (s *system) logContextValue(v *contextValue, what string, err error) {
	if s.valuesLog.allow() {
		safelog.Contain(s.as.Logger()).Warn("actors: a context value "+what, "name", v.name, "error", printable(err))
	}
}

// contextValuesIn returns a context with the values that a header has, or nil if it has none. It
// runs no code of users', who may be far from here: a value is decoded when somebody asks for it.
func (s *system) contextValuesIn(env *actor.MessageEnvelope) *carriedContext {
	if len(env.Header) == 0 {
		return nil
	}
	var values []*carriedValue
	left := maxContextValues
	for _, v := range contextValues.registered() {
		text, has := env.Header[v.header]
		switch {
		case !has:
		case v.sizeWith(text) > left:
			s.logContextValue(v, "is dropped", errTooLong)
		default:
			left -= v.sizeWith(text)
			values = append(values, &carriedValue{contextValue: v, text: text})
		}
	}
	if values == nil {
		return nil
	}
	return &carriedContext{context.Background(), s, values}
}

// carriedContext has the values that came with a request, beside those of another context.
type carriedContext struct {
	context.Context
	sys    *system
	values []*carriedValue
}

// Value is that of its key.
func (c *carriedContext) Value(key any) any {
	for _, v := range c.values {
		if v.key == key {
			if x := v.decoded(c.sys); x != nil {
				return x
			}
			break
		}
	}
	return c.Context.Value(key)
}

// carriedValue is a value that came, and is decoded once.
type carriedValue struct {
	*contextValue
	text string
	once sync.Once
	is   any // nil: its text was bad
}

func (c *carriedValue) decoded(s *system) any {
	var bad error
	c.once.Do(func() { c.is, bad = c.decodeText() })
	if bad != nil {
		s.logContextValue(c.contextValue, "is dropped", bad)
	}
	return c.is
}

func (c *carriedValue) decodeText() (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, newPanicError(p)
		}
	}()
	if v, err = c.decode(c.text); err != nil {
		return nil, err
	}
	return v, nil
}
