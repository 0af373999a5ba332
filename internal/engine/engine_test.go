// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"
	"github.com/asynkron/protoactor-go/remote"
)

// TestEngineLayout fails by the names of the fields that a version of the engine
// has no longer, or with another type. What a field is read for is tested beside
// it, with the field and without.
func TestEngineLayout(t *testing.T) {
	system := newSystem()
	defer system.Shutdown()
	ctx := newContext(t, system, shielded())

	for what, missing := range map[string]error{
		"ChildlessContext, HooksOf":   fieldsOf(ctx).missing,
		"MailboxProducerOf":           mailboxProducer.missing,
		"HooksOf, receivers":          receiverMiddleware.missing,
		"HooksOf, decorators":         contextDecorator.missing,
		"HooksOf, senders":            propsSender.missing,
		"SendsPlainly":                rootSender.missing,
		"MailboxOf":                   processMailbox.missing,
		"CopyPID, PIDOf, MailboxKept": pidProcess.missing,
		"MailboxKept":                 processDead.missing,
		"SpawnCalls, on init":         propsOnInit.missing,
		"SpawnsByDefault":             errors.Join(propsSpawner.missing, propsGuardian.missing),
		"HasSpawnMiddleware":          propsSpawnChain.missing,
	} {
		if missing != nil {
			t.Errorf("%s: %v", what, missing)
		}
	}
	if t.Failed() {
		t.FailNow() // the rest would only say it again
	}
	t.Run("field", testField)
	t.Run("ChildlessContext", func(t *testing.T) { testChildlessContext(t, system, ctx) })
	t.Run("HooksOf", func(t *testing.T) { testHooks(t, system) })
	t.Run("SetProps", func(t *testing.T) { testSetProps(t, system) })
	t.Run("SpawnCalls", func(t *testing.T) { testSpawnCalls(t, system) })
	t.Run("SpawnsByDefault", testSpawnsByDefault)
	t.Run("HasSpawnMiddleware", func(t *testing.T) { testSpawnMiddleware(t, system) })
	t.Run("MailboxProducerOf", testMailboxProducer)
	t.Run("SendsPlainly", func(t *testing.T) { testSendsPlainly(t, system) })
	t.Run("MailboxOf", testMailbox)
	t.Run("CopyPID", func(t *testing.T) { testCopyPID(t, system) })
	t.Run("PIDOf", func(t *testing.T) { testPIDOf(t, system) })
	t.Run("MailboxKept", func(t *testing.T) { testMailboxKept(t, system) })
	t.Run("IsRemote", testIsRemote)
	t.Run("SerializedOf", testSerializedOf)
}

// testField: a field that is not there, or is another, is named.
func testField(t *testing.T) {
	type engineType struct {
		before int
		ours   *int
		text   string
	}
	in := reflect.TypeFor[engineType]()
	v := engineType{text: "text"}
	if f := fieldOf[string](in, "text"); f.missing != nil || *f.in(unsafe.Pointer(&v)) != "text" {
		t.Error("text is not found: ", f.missing)
	}
	for _, test := range []struct {
		missing error
		want    string
	}{
		{fieldOf[string](in, "gone").missing, `engine.engineType has no field "gone"`},
		{fieldOf[string](in, "before").missing, `the field "before" of engine.engineType is a int, not a string`},
		{fieldOf[unsafe.Pointer](in, "ours").missing, `the field "ours" of engine.engineType is a *int, not a pointer to a struct`},
	} {
		if test.missing == nil || test.missing.Error() != test.want {
			t.Errorf("%v, not %s", test.missing, test.want)
		}
	}
}

func testChildlessContext(t *testing.T, system *actor.ActorSystem, ctx actor.Context) {
	of := nothing{}
	like := ChildlessContext(ctx, system, &of)
	if like == nil {
		t.Fatal("there is none")
	}
	switch {
	case like.Self() != ctx.Self(), like.Parent() != ctx.Parent(), like.Actor() != actor.Actor(&of), like.ActorSystem() != system:
		t.Error("it is not like the engine's")
	case PropsOf(like.Context) != PropsOf(ctx):
		t.Error("it has other props")
	case like.Get(extensionID) != ctx.Get(extensionID) || like.Get(extensionID) == nil:
		t.Error("it has other extensions")
	}
	child := like.Spawn(actor.PropsFromProducer(func() actor.Actor { return &nothing{} }))
	if len(ctx.Children()) != 0 || len(like.Context.Children()) != 1 || !like.Spawned.Contains(child) {
		t.Errorf("after a spawn the engine's has %d children and the copy %d", len(ctx.Children()), len(like.Context.Children()))
	}
	if like.Children.Add(child); !slices.Contains(ctx.Children(), child) {
		t.Error("the set is not that of the engine's children")
	}

	// Without one of the fields there is none.
	layout := fieldsOf(ctx)
	defer foundContext.Store(layout)
	for i := range reflect.TypeFor[contextNames]().NumField() {
		names := engineNames
		name := (*string)(unsafe.Pointer(reflect.ValueOf(&names).Elem().Field(i).UnsafeAddr()))
		was := *name
		*name = "gone"
		l := findContext(layout.context, names)
		if l.missing == nil {
			t.Fatalf("without %s nothing is missing", was)
		}
		foundContext.Store(l)
		if ChildlessContext(ctx, system, &of) != nil {
			t.Errorf("without %s there is one", was)
		}
		receives, sends := HooksOf(ctx, shield, decorate)
		all := was == "props"
		if receives != all || sends != all {
			t.Errorf("without %s: HooksOf is %t, %t", was, receives, sends)
		}
		before := PropsOf(ctx)
		if SetProps(ctx, before); (before == nil) != all {
			t.Errorf("without %s: the props are %v", was, before)
		}
	}
	if ChildlessContext(nil, system, &of) != nil {
		t.Error("there is one of no context")
	}
}

func testSetProps(t *testing.T, system *actor.ActorSystem) {
	ctx, other := newContext(t, system, plain()), plain()
	SetProps(ctx, other)
	if PropsOf(ctx) != other {
		t.Error("it has the props that it had")
	}
}

func testSpawnCalls(t *testing.T, system *actor.ActorSystem) {
	init := actor.WithOnInit(func(actor.Context) {})
	spawn := actor.WithSpawnFunc(actor.DefaultSpawner)
	decorator := actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc { return next })
	for what, test := range map[string]struct {
		opts  []actor.PropsOption
		calls bool
	}{
		"nobody":     {nil, false},
		"middleware": {[]actor.PropsOption{actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc { return next })}, false},
		"on init":    {[]actor.PropsOption{init}, true},
		"spawn func": {[]actor.PropsOption{spawn}, true},
		"decorator":  {[]actor.PropsOption{decorator}, true},
	} {
		ctx := newPlainContext(t, system, shielded(test.opts...))
		if got := SpawnCalls(ctx, decorate); got != test.calls {
			t.Errorf("%s: %t", what, got)
		}
		without(t, &propsSpawner, func() {
			if !SpawnCalls(ctx, decorate) {
				t.Errorf("%s: without the field it is false", what)
			}
		})
	}
}

func testSpawnsByDefault(t *testing.T) {
	guarded := plain(actor.WithGuardian(actor.DefaultSupervisorStrategy()))
	if !SpawnsByDefault(plain()) || SpawnsByDefault(nil) || SpawnsByDefault(guarded) || SpawnsByDefault(plain(actor.WithSpawnFunc(actor.DefaultSpawner))) {
		t.Error(SpawnsByDefault(plain()), SpawnsByDefault(nil), SpawnsByDefault(guarded), SpawnsByDefault(plain(actor.WithSpawnFunc(actor.DefaultSpawner))))
	}
	gone := func() {
		if SpawnsByDefault(plain()) {
			t.Error("without the field it is true")
		}
	}
	without(t, &propsSpawner, gone)
	without(t, &propsGuardian, gone)
}

func testSpawnMiddleware(t *testing.T, system *actor.ActorSystem) {
	none := newContext(t, system, plain())
	one := newContext(t, system, plain(actor.WithSpawnMiddleware(func(next actor.SpawnFunc) actor.SpawnFunc { return next })))
	if HasSpawnMiddleware(none) || !HasSpawnMiddleware(one) || !HasSpawnMiddleware(nil) {
		t.Error(HasSpawnMiddleware(none), HasSpawnMiddleware(one), HasSpawnMiddleware(nil))
	}
	without(t, &propsSpawnChain, func() {
		if !HasSpawnMiddleware(none) {
			t.Error("without the field it is false")
		}
	})
}

func testHooks(t *testing.T, system *actor.ActorSystem) {
	other := func(next actor.ReceiverFunc) actor.ReceiverFunc { return next }
	sender := func(next actor.SenderFunc) actor.SenderFunc { return next }
	decorator := func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc { return next }
	for what, test := range map[string]struct {
		props           *actor.Props
		receives, sends bool
	}{
		"none":       {plain(), false, false},
		"ours":       {shielded(), false, false},
		"middleware": {shielded(actor.WithReceiverMiddleware(other)), true, false},
		"decorator":  {shielded(actor.WithContextDecorator(decorator)), true, false},
		"sender":     {shielded(actor.WithSenderMiddleware(sender)), false, true},
	} {
		if receives, sends := HooksOf(newContext(t, system, test.props), shield, decorate); receives != test.receives || sends != test.sends {
			t.Errorf("%s: %t, %t", what, receives, sends)
		}
	}
	ctx := newContext(t, system, shielded())
	without(t, &receiverMiddleware, func() {
		if receives, sends := HooksOf(ctx, shield, decorate); !receives || sends {
			t.Error("without receiverMiddleware: ", receives, sends)
		}
	})
	without(t, &contextDecorator, func() {
		if receives, sends := HooksOf(ctx, shield, decorate); !receives || sends {
			t.Error("without contextDecorator: ", receives, sends)
		}
	})
	without(t, &propsSender, func() {
		if receives, sends := HooksOf(ctx, shield, decorate); receives || !sends {
			t.Error("without senderMiddleware: ", receives, sends)
		}
	})
}

func testMailboxProducer(t *testing.T) {
	made := actor.Bounded(1)()
	props := plain(actor.WithMailbox(func() actor.Mailbox { return made }))
	if produce := MailboxProducerOf(props); produce == nil || produce() != made {
		t.Error("it is not what props were made with")
	}
	if produce := MailboxProducerOf(plain()); produce == nil || produce() == nil {
		t.Error("there is none where props do not say")
	}
	without(t, &mailboxProducer, func() {
		if MailboxProducerOf(props) != nil {
			t.Error("there is one without the field")
		}
	})
}

func testSendsPlainly(t *testing.T, system *actor.ActorSystem) {
	sender := func(next actor.SenderFunc) actor.SenderFunc { return next }
	if !SendsPlainly(system.Root) || !SendsPlainly(actor.NewRootContext(system, nil)) {
		t.Error("a root without middleware does not")
	}
	if SendsPlainly(actor.NewRootContext(system, nil, sender)) || SendsPlainly(system.Root.Copy().WithSenderMiddleware(sender)) {
		t.Error("a root with middleware does")
	}
	without(t, &rootSender, func() {
		if SendsPlainly(system.Root) {
			t.Error("without the field one does")
		}
	})
}

func testMailbox(t *testing.T) {
	mb := actor.Unbounded()()
	p := actor.NewActorProcess(mb)
	if MailboxOf(p) != mb {
		t.Error("it is not that of the process")
	}
	if MailboxOf(nil) != nil || MailboxOf(&sink{}) != nil {
		t.Error("there is one of no actor")
	}
	without(t, &processMailbox, func() {
		if MailboxOf(p) != nil {
			t.Error("there is one without the field")
		}
	})
}

// testCopyPID: a copy finds the process also when that cannot be looked up.
func testCopyPID(t *testing.T, system *actor.ActorSystem) {
	var got sink
	pid, _ := system.ProcessRegistry.Add(&got, "sink")
	system.Root.Send(pid, 1) // which puts the process into it
	system.ProcessRegistry.Remove(pid)
	var copied actor.PID
	CopyPID(&copied, pid)
	copied.RequestId = 7
	system.Root.Send(&copied, 2)
	if !slices.Equal(got.messages, []any{1, 2}) || copied.Id != pid.Id || copied.Address != pid.Address || pid.RequestId != 0 {
		t.Errorf("the process has got %v by %v and its copy %v", got.messages, pid, &copied)
	}
}

// testPIDOf: what is sent goes to the process it is given, not to the one of the registry.
func testPIDOf(t *testing.T, system *actor.ActorSystem) {
	var registered, given sink
	pid, _ := system.ProcessRegistry.Add(&registered, "registered")
	defer system.ProcessRegistry.Remove(pid)
	of := PIDOf(pid, &given)
	system.Root.Send(of, 1)
	if !slices.Equal(given.messages, []any{1}) || registered.messages != nil || !of.Equal(pid) {
		t.Errorf("the process given has got %v, the one of the registry %v", given.messages, registered.messages)
	}
	without(t, &pidProcess, func() {
		if got := PIDOf(pid, &given); got != pid {
			t.Errorf("without the field it is %v, not the PID itself", got)
		}
	})
}

// testMailboxKept: what a PID keeps is what the engine sends to, for as long as that lives.
func testMailboxKept(t *testing.T, system *actor.ActorSystem) {
	expect := func(when string, pid *actor.PID, want actor.Mailbox, known bool) {
		t.Helper()
		if mb, ok := MailboxKept(pid); mb != want || ok != known {
			t.Errorf("%s: %v, %t", when, mb, ok)
		}
	}
	mb := actor.Unbounded()()
	var p actor.Process = actor.NewActorProcess(mb)
	pid, _ := system.ProcessRegistry.Add(p, "kept")
	other := actor.NewPID(pid.Address, pid.Id)
	expect("before the first message", pid, nil, false)
	KeepProcess(pid, &p)
	expect("told", pid, mb, true)
	without(t, &pidProcess, func() {
		expect("without the field p", pid, nil, false)
		KeepProcess(other, &p)
	})
	expect("told without the field p", other, nil, false)
	without(t, &processMailbox, func() { expect("without the field mailbox", pid, nil, false) })
	without(t, &processDead, func() { expect("without the field dead", pid, nil, false) })
	system.ProcessRegistry.Remove(pid)
	expect("ended", pid, nil, false)

	var got sink
	plain, _ := system.ProcessRegistry.Add(&got, "no actor")
	defer system.ProcessRegistry.Remove(plain)
	system.Root.Send(plain, 1)
	expect("no actor", plain, nil, true)
	live := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	defer system.Root.Stop(live)
	system.Root.Send(live, 1)
	if mb, known := MailboxKept(live); mb == nil || !known {
		t.Errorf("a PID that was sent to: %v, %t", mb, known)
	}
}

func testIsRemote(t *testing.T) {
	system := newSystem()
	r := remote.NewRemote(system, remote.Configure("127.0.0.1", 0))
	r.Start()
	defer r.Shutdown(false)
	there, _ := system.ProcessRegistry.Get(actor.NewPID("127.0.0.1:1", "there"))
	if !IsRemote(there) {
		t.Errorf("a %T is none: its package is not %s", there, remotePackage)
	}
	if IsRemote(nil) || IsRemote(&sink{}) || IsRemote(actor.NewActorProcess(nil)) {
		t.Error("a process of this machine is one")
	}
}

func testSerializedOf(t *testing.T) {
	if name := reflect.TypeFor[remote.RootSerializable]().Method(0).Name; name != serialize {
		t.Errorf("the remote's method is %s, not %s", name, serialize)
	}
	if v, is, err := SerializedOf(rootMessage{}); !is || v != nil || err != errNoRoot {
		t.Errorf("%v, %t, %v", v, is, err)
	}
	for _, other := range []any{&sink{}, serializesOtherwise{}} {
		if _, is, _ := SerializedOf(other); is {
			t.Errorf("%T is taken for one", other)
		}
	}
}

// without runs f as in a version of the engine that does not have the field.
func without[T any](t *testing.T, f *field[T], run func()) {
	t.Helper()
	was := *f
	defer func() { *f = was }()
	if *f = fieldOf[T](reflect.TypeFor[struct{}](), "gone"); f.missing == nil {
		t.Fatal("the field is there")
	}
	run()
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
}

// newContext is the engine's own context of an actor that has been told nothing
// yet, and never is: it has a mailbox that keeps what comes.
func newContext(t *testing.T, system *actor.ActorSystem, props *actor.Props) actor.Context {
	t.Helper()
	return newPlainContext(t, system, props.Configure(actor.WithOnInit(func(ctx actor.Context) { ctx.Set(extension{}) })))
}

// newPlainContext is newContext of props as they are, but for the mailbox.
func newPlainContext(t *testing.T, system *actor.ActorSystem, props *actor.Props) actor.Context {
	t.Helper()
	var mb still
	pid := system.Root.Spawn(props.Configure(actor.WithMailbox(func() actor.Mailbox { return &mb })))
	t.Cleanup(func() { system.ProcessRegistry.Remove(pid) })
	return mb.ctx
}

func plain(opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &nothing{} }, opts...)
}

func shielded(opts ...actor.PropsOption) *actor.Props {
	return plain(actor.WithReceiverMiddleware(shield), actor.WithContextDecorator(decorate)).Configure(opts...)
}

func shield(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) { next(c, env) }
}

func decorate(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
	return func(ctx actor.Context) actor.Context { return next(ctx) }
}

// nothing is an actor; it has a size, so that each has an address of its own.
type nothing struct{ _ int }

func (*nothing) Receive(actor.Context) {}

// still is a mailbox that never hands on what it gets.
type still struct {
	actor.Mailbox
	ctx actor.Context
}

func (s *still) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	s.ctx = invoker.(actor.Context)
}
func (s *still) PostSystemMessage(any) {}
func (s *still) Start()                {}

// sink is a process that keeps what it gets.
type sink struct{ messages []any }

func (s *sink) SendUserMessage(_ *actor.PID, m any)   { s.messages = append(s.messages, m) }
func (s *sink) SendSystemMessage(_ *actor.PID, m any) { s.messages = append(s.messages, m) }
func (s *sink) Stop(*actor.PID)                       {}

var extensionID = ctxext.NextContextExtensionID()

type extension struct{}

func (extension) ExtensionID() ctxext.ContextExtensionID { return extensionID }

type rootMessage struct{}

func (rootMessage) Serialize() (remote.RootSerialized, error) { return nil, errNoRoot }

var errNoRoot = errors.New("it cannot be serialized")

type serializesOtherwise struct{}

func (serializesOtherwise) Serialize(int) ([]byte, error) { return nil, nil }
