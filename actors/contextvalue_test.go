// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

type (
	tenantKey struct{}
	tenant    struct{ id int }
	userKey   struct{}
	rudeKey   struct{}
)

// The values of these tests. An init registers them, because what is registered stays.
func init() {
	actors.RegisterContextValue("test.tenant", tenantKey{}, func(v tenant) string { return strconv.Itoa(v.id) }, func(text string) (tenant, error) {
		id, err := strconv.Atoi(text)
		return tenant{id}, err
	})
	same := func(s string) string { return s }
	actors.RegisterContextValue("test.user", userKey{}, same, func(s string) (string, error) { return s, nil })
	rude := func(s string) string {
		if s == "encode" {
			panic("rude")
		}
		return s
	}
	actors.RegisterContextValue("test.rude", rudeKey{}, rude, func(s string) (string, error) { return rude("en" + s), nil })
}

// valuesIn has the values of a context as text.
func valuesIn(ctx context.Context) string {
	return fmt.Sprintf("%v %v %v", ctx.Value(tenantKey{}), ctx.Value(userKey{}), ctx.Value(rudeKey{}))
}

// withValues is a context with some.
func withValues(ctx context.Context, tenant, user, rude any) context.Context {
	for key, v := range map[any]any{tenantKey{}: tenant, userKey{}: user, rudeKey{}: rude} {
		if v != nil {
			ctx = context.WithValue(ctx, key, v)
		}
	}
	return ctx
}

// valuesWorker answers with the values that its handler has; or, if there is a to, asks that, or forwards an int to it.
func valuesWorker(to *actor.PID) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, how string) (string, error) {
			switch {
			case to == nil:
				return valuesIn(t.Context()), nil
			case how == "with another user":
				t.SetContext(context.WithValue(t.Context(), userKey{}, "carol"))
			case how == "in a child":
				return actors.Await(t, actors.Start(t, func(t *actors.Task) (string, error) { return actors.Ask[string](t, to, how) }))
			}
			return actors.Ask[string](t, to, how)
		})
		if to == nil {
			actors.Handle(w, func(t *actors.Task, _ int) (string, error) { return valuesIn(t.Context()), nil })
		} else {
			actors.On(w, func(t *actors.Task, _ int) error { t.Forward(to); return nil })
		}
		return nil
	}
}

// TestContextValuesCross by each way to ask, and go on with what the handler asks.
func TestContextValuesCross(t *testing.T) {
	bubble(t, func(w *world) {
		d := newFarDoor(w, valuesWorker(nil))
		via := w.worker("via", actors.Options{}, valuesWorker(d.pid()))
		ctx := withValues(w.Context(), tenant{7}, "bob", nil)
		ask := func(to *actor.PID, how any, opts ...actors.CallOption) *actors.Future[string] {
			return actors.RequestFuture[string](w.root, to, how, opts...)
		}
		want(w, ask(d.pid(), "", actors.WithContext(ctx)), "{7} bob <nil>")
		want(w, ask(d.pid(), ""), "<nil> <nil> <nil>")
		want(w, ask(d.pid(), "", actors.WithContext(w.Context())), "<nil> <nil> <nil>")
		if v, err := actors.Call[string](ctx, w.root, d.pid(), ""); v != "{7} bob <nil>" {
			w.Errorf("Call: %v, %v", v, err)
		}
		want(w, ask(via, "", actors.WithContext(ctx)), "{7} bob <nil>")
		want(w, ask(via, "in a child", actors.WithContext(ctx)), "{7} bob <nil>")
		want(w, ask(via, "with another user", actors.WithContext(ctx)), "{7} carol <nil>")
		want(w, ask(via, 1, actors.WithContext(ctx)), "{7} bob <nil>")
		root := actor.NewRootContext(w.sys, nil, func(next actor.SenderFunc) actor.SenderFunc { return next })
		want(w, actors.RequestFuture[string](root, d.pid(), "", actors.WithContext(ctx)), "{7} bob <nil>")
		// The text of a value may be empty.
		want(w, ask(d.pid(), "", actors.WithContext(withValues(w.Context(), nil, "", nil))), "<nil>  <nil>")
	})
}

// TestContextValuesOfAThirdNode: what came goes on, also if it is forwarded.
func TestContextValuesOfAThirdNode(t *testing.T) {
	bubble(t, func(w *world) {
		d := newFarDoor(w, valuesWorker(nil))
		via := w.worker("via", actors.Options{}, valuesWorker(d.pid()))
		for _, m := range []any{"ask", "in a child", 1} {
			answer := actor.NewFuture(w.sys, hang)
			env := &actor.MessageEnvelope{Message: m, Sender: answer.PID()}
			env.SetHeader("protoloop-value-test.tenant", "8")
			env.SetHeader("protoloop-value-test.unknown", "9")
			w.root.Send(via, env)
			if v, err := answer.Result(); v != "{8} <nil> <nil>" {
				w.Errorf("%v: %v, %v", m, v, err)
			}
		}
	})
}

// TestContextValuesThatDoNotCross: each is logged, and nothing fails of it.
func TestContextValuesThatDoNotCross(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	for name, c := range map[string]struct {
		tenant, user, rude any
		header             map[string]string // in place of the values
		want, logged       string
		far                bool // it is logged where the handler is
	}{
		"of another type":     {tenant: 7, user: "bob", want: "<nil> bob <nil>", logged: "is not sent name=test.tenant error=it is a int, and no actors_test.tenant"},
		"encode panics":       {user: "bob", rude: "encode", want: "<nil> bob <nil>", logged: "is not sent name=test.rude error=panic: rude"},
		"decode panics":       {user: "bob", rude: "code", want: "<nil> bob <nil>", logged: "is dropped name=test.rude error=panic: rude", far: true},
		"no UTF-8":            {tenant: tenant{7}, user: "bob\xff", want: "{7} <nil> <nil>", logged: "is not sent name=test.user error=its text is no UTF-8"},
		"too long":            {tenant: tenant{7}, user: long, want: "{7} <nil> <nil>", logged: "is not sent name=test.user error=it would be more than 8 KiB with the other values"},
		"too long, from afar": {header: map[string]string{"tenant": "7", "user": long}, want: "{7} <nil> <nil>", logged: "is dropped name=test.user error=it would be more than 8 KiB with the other values", far: true},
		"bad text from afar":  {header: map[string]string{"tenant": "x", "user": "bob"}, want: "<nil> bob <nil>", logged: `is dropped name=test.tenant error=strconv.Atoi: parsing "x": invalid syntax`, far: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				d := newFarDoor(w, valuesWorker(nil))
				env := &actor.MessageEnvelope{Message: ""}
				answer := func() (any, error) {
					return result(actors.RequestFuture[string](w.root, d.pid(), "", actors.WithContext(withValues(w.Context(), c.tenant, c.user, c.rude))))
				}
				if c.header != nil {
					for name, text := range c.header {
						env.SetHeader("protoloop-value-test."+name, text)
					}
					f := actor.NewFuture(w.sys, hang)
					env.Sender = f.PID()
					w.root.Send(d.pid(), env)
					answer = f.Result
				}
				if v, err := answer(); v != c.want {
					w.Errorf("got %v, %v; want %s", v, err, c.want)
				}
				synctest.Wait()
				sys := w.sys
				if c.far {
					sys = d.there
				}
				if log := actortest.LogOf(sys).String(); strings.Count(log, "a context value") != 1 || !strings.Contains(log, c.logged) {
					w.Errorf("logged:\n%s\nwant %s", log, c.logged)
				}
			})
		})
	}
}

// TestContextValuesInAProcess are the context's own, without a text.
func TestContextValuesInAProcess(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.worker("a", actors.Options{}, valuesWorker(nil))
		ctx := withValues(w.Context(), 7, "bob\xff", "encode")
		want(w, actors.RequestFuture[string](w.root, a, "", actors.WithContext(ctx)), "7 bob\xff encode")
	})
}

func TestRegisterContextValueMisuse(t *testing.T) {
	encode, decode := func(s string) string { return s }, func(s string) (string, error) { return s, nil }
	type key struct{}
	register := func(name string, k any) func() {
		return func() { actors.RegisterContextValue(name, k, encode, decode) }
	}
	for want, f := range map[string]func(){
		`actors: RegisterContextValue(""): the name is not one of`:               register("", key{}),
		`actors: RegisterContextValue("Tenant"): the name is not one of`:         register("Tenant", key{}),
		`actors: RegisterContextValue("a b"): the name is not one of`:            register("a b", key{}),
		strings.Repeat("x", 65) + `"): the name is not one of`:                   register(strings.Repeat("x", 65), key{}),
		`actors: RegisterContextValue("x"): a <nil> is no key`:                   register("x", nil),
		`actors: RegisterContextValue("x"): a []int is no key`:                   register("x", []int{}),
		`actors: RegisterContextValue("x"): a function is nil`:                   func() { actors.RegisterContextValue[string]("x", key{}, encode, nil) },
		`actors: RegisterContextValue("y"): a function is nil`:                   func() { actors.RegisterContextValue("y", key{}, nil, decode) },
		`actors: RegisterContextValue("test.user"): the name is registered`:      register("test.user", key{}),
		`actors: RegisterContextValue("x"): the key is registered, as test.user`: register("x", userKey{}),
	} {
		testtools.WantPanic(t, f, want)
	}
}
