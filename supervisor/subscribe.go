// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// EventRecord is an [Event] as a function of [Subscribe] is told of it.
type EventRecord struct {
	Event Event
	At    time.Time
	// Dropped is how many events before this one the function was not told of, because as
	// many others as it has a buffer for waited for it.
	Dropped int
}

// timedEvent is an event and when it was published.
type timedEvent struct {
	event Event
	at    time.Time
}

// Subscribe has f told of the events of all supervisors of an actor system, from now on
// until cancel is called, beside the OnEvent of each. f is called on a goroutine of its own,
// one call after the other; the events of one supervisor come in their order. It may block,
// and holds up no supervisor by that: buffer events wait for it, 0 is 1,000, and further ones are dropped
// and counted in the next one. If it panics, that is logged, and it is called again.
// Once cancel has returned no further call begins.
func Subscribe(sys *actor.ActorSystem, buffer int, f func(EventRecord)) (cancel func()) {
	switch {
	case sys == nil:
		panic("supervisor: Subscribe called with a nil actor system")
	case f == nil:
		panic("supervisor: Subscribe called with a nil function")
	case buffer < 0:
		panic(fmt.Sprintf("supervisor: Subscribe called with a buffer of %d", buffer))
	}
	return registryOf(sys).events.Add(cmp.Or(sys.Logger(), slog.Default()), "supervisor: a function of Subscribe", cmp.Or(buffer, defaultBuffer),
		func(e timedEvent, dropped int) { f(EventRecord{e.event, e.at, dropped}) })
}

// defaultBuffer is that of a Subscribe without one.
const defaultBuffer = 1000
