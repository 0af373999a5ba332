// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

var errSoldOut = errors.New("shop: sold out")

func init() { messages.RegisterError("shop.sold_out", errSoldOut) }

// failing is a worker that fails as it is told, by a handler or a panic.
func failing(w *actors.Worker) error {
	actors.Handle(w, func(_ *actors.Task, err error2) (none, error) { return none{}, err.error })
	actors.Handle(w, func(_ *actors.Task, p panic2) (none, error) { explode(p.value); return none{}, nil })
	return nil
}

type (
	error2 struct{ error }
	panic2 struct{ value any }
)

// explode is a name to look for in stacks.
//
//go:noinline
func explode(v any) { panic(v) }

// relay is a worker that asks another one.
func relay(to *actor.PID) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m error2) (none, error) { return actors.Ask[none](t, to, m) })
		actors.Handle(w, func(t *actors.Task, m panic2) (none, error) { return actors.Ask[none](t, to, m) })
		return nil
	}
}

// everyWay returns futures that fail the way m says, by name.
func everyWay(t *testing.T, sys *actor.ActorSystem, m any) map[string]*actors.Future[none] {
	pid := actortest.Spawn(t, sys.Root, "failing", failing, actors.Options{})
	hop := actortest.Spawn(t, sys.Root, "hop", relay(pid), actors.Options{})
	hop2 := actortest.Spawn(t, sys.Root, "hop2", relay(hop), actors.Options{})
	fail := func(*actors.Task) (none, error) {
		if p, ok := m.(panic2); ok {
			explode(p.value)
		}
		return none{}, m.(error2).error
	}
	all := map[string]*actors.Future[none]{
		"request":    actors.RequestFuture[none](sys.Root, pid, m),
		"submission": actors.Submit(sys.Root, pid, fail),
		"two hops":   actors.RequestFuture[none](sys.Root, hop2, m),
		"child": actors.Submit(sys.Root, pid, func(t *actors.Task) (none, error) {
			return actors.Await(t, actors.Start(t, fail))
		}),
		"offload": actors.Submit(sys.Root, pid, func(t *actors.Task) (none, error) {
			return actors.Await(t, actors.Offload(t, func(context.Context) (none, error) { return fail(nil) }))
		}),
		"All": actors.Submit(sys.Root, pid, func(t *actors.Task) (none, error) {
			_, err := actors.Await(t, futures.All(new(actors.Promise[none]).Future(), actors.Start(t, fail)))
			return none{}, err
		}),
	}
	time.Sleep(time.Second)
	synctest.Wait()
	return all
}

func errorsReachWaiters(t *testing.T, sys *actor.ActorSystem) {
	err := &fs.PathError{Op: "open", Path: "x", Err: errSoldOut}
	for name, f := range everyWay(t, sys, error2{err}) {
		_, got := f.TryResult()
		var path *fs.PathError
		if !errors.Is(got, errSoldOut) || !errors.As(got, &path) || path != err {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func panicsReachWaiters(t *testing.T, sys *actor.ActorSystem) {
	for name, f := range everyWay(t, sys, panic2{errSoldOut}) {
		if name == "submission" || name == "child" || name == "offload" || name == "All" {
			// The request's panic restarts the worker: those may be cut off.
			continue
		}
		wantPanic(t, name, f, errSoldOut)
	}
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	boom := func(*actors.Task) (none, error) { explode("boom"); return none{}, nil }
	wantPanic(t, "submission", actors.Submit(sys.Root, pid, boom), "boom")
	wantPanic(t, "after an await", do(sys.Root, pid, func(t *actors.Task) error {
		t.Yield()
		explode("boom")
		return nil
	}), "boom")
	wantPanic(t, "child", actors.Submit(sys.Root, pid, func(t *actors.Task) (none, error) {
		return actors.Await(t, actors.Start(t, boom))
	}), "boom")
	wantPanic(t, "offload", actors.Submit(sys.Root, pid, func(t *actors.Task) (none, error) {
		return actors.Await(t, actors.Offload(t, func(context.Context) (none, error) { return boom(nil) }))
	}), "boom")
}

func wantPanic(t *testing.T, what string, f *actors.Future[none], value any) {
	t.Helper()
	_, err := f.Wait(t.Context())
	var p *actors.PanicError
	switch {
	case !errors.As(err, &p) || p.Value != value:
		t.Errorf("%s: %v, want a panic with %v", what, err, value)
	case !strings.Contains(string(p.Stack), "contract.explode"):
		t.Errorf("%s: the stack is not the task's own:\n%s", what, p.Stack)
	}
	if target, ok := value.(error); ok {
		wantErr(t, what, err, target)
	}
}

// ask is the engine's own way to ask. It returns the answer if it is a Failure.
func ask(t *testing.T, sys *actor.ActorSystem, pid *actor.PID, m any) *messages.Failure {
	t.Helper()
	v, err := sys.Root.RequestFuture(pid, m, time.Minute).Result()
	f, ok := v.(*messages.Failure)
	if !ok || err != nil {
		t.Fatalf("a plain asker got %T %v, %v, want a *messages.Failure", v, v, err)
	}
	return f
}

func plainAskerGetsFailure(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", failing, actors.Options{})
	f := ask(t, sys, pid, error2{errors.New("just so")})
	if f.Code != "error" || f.Message != "just so" || !f.Ran || f.RetrySafe {
		t.Errorf("an error: %v", f)
	}
	f = ask(t, sys, pid, error2{errSoldOut})
	if f.Code != "shop.sold_out" || !f.Ran || f.RetrySafe {
		t.Errorf("a registered error: %v", f)
	}
	f = ask(t, sys, pid, panic2{"boom"})
	if f.Code != "panic" || !strings.Contains(f.Message, "boom") || strings.Contains(f.String(), "explode") || strings.Contains(f.String(), ".go:") {
		t.Errorf("a panic, without its stack: %v", f)
	}
	f = ask(t, sys, pid, 3.14)
	if f.Code != "unhandled" || f.Ran || !f.RetrySafe {
		t.Errorf("a message without a handler: %v", f)
	}
	// A plain actor that requests gets it as a message.
	var got any
	sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Request(pid, error2{errSoldOut})
		case *messages.Failure:
			got = m
		}
	}))
	synctest.Wait()
	if err, ok := got.(error); !ok || !errors.Is(err, errSoldOut) {
		t.Errorf("a plain actor got %v", got)
	}
}

func failureSaysWhetherItRan(t *testing.T, sys *actor.ActorSystem) {
	asleep := func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, d time.Duration) (none, error) { return none{}, t.Sleep(d) })
		return nil
	}
	pid := actortest.Spawn(t, sys.Root, "w", asleep, actors.Options{MaxInFlight: 1, MailboxSize: 2})
	answers := map[string]*actortest.Op[*messages.Failure]{}
	request := func(name string) {
		answers[name] = actortest.Go(t, func() (*messages.Failure, error) { return ask(t, sys, pid, time.Hour), nil })
		synctest.Wait()
	}
	for _, name := range []string{"running", "queued", "full"} {
		request(name)
		if name == "queued" {
			request("queued too")
		}
	}
	actors.RequestStop(sys.Root, pid, time.Second)
	request("stopping")
	time.Sleep(2 * time.Second)
	for name, want := range map[string]struct {
		err error
		ran bool
	}{
		"running": {actors.ErrStopped, true}, "queued": {actors.ErrStopping, false},
		"full": {actors.ErrMailboxFull, false}, "stopping": {actors.ErrStopping, false},
	} {
		f, _ := answers[name].Result()
		if !errors.Is(f, want.err) || f.Ran != want.ran || f.RetrySafe == want.ran {
			t.Errorf("%s: %v, want %v, ran %v", name, f, want.err, want.ran)
		}
	}
}

// wire takes a message to another machine and back.
func wire(t *testing.T, f *messages.Failure) *messages.Failure {
	t.Helper()
	b, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	far := &messages.Failure{}
	if err := proto.Unmarshal(b, far); err != nil {
		t.Fatal(err)
	}
	return far
}

func sentinelsSurvive(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", failing, actors.Options{})
	all := []error{actors.ErrPending, actors.ErrCanceled, actors.ErrTimeout, actors.ErrStopping, actors.ErrStopped, actors.ErrRestarted,
		actors.ErrDeadLetter, actors.ErrMailboxFull, actors.ErrNotWorker, actors.ErrUnhandled, supervisor.ErrDoNotRestart, supervisor.ErrEscalate}
	for i, sentinel := range all {
		far := wire(t, ask(t, sys, pid, error2{sentinel}))
		wantErr(t, "far away", far, sentinel)
		for j, other := range all {
			if i != j && errors.Is(far, other) {
				t.Errorf("%v also is %v", sentinel, other)
			}
		}
	}
	wantErr(t, "far away", wire(t, ask(t, sys, pid, error2{actors.ErrTimeout})), context.DeadlineExceeded)
	wantErr(t, "far away", wire(t, ask(t, sys, pid, error2{actors.ErrCanceled})), context.Canceled)
}

func registeredErrorsSurvive(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", failing, actors.Options{})
	both := errors.Join(errSoldOut, actors.ErrTimeout)
	wantErr(t, "far away", wire(t, ask(t, sys, pid, error2{both})), errSoldOut, actors.ErrTimeout)
	// A worker that gets a Failure for an answer sees an error.
	plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(int); ok {
			c.Respond(wire(t, messages.NewFailure(errSoldOut, true, false)))
		}
	}))
	_, err := actors.RequestFuture[string](sys.Root, plain, 1).Wait(t.Context())
	wantErr(t, "of a plain actor", err, errSoldOut)
}

func returnedErrorIsAnswer(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", failing, actors.Options{})
	_, err := actors.RequestFuture[none](sys.Root, pid, error2{errSoldOut}).Wait(t.Context())
	wantErr(t, "the answer", err, errSoldOut)
	if st := actortest.Status(t, sys.Root, pid); st.Incarnation != 1 || st.Counts.Failed != 1 {
		t.Errorf("status: %v", st)
	}
}

func onewayErrorIsLogged(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, int) error { return errSoldOut })
		actors.Handle(w, func(*actors.Task, string) (none, error) { return none{}, errSoldOut })
		return nil
	}, actors.Options{})
	sys.Root.Send(pid, 1)
	sys.Root.Send(pid, "a request that nobody asked")
	synctest.Wait()
	log := actortest.LogOf(sys).Find(slog.LevelWarn, "")
	if len(log) != 2 || log[0].Attr("error") != error(errSoldOut) || log[0].Attr("worker") != "w" || log[0].Attr("task") != "int" {
		t.Errorf("logged: %v", log)
	}
	if st := actortest.Status(t, sys.Root, pid); st.Incarnation != 1 || st.Counts.Failed != 2 {
		t.Errorf("status: %v", st)
	}
}
