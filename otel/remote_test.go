// SPDX-License-Identifier: Apache-2.0

package otelloop_test

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

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	apitrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	otelloop "github.com/protoloop/protoloop/otel"
)

// childVariable makes the test binary run one test alone. The engine's remote cannot be stopped and started in one process.
const (
	childVariable = "PROTOLOOP_TEST_CHILD"
	childPassed   = "the child's test has passed"
)

// machine is an actor system that others reach over the network.
func machine(t *testing.T) *actor.ActorSystem {
	t.Helper()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	remote.NewRemote(sys, remote.Configure("127.0.0.1", 0)).Start()
	// Start sets a variable of gRPC's that the servers before it may be reading. What its server has sent says that it has read it.
	conn, err := net.Dial("tcp", sys.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the process ends
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return sys
}

// traceparentOf is what the header of a task's message says.
func traceparentOf(t *actors.Task) string {
	if h := t.MessageHeader(); h != nil {
		return h.Get("traceparent")
	}
	return ""
}

// TestTraceGoesToAnotherMachine: a request and a message to another actor system, over the engine's remote, carry W3C's header, and
// what handles them there is of the same trace.
func TestTraceGoesToAnotherMachine(t *testing.T) {
	if os.Getenv(childVariable) != t.Name() {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), childVariable+"="+t.Name())
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), childPassed) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	defer func() {
		if !t.Failed() {
			fmt.Println(childPassed)
			os.Exit(0)
		}
	}()
	here, there := machine(t), machine(t)
	tr, far := newTraced(t, otelloop.Options{}), newTraced(t, otelloop.Options{})
	tr.observe(t, here)
	far.observe(t, there)

	headers := make(chan string, 2)
	bank := actortest.Spawn(t, there.Root, "bank", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			headers <- traceparentOf(t)
			if m.Value == "fail" {
				return nil, errors.New("no money")
			}
			return wrapperspb.String("paid"), nil
		})
		actors.On(w, func(t *actors.Task, _ *wrapperspb.BoolValue) error {
			headers <- traceparentOf(t)
			return nil
		})
		return nil
	}, actors.Options{Kind: "bank"})
	remoteBank := actor.NewPID(there.Address(), bank.Id)
	shop := actortest.Spawn(t, here.Root, "shop", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, what string) (string, error) {
			v, err := actors.Ask[*wrapperspb.StringValue](t, remoteBank, wrapperspb.String(what))
			if err != nil {
				return "", err
			}
			t.Send(remoteBank, wrapperspb.Bool(true))
			return v.GetValue(), nil
		})
		return nil
	}, actors.Options{Kind: "shop"})

	if v, err := actors.RequestFuture[string](here.Root, shop, "pay").Wait(t.Context()); err != nil || v != "paid" {
		t.Fatalf("%q, %v", v, err)
	}
	for range 2 { // nobody traces it
		if h := <-headers; h != "" {
			t.Errorf("without a trace there is the header %q", h)
		}
	}
	ctx, root := tr.provider.Tracer("test").Start(context.Background(), "request")
	if v, err := actors.RequestFuture[string](here.Root, shop, "pay", actors.WithContext(ctx)).Wait(t.Context()); err != nil || v != "paid" {
		t.Fatalf("%q, %v", v, err)
	}
	asked, sent := <-headers, <-headers
	if _, err := actors.RequestFuture[string](here.Root, shop, "fail", actors.WithContext(ctx)).Wait(t.Context()); err == nil {
		t.Error("it has not failed")
	}
	<-headers
	root.End()
	// The answer may be here before the span of what has given it has ended.
	actortest.Eventually(t, "spans on both machines", func() bool { return len(tr.spans.GetSpans()) == 5 && len(far.spans.GetSpans()) == 3 })
	id := root.SpanContext().TraceID()
	var client, server, oneWay apitrace.SpanID
	for _, s := range tr.spans.GetSpans() {
		if s.SpanKind == apitrace.SpanKindClient && !client.IsValid() {
			client = s.SpanContext.SpanID()
			if s.Name != "wrapperspb.StringValue" && s.Name != "*wrapperspb.StringValue" {
				t.Errorf("the client's span is %q", s.Name)
			}
		}
		if s.SpanContext.TraceID() != id {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	failed := 0
	for _, s := range far.spans.GetSpans() {
		if s.SpanContext.TraceID() != id || !s.Parent.IsRemote() {
			t.Errorf("%s is of another trace, or its parent %+v is not of another machine", s.Name, s.Parent)
		}
		switch {
		case s.SpanKind == apitrace.SpanKindConsumer:
			oneWay = s.Parent.SpanID()
		case attr(s, "error.type").AsString() != "":
			failed++
		case s.SpanKind == apitrace.SpanKindServer:
			server = s.Parent.SpanID()
		}
	}
	if server != client || !client.IsValid() || failed != 1 {
		t.Errorf("the server's span is below %v, want the client's %v; %d have failed", server, client, failed)
	}
	for what, test := range map[string]struct {
		header string
		parent apitrace.SpanID
	}{"ask": {asked, client}, "send": {sent, oneWay}} {
		if want := fmt.Sprintf("00-%s-%s-01", id, test.parent); test.header != want {
			t.Errorf("%s: traceparent is %q, want %q", what, test.header, want)
		}
	}
}
