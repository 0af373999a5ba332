// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

var errSoldOut = errors.New("sold out")

func init() { messages.RegisterError("remote_test.sold_out", errSoldOut) }

// machine is an actor system that others reach over the network.
func machine(t *testing.T, opts ...remote.ConfigOption) *actor.ActorSystem {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard() }))
	remote.NewRemote(sys, remote.Configure("127.0.0.1", 0, opts...)).Start()
	// Start sets a variable of gRPC's that the servers before it may be
	// reading. What its server has sent us says that it has read it.
	conn, err := net.Dial("tcp", sys.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return sys
}

// inChild runs the test in a process of its own, and reports whether this is
// it. The engine's remote cannot be stopped and started in one process: its
// endpoints go on for 10 s, and Start races with what is running.
func inChild(t *testing.T) bool {
	const env = "PROTOLOOP_TEST_CHILD"
	if os.Getenv(env) == t.Name() {
		return true
	}
	limit := time.Duration(0) // none
	if end, ok := t.Deadline(); ok {
		limit = time.Until(end) * 9 / 10 // so that it says itself where it hangs
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+limit.String())
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), childPassed) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

const childPassed = "all of the child's tests have passed"

// childDone ends the process of inChild if all is well.
func childDone(t *testing.T) {
	if !t.Failed() {
		fmt.Println(childPassed)
		os.Exit(0)
	}
}

// embedsNil is a message whose methods panic.
type embedsNil struct{ proto.Message }

// rooted is a message that gives another one to be sent.
type rooted struct {
	give func() (remote.RootSerialized, error)
}

func (r rooted) Serialize() (remote.RootSerialized, error) { return r.give() }

// text is what a rooted gives.
type text struct{ *wrapperspb.StringValue }

func (text) Deserialize() (remote.RootSerializable, error) { return nil, nil }

// noMessage is what it must not give.
type noMessage struct{}

func (noMessage) Deserialize() (remote.RootSerializable, error) { return nil, nil }

func rootedText(s string) rooted {
	return rooted{func() (remote.RootSerialized, error) { return text{wrapperspb.String(s)}, nil }}
}

// told is what the far worker's tasks saw.
type told struct{ ended chan error }

// far is a worker for askers from elsewhere. What it does a string says.
func far(told told) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			if len(m.Value) > 1<<20 {
				user, _ := t.Context().Value(userKey{}).(string)
				return wrapperspb.String(fmt.Sprint("long, with ", len(user))), nil
			}
			switch m.Value {
			case "fail":
				return nil, errors.New("broken")
			case "sold out":
				return nil, &jobError{errSoldOut}
			case "panic":
				panic("boom")
			case "long":
				return wrapperspb.String(strings.Repeat("x", 5<<20)), nil
			case "longer than the limit":
				return wrapperspb.String(strings.Repeat("x", 5<<10)), nil
			case "no text":
				return wrapperspb.String("\xff"), nil
			case "values":
				return wrapperspb.String(valuesIn(t.Context())), nil
			case "respond nil":
				t.Respond(nil)
			case "respond a panic":
				t.Respond(embedsNil{})
			case "respond long":
				t.Respond(wrapperspb.String(strings.Repeat("x", 5<<20)))
			case "hang":
				err := t.Sleep(time.Hour)
				told.ended <- context.Cause(t.Context())
				return nil, err
			case "ignore": // its end, and answer all the same
				_ = t.Sleep(time.Hour)
			}
			return wrapperspb.String("did " + m.Value), nil
		})
		actors.Handle(w, func(t *actors.Task, _ *wrapperspb.BytesValue) (any, error) {
			return struct{ What string }{"no message"}, nil
		})
		actors.Handle(w, func(t *actors.Task, m *wrapperspb.BoolValue) (any, error) {
			if m.Value {
				return embedsNil{}, nil
			}
			return nil, nil
		})
		actors.On(w, func(_ *actors.Task, m *wrapperspb.Int64Value) error {
			if m.Value > 0 {
				return errSoldOut
			}
			return nil
		})
		// The budget that is left.
		actors.Handle(w, func(t *actors.Task, _ *emptypb.Empty) (*durationpb.Duration, error) {
			at, ok := t.Context().Deadline()
			if !ok {
				return nil, errors.New("no deadline")
			}
			return durationpb.New(time.Until(at)), nil
		})
		return nil
	}
}

func TestRemote(t *testing.T) {
	if !inChild(t) {
		return
	}
	defer childDone(t)
	here, there := machine(t), machine(t)
	told := told{make(chan error, 16)}
	name := 0
	// worker spawns a far worker, and returns its PID here and there.
	worker := func(t *testing.T) (remote, local *actor.PID) {
		name++
		local = actortest.Spawn(t, there.Root, "worker-"+string(rune('a'+name)), far(told), actors.Options{})
		return actor.NewPID(there.Address(), local.Id), local
	}
	do := func(pid *actor.PID, what string, opts ...actors.CallOption) *actors.Future[*wrapperspb.StringValue] {
		return actors.RequestFuture[*wrapperspb.StringValue](here.Root, pid, wrapperspb.String(what), opts...)
	}
	failure := func(t *testing.T, f *actors.Future[*wrapperspb.StringValue]) *messages.Failure {
		t.Helper()
		v, err := result(f)
		var fail *messages.Failure
		if !errors.As(err, &fail) {
			t.Fatalf("got %v, %v; want a Failure", v, err)
		}
		return fail
	}
	// hang begins a request that its worker works on when it returns.
	hang := func(t *testing.T, pid *actor.PID, what string, opts ...actors.CallOption) *actors.Future[*wrapperspb.StringValue] {
		t.Helper()
		f := do(pid, what, opts...)
		if _, err := result(do(pid, "follow")); err != nil { // what it is told next, it has begun f
			t.Fatal(err)
		}
		return f
	}

	t.Run("value", func(t *testing.T) {
		pid, _ := worker(t)
		v, err := result(do(pid, "this"))
		if err != nil || v.GetValue() != "did this" {
			t.Errorf("%v, %v", v, err)
		}
		// From a task, too.
		near := actortest.Spawn(t, here.Root, "near", none, actors.Options{})
		s, err := result(actors.Submit(here.Root, near, func(t *actors.Task) (string, error) {
			v, err := actors.Ask[*wrapperspb.StringValue](t, pid, wrapperspb.String("that"))
			return v.GetValue(), err
		}))
		if err != nil || s != "did that" {
			t.Errorf("%v, %v", s, err)
		}
	})
	t.Run("error", func(t *testing.T) {
		pid, _ := worker(t)
		if f := failure(t, do(pid, "fail")); f.GetMessage() != "broken" || f.GetCode() != "error" || !f.GetRan() || f.GetRetrySafe() {
			t.Errorf("%v", f)
		}
	})
	t.Run("sentinel", func(t *testing.T) {
		pid, _ := worker(t)
		wantErr(t, do(pid, "sold out"), errSoldOut)
	})
	t.Run("panic", func(t *testing.T) {
		pid, _ := worker(t)
		f := failure(t, do(pid, "panic"))
		if f.GetCode() != "panic" || f.GetMessage() != "panic: boom" || !f.GetRan() || f.GetRetrySafe() {
			t.Errorf("%v", f)
		}
		if s := f.String(); strings.Contains(s, "goroutine") || strings.Contains(s, ".go:") {
			t.Errorf("the stack has travelled: %s", s)
		}
		if v, err := result(do(pid, "more")); err != nil || v.GetValue() != "did more" {
			t.Errorf("after the restart: %v, %v", v, err)
		}
	})
	for _, what := range []string{"hang", "ignore"} {
		t.Run("ErrRestarted/"+what, func(t *testing.T) {
			pid, _ := worker(t)
			f := hang(t, pid, what)
			failure(t, do(pid, "panic"))
			wantErr(t, f, actors.ErrRestarted)
			if f := failure(t, f); !f.GetRan() || f.GetRetrySafe() || strings.Contains(f.String(), ".go:") {
				t.Errorf("%v", f)
			}
			if what == "hang" {
				if err := <-told.ended; !errors.Is(err, actors.ErrRestarted) {
					t.Errorf("the task's context ended with %v", err)
				}
			}
		})
	}
	t.Run("without a value", func(t *testing.T) {
		pid, local := worker(t)
		want(t, actors.RequestFuture[actors.None](here.Root, pid, wrapperspb.Int64(0)), actors.None{})
		wantErr(t, actors.RequestFuture[actors.None](here.Root, pid, wrapperspb.Int64(1)), errSoldOut)
		want(t, actors.RequestFuture[actors.None](there.Root, local, wrapperspb.Int64(0)), actors.None{})
	})
	t.Run("ErrUnhandled", func(t *testing.T) {
		pid, _ := worker(t)
		f := actors.RequestFuture[*wrapperspb.Int32Value](here.Root, pid, wrapperspb.Int32(1))
		wantErr(t, f, actors.ErrUnhandled)
		_, err := result(f)
		testtools.WantText(t, err, "has no handler for *wrapperspb.Int32Value")
	})
	t.Run("ErrDeadLetter", func(t *testing.T) {
		wantErr(t, do(actor.NewPID(there.Address(), "nobody"), "x"), actors.ErrDeadLetter)
	})
	t.Run("ErrStopping", func(t *testing.T) {
		pid, local := worker(t)
		busy := hang(t, pid, "hang")
		stop := actors.RequestStop(there.Root, local, time.Hour)
		wantErr(t, do(pid, "late"), actors.ErrStopping)
		if f := failure(t, do(pid, "late")); f.GetRan() || !f.GetRetrySafe() {
			t.Errorf("%v", f)
		}
		there.Root.Stop(local)
		wantErr(t, busy, actors.ErrStopped)
		if f := failure(t, busy); !f.GetRan() || f.GetRetrySafe() {
			t.Errorf("%v", f)
		}
		<-told.ended
		if _, err := result(stop); err != nil {
			t.Error(err)
		}
	})
	t.Run("budget", func(t *testing.T) {
		pid, _ := worker(t)
		left := func(s actor.SenderContext, opts ...actors.CallOption) time.Duration {
			d, err := result(actors.RequestFuture[*durationpb.Duration](s, pid, &emptypb.Empty{}, opts...))
			if err != nil {
				t.Error(err)
			}
			return d.AsDuration()
		}
		if d := left(here.Root, actors.Timeout(time.Hour)); d > time.Hour || d < time.Hour/2 {
			t.Errorf("%v left of an hour", d)
		}
		if d := left(here.Root); d > 30*time.Second || d <= 0 {
			t.Errorf("%v left of the 30 s that are the default", d)
		}
		near := actortest.Spawn(t, here.Root, "hop", none, actors.Options{})
		d, err := result(actors.Submit(here.Root, near, func(t *actors.Task) (time.Duration, error) {
			d, err := actors.Ask[*durationpb.Duration](t, pid, &emptypb.Empty{})
			return d.AsDuration(), err
		}, actors.Timeout(20*time.Minute)))
		if err != nil || d > 20*time.Minute || d <= 0 {
			t.Errorf("%v left of 20 min, %v", d, err)
		}
	})
	t.Run("context values", func(t *testing.T) {
		pid, _ := worker(t)
		for _, c := range []struct {
			ctx  context.Context
			want string
		}{
			{withValues(t.Context(), tenant{7}, "Ünal", nil), "{7} Ünal <nil>"},
			{withValues(t.Context(), tenant{7}, "\xff", nil), "{7} <nil> <nil>"}, // which the engine's remote would drop the message for
			{withValues(t.Context(), nil, strings.Repeat("x", 8<<10), nil), "<nil> <nil> <nil>"},
			{t.Context(), "<nil> <nil> <nil>"},
		} {
			if v, err := result(do(pid, "values", actors.WithContext(c.ctx), actors.Idempotent())); err != nil || v.GetValue() != c.want {
				t.Errorf("%v, %v; want %s", v, err, c.want)
			}
		}
		// A message as long as may be, with as many values as there may be.
		most := withValues(t.Context(), nil, strings.Repeat("x", 8<<10-len("protoloop-value-test.user")), nil)
		text := strings.Repeat("x", 4<<20-1<<10-8<<10)
		fits := len(text) - (proto.Size(wrapperspb.String(text)) - len(text))
		v, err := result(do(pid, text[:fits], actors.WithContext(most)))
		if err != nil || v.GetValue() != fmt.Sprint("long, with ", len(most.Value(userKey{}).(string))) {
			t.Errorf("%v, %v", v, err)
		}
		wantErr(t, do(pid, text[:fits+1], actors.WithContext(most)), actors.ErrUnsendable)
	})
	t.Run("ErrTimeout", func(t *testing.T) {
		pid, _ := worker(t)
		wantErr(t, do(pid, "hang", actors.Timeout(300*time.Millisecond)), actors.ErrTimeout)
		select { // and the work is seen to stop
		case err := <-told.ended:
			if !errors.Is(err, actors.ErrTimeout) {
				t.Errorf("the far task's context ended with %v", err)
			}
		case <-time.After(soon):
			t.Error("the far task goes on")
		}
	})
	t.Run("Stop of a stranger", func(t *testing.T) {
		pid, _ := worker(t)
		for _, token := range []string{"", "guessed"} {
			f := actors.RequestFuture[actors.Counts](here.Root, pid, &messages.Stop{Token: token})
			wantErr(t, f, actors.ErrUnhandled)
		}
		f := actors.RequestStop(here.Root, pid, actors.NoGrace) // with a token, of its own system
		wantErr(t, f, actors.ErrUnhandled)
		_, err := result(f)
		testtools.WantText(t, err, "messages.Stop is honoured from its own actor system only")
		if v, err := result(do(pid, "still")); err != nil || v.GetValue() != "did still" {
			t.Errorf("%v, %v", v, err)
		}
	})
	t.Run("engine", func(t *testing.T) {
		pid, _ := worker(t)
		ask := func(what string) any {
			v, err := here.Root.RequestFuture(pid, wrapperspb.String(what), soon).Result()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return v
		}
		if v, ok := ask("this").(*wrapperspb.StringValue); !ok || v.Value != "did this" {
			t.Errorf("%v", v)
		}
		if f, ok := ask("sold out").(*messages.Failure); !ok || !errors.Is(f, errSoldOut) {
			t.Errorf("%v", f)
		}
		if f, ok := ask("panic").(*messages.Failure); !ok || f.GetCode() != "panic" || strings.Contains(f.String(), ".go:") {
			t.Errorf("%v", f)
		}
	})
	t.Run("reply of another type", func(t *testing.T) {
		pid, _ := worker(t)
		_, err := result(actors.RequestFuture[*emptypb.Empty](here.Root, pid, wrapperspb.String("x")))
		testtools.WantText(t, err, "the reply is a *wrapperspb.StringValue, the future wants a *emptypb.Empty")
	})
	t.Run("ErrUnsendable", func(t *testing.T) {
		pid, local := worker(t)
		busy := hang(t, pid, "hang")
		long := strings.Repeat("x", 5<<20)
		for _, f := range []*actors.Future[*wrapperspb.StringValue]{
			do(pid, long), do(pid, "\xff"), actors.RequestFuture[*wrapperspb.StringValue](here.Root, pid, struct{}{}),
			do(pid, "long"), do(pid, "no text"), do(pid, "respond long"),
			actors.RequestFuture[*wrapperspb.StringValue](here.Root, pid, wrapperspb.Bytes(nil)),
		} {
			wantErr(t, f, actors.ErrUnsendable)
		}
		_, err := result(do(pid, long))
		testtools.WantText(t, err, fmt.Sprintf("a *wrapperspb.StringValue of 5242885 bytes to %s/%s, which with what goes with it is more than the limit of 4194304", pid.Address, pid.Id))
		_, err = result(do(pid, "\xff"))
		testtools.WantText(t, err, "a *wrapperspb.StringValue to", "invalid UTF-8")
		if f := failure(t, do(pid, "long")); !f.GetRan() || f.GetRetrySafe() {
			t.Errorf("%v", f)
		}
		testtools.WantText(t, failure(t, do(pid, "long")), "a *wrapperspb.StringValue of 5242885 bytes to")

		// What cannot even be looked at fails its asker, and nothing else.
		for _, f := range []*actors.Future[any]{
			actors.RequestFuture[any](here.Root, pid, wrapperspb.Bool(false)),
			actors.RequestFuture[any](here.Root, pid, wrapperspb.Bool(true)),
			actors.RequestFuture[any](here.Root, pid, wrapperspb.String("respond nil")),
			actors.RequestFuture[any](here.Root, pid, wrapperspb.String("respond a panic")),
			actors.RequestFuture[any](here.Root, pid, embedsNil{}),
		} {
			wantErr(t, f, actors.ErrUnsendable)
		}
		_, err = result(actors.RequestFuture[any](here.Root, pid, wrapperspb.Bool(false)))
		testtools.WantText(t, err, "a nil to "+here.Address(), "is no proto.Message")
		_, err = result(actors.RequestFuture[any](here.Root, pid, wrapperspb.Bool(true)))
		testtools.WantText(t, err, "a actors_test.embedsNil to", "a panic as it was serialized", "nil pointer")
		if st := actortest.Status(t, there.Root, local); st.Incarnation != 1 {
			t.Errorf("the worker is in its incarnation %d", st.Incarnation)
		}

		// What gives another message to be sent is looked at as that.
		root := func(m rooted) *actors.Future[*wrapperspb.StringValue] {
			return actors.RequestFuture[*wrapperspb.StringValue](here.Root, pid, m, actors.Timeout(soon))
		}
		if v, err := result(root(rootedText("rooted"))); err != nil || v.GetValue() != "did rooted" {
			t.Errorf("%v, %v", v, err)
		}
		errRooted := errors.New("it has no text")
		for part, m := range map[string]rooted{
			"of 5242885 bytes":         rootedText(long),
			"invalid UTF-8":            rootedText("\xff"),
			"it has no text":           {func() (remote.RootSerialized, error) { return nil, errRooted }},
			"noMessage to":             {func() (remote.RootSerialized, error) { return noMessage{}, nil }},
			"a panic as it was serial": {func() (remote.RootSerialized, error) { panic("!") }},
			"a <nil> to":               {func() (remote.RootSerialized, error) { return nil, nil }},
		} {
			_, err := result(root(m))
			if !errors.Is(err, actors.ErrUnsendable) {
				t.Errorf("%s: %v", part, err)
				continue
			}
			testtools.WantText(t, err, part)
		}

		// A task that forwards, and PipeTo.
		near := actortest.Spawn(t, here.Root, "unsendable", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ struct{}) (*wrapperspb.StringValue, error) {
				t.Forward(pid)
				return nil, nil
			})
			return nil
		}, actors.Options{})
		wantErr(t, actors.RequestFuture[*wrapperspb.StringValue](here.Root, near, struct{}{}), actors.ErrUnsendable)
		_, err = here.Root.RequestFuture(near, struct{}{}, soon).Result()
		if err != nil {
			t.Error(err)
		}
		heard := make(chan *messages.Failure, 1)
		listener := there.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if f, ok := c.Message().(*messages.Failure); ok {
				heard <- f
			}
		}))
		for _, v := range []any{struct{}{}, nil, embedsNil{}} {
			futures.Resolved(v).PipeTo(here.Root, actor.NewPID(there.Address(), listener.Id))
			select {
			case f := <-heard:
				if !errors.Is(f, actors.ErrUnsendable) || !f.GetRan() || f.GetRetrySafe() {
					t.Errorf("%v", f)
				}
			case <-time.After(soon):
				t.Errorf("nothing was piped for %#v", v)
			}
		}

		messages.SetLimit(there, 4<<10)
		wantErr(t, do(pid, "longer than the limit"), actors.ErrUnsendable)
		messages.SetLimit(there, -1)
		if v, err := result(do(pid, "longer than the limit")); err != nil || len(v.GetValue()) != 5<<10 {
			t.Error(err)
		}
		if busy.Done() {
			t.Error("the connection was lost")
		}
		there.Root.Stop(actor.NewPID("nonhost", pid.Id))
		wantErr(t, busy, actors.ErrStopped)
		<-told.ended
	})
	t.Run("status", func(t *testing.T) {
		pid, _ := worker(t)
		st, err := result(actors.RequestFuture[*messages.Status](here.Root, pid, &messages.StatusRequest{}))
		if err != nil || st.GetState() != "running" || st.Incarnation != 1 {
			t.Errorf("%v, %v", st, err)
		}
	})
}

// TestRemoteBatches: the engine sends up to a thousand messages at once, as one. If they
// are longer together than the other side receives, the connection is lost. Bounds that
// fit each other keep it: so many messages at once, of such a length, as it receives.
func TestRemoteBatches(t *testing.T) {
	// ask sends all before there is a connection, so that the engine has them to send at
	// once. It returns how many were answered before the connection was lost, or all.
	ask := func(t *testing.T, n, size int, opts ...remote.ConfigOption) (answered int) {
		here, there := machine(t, opts...), machine(t, opts...)
		lost, lose := context.WithCancel(t.Context())
		here.EventStream.Subscribe(func(e any) {
			if e, ok := e.(*remote.EndpointTerminatedEvent); ok && e.Address == there.Address() {
				lose()
			}
		})
		local := actortest.Spawn(t, there.Root, "lengths", func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
				return wrapperspb.Int64(int64(len(m.Value))), nil
			})
			return nil
		}, actors.Options{})
		pid, message := actor.NewPID(there.Address(), local.Id), wrapperspb.String(strings.Repeat("x", size))
		fs := make([]*actors.Future[*wrapperspb.Int64Value], n)
		for i := range fs {
			fs[i] = actors.RequestFuture[*wrapperspb.Int64Value](here.Root, pid, message, actors.Timeout(time.Hour))
		}
		for _, f := range fs {
			switch v, err := f.Wait(lost); {
			case err == nil && v.Value == int64(size):
				answered++
			case err == nil:
				t.Errorf("got %d bytes", v.Value)
			case lost.Err() == nil && !errors.Is(err, actors.ErrDeadLetter):
				t.Error(err)
			}
		}
		return answered
	}
	bounds := remoteBounds()
	const many = 500 // 16 MB, where 4 MB at once are too much
	t.Run("many", func(t *testing.T) {
		if !inChild(t) {
			return
		}
		defer childDone(t)
		if n := ask(t, many, 32<<10, bounds...); n != many {
			t.Errorf("%d of %d were answered", n, many)
		}
	})
	t.Run("the longest", func(t *testing.T) {
		if !inChild(t) {
			return
		}
		defer childDone(t)
		if n := ask(t, 17, 4<<20-2<<10, bounds...); n != 17 { // a batch, and one more
			t.Errorf("%d of 17 were answered", n)
		}
	})
	t.Run("without bounds", func(t *testing.T) {
		if !inChild(t) {
			return
		}
		defer childDone(t)
		if n := ask(t, many, 32<<10); n == many {
			t.Error("all were answered: the bounds need not be in the documentation")
		}
	})
}

// soon bounds what should take no time over the loopback, where the engine wants a bound.
const soon = hang
