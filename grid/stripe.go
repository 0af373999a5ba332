// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/supervision"
)

// stripeCount is how many locks the keys are spread over.
const stripeCount = 128

// stripe tracks the workers of some of the keys. A key is in keys from its first message until
// its last worker has ended.
//
// The worker in keys is the one that takes messages. While others of the key have not ended
// it has not begun, and its mailbox keeps what comes, in order: it begins when they have
// ended, of which the last finds it here.
type stripe struct {
	mu   sync.RWMutex
	keys map[string]keyed.Worker
	// former are those that have not ended, in their order: the first runs. There is seldom one, and more only if
	// one of those that wait was told to stop itself.
	former   map[string][]keyed.Worker
	starting map[string]struct{} // those that have not come up yet
	ailments map[string]*ailment
	ended    []actors.Counts // of workers that have ended, by kind
	_        [64]byte        // of two cache lines: senders of other keys write the next mu
}

func (g *Grid) stripeOf(id string) *stripe {
	return &g.stripes[maphash.String(g.seed, id)%stripeCount]
}

// keyOf is the id of the PID of a worker's key.
func keyOf(w supervision.Child) string { return w.PID().Id[len(workerPrefix):] }

// keyOfWorker is keyOf for any actor.
func keyOfWorker(pid *actor.PID) (id string, is bool) {
	return strings.CutPrefix(pid.GetId(), workerPrefix)
}

// kind is a Kind that runs. It is what its workers tell of their lives.
type kind struct {
	Kind
	grid    *Grid
	index   int
	prefix  string // of the ids of its PIDs
	accepts []reflect.Type
	many    map[reflect.Type]struct{}                          // accepts, if those are more than a few
	wire    map[protoreflect.FullName]protoreflect.MessageType // accepts, as other nodes name them
	workers keyed.Kind
	always  map[string]*alwaysOn // by id of the PID
	refused counter

	mu        sync.Mutex
	stopped   int // keys that the drain has stopped
	abandoned []Abandoned
}

// fewTypes are found faster without a map.
const fewTypes = 8

func newKind(g *Grid, index int, of Kind) *kind {
	k := &kind{Kind: of, grid: g, index: index, prefix: of.Name + "/"}
	for _, m := range of.Accepts {
		k.accepts = append(k.accepts, m.typ)
	}
	if len(k.accepts) > fewTypes {
		k.many = map[reflect.Type]struct{}{}
		for _, typ := range k.accepts {
			k.many[typ] = struct{}{}
		}
	}
	k.always = newAlways(k)
	k.wire = wireTypes(k.accepts)
	k.workers = keyed.NewKind(g.sys, of.Options, k)
	return k
}

func (k *kind) isAccepted(typ reflect.Type) bool {
	if k.many != nil {
		_, is := k.many[typ]
		return is
	}
	for _, t := range k.accepts {
		if t == typ {
			return true
		}
	}
	return false
}

// admit is keyed.Door's: all that is asked in this process comes here.
func (g *Grid) admit(id string, msg any) (w keyed.Worker, copied proto.Message, err error) {
	k := g.kindOf(id)
	if k == nil {
		g.unknown.Add(1)
		return nil, nil, fmt.Errorf("%w: the grid has no kind for %q", actors.ErrDeadLetter, id)
	}
	if !k.isAccepted(reflect.TypeOf(msg)) {
		k.refused.Add(1)
		err := fmt.Errorf("%w: a %T to %s: its kind does not accept it", actors.ErrUnhandled, msg, id)
		g.refusals.log(g, id, msg)
		return nil, nil, err
	}
	if err := k.errNoKey(id); err != nil {
		k.refused.Add(1)
		return nil, nil, err
	}
	if c := g.cluster; c != nil && !c.isOwned(id) {
		if c.net != nil && !g.draining.Load() {
			return nil, nil, nil
		}
		k.refused.Add(1)
		if g.draining.Load() {
			return nil, nil, errDrained
		}
		return nil, nil, k.refusal(c.errNotOwner(id))
	}
	if !k.Share {
		if copied, err = keyed.Copy(msg.(proto.Message)); err != nil {
			k.refused.Add(1)
			return nil, nil, fmt.Errorf("%w: a %T to %s: %w", actors.ErrUnsendable, msg, id, err)
		}
	}
	w, err = g.admitTo(k, id)
	if notHere, is := err.(*notHereError); is {
		if g.cluster.net != nil {
			return nil, nil, nil
		}
		k.refused.Add(1)
		err = k.refusal(notHere.why)
	}
	return w, copied, err
}

// admitTo is the worker of a key, with a place in its mailbox.
func (g *Grid) admitTo(k *kind, id string) (keyed.Worker, error) {
	st := g.stripeOf(id)
	st.mu.RLock()
	w := st.keys[id]
	st.mu.RUnlock()
	if w != nil {
		switch w.Reserve() {
		case keyed.Reserved:
			return w, nil
		case keyed.Full:
			return nil, w.FullError()
		}
	}
	return g.admitToNext(k, st, id)
}

// notHereError: the shard of a key is another node's, or is handed over.
type notHereError struct{ why error }

// Error is why.
func (e *notHereError) Error() string { return e.why.Error() }

// admitToNext is admit where there was no worker that takes messages.
func (g *Grid) admitToNext(k *kind, st *stripe, id string) (keyed.Worker, error) {
	w, full, why := g.reserveNext(k, st, id)
	_, elsewhere := why.(*notHereError)
	switch {
	case full != nil:
		return nil, full.FullError()
	case why != nil && !elsewhere: // which may be asked there, so it is not counted yet
		k.refused.Add(1)
	}
	return w, why
}

// reserveNext takes a place in the mailbox of the key's worker, which is made if there is none that takes messages. It
// returns no worker if that is full, or there is a reason why there may be none.
func (g *Grid) reserveNext(k *kind, st *stripe, id string) (w, full keyed.Worker, why error) {
	st.mu.Lock()
	last := st.keys[id]
	if last != nil {
		switch last.Reserve() {
		case keyed.Reserved:
			st.mu.Unlock()
			return last, nil, nil
		case keyed.Full:
			st.mu.Unlock()
			return nil, last, nil
		}
	}
	why = g.whyNotStarted(st, id)
	if c := g.cluster; c != nil && why == nil && !c.addKey(id) {
		st.mu.Unlock()
		return nil, nil, &notHereError{c.errNotOwner(id)}
	}
	if why != nil {
		st.mu.Unlock()
		return nil, nil, why
	}
	w = k.workers.NewWorker(workerPrefix + id)
	w.Reserve() // nobody else knows it: there is a place
	if st.keys == nil {
		st.keys, st.starting = map[string]keyed.Worker{}, map[string]struct{}{}
	}
	key := keyOf(w) // a part of its name: the key has no memory of its own
	if last != nil {
		if st.former == nil {
			st.former = map[string][]keyed.Worker{}
		}
		st.former[key] = append(st.former[key], last)
	}
	st.keys[key], st.starting[key] = w, struct{}{}
	g.live.Add(1)
	st.mu.Unlock()
	if last == nil {
		k.begin(w)
	}
	return w, nil, nil
}

var errDrained = fmt.Errorf("%w: the grid is drained", actors.ErrStopping)

// whyNotStarted is why no worker of the key is started now, or nil. With the stripe's mu held.
func (g *Grid) whyNotStarted(st *stripe, id string) error {
	if g.draining.Load() {
		return errDrained
	}
	if a := st.ailments[id]; a != nil && a.why != nil && time.Now().Before(a.until) {
		return a.why
	}
	return nil
}

// nextOf takes the worker of a key that ran, and has ended, out of the stripe, and returns the one that begins now, nil if there is none.
// With mu held.
func (st *stripe) nextOf(id string) keyed.Worker {
	former := st.former[id]
	switch {
	case len(former) == 0:
		delete(st.keys, id)
		delete(st.starting, id)
		return nil
	case len(former) == 1:
		delete(st.former, id)
		return st.keys[id]
	}
	st.former[id] = former[1:]
	return former[1]
}

// begin spawns a worker, the only one of its key that runs. It calls no code of users: setup is
// a task of the worker.
func (k *kind) begin(w keyed.Worker) {
	if c := k.grid.cluster; c != nil {
		c.beginKey(keyOf(w))
	}
	id := keyOf(w)[len(k.prefix):]
	w.Begin(func(worker *actors.Worker) error { return k.Setup(worker, id) })
}

// addTo adds the keys of the stripe to all.
func (st *stripe) addTo(all []KindInfo, g *Grid, now time.Time) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	for i, c := range st.ended {
		all[i].Counts = all[i].Counts.Plus(c)
	}
	for id, w := range st.keys {
		info := &all[g.kindOf(id).index]
		info.Counts = info.Counts.Plus(actors.Counts(w.Counts()))
		_, starts := st.starting[id]
		switch {
		case w.IsStopping():
			info.Stopping++
		case starts:
			info.Starting++
		default:
			info.Active++
		}
	}
	for id, former := range st.former {
		info := &all[g.kindOf(id).index]
		for _, w := range former {
			info.Counts = info.Counts.Plus(actors.Counts(w.Counts()))
		}
	}
	st.findFailing(now, func(id string) { all[g.kindOf(id).index].Failing++ })
}

// eachFailing calls f with each key that waits for its Backoff, without a worker.
func (st *stripe) eachFailing(now time.Time, f func(id string)) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	st.findFailing(now, f)
}

// findFailing is eachFailing. With mu held.
func (st *stripe) findFailing(now time.Time, f func(id string)) {
	for id, a := range st.ailments {
		if st.keys[id] == nil && now.Before(a.until) {
			f(id)
		}
	}
}
