// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/view"
)

// How queues are asked how much waits in them, which is a call of the source.
const (
	lagEvery   = 5 * time.Second
	lagTimeout = 3 * time.Second
)

// errNotAsked says that the first answer is to come.
var errNotAsked = errors.New("the queue is being asked")

// lags tracks how much waits in the queues of consumers: as they said some seconds ago. Nobody
// waits for an answer, and nobody asks while nobody looks.
type lags struct {
	mu  sync.Mutex
	all map[*consumer.Consumer]*lag
}

type lag struct {
	view.Lag
	asked   time.Time
	waiting bool
}

// of is what is known of consumers. It asks for those of which that was long ago.
func (l *lags) of(all []*consumer.Consumer) []view.Lag {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[*consumer.Consumer]*lag{} // those that are gone are forgotten
	out := make([]view.Lag, 0, len(all))
	for _, c := range all {
		k := l.all[c]
		if k == nil {
			k = &lag{Lag: view.Lag{N: -1, Err: errNotAsked}}
		}
		known[c] = k
		if now := time.Now(); !k.waiting && now.Sub(k.asked) >= lagEvery {
			k.waiting, k.asked = true, now
			go l.ask(c, k)
		}
		out = append(out, k.Lag)
	}
	l.all = known
	return out
}

func (l *lags) ask(c *consumer.Consumer, k *lag) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	n, err := c.Lag(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	k.Lag, k.waiting = view.Lag{N: n, Err: err}, false
}

// consumersOf are those of an actor system, by name, and those of one name by their first worker.
func consumersOf(sys *actor.ActorSystem) []*consumer.Consumer {
	type named struct {
		*consumer.Consumer
		name, worker string
	}
	var all []named
	for _, c := range consumer.All(sys) {
		i := c.Info()
		one := named{c, i.Name, ""}
		if len(i.Workers) > 0 {
			one.worker = i.Workers[0].Id
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.worker, b.worker)) })
	out := make([]*consumer.Consumer, 0, len(all))
	for _, n := range all {
		out = append(out, n.Consumer)
	}
	return out
}
