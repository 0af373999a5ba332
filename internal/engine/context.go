// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"
)

// contextFields are those of the engine's context, *actor.actorContext, and of
// what it makes on demand for children and the like, *actor.actorContextExtras.
type contextFields struct {
	context, extrasType reflect.Type // the structs
	missing             error        // which fields are; nil: none

	actor  field[actor.Actor]
	system field[*actor.ActorSystem]
	props  field[*actor.Props]
	parent field[*actor.PID]
	self   field[*actor.PID]
	extras field[unsafe.Pointer]

	children   field[actor.PIDSet]
	decorated  field[actor.Context]
	extensions field[*ctxext.ContextExtensions]
}

// contextNames are the fields' names.
type contextNames struct {
	actor, system, props, parent, self, extras string
	children, decorated, extensions            string
}

var engineNames = contextNames{
	"actor", "actorSystem", "props", "parent", "self", "extras",
	"children", "context", "extensions",
}

// foundContext is the layout of the engine's context. It is looked for when the
// first context is there, because its type cannot be named.
var foundContext atomic.Pointer[contextFields]

// fieldsOf is the layout of contexts such as ctx; nil: ctx is no pointer to a
// struct.
func fieldsOf(ctx actor.Context) *contextFields {
	t := reflect.TypeOf(ctx)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	if l := foundContext.Load(); l != nil && l.context == t.Elem() {
		return l
	}
	l := findContext(t.Elem(), engineNames)
	foundContext.Store(l)
	return l
}

func findContext(in reflect.Type, names contextNames) *contextFields {
	l := &contextFields{
		context: in,
		actor:   fieldOf[actor.Actor](in, names.actor),
		system:  fieldOf[*actor.ActorSystem](in, names.system),
		props:   fieldOf[*actor.Props](in, names.props),
		parent:  fieldOf[*actor.PID](in, names.parent),
		self:    fieldOf[*actor.PID](in, names.self),
		extras:  fieldOf[unsafe.Pointer](in, names.extras),
	}
	if l.extras.missing == nil {
		f, _ := in.FieldByName(names.extras)
		l.extrasType = f.Type.Elem()
		l.children = fieldOf[actor.PIDSet](l.extrasType, names.children)
		l.decorated = fieldOf[actor.Context](l.extrasType, names.decorated)
		l.extensions = fieldOf[*ctxext.ContextExtensions](l.extrasType, names.extensions)
	}
	l.missing = errors.Join(
		l.actor.missing, l.system.missing, l.props.missing, l.parent.missing, l.self.missing, l.extras.missing,
		l.children.missing, l.decorated.missing, l.extensions.missing,
	)
	return l
}

// Childless is a context for an actor that is like the engine's own, but has no
// children. A child that it spawns can be added to those of the engine's later, or
// not at all.
type Childless struct {
	actor.Context
	Spawned  *actor.PIDSet // by it
	Children *actor.PIDSet // of the engine's own
}

// ChildlessContext makes one for ctx, the engine's own.
//
// It copies the fields actor, actorSystem, props, parent and self of the engine's
// context, and context and extensions of its extras, whose children is the set.
// The public API has no way to make a context, and notes a child with its parent
// only after the child's producer and the user's middleware have run.
//
// It is nil if a field is missing, or if ctx has no extras.
// The caller then spawns by ctx itself, which is wrong only if ctx is used by
// somebody else before the spawn is through.
func ChildlessContext(ctx actor.Context, system *actor.ActorSystem, of actor.Actor) *Childless {
	l := fieldsOf(ctx)
	if l == nil || l.missing != nil {
		return nil
	}
	from := reflect.ValueOf(ctx).UnsafePointer()
	extras := *l.extras.in(from)
	if extras == nil {
		return nil
	}
	like := reflect.New(l.context)
	to := like.UnsafePointer()
	*l.actor.in(to) = of
	*l.system.in(to) = system
	*l.props.in(to) = *l.props.in(from)
	*l.parent.in(to) = *l.parent.in(from)
	*l.self.in(to) = *l.self.in(from)
	none := reflect.New(l.extrasType).UnsafePointer()
	*l.decorated.in(none) = *l.decorated.in(extras)
	*l.extensions.in(none) = *l.extensions.in(extras)
	*l.extras.in(to) = none
	return &Childless{like.Interface().(actor.Context), l.children.in(none), l.children.in(extras)}
}

// PropsOf is what the actor of ctx, the engine's own context, was spawned by, or what SetProps
// has put in its place.
//
// It reads the field props of the engine's context, for which there is no public API.
//
// It is nil if the field is missing.
func PropsOf(ctx actor.Context) *actor.Props {
	l := fieldsOf(ctx)
	if l == nil || l.props.missing != nil {
		return nil
	}
	return *l.props.in(reflect.ValueOf(ctx).UnsafePointer())
}

// SetProps has the engine forget by what the actor of ctx, its own context, was spawned, and
// remember props. Whoever uses the context is to be held off meanwhile.
//
// It writes the field props of the engine's context. The public API has an actor keep for
// life what it is started by.
//
// It does nothing if the field is missing.
func SetProps(ctx actor.Context, props *actor.Props) {
	if l := fieldsOf(ctx); l != nil && l.props.missing == nil {
		*l.props.in(reflect.ValueOf(ctx).UnsafePointer()) = props
	}
}
