// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/seeded"
)

var callbackDice = seeded.Flag("callbacks.seed", "TestCallbackOrder")

// TestCallbackOrder makes combinations of combinations, with callbacks that
// complete and cancel others, and compares the order in which the callbacks are
// called with that of a model: depth first. What completes because of a
// callback is told at once, before the next callback of the same future is.
func TestCallbackOrder(t *testing.T) {
	for _, dice := range callbackDice.Rounds(t, 3000) {
		newCallbackGraph(dice).compare(t)
	}
}

// modelFuture is a future that calls its callbacks by recursion.
type modelFuture struct {
	done, failed bool
	calls        []func()
	members      []*modelFuture // that a cancel reaches
}

func (f *modelFuture) complete(failed bool) bool {
	if f.done {
		return false
	}
	f.done, f.failed = true, failed
	calls := f.calls
	f.calls = nil
	for _, call := range calls {
		call()
	}
	return true
}

func (f *modelFuture) onDone(call func()) {
	if f.done {
		call()
		return
	}
	f.calls = append(f.calls, call)
}

func (f *modelFuture) cancel() {
	if f.complete(true) {
		for _, m := range f.members {
			m.cancel()
		}
	}
}

// follow completes f as a combination of that kind does.
func (f *modelFuture) follow(kind string, ms []*modelFuture) {
	if kind != "Shield" {
		f.members = ms
	}
	left := len(ms)
	for _, m := range ms {
		m.onDone(func() {
			left--
			switch {
			case kind == "Settled", kind == "FirstException" && !m.failed:
				if left == 0 {
					f.complete(false)
				}
			case kind == "FirstCompleted", kind == "FirstException":
				f.complete(false)
			case kind == "All" && !m.failed && left > 0, kind == "Any" && m.failed && left > 0:
			default:
				f.complete(m.failed)
			}
		})
	}
}

// bothFutures are the real one and its model. It has a promise, or is a
// combination.
type bothFutures struct {
	real   *actors.Future[int] // nil: of another type
	onDone func(func())
	cancel func()
	prom   *actors.Promise[int]
	model  *modelFuture
}

type callbackGraph struct {
	dice   *rand.Rand
	fs     []*bothFutures
	real   []string
	model  []string
	acts   int // left for callbacks
	labels int
}

func eraseFuture[T any](f *actors.Future[T]) *bothFutures {
	return &bothFutures{
		onDone: func(fn func()) { f.OnDone(func(T, error) { fn() }) },
		cancel: func() { f.Cancel() },
		model:  &modelFuture{},
	}
}

func newCallbackGraph(dice *rand.Rand) *callbackGraph {
	g := &callbackGraph{dice: dice, acts: 40}
	for range 2 + dice.IntN(4) {
		p := new(actors.Promise[int])
		f := eraseFuture(p.Future())
		f.real, f.prom = p.Future(), p
		g.fs = append(g.fs, f)
	}
	for range 2 + dice.IntN(12) {
		switch dice.IntN(3) {
		case 0:
			g.observe(g.any())
		default:
			g.combine()
		}
	}
	return g
}

func (g *callbackGraph) any() *bothFutures { return g.fs[g.dice.IntN(len(g.fs))] }

func (g *callbackGraph) combine() {
	var members []*actors.Future[int]
	var models []*modelFuture
	for range 1 + g.dice.IntN(3) {
		if f := g.any(); f.real != nil {
			members, models = append(members, f.real), append(models, f.model)
		}
	}
	if len(members) == 0 {
		return
	}
	kind := []string{"All", "Any", "Race", "Settled", "Shield", "WithTimeout", "FirstCompleted", "FirstException"}[g.dice.IntN(8)]
	var f *bothFutures
	var of *actors.Future[int]
	switch kind {
	case "All":
		f = eraseFuture(futures.All(members...))
	case "Settled":
		f = eraseFuture(futures.Settled(members...))
	case "FirstCompleted":
		f = eraseFuture(futures.FirstCompleted(members...))
	case "FirstException":
		f = eraseFuture(futures.FirstException(members...))
	case "Any":
		of = futures.Any(members...)
	case "Race":
		of = futures.Race(members...)
	case "Shield":
		members, models = members[:1], models[:1]
		of = futures.Shield(members[0])
	case "WithTimeout":
		members, models = members[:1], models[:1]
		of = futures.WithTimeout(members[0], actors.Forever)
	}
	if of != nil {
		f = eraseFuture(of)
		f.real = of
	}
	f.model.follow(kind, models)
	g.fs = append(g.fs, f)
}

// act is something to do to a future, really or to its model.
type futureAct struct {
	what string
	of   *bothFutures
	then *callback
}

// callback notes that it is called, and does something.
type callback struct {
	name string
	acts []futureAct
}

func (g *callbackGraph) newCallback() *callback {
	g.labels++
	cb := &callback{name: fmt.Sprint("callback ", g.labels)}
	for g.acts > 0 && g.dice.IntN(3) > 0 {
		g.acts--
		cb.acts = append(cb.acts, g.newAct())
	}
	return cb
}

func (g *callbackGraph) newAct() futureAct {
	a := futureAct{of: g.any(), what: []string{"resolve", "reject", "cancel", "observe"}[g.dice.IntN(4)]}
	if a.what == "observe" {
		a.then = g.newCallback()
	}
	return a
}

func (g *callbackGraph) observe(f *bothFutures) {
	cb := g.newCallback()
	f.onDone(func() { g.called(cb) })
	f.model.onDone(func() { g.calledModel(cb) })
}

func (g *callbackGraph) called(cb *callback) {
	g.real = append(g.real, cb.name)
	for _, a := range cb.acts {
		g.actReal(a)
	}
}

func (g *callbackGraph) actReal(a futureAct) {
	switch {
	case a.what == "observe":
		a.of.onDone(func() { g.called(a.then) })
	case a.what == "cancel":
		a.of.cancel()
	case a.of.prom == nil:
	case a.what == "resolve":
		a.of.prom.Resolve(1)
	default:
		a.of.prom.Reject(errLeft)
	}
}

func (g *callbackGraph) calledModel(cb *callback) {
	g.model = append(g.model, cb.name)
	for _, a := range cb.acts {
		g.actModel(a)
	}
}

func (g *callbackGraph) actModel(a futureAct) {
	switch {
	case a.what == "observe":
		a.of.model.onDone(func() { g.calledModel(a.then) })
	case a.what == "cancel":
		a.of.model.cancel()
	case a.of.prom == nil:
	default:
		a.of.model.complete(a.what == "reject")
	}
}

func (g *callbackGraph) compare(t *testing.T) {
	for i := range 8 {
		a := g.newAct()
		g.actReal(a)
		g.actModel(a)
		if !slices.Equal(g.real, g.model) {
			t.Errorf("after act %d, %s: called %q, want %q", i, a.what, g.real, g.model)
			return
		}
	}
	for i, f := range g.fs {
		if f.real != nil && f.real.Done() != f.model.done {
			t.Errorf("future %d: done is %v, want %v", i, f.real.Done(), f.model.done)
		}
	}
}
