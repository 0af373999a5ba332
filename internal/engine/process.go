// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

var processMailbox = fieldOf[actor.Mailbox](reflect.TypeFor[actor.ActorProcess](), "mailbox")

// MailboxOf returns the mailbox of an actor's process, and nil for a process of
// another kind.
//
// It reads the field mailbox of [actor.ActorProcess]. The public API leads from a
// PID to the process, and no further.
//
// It returns nil if the field is missing. A worker that is not known by its PID
// yet then looks like a plain actor, and package actors refuses to spawn one. So
// this field, unlike the others, is one that a version of the engine must have.
func MailboxOf(p actor.Process) actor.Mailbox {
	ap, ok := p.(*actor.ActorProcess)
	if !ok || ap == nil || processMailbox.missing != nil {
		return nil
	}
	return *processMailbox.in(unsafe.Pointer(ap))
}

var (
	pidProcess  = fieldOf[*actor.Process](reflect.TypeFor[actor.PID](), "p")
	processDead = fieldOf[int32](reflect.TypeFor[actor.ActorProcess](), "dead")
)

// MailboxKept returns the mailbox that the engine would give a message to pid, if pid
// keeps the process: the engine, or KeepProcess, has put it there. It is nil for a process
// that is no actor's. known is false if the PID keeps none, or one that has ended.
//
// It reads the field p of [actor.PID], and mailbox and dead of [actor.ActorProcess]. The
// public way is the registry: a lock and a hash for each message.
//
// It knows nothing if a field is missing.
func MailboxKept(pid *actor.PID) (mb actor.Mailbox, known bool) {
	if pidProcess.missing != nil || processDead.missing != nil || processMailbox.missing != nil {
		return nil, false
	}
	p := (*actor.Process)(atomic.LoadPointer(pointerOf(pidProcess.in(unsafe.Pointer(pid)))))
	if p == nil {
		return nil, false
	}
	ap, ok := (*p).(*actor.ActorProcess)
	if !ok {
		return nil, true
	}
	if atomic.LoadInt32(processDead.in(unsafe.Pointer(ap))) != 0 {
		return nil, false
	}
	return *processMailbox.in(unsafe.Pointer(ap)), true
}

// ProcessKept returns the process that pid keeps; nil: it keeps none.
//
// It reads the field p of [actor.PID], and knows nothing if that is missing.
func ProcessKept(pid *actor.PID) actor.Process {
	if pidProcess.missing != nil {
		return nil
	}
	if p := (*actor.Process)(atomic.LoadPointer(pointerOf(pidProcess.in(unsafe.Pointer(pid))))); p != nil {
		return *p
	}
	return nil
}

// KeepProcess lets pid keep *p, which must be the process that the registry has for it,
// as the engine does with the first message to it. *p is constant.
//
// It writes the field p of [actor.PID], and does nothing if that is missing.
func KeepProcess(pid *actor.PID, p *actor.Process) {
	if pidProcess.missing == nil {
		atomic.StorePointer(pointerOf(pidProcess.in(unsafe.Pointer(pid))), unsafe.Pointer(p))
	}
}

func pointerOf[T any](p **T) *unsafe.Pointer { return (*unsafe.Pointer)(unsafe.Pointer(p)) }

// PIDOf is a copy of pid whose messages go to p, whatever the registry says.
//
// It writes the field p of [actor.PID], which the engine fills from the registry.
//
// It returns pid if the field is missing, whose messages go where the registry says.
func PIDOf(pid *actor.PID, p actor.Process) *actor.PID {
	if pidProcess.missing != nil {
		return pid
	}
	to := &actor.PID{Address: pid.Address, Id: pid.Id, RequestId: pid.RequestId}
	*pidProcess.in(unsafe.Pointer(to)) = &p
	return to
}

// CopyPID makes to a copy of from, with the process that from has found, so that
// who sends to it need not look that up. Nobody may send to from meanwhile.
//
// The process is in the field p of [actor.PID], which [actor.NewPID] leaves empty.
// Without such a field it still is a copy of all there is.
func CopyPID(to, from *actor.PID) { assign(to, from) }

// assign is apart because go vet takes every copy of a protobuf message for a
// mistake. What it fears for, the message's own state, is a cache that the copy
// may have too.
func assign[T any](to, from *T) { *to = *from }

// remotePackage is that of the engine's remote.
var remotePackage = strings.TrimSuffix(reflect.TypeFor[actor.PID]().PkgPath(), "actor") + "remote"

// IsRemote reports whether p hands on what it gets to the engine's remote.
//
// It goes by the package of the type of p. That type is private, and to import
// the package would bring gRPC into every program.
//
// It returns false for everything if the package has another path. What cannot
// be sent is then noticed only by the remote, which logs and drops it.
func IsRemote(p actor.Process) bool {
	return p != nil && reflect.Indirect(reflect.ValueOf(p)).Type().PkgPath() == remotePackage
}

// SerializedOf returns what the remote sends in the place of message, if it asks that:
// is says whether it does, for a remote.RootSerializable. It calls a method of the
// user's, which may panic.
//
// It looks for that interface's method, Serialize. The interface cannot be named
// without an import of the package; see [IsRemote].
//
// It returns false for everything if the method has another name. Such messages
// are then refused, as others that are no protobuf messages are.
func SerializedOf(message any) (serialized any, is bool, err error) {
	v := reflect.ValueOf(message)
	known, ok := rootSerializable.Load(v.Type())
	if !ok {
		m, has := v.Type().MethodByName(serialize)
		known = has && m.Type.NumIn() == 1 && m.Type.NumOut() == 2 && m.Type.Out(1) == reflect.TypeFor[error]()
		rootSerializable.Store(v.Type(), known)
	}
	if !known.(bool) {
		return nil, false, nil
	}
	out := v.MethodByName(serialize).Call(nil)
	err, _ = out[1].Interface().(error)
	return out[0].Interface(), true, err
}

// rootSerializable says of the types of messages whether the remote asks them for what
// to send: to look for a method by its name takes longer than to serialize most
// messages.
var rootSerializable sync.Map // reflect.Type → bool

const serialize = "Serialize"
