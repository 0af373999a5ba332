package actors_test

import (
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

// keptWorld is a worker and what is asked of it.
type keptWorld struct {
	*world
	had     belongings
	sup     *supervisor.Supervisor
	pid     *actor.PID
	other   *actor.PID // a worker whose task asks
	release chan struct{}
	lives   int
	tries   int
	opts    []actors.CallOption // of the call
}

// ending is one way in which work ends.
type ending struct {
	child supervisor.Child                                      // the worker's, but for its Props
	opts  actors.Options                                        // of the worker
	setup func(k *keptWorld, w *actors.Worker) error            // its setup
	first func(k *keptWorld)                                    // before the call
	work  func(k *keptWorld, t *actors.Task) (belonging, error) // what is asked for
	call  []actors.CallOption                                   // how
	then  func(k *keptWorld, f *actors.Future[belonging])       // after the call
	plain func(k *keptWorld) *actor.PID                         // who is asked, if that is no worker
	not   map[string]bool                                       // kinds of call that there is not
	err   error                                                 // how it ends; nil: with a value
}

var (
	errEnding  = errors.New("the work failed")
	errAny     = errors.New("any error")
	onlyAsked  = map[string]bool{"Submit": true, "Submit by a task": true, "Start": true}
	notStarted = map[string]bool{"Start": true}
)

func (k *keptWorld) answer() (belonging, error) { return k.had.make("answer"), nil }

// block lets the worker do nothing until release is closed, or for so long.
func (k *keptWorld) block() {
	did(k.root, k.pid, func(*actors.Task) error { <-k.release; return nil })
	synctest.Wait()
}

func sleepAnHour(_ *keptWorld, t *actors.Task) (belonging, error) { return nil, t.Sleep(time.Hour) }

func answersAtOnce(k *keptWorld, _ *actors.Task) (belonging, error) { return k.answer() }

func restart(k *keptWorld, _ *actors.Future[belonging]) {
	synctest.Wait()
	if err := k.sup.Restart(context.Background(), "child"); err != nil {
		k.Error(err)
	}
}

func endings() map[string]ending {
	return map[string]ending{
		"returned": {work: answersAtOnce},
		"awaited and returned": {work: func(k *keptWorld, t *actors.Task) (belonging, error) {
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
			g := actors.NewGroup(t)
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
		"its error":  {work: func(*keptWorld, *actors.Task) (belonging, error) { return nil, errEnding }, err: errEnding},
		"its panic":  {work: func(*keptWorld, *actors.Task) (belonging, error) { panic("!") }, err: errAny},
		"its Goexit": {work: func(*keptWorld, *actors.Task) (belonging, error) { runtime.Goexit(); return nil, nil }, err: actors.ErrGoexit},
		"a cancel before it began": {not: notStarted, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrCanceled,
			then: func(k *keptWorld, f *actors.Future[belonging]) { f.Cancel(); close(k.release) }},
		"a cancel while it is suspended": {work: sleepAnHour, err: actors.ErrCanceled,
			then: func(k *keptWorld, f *actors.Future[belonging]) { synctest.Wait(); f.Cancel() }},
		"a timeout before it began": {not: notStarted, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrTimeout,
			call: []actors.CallOption{actors.Timeout(time.Second)},
			then: func(k *keptWorld, f *actors.Future[belonging]) { time.Sleep(time.Minute); close(k.release) }},
		"a timeout while it is suspended": {work: sleepAnHour, err: actors.ErrTimeout,
			call: []actors.CallOption{actors.Timeout(time.Second)}},
		"a refusal by a full worker": {not: notStarted, opts: actors.Options{MailboxSize: 1}, work: answersAtOnce, err: actors.ErrMailboxFull,
			first: func(k *keptWorld) { k.block(); did(k.root, k.pid, func(*actors.Task) error { return nil }) },
			then:  func(k *keptWorld, f *actors.Future[belonging]) { close(k.release) }},
		"a refusal by a stopping worker": {not: notStarted, work: answersAtOnce, err: actors.ErrStopping,
			first: func(k *keptWorld) { k.block(); actors.Stop(k.root, k.pid, time.Hour) },
			then:  func(k *keptWorld, f *actors.Future[belonging]) { close(k.release) }},
		"nobody there": {child: supervisor.Child{Restart: supervisor.Temporary}, not: notStarted, work: answersAtOnce, err: actors.ErrDeadLetter,
			first: func(k *keptWorld) { k.stopped(k.pid, 0) }},
		"its stash, and a restart": {not: onlyAsked, then: restart, work: func(k *keptWorld, t *actors.Task) (belonging, error) {
			if k.lives == 1 {
				t.Stash()
				return nil, nil
			}
			return k.answer()
		}},
		"its stash, and a stop": {not: onlyAsked, err: actors.ErrStopped,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) { t.Stash(); return nil, nil },
			then: func(k *keptWorld, f *actors.Future[belonging]) { synctest.Wait(); k.stopped(k.pid, time.Second) }},
		"a restart": {work: sleepAnHour, then: restart, err: actors.ErrRestarted},
		"a crash of its worker": {work: sleepAnHour, err: actors.ErrRestarted, then: func(k *keptWorld, _ *actors.Future[belonging]) {
			synctest.Wait()
			k.root.Send(k.pid, "crash")
		}},
		"a stop that cuts it off": {work: sleepAnHour, err: actors.ErrStopped, then: func(k *keptWorld, _ *actors.Future[belonging]) {
			synctest.Wait()
			k.stopped(k.pid, -1)
		}},
		"a stop before it began": {not: notStarted, first: (*keptWorld).block, work: answersAtOnce, err: actors.ErrStopping,
			then: func(k *keptWorld, _ *actors.Future[belonging]) {
				f := actors.Stop(k.root, k.pid, -1)
				close(k.release)
				_, _ = result(f)
			}},
		"Poison": {work: sleepAnHour, err: actors.ErrStopped,
			then: func(k *keptWorld, _ *actors.Future[belonging]) { synctest.Wait(); k.root.Poison(k.pid) }},
		"its abandonment": {opts: actors.Options{StopGrace: time.Second, BlockedTurn: time.Second}, err: actors.ErrRestarted,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) { _ = t.Yield(); <-k.release; return k.answer() },
			then: func(k *keptWorld, f *actors.Future[belonging]) {
				restart(k, f)
				close(k.release)
			}},
		"its retry": {child: supervisor.Child{OnCrash: supervisor.CrashPolicy{Retries: 1}}, not: onlyAsked,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) {
				if k.tries++; k.tries == 1 {
					panic("!")
				}
				return k.answer()
			}},
		"too many tries": {child: supervisor.Child{OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: func(supervisor.Crash) {}}}, not: onlyAsked,
			work: func(k *keptWorld, t *actors.Task) (belonging, error) { panic("!") }, err: errAny},
		"a setup that fails": {not: notStarted, work: answersAtOnce, err: actors.ErrStopping,
			setup: func(k *keptWorld, w *actors.Worker) error {
				if k.lives == 1 {
					return nil
				}
				_ = w.Task().Sleep(time.Second)
				return errEnding
			},
			first: func(k *keptWorld) { k.root.Send(k.pid, "crash"); synctest.Wait() }},
		"the answer of a plain actor": {not: onlyAsked, plain: func(k *keptWorld) *actor.PID {
			return k.plain(func(c actor.Context) {
				if _, ok := c.Message().(*ask); ok {
					c.Respond(k.had.make("answer"))
				}
			})
		}},
		"the silence of a plain actor": {not: onlyAsked, err: actors.ErrTimeout, plain: func(k *keptWorld) *actor.PID {
			return k.plain(func(c actor.Context) {})
		}},
		"no plain actor": {not: onlyAsked, err: actors.ErrDeadLetter, plain: func(k *keptWorld) *actor.PID {
			pid := k.plain(func(c actor.Context) {})
			_ = k.root.StopFuture(pid).Wait()
			return pid
		}},
		"the answer of a plain actor on an EventLoop": {not: onlyAsked, plain: func(k *keptWorld) *actor.PID {
			return k.dropIn(actors.Options{}, func(c actor.Context) {
				if _, ok := c.Message().(*ask); ok {
					c.Respond(k.had.make("answer"))
				}
			})
		}},
	}
}

// TestNothingIsKeptOfFinishedWork: of work that has ended its future keeps the result,
// and nobody keeps anything else. Its creator goes on, and so does its worker if it did
// not stop.
func TestNothingIsKeptOfFinishedWork(t *testing.T) {
	calls := map[string]func(k *keptWorld, e ending) *actors.Future[belonging]{
		"Submit": func(k *keptWorld, e ending) *actors.Future[belonging] {
			return actors.Submit(k.root, k.pid, k.function(e), k.opts...)
		},
		"RequestFuture": func(k *keptWorld, e ending) *actors.Future[belonging] {
			return actors.RequestFuture[belonging](k.root, k.pid, &ask{k.had.make("message")}, k.opts...)
		},
		"Submit by a task": func(k *keptWorld, e ending) *actors.Future[belonging] {
			return k.byTask(k.other, func(t *actors.Task) *actors.Future[belonging] {
				return actors.Submit(t, k.pid, k.function(e), k.opts...)
			})
		},
		"RequestFuture by a task": func(k *keptWorld, e ending) *actors.Future[belonging] {
			return k.byTask(k.other, func(t *actors.Task) *actors.Future[belonging] {
				return actors.RequestFuture[belonging](t, k.pid, &ask{k.had.make("message")}, k.opts...)
			})
		},
		"Start": func(k *keptWorld, e ending) *actors.Future[belonging] {
			return k.byTask(k.pid, func(t *actors.Task) *actors.Future[belonging] {
				return actors.Start(t, k.function(e), k.opts...)
			})
		},
	}
	all := endings()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		for call, make := range calls {
			if e.not[call] {
				continue
			}
			for _, options := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, call, options), func(t *testing.T) {
					actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
						(&keptWorld{world: &world{T: t, sys: sys, root: sys.Root}}).check(e, make, options)
					}, actor.WithDeadLetterRequestLogging(false)) // the log keeps what it says
				})
			}
		}
	}
}

// function is what is submitted or started.
func (k *keptWorld) function(e ending) func(t *actors.Task) (belonging, error) {
	captured := k.had.make("function")
	return func(t *actors.Task) (belonging, error) {
		defer runtime.KeepAlive(captured)
		return e.work(k, t)
	}
}

// byTask lets a task of pid make the call, and live on for longer than the test.
func (k *keptWorld) byTask(pid *actor.PID, call func(t *actors.Task) *actors.Future[belonging]) (f *actors.Future[belonging]) {
	made := make(chan *actors.Future[belonging], 1)
	did(k.root, pid, func(t *actors.Task) error {
		made <- call(t)
		for t.Sleep(time.Hour) == nil {
		}
		return nil
	})
	return <-made
}

func (k *keptWorld) check(e ending, make func(k *keptWorld, e ending) *actors.Future[belonging], options bool) {
	e.opts.Logger = discard()
	e.child.Props = actors.Props(func(w *actors.Worker) error {
		k.lives++
		actors.Handle(w, func(t *actors.Task, m *ask) (belonging, error) { return e.work(k, t) })
		actors.On(w, func(t *actors.Task, m string) error { panic(m) })
		if e.setup != nil {
			return e.setup(k, w)
		}
		return nil
	}, actors.EventLoop(e.opts))
	k.release = newSignal()
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
	f := make(k, e)
	k.opts = nil
	if e.then != nil {
		e.then(k, f)
	}
	_, err := result(f)
	switch {
	case e.err == nil && err != nil, e.err == errAny && err == nil, e.err != errAny && !errors.Is(err, e.err):
		k.Errorf("it ended with %v, not with %v", err, e.err)
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	var want []string
	if e.err == nil {
		want = []string{"answer"}
	}
	if held := k.had.held(); !slices.Equal(held, want) {
		k.Errorf("%v are held, not %v", held, want)
	}
	runtime.KeepAlive(f)
	if held := k.had.held(); len(held) > 0 {
		k.Errorf("without the future %v are held", held)
	}
	if k.sup != nil {
		_, _ = k.sup.Stop(context.Background())
	}
}

func newSignal() chan struct{} { return make(chan struct{}) }
