// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// belongings are what tasks had: their messages, what their functions have captured,
// what is in their contexts, and their answersAtOnce.
type belongings struct {
	mu  sync.Mutex
	all map[string][]weak.Pointer[[64]byte]
}

type belonging *[64]byte

func (b *belongings) make(kind string) belonging {
	v := new([64]byte)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string][]weak.Pointer[[64]byte]{}
	}
	b.all[kind] = append(b.all[kind], weak.Make(v))
	return v
}

// held are the kinds of those that are still there after a collection.
func (b *belongings) held() (kinds []string) {
	runtime.GC()
	runtime.GC() // what a pool has kept over the first
	b.mu.Lock()
	defer b.mu.Unlock()
	for kind, all := range b.all {
		for _, v := range all {
			if v.Value() != nil {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}

// ask is a message, and does what a function of the same purpose does.
type ask struct{ data belonging }

// IgnoreDeadLetterLogging is the engine's: the log would keep it.
func (*ask) IgnoreDeadLetterLogging() {}

// keptWorld is a worker and what is asked of it.
type keptWorld struct {
	*world
	had     belongings
	sup     *supervisor.Supervisor
	pid     *actor.PID
	other   *actor.PID // a worker whose task asks
	sender  *actor.PID // the asker's, which somebody keeps
	pending *actors.Promise[belonging]
	release chan struct{}
	lives   int
	tries   int
	opts    []actors.CallOption // of the call
}

// keptCall is what whoever has made a call has of it.
type keptCall struct {
	kept   any          // as long as the test looks at what is held
	cancel func() bool  // nil: there is no way
	wait   func() error // nil: nobody hears of its end
	result bool         // kept keeps the answer
}

func future[T any](f *actors.Future[T]) keptCall {
	return keptCall{f, f.Cancel, func() error { _, err := result(f); return err }, true}
}

// sets is future for what tells whether f is done, but not how.
func sets(s *actors.Future[futures.Sets[belonging]], f *actors.Future[belonging]) keptCall {
	return keptCall{s, f.Cancel, func() error {
		s, err := result(s)
		if err == nil && !slices.Contains(s.Done, f) {
			err = errors.New("it is not among those that are done")
		}
		if err == nil {
			_, err = f.TryResult()
		}
		f = nil
		return err
	}, true}
}

// kind is what of work is made by a call.
type kind int

const (
	submits   kind = 1 << iota // it submits a function
	asks                       // it sends a message, and somebody waits for the answer
	sends                      // it sends a message
	starts                     // it starts a function in the worker's turn
	runsAside                  // it starts a function outside of the worker
)

// ending is one way in which work ends.
type ending struct {
	child   supervisor.Child                                           // the worker's, but for its Props
	opts    actors.Options                                             // of the worker
	setup   func(k *keptWorld, w *actors.Worker) error                 // its setup
	first   func(k *keptWorld)                                         // before the call
	work    func(k *keptWorld, t *actors.Task) (belonging, error)      // what is asked for …
	aside   func(k *keptWorld, ctx context.Context) (belonging, error) // … where it is offloaded; nil: it is not
	open    bool                                                       // the handler keeps its sender's PID, and does not answer
	call    []actors.CallOption                                        // how
	then    func(k *keptWorld, f keptCall)                             // after the call
	plain   func(k *keptWorld) *actor.PID                              // who is asked, if that is no worker
	kinds   kind                                                       // of calls that there are; 0: all that can be
	byAsker bool                                                       // who has made the call ends it
	err     error                                                      // how it ends; nil: with a value
}

var (
	errEnding = errors.New("the work failed")
	errAny    = errors.New("any error")
)

const (
	ofMessages = asks | sends
	queued     = submits | asks | sends
)

func (k *keptWorld) answer() (belonging, error) { return k.had.make("answer"), nil }

// block lets the worker do nothing until release is closed, or for so long.
func (k *keptWorld) block() {
	did(k.root, k.pid, func(*actors.Task) error { <-k.release; return nil })
	synctest.Wait()
}

func sleepAnHour(_ *keptWorld, t *actors.Task) (belonging, error) { return nil, t.Sleep(time.Hour) }

func asideForAnHour(_ *keptWorld, ctx context.Context) (belonging, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func asideAtOnce(k *keptWorld, _ context.Context) (belonging, error) { return k.answer() }

// blockAside lets nothing that is offloaded begin until release is closed.
func (k *keptWorld) blockAside() {
	by(k, k.pid, func(t *actors.Task) *actors.Future[int] {
		return actors.Offload(t, func(context.Context) (int, error) { <-k.release; return 0, nil })
	})
	synctest.Wait()
}

func answersAtOnce(k *keptWorld, _ *actors.Task) (belonging, error) { return k.answer() }

// plainThatKeeps is a plain actor that keeps whom it is to answer.
func plainThatKeeps(k *keptWorld) *actor.PID {
	return k.plain(func(c actor.Context) {
		if _, ok := c.Message().(*ask); ok {
			k.sender = c.Sender()
		}
	})
}

// answerLater answers whose PID was kept.
func (k *keptWorld) answerLater() {
	synctest.Wait()
	k.root.Send(k.sender, k.had.make("answer"))
}

func restart(k *keptWorld, _ keptCall) {
	synctest.Wait()
	if err := k.sup.Restart(context.Background(), "child"); err != nil {
		k.Error(err)
	}
}

func endings() map[string]ending {
	return map[string]ending{
		"returned": {work: answersAtOnce, aside: asideAtOnce},
		"awaited and returned": {aside: func(k *keptWorld, _ context.Context) (belonging, error) {
			time.Sleep(time.Second)
			return k.answer()
		}, work: func(k *keptWorld, t *actors.Task) (belonging, error) {
			if err := t.Sleep(time.Second); err != nil {
				return nil, err
			}
			return k.answer()
		}},
		"returned before what it has started": {work: func(k *keptWorld, t *actors.Task) (belonging, error) {
			actors.Start(t, func(t *actors.Task) (int, error) {
				actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(2 * time.Second) })
				err := t.Sleep(time.Second)
				if m, ok := t.Message().(*ask); ok && m.data == nil {
					k.Error("the message was let go of too early")
				}
				return 0, err
			})
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error {
				err := t.Sleep(time.Second)
				if m, ok := t.Message().(*ask); ok && m.data == nil {
					k.Error("the message was let go of too early")
				}
				return err
			})
			actors.Offload(t, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil }, actors.Timeout(time.Second))
			return k.answer()
		}},
		"Respond, and later its return": {work: func(k *keptWorld, t *actors.Task) (belonging, error) {
			if t.Sender() != nil {
				t.Respond(k.had.make("answer"))
			}
			if err := t.Sleep(time.Second); err != nil {
				return nil, err
			}
			return k.answer()
		}},
		"its error": {err: errEnding,
			work:  func(*keptWorld, *actors.Task) (belonging, error) { return nil, errEnding },
			aside: func(*keptWorld, context.Context) (belonging, error) { return nil, errEnding }},
		"its panic": {err: errAny,
			work:  func(*keptWorld, *actors.Task) (belonging, error) { panic("!") },
			aside: func(*keptWorld, context.Context) (belonging, error) { panic("!") }},
		"its Goexit": {err: actors.ErrGoexit,
			work:  func(*keptWorld, *actors.Task) (belonging, error) { runtime.Goexit(); return nil, nil },
			aside: func(*keptWorld, context.Context) (belonging, error) { runtime.Goexit(); return nil, nil }},
		"a cancel before it began": {byAsker: true, kinds: queued, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrCanceled,
			then: func(k *keptWorld, f keptCall) { f.cancel(); close(k.release) }},
		"a cancel while it is suspended": {byAsker: true, work: sleepAnHour, aside: asideForAnHour, err: actors.ErrCanceled,
			then: func(k *keptWorld, f keptCall) { synctest.Wait(); f.cancel() }},
		"a timeout before it began": {byAsker: true, kinds: queued, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrTimeout,
			call: []actors.CallOption{actors.Timeout(time.Second)},
			then: func(k *keptWorld, f keptCall) { time.Sleep(time.Minute); close(k.release) }},
		"a timeout while it is suspended": {byAsker: true, work: sleepAnHour, aside: asideForAnHour, err: actors.ErrTimeout,
			call: []actors.CallOption{actors.Timeout(time.Second)}},
		"a cancel while it waits for a place": {byAsker: true, kinds: runsAside, opts: actors.Options{MaxOffloads: 1},
			first: (*keptWorld).blockAside, aside: asideAtOnce, err: actors.ErrCanceled,
			then: func(k *keptWorld, f keptCall) { synctest.Wait(); f.cancel(); close(k.release) }},
		"a timeout while it waits for a place": {byAsker: true, kinds: runsAside, opts: actors.Options{MaxOffloads: 1},
			first: (*keptWorld).blockAside, aside: asideAtOnce, err: actors.ErrTimeout, call: []actors.CallOption{actors.Timeout(time.Second)},
			then: func(k *keptWorld, f keptCall) { time.Sleep(time.Minute); close(k.release) }},
		"a restart while it waits for a place": {kinds: runsAside, opts: actors.Options{MaxOffloads: 1, StopGrace: time.Second},
			first: (*keptWorld).blockAside, aside: asideAtOnce, err: actors.ErrRestarted,
			then: func(k *keptWorld, f keptCall) { restart(k, f); close(k.release) }},
		"a refusal by a full worker": {kinds: queued, opts: actors.Options{MailboxSize: 1}, work: answersAtOnce, err: actors.ErrMailboxFull,
			first: func(k *keptWorld) { k.block(); did(k.root, k.pid, func(*actors.Task) error { return nil }) },
			then:  func(k *keptWorld, f keptCall) { close(k.release) }},
		"a refusal by a stopping worker": {kinds: queued, work: answersAtOnce, err: actors.ErrStopping,
			first: func(k *keptWorld) { k.block(); actors.RequestStop(k.root, k.pid, time.Hour) },
			then:  func(k *keptWorld, f keptCall) { close(k.release) }},
		"nobody there": {child: supervisor.Child{Restart: supervisor.Temporary}, kinds: queued, work: answersAtOnce, err: actors.ErrDeadLetter,
			first: func(k *keptWorld) { k.stopped(k.pid, 0) }},
		"its stash, and a restart": {kinds: ofMessages, then: restart, work: func(k *keptWorld, t *actors.Task) (belonging, error) {
			if k.lives == 1 {
				t.Stash()
				return nil, nil
			}
			return k.answer()
		}},
		"its stash, and a stop": {kinds: ofMessages, err: actors.ErrStopped,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) { t.Stash(); return nil, nil },
			then: func(k *keptWorld, f keptCall) { synctest.Wait(); k.stopped(k.pid, time.Second) }},
		"a restart": {work: sleepAnHour, aside: asideForAnHour, then: restart, err: actors.ErrRestarted},
		"a crash of its worker": {work: sleepAnHour, aside: asideForAnHour, err: actors.ErrRestarted, then: func(k *keptWorld, _ keptCall) {
			synctest.Wait()
			k.root.Send(k.pid, "crash")
		}},
		"a stop that cuts it off": {work: sleepAnHour, aside: asideForAnHour, err: actors.ErrStopped, then: func(k *keptWorld, _ keptCall) {
			synctest.Wait()
			k.stopped(k.pid, -1)
		}},
		"a stop before it began": {kinds: queued, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrStopping,
			then: func(k *keptWorld, _ keptCall) {
				f := actors.RequestStop(k.root, k.pid, actors.NoGrace)
				close(k.release)
				_, _ = result(f)
			}},
		"Poison": {work: sleepAnHour, aside: asideForAnHour, err: actors.ErrStopped,
			then: func(k *keptWorld, _ keptCall) { synctest.Wait(); k.root.Poison(k.pid) }},
		"its abandonment": {opts: actors.Options{StopGrace: time.Second, BlockedTurn: time.Second}, err: actors.ErrRestarted,
			work:  func(k *keptWorld, t *actors.Task) (belonging, error) { _ = t.Yield(); <-k.release; return k.answer() },
			aside: func(k *keptWorld, _ context.Context) (belonging, error) { <-k.release; return k.answer() },
			then: func(k *keptWorld, f keptCall) {
				restart(k, f)
				close(k.release)
			}},
		"its abandonment, and a panic": {opts: actors.Options{StopGrace: time.Second, BlockedTurn: time.Second}, err: actors.ErrRestarted,
			work:  func(k *keptWorld, t *actors.Task) (belonging, error) { _ = t.Yield(); <-k.release; panic("!") },
			aside: func(k *keptWorld, _ context.Context) (belonging, error) { <-k.release; panic("!") },
			then: func(k *keptWorld, f keptCall) {
				restart(k, f)
				close(k.release)
			}},
		"its abandonment, and a Goexit": {opts: actors.Options{StopGrace: time.Second, BlockedTurn: time.Second}, err: actors.ErrRestarted,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) {
				_ = t.Yield()
				<-k.release
				runtime.Goexit()
				return nil, nil
			},
			aside: func(k *keptWorld, _ context.Context) (belonging, error) {
				<-k.release
				runtime.Goexit()
				return nil, nil
			},
			then: func(k *keptWorld, f keptCall) {
				restart(k, f)
				close(k.release)
			}},
		"its retry": {child: supervisor.Child{OnCrash: supervisor.CrashPolicy{Retries: 1}}, kinds: ofMessages,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) {
				if k.tries++; k.tries == 1 {
					panic("!")
				}
				return k.answer()
			}},
		"too many tries": {child: supervisor.Child{OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: func(supervisor.Crash) {}}}, kinds: ofMessages,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) { panic("!") }, err: errAny},
		"a setup that fails": {kinds: queued, work: answersAtOnce, err: actors.ErrStopping,
			setup: func(k *keptWorld, w *actors.Worker) error {
				if k.lives == 1 {
					return nil
				}
				_ = w.Task().Sleep(time.Second)
				return errEnding
			},
			first: func(k *keptWorld) { k.root.Send(k.pid, "crash"); synctest.Wait() }},
		"left open, and an answer": {open: true, kinds: asks, then: func(k *keptWorld, f keptCall) { k.answerLater(); k.sender = nil }},
		"left open, and an answer, the sender's PID kept": {open: true, kinds: asks,
			then: func(k *keptWorld, f keptCall) { k.answerLater() }},
		"left open, and a cancel, the sender's PID kept": {open: true, byAsker: true, kinds: asks, err: actors.ErrCanceled,
			then: func(k *keptWorld, f keptCall) { synctest.Wait(); f.cancel() }},
		"left open, and a timeout, the sender's PID kept": {open: true, byAsker: true, kinds: asks, err: actors.ErrTimeout,
			call: []actors.CallOption{actors.Timeout(time.Second)}},
		"left open, and a restart, the sender's PID kept": {open: true, kinds: asks, err: actors.ErrRestarted, then: restart},
		"left open, and a stop, the sender's PID kept": {open: true, kinds: asks, err: actors.ErrStopped,
			then: func(k *keptWorld, f keptCall) { synctest.Wait(); k.stopped(k.pid, time.Second) }},
		"the later answer of a plain actor": {kinds: asks, plain: plainThatKeeps,
			then: func(k *keptWorld, f keptCall) { k.answerLater() }},
		"the silence of a plain actor that has kept the sender's PID": {kinds: asks, plain: plainThatKeeps, err: actors.ErrTimeout},
		"the answer of a plain actor": {kinds: ofMessages, plain: func(k *keptWorld) *actor.PID {
			return k.plain(func(c actor.Context) {
				if _, ok := c.Message().(*ask); ok && c.Sender() != nil {
					c.Respond(k.had.make("answer"))
				}
			})
		}},
		"the silence of a plain actor": {kinds: ofMessages, err: actors.ErrTimeout, plain: func(k *keptWorld) *actor.PID {
			return k.plain(func(c actor.Context) {})
		}},
		"no plain actor": {kinds: ofMessages, err: actors.ErrDeadLetter, plain: func(k *keptWorld) *actor.PID {
			pid := k.plain(func(c actor.Context) {})
			_ = k.root.StopFuture(pid).Wait()
			return pid
		}},
		"the answer of a plain actor on an EventLoop": {kinds: ofMessages, plain: func(k *keptWorld) *actor.PID {
			return k.dropIn(actors.Options{}, func(c actor.Context) {
				if _, ok := c.Message().(*ask); ok && c.Sender() != nil {
					c.Respond(k.had.make("answer"))
				}
			})
		}},
	}
}

// call is one way to have something done.
type call struct {
	kind  kind
	bare  bool // there are no options, or another call has been made with them
	mute  bool // who has made it cannot end it
	whole bool // whoever keeps the PID of its asker keeps all of it: see RequestFuture
	make  func(k *keptWorld, e ending) keptCall
}

func calls() map[string]call {
	all := map[string]call{
		"Submit": {kind: submits, make: func(k *keptWorld, e ending) keptCall {
			return future(actors.Submit(k.root, k.pid, k.function(e), k.opts...))
		}},
		"Submit by a task": {kind: submits, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.other, func(t *actors.Task) keptCall { return future(actors.Submit(t, k.pid, k.function(e), k.opts...)) })
		}},
		"RequestFuture": {kind: asks, make: func(k *keptWorld, e ending) keptCall { return future(k.ask(k.root)) }},
		"RequestFuture by a task": {kind: asks, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.other, func(t *actors.Task) keptCall { return future(k.ask(t)) })
		}},
		"RequestFuture by a middleware": {kind: asks, whole: true, make: func(k *keptWorld, e ending) keptCall {
			return future(k.ask(k.root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc { return next })))
		}},
		"the engine's RequestFuture": {kind: asks, bare: true, mute: true, whole: true, make: func(k *keptWorld, e ending) keptCall {
			return keptCall{kept: k.root.RequestFuture(k.pid, k.message(), time.Minute), result: true}
		}},
		"the engine's Request": {kind: sends, bare: true, mute: true, make: func(k *keptWorld, e ending) keptCall {
			k.root.RequestWithCustomSender(k.pid, k.message(), k.plain(func(actor.Context) {}))
			return keptCall{}
		}},
		"Send": {kind: sends, bare: true, mute: true, make: func(k *keptWorld, e ending) keptCall {
			k.root.Send(k.pid, k.message())
			return keptCall{}
		}},
		"Send by a task": {kind: sends, bare: true, mute: true, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.other, func(t *actors.Task) keptCall { t.Send(k.pid, k.message()); return keptCall{} })
		}},
		"Start": {kind: starts, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.pid, func(t *actors.Task) keptCall { return future(actors.Start(t, k.function(e), k.opts...)) })
		}},
		"After": {kind: starts, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.pid, func(t *actors.Task) keptCall {
				f := k.function(e)
				a := future(t.After(0, func(t *actors.Task) error { _, err := f(t); return err }, k.opts...))
				a.result = false
				return a
			})
		}},
		"Offload": {kind: runsAside, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.pid, func(t *actors.Task) keptCall {
				captured := k.had.make("function") // here, because this task lives on
				return future(actors.Offload(t, func(ctx context.Context) (belonging, error) {
					defer runtime.KeepAlive(captured)
					return e.aside(k, ctx)
				}, k.opts...))
			})
		}},
		"Group.Go": {kind: starts, make: func(k *keptWorld, e ending) keptCall {
			return by(k, k.pid, func(t *actors.Task) keptCall { return k.member(e, t.NewGroup()) })
		}},
		"Group.Go, and Wait": {kind: starts, make: func(k *keptWorld, e ending) keptCall {
			a := make(chan keptCall, 1)
			did(k.root, k.pid, func(t *actors.Task) error {
				g := t.NewGroup()
				member, ended := k.member(e, g), new(actors.Promise[int])
				canceled := false
				a <- keptCall{g, func() bool { canceled = true; return member.cancel() }, future(ended.Future()).wait, false}
				switch err := g.Wait(); {
				case err != nil:
					ended.Reject(err)
				case canceled: // of which Wait tells nothing
					ended.Reject(actors.ErrCanceled)
				default:
					ended.Resolve(0)
				}
				for t.Sleep(time.Hour) == nil {
				}
				return nil
			}, actors.Name(creator))
			return <-a
		}},
		"All, awaited by a task": {kind: asks, bare: true, make: func(k *keptWorld, e ending) keptCall {
			return k.awaited(func(t *actors.Task, f *actors.Future[belonging]) error {
				_, err := actors.Await(t, futures.All(f, futures.Resolved(belonging(nil))))
				return err
			})
		}},
		"AwaitEach": {kind: asks, bare: true, make: func(k *keptWorld, e ending) keptCall {
			return k.awaited(func(t *actors.Task, f *actors.Future[belonging]) (err error) {
				fs := []*actors.Future[belonging]{f, futures.Resolved(belonging(nil))}
				for i, e := range futures.AwaitEach(t, fs...) {
					if e != nil {
						return e
					}
					if _, e := fs[i].TryResult(); i == 0 {
						err = e
					}
				}
				return err
			})
		}},
	}
	for name, combine := range map[string]func(f, pending *actors.Future[belonging]) keptCall{
		"Any": func(f, _ *actors.Future[belonging]) keptCall {
			return future(futures.Any(f, futures.Failed[belonging](errEnding)))
		},
		"Race": func(f, pending *actors.Future[belonging]) keptCall { return future(futures.Race(pending, f)) },
		"All": func(f, _ *actors.Future[belonging]) keptCall {
			return future(futures.All(f, futures.Resolved(belonging(nil))))
		},
		"WithTimeout": func(f, _ *actors.Future[belonging]) keptCall { return future(futures.WithTimeout(f, time.Hour)) },
		"Shield": func(f, _ *actors.Future[belonging]) keptCall {
			a := future(futures.Shield(f))
			a.cancel = f.Cancel
			return a
		},
		"FirstCompleted": func(f, pending *actors.Future[belonging]) keptCall {
			return sets(futures.FirstCompleted(pending, f), f)
		},
		"FirstException": func(f, _ *actors.Future[belonging]) keptCall {
			return sets(futures.FirstException(f, futures.Resolved(belonging(nil))), f)
		},
		"Settled": func(f, _ *actors.Future[belonging]) keptCall {
			s := futures.Settled(f)
			return keptCall{s, f.Cancel, func() error { how, err := result(s); return cmp.Or(err, how[0].Err) }, true}
		},
	} {
		all[name] = call{kind: asks, bare: true, make: func(k *keptWorld, e ending) keptCall {
			return combine(k.ask(k.root), k.pending.Future())
		}}
	}
	return all
}

// TestNothingIsKeptOfFinishedWork: of work that has ended its future keeps the result,
// and nobody keeps anything else, also if it was observed. Its creator goes on, and so does its worker if it did
// not stop.
func TestNothingIsKeptOfFinishedWork(t *testing.T) {
	all, calls := endings(), calls()
	n := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		for how, call := range calls {
			for mode := range 4 {
				options, observed := mode&1 != 0, mode&2 != 0
				if !e.canBe(call) || options && call.bare || call.bare && testing.Short() {
					continue
				}
				// With -short another part each time, as a map has no order, and of each mode, as 7 is odd.
				if n++; testing.Short() && n%7 != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/options=%v/observed=%v", name, how, options, observed), func(t *testing.T) {
					actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
						k := &keptWorld{world: &world{T: t, sys: sys, root: sys.Root}}
						if observed {
							inspect.Observe(sys, k.observer())
							defer inspect.Observe(sys, nil)
						}
						k.check(e, call, options)
					}, actor.WithDeadLetterRequestLogging(false)) // the log keeps what it says
				})
			}
		}
	}
}

// creator is the name of a task that makes the call, and lives on.
const creator = "creator"

// observer gives all other work of the worker a context with something of its own.
func (k *keptWorld) observer() *inspect.Observer {
	span := func(ctx context.Context, w inspect.Work) context.Context {
		if k.pid == nil || w.Worker().GetId() != k.pid.Id || w.Name() == creator {
			return nil
		}
		return context.WithValue(ctx, spanKey{}, k.had.make("span"))
	}
	return &inspect.Observer{Sample: func(inspect.Work) bool { return true }, Offered: span, Began: span}
}

// canBe reports whether what is called so can end so.
func (e ending) canBe(c call) bool {
	switch {
	case c.kind == runsAside && (e.aside == nil || e.plain != nil),
		c.kind != runsAside && e.work == nil && e.plain == nil && !e.open,
		e.byAsker && c.mute:
		return false
	}
	return e.kinds == 0 || e.kinds&c.kind != 0
}

// message is a new one.
func (k *keptWorld) message() *ask { return &ask{k.had.make("message")} }

// ask is RequestFuture.
func (k *keptWorld) ask(s actor.SenderContext) *actors.Future[belonging] {
	return actors.RequestFuture[belonging](s, k.pid, k.message(), k.opts...)
}

// member starts one of g, which somebody keeps.
func (k *keptWorld) member(e ending, g *actors.Group) keptCall {
	f := k.function(e)
	g.Go(func(t *actors.Task) error { _, err := f(t); return err }, k.opts...)
	return keptCall{kept: g, cancel: func() bool { g.Cancel(); return true }}
}

// awaited lets a task ask, wait for the answer, and live on for longer than the test.
func (k *keptWorld) awaited(wait func(t *actors.Task, f *actors.Future[belonging]) error) keptCall {
	made, ended := make(chan *actors.Future[belonging], 1), new(actors.Promise[int])
	did(k.root, k.other, func(t *actors.Task) error {
		f := k.ask(t)
		made <- f
		if err := wait(t, f); err != nil {
			ended.Reject(err)
		} else {
			ended.Resolve(0)
		}
		f = nil
		for t.Sleep(time.Hour) == nil {
		}
		return nil
	})
	f := <-made
	return keptCall{nil, f.Cancel, future(ended.Future()).wait, false}
}

// function is what is submitted or started.
func (k *keptWorld) function(e ending) func(t *actors.Task) (belonging, error) {
	captured := k.had.make("function")
	return func(t *actors.Task) (belonging, error) {
		defer runtime.KeepAlive(captured)
		return e.work(k, t)
	}
}

// by lets a task of pid make the call, and live on for longer than the test.
func by[T any](k *keptWorld, pid *actor.PID, call func(t *actors.Task) T) T {
	made := make(chan T, 1)
	did(k.root, pid, func(t *actors.Task) error {
		made <- call(t)
		for t.Sleep(time.Hour) == nil {
		}
		return nil
	}, actors.Name(creator))
	return <-made
}

func (k *keptWorld) check(e ending, c call, options bool) {
	e.opts.Logger = discard()
	e.child.Props = actors.Props(func(w *actors.Worker) error {
		k.lives++
		if e.open {
			actors.On(w, func(t *actors.Task, m *ask) error { k.sender = t.Sender(); return nil })
		} else {
			actors.Handle(w, func(t *actors.Task, m *ask) (belonging, error) { return e.work(k, t) })
		}
		actors.On(w, func(t *actors.Task, m string) error { panic(m) })
		if e.setup != nil {
			return e.setup(k, w)
		}
		return nil
	}, actors.EventLoop(e.opts))
	k.release = newSignal()
	k.pending = new(actors.Promise[belonging])
	k.sup, k.pid = k.supervised(e.child)
	k.other = k.worker("other", actors.Options{}, none)
	if e.plain != nil {
		k.pid = e.plain(k)
	}
	long, end := context.WithCancel(context.Background()) // lives longer than the call
	defer end()
	k.opts = e.call
	if options {
		k.opts = append([]actors.CallOption{actors.Timeout(30 * time.Second), actors.Name("named"),
			actors.WithContext(context.WithValue(long, ask{}, k.had.make("context")))}, e.call...)
	}
	if e.first != nil {
		e.first(k)
	}
	a := c.make(k, e)
	k.opts = nil
	if e.then != nil {
		e.then(k, a)
	}
	if a.wait != nil {
		err := a.wait()
		switch {
		case e.err == nil && err != nil, e.err == errAny && err == nil, e.err != errAny && !errors.Is(err, e.err):
			k.Errorf("it ended with %v, not with %v", err, e.err)
		}
	}
	a.cancel, a.wait = nil, nil
	synctest.Wait() // the actor writes it, too
	if c.whole || e.plain != nil {
		k.sender = nil
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	var want []string
	if e.err == nil && a.result {
		want = []string{"answer"}
	}
	if held := k.had.held(); !slices.Equal(held, want) {
		k.Errorf("%v are held, not %v", held, want)
	}
	runtime.KeepAlive(a)
	if len(want) == 0 { // it has been seen
	} else if held := k.had.held(); len(held) > 0 {
		k.Errorf("without the future %v are held", held)
	}
	runtime.KeepAlive(k)
	if k.sup != nil {
		_, _ = k.sup.Stop(context.Background())
	}
}

func newSignal() chan struct{} { return make(chan struct{}) }

// TestReceiptsAreSmall: the future of a Start keeps neither its task nor the one whose
// message that worked on, if there is a budget or a context, and in any case not the
// latter. Each brings memory of its own, and a service may keep a future for each order.
func TestReceiptsAreSmall(t *testing.T) {
	for name, opts := range map[string][]actors.CallOption{
		"bare":    nil,
		"bounded": {actors.Timeout(time.Hour), actors.WithContext(context.Background())},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var outer, inner weak.Pointer[actors.Task]
				receipts := make(chan *actors.Future[int], 1)
				pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
					actors.Handle(w, func(t *actors.Task, _ string) (int, error) {
						outer = weak.Make(t)
						f := actors.Start(t, func(t *actors.Task) (int, error) {
							inner = weak.Make(t)
							return 1, t.Sleep(time.Second)
						})
						receipts <- f
						return actors.Await(t, f)
					})
					return nil
				})
				if _, err := actors.RequestFuture[int](w.root, pid, "order", opts...).Wait(w.Context()); err != nil {
					t.Fatal(err)
				}
				receipt := <-receipts
				synctest.Wait()
				for range 2 {
					runtime.GC()
				}
				if outer.Value() != nil {
					t.Error("the task that has the message is kept")
				}
				if opts != nil && inner.Value() != nil {
					t.Error("the task that was started is kept")
				}
				if v, err := receipt.TryResult(); v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		})
	}
}
