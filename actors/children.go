package actors

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"
)

// The engine notes a child with its parent when the spawn is through. Before
// that it runs user code, such as the child's producer, and that may be what a
// turn hangs in: when it returns, the turn may have been taken over, and another
// incarnation be in the engine's context, which is not made for two at a time. So
// a child is spawned by a context of its own, which is like the parent's but has
// no children, and noted with the parent afterwards, if that still stands.

// spawn is the engine's SpawnNamed. alone runs a function that touches the
// engine's context, and reports false, without a call, if who spawns has been
// abandoned.
func (mb *mailbox) spawn(inc *incarnation, alone func(f func()) bool, props *actor.Props, name string) (*actor.PID, error) {
	var like actor.Context
	var children *actor.PIDSet
	if !alone(func() { like, children = mb.childless(inc) }) {
		return nil, mb.refusal(inc, name)
	}
	if children == nil {
		return mb.raw().SpawnNamed(props, name)
	}
	pid, err := like.SpawnNamed(props, name)
	if err != nil {
		return pid, err
	}
	if !alone(func() { children.Add(pid) }) {
		mb.sparse().strays.Store(pid.Id, nil) // nobody expects to hear of its end
		mb.sys.as.Root.Stop(pid)
		return nil, mb.refusal(inc, name)
	}
	return pid, nil
}

// refusal is the error of a spawn by who has been abandoned.
func (mb *mailbox) refusal(inc *incarnation, name string) error {
	return fmt.Errorf("actors: spawn %q by a task that was abandoned: %w", name, inc.why())
}

// layout is where the engine's context has what a copy of it needs. It has no
// names for these, so they are looked for.
type layout struct {
	context, extras                           reflect.Type
	actor, system, props, parent, self, extra uintptr // in the context
	children, decorated, extensions           uintptr // in its extras
}

// engineLayout is found once; nil: it is not as expected.
var engineLayout atomic.Pointer[layout]

// childless makes a context like the engine's that has no children, and returns
// the set of those that the engine's has: nil, if its fields are not as expected.
func (mb *mailbox) childless(inc *incarnation) (actor.Context, *actor.PIDSet) {
	raw := reflect.ValueOf(mb.raw())
	l := engineLayout.Load()
	if l == nil {
		var ok bool
		if l, ok = layoutOf(raw.Type()); !ok {
			return nil, nil
		}
		engineLayout.Store(l)
	}
	from := raw.UnsafePointer()
	extra := *at[unsafe.Pointer](from, l.extra)
	if raw.Type().Elem() != l.context || extra == nil {
		return nil, nil
	}
	like := reflect.New(l.context)
	to := like.UnsafePointer()
	*at[actor.Actor](to, l.actor) = inc.actor
	*at[*actor.ActorSystem](to, l.system) = mb.sys.as
	*at[*actor.Props](to, l.props) = *at[*actor.Props](from, l.props)
	*at[*actor.PID](to, l.parent) = *at[*actor.PID](from, l.parent)
	*at[*actor.PID](to, l.self) = *at[*actor.PID](from, l.self)
	none := reflect.New(l.extras).UnsafePointer()
	*at[actor.Context](none, l.decorated) = *at[actor.Context](extra, l.decorated)
	*at[*ctxext.ContextExtensions](none, l.extensions) = *at[*ctxext.ContextExtensions](extra, l.extensions)
	*at[unsafe.Pointer](to, l.extra) = none
	return like.Interface().(actor.Context), at[actor.PIDSet](extra, l.children)
}

func at[T any](p unsafe.Pointer, offset uintptr) *T { return (*T)(unsafe.Add(p, offset)) }

// layoutOf finds the fields of the engine's context, of whose type t is a pointer.
func layoutOf(t reflect.Type) (*layout, bool) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, false
	}
	l := &layout{context: t.Elem()}
	ok := true
	find := func(in reflect.Type, name string, typ reflect.Type, to *uintptr) {
		f, is := in.FieldByName(name)
		if !is || typ != nil && f.Type != typ {
			ok = false
			return
		}
		*to = f.Offset
	}
	find(l.context, "actor", reflect.TypeFor[actor.Actor](), &l.actor)
	find(l.context, "actorSystem", reflect.TypeFor[*actor.ActorSystem](), &l.system)
	find(l.context, "props", reflect.TypeFor[*actor.Props](), &l.props)
	find(l.context, "parent", reflect.TypeFor[*actor.PID](), &l.parent)
	find(l.context, "self", reflect.TypeFor[*actor.PID](), &l.self)
	find(l.context, "extras", nil, &l.extra)
	if f, is := l.context.FieldByName("extras"); is && f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct {
		l.extras = f.Type.Elem()
		find(l.extras, "children", reflect.TypeFor[actor.PIDSet](), &l.children)
		find(l.extras, "context", reflect.TypeFor[actor.Context](), &l.decorated)
		find(l.extras, "extensions", reflect.TypeFor[*ctxext.ContextExtensions](), &l.extensions)
	} else {
		ok = false
	}
	return l, ok
}
