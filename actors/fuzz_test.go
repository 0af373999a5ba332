// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/messages"
)

// What comes from other machines is anything: none of it may stop a worker or
// leave an asker without an answer.

// fuzzed spawns the worker that is under attack.
func fuzzed(f *testing.F) (*actor.RootContext, *actor.PID) {
	root := actortest.NewSystem(f).Root
	return root, actortest.Spawn(f, root, "fuzzed", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, s string) (string, error) { return s, t.Context().Err() })
		return nil
	}, actors.Options{Logger: discard()})
}

// alive fails the test unless the worker answers.
func alive(t *testing.T, root *actor.RootContext, pid *actor.PID) {
	t.Helper()
	want(t, actors.RequestFuture[string](root, pid, "alive"), "alive")
}

// deliver sends an envelope as the network would, and returns the answer.
func deliver(t *testing.T, root *actor.RootContext, pid *actor.PID, header map[string]string, m any) any {
	t.Helper()
	f := actor.NewFuture(root.ActorSystem(), hang)
	root.Send(pid, &actor.MessageEnvelope{Header: header, Message: m, Sender: f.PID()})
	v, err := f.Result()
	if err != nil {
		t.Errorf("no answer: %v", err)
	}
	return v
}

func FuzzBudgetHeader(f *testing.F) {
	for _, s := range []string{
		"", "0", "1", "-1", "+5", "1e9", "0x10", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"1000000000", "60000000000", " 1", "1 ", "١", "\x00", "NaN",
	} {
		f.Add("protoloop-budget", s)
	}
	f.Add("Protoloop-Budget", "1")
	f.Add("", "1")
	root, pid := fuzzed(f)
	f.Fuzz(func(t *testing.T, key, value string) {
		v := deliver(t, root, pid, map[string]string{key: value}, "x")
		fail, failed := v.(*messages.Failure)
		left, err := strconv.ParseInt(value, 10, 64)
		switch {
		case v == "x":
		case !failed || !errors.Is(fail, actors.ErrTimeout) && fail.GetMessage() != "context deadline exceeded":
			t.Errorf("answered with %v", v)
		case err != nil || left < 0 || left > int64(time.Minute):
			t.Errorf("%q timed out: %v", value, fail)
		}
		alive(t, root, pid)
	})
}

// FuzzContextValueHeader: a value is there or not, whatever its text, and nobody else is told.
func FuzzContextValueHeader(f *testing.F) {
	for _, s := range []string{"", "7", "x", "-1", "9223372036854775808", "\xff", "\x00", "code", strings.Repeat("7", 9<<10)} {
		for _, name := range []string{"test.tenant", "test.user", "test.rude", "test.Tenant", "test.unknown", ""} {
			f.Add(name, s, s)
		}
	}
	root := actortest.NewSystem(f).Root
	pid := actortest.Spawn(f, root, "fuzzed", valuesWorker(nil), actors.Options{Logger: discard()})
	f.Fuzz(func(t *testing.T, name, text, user string) {
		const prefix = "protoloop-value-"
		v := deliver(t, root, pid, map[string]string{prefix + name: text, prefix + "test.user": user}, "x")
		got, is := v.(string)
		if !is {
			t.Fatalf("answered with %v", v)
		}
		id, err := strconv.Atoi(text)
		first, _, _ := strings.Cut(got, " ")
		switch {
		case first == "<nil>" && (name != "test.tenant" || err != nil || len(text)+len(user) > 7<<10): // with the names it may be too long
		case first != fmt.Sprint(tenant{id}) || name != "test.tenant" || err != nil:
			t.Errorf("%q with %q is %s", name, text, got)
		}
		if v := deliver(t, root, pid, nil, "x"); v != "<nil> <nil> <nil>" {
			t.Errorf("a message without a header has %v", v)
		}
	})
}

func FuzzStopToken(f *testing.F) {
	for _, token := range []string{"", "x", "\x00", "protoloop"} {
		for _, seconds := range []int64{0, -1, 1, math.MaxInt64, math.MinInt64} {
			f.Add(token, true, seconds, int32(1))
		}
		f.Add(token, false, int64(0), int32(0))
	}
	root, pid := fuzzed(f)
	f.Fuzz(func(t *testing.T, token string, hasGrace bool, seconds int64, nanos int32) {
		m := &messages.Stop{Token: token}
		if hasGrace {
			m.Grace = &durationpb.Duration{Seconds: seconds, Nanos: nanos}
		}
		root.Send(pid, m)
		v := deliver(t, root, pid, nil, m)
		if fail, ok := v.(*messages.Failure); !ok || !errors.Is(fail, actors.ErrUnhandled) {
			t.Errorf("answered with %v", v)
		}
		alive(t, root, pid)
	})
}

// FuzzSender asks for answers to strange PIDs, also to such as name the
// process that takes the answers to our own requests.
func FuzzSender(f *testing.F) {
	for _, id := range []string{"protoloop-reply", "protoloop-reply-1", "protoloop-reply-", "fuzzed", "", "nobody"} {
		for _, request := range []uint32{0, 1, 2, math.MaxUint32} {
			f.Add("nonhost", id, request)
		}
		f.Add("", id, uint32(1))
	}
	root, pid := fuzzed(f)
	f.Fuzz(func(t *testing.T, address, id string, request uint32) {
		if address != "nonhost" && address != "" {
			address = "nonhost" // there is no network here
		}
		sender := &actor.PID{Address: address, Id: id, RequestId: request}
		pending := new(actors.Promise[string])
		ours := actors.Submit(root, pid, func(t *actors.Task) (string, error) { return actors.Await(t, pending.Future()) })
		root.Send(pid, &actor.MessageEnvelope{Message: "x", Sender: sender})
		root.Send(pid, &actor.MessageEnvelope{Message: 1, Sender: sender})
		root.Send(pid, &actor.MessageEnvelope{Message: &messages.StatusRequest{}, Sender: sender})
		root.Send(pid, &actor.MessageEnvelope{Message: &messages.Failure{Code: "stopped"}, Sender: sender})
		root.Send(sender, "an answer to nobody")
		pending.Resolve("mine")
		want(t, ours, "mine")
		alive(t, root, pid)
	})
}
