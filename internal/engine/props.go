// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"reflect"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	mailboxProducer    = propsField[actor.MailboxProducer]("mailboxProducer")
	receiverMiddleware = propsField[[]actor.ReceiverMiddleware]("receiverMiddleware")
	contextDecorator   = propsField[[]actor.ContextDecorator]("contextDecorator")
	propsSender        = propsField[[]actor.SenderMiddleware]("senderMiddleware")
	propsSpawner       = propsField[actor.SpawnFunc]("spawner")
	propsOnInit        = propsField[[]func(actor.Context)]("onInit")
	propsGuardian      = propsField[actor.SupervisorStrategy]("guardianStrategy")
	propsSpawnChain    = propsField[actor.SpawnFunc]("spawnMiddlewareChain")
)

func propsField[T any](name string) field[T] { return fieldOf[T](reflect.TypeFor[actor.Props](), name) }

// MailboxProducerOf returns what makes the mailbox of props, which is
// [actor.Unbounded] where props does not say.
//
// It reads the field mailboxProducer of [actor.Props]. The public API sets it and
// does not show it, so one mailbox could not be put around another.
//
// It returns nil if the field is missing. The caller then leaves props as it is.
func MailboxProducerOf(props *actor.Props) actor.MailboxProducer {
	if mailboxProducer.missing != nil {
		return nil
	}
	if produce := *mailboxProducer.in(unsafe.Pointer(props)); produce != nil {
		return produce
	}
	return actor.Unbounded()
}

// HooksOf reports what of the props of ctx, the engine's own context, changes how
// messages reach the actor, receives, and how they leave it, sends. The
// middleware shield and the decorator decorate, which the caller has put there
// itself, do not count.
//
// It reads the field props of the engine's context, and of [actor.Props] the
// fields receiverMiddleware, contextDecorator and senderMiddleware. The public
// API sets them and shows none, and an actor's props can be changed by whoever
// spawns it.
//
// Both are true as far as a field is missing. The caller then takes the engine's
// way for each message, which calls whatever hooks there are.
func HooksOf(ctx actor.Context, shield actor.ReceiverMiddleware, decorate actor.ContextDecorator) (receives, sends bool) {
	props := PropsOf(ctx)
	if props == nil {
		return true, true
	}
	receives = hasOther(&receiverMiddleware, props, shield) || hasOther(&contextDecorator, props, decorate)
	return receives, hasOther(&propsSender, props, nil)
}

// SpawnCalls reports whether a spawn by the props of ctx, the engine's own context, calls
// other code than the producers of the actor and of its mailbox. The decorator decorate,
// which the caller has put there itself, does not count.
//
// It reads the field props of the engine's context, and of [actor.Props] the fields
// spawner, onInit and contextDecorator. The public API sets them and shows none.
//
// It is true if a field is missing, and where the actor system has metrics, for which each spawn registers
// something. The caller then expects anything of a spawn.
func SpawnCalls(ctx actor.Context, decorate actor.ContextDecorator) bool {
	props := PropsOf(ctx)
	if props == nil || propsSpawner.missing != nil || ctx.ActorSystem().Config.MetricsProvider != nil {
		return true
	}
	return *propsSpawner.in(unsafe.Pointer(props)) != nil ||
		hasOther(&propsOnInit, props, nil) || hasOther(&contextDecorator, props, decorate)
}

// SpawnsByDefault reports whether all that the SpawnNamed of an actor's context does with
// props is to call [actor.DefaultSpawner] and to note the child with its parent, if that has
// no spawn middleware.
//
// It reads the fields spawner and guardianStrategy of [actor.Props], which the public API
// sets and does not show.
//
// It is false if one is missing. The caller then calls SpawnNamed.
func SpawnsByDefault(props *actor.Props) bool {
	return props != nil && propsSpawner.missing == nil && propsGuardian.missing == nil &&
		*propsSpawner.in(unsafe.Pointer(props)) == nil && *propsGuardian.in(unsafe.Pointer(props)) == nil
}

// HasSpawnMiddleware reports whether the actor of ctx, the engine's own context, spawns
// its children through middleware.
//
// It reads the field props of the engine's context and spawnMiddlewareChain of
// [actor.Props], for which there is no public API.
//
// It is true if one is missing. The caller then calls SpawnNamed.
func HasSpawnMiddleware(ctx actor.Context) bool {
	props := PropsOf(ctx)
	return props == nil || propsSpawnChain.missing != nil || *propsSpawnChain.in(unsafe.Pointer(props)) != nil
}

// hasOther reports whether a list of props has a function other than ours. It is
// the functions' code that is compared: Go does not compare functions.
func hasOther[F any](f *field[[]F], props *actor.Props, ours F) bool {
	if f.missing != nil {
		return true
	}
	code := reflect.ValueOf(ours).Pointer() // 0 for nil
	for _, fn := range *f.in(unsafe.Pointer(props)) {
		if reflect.ValueOf(fn).Pointer() != code {
			return true
		}
	}
	return false
}
