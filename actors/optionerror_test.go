// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestOptionErrorText(t *testing.T) {
	for want, e := range map[string]actors.OptionError{
		"socketio: NewServer: Options.PingTimeout is negative: -1s": {Of: "socketio: NewServer", Field: "Options.PingTimeout", Value: -time.Second, Why: "is negative"},
		`supervisor: spec "app": Name contains a slash: "a/b"`:      {Of: `supervisor: spec "app"`, Field: "Name", Value: "a/b", Why: "contains a slash"},
		"consumer: New: open is missing":                            {Of: "consumer: New", Field: "open", Why: "is missing"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What cannot return an error panics with one.
func TestOptionErrorPanics(t *testing.T) {
	for want, f := range map[string]func(){
		`actors: NewLimiter "db": n is less than 1: nothing would run: 0`:                      func() { actors.NewLimiter("db", 0) },
		"actors: Through: limiter is nil":                                                      func() { actors.Through(nil) },
		"actors: Through: limiter is one that NewLimiter has not made: it would bound nothing": func() { actors.Through(new(actors.Limiter)) },
		"actors: WithContext: ctx is nil":                                                      func() { var none context.Context; actors.WithContext(none) },
	} {
		var e *actors.OptionError
		if !errors.As(optionPanic(f), &e) || e.Error() != want {
			t.Errorf("%v, want %s", e, want)
		}
	}
	bubble(t, func(w *world) {
		none := func(*actors.Task) error { return nil }
		err := w.inTask(func(t *actors.Task) error {
			g := t.NewGroup()
			for want, f := range map[string]func(){
				"actors: Detached is no option of a member of a group, which ends with it": func() { g.Go(none, actors.Detached()) },
				"actors: Group.Member is an option of Start only":                          func() { actors.SubmitErr(t, t.Self(), none, g.Member()) },
				"actors: Through is an option of Offload only":                             func() { t.Go(none, actors.Through(actors.NewLimiter("x", 1))) },
				"actors: Idempotent is an option of requests only":                         func() { t.Go(none, actors.Idempotent()) },
			} {
				var e *actors.OptionError
				if !errors.As(optionPanic(f), &e) || e.Error() != want {
					w.Errorf("%v, want %s", e, want)
				}
			}
			for _, f := range []func(){
				func() { actors.SubmitErr(t, t.Self(), none, actors.Idempotent()) },
				func() { g.Go(none, actors.Idempotent()) },
				func() { _ = t.Scope(none, actors.Idempotent()) },
				func() { t.After(1, none, actors.Idempotent()) },
				func() {
					_ = t.AwaitOffload(func(context.Context) error { return nil }, actors.Idempotent())
				},
			} {
				testtools.WantText(w, optionPanic(f), "actors: Idempotent is an option of requests only")
			}
			return g.Wait()
		})
		if err != nil {
			w.Error(err)
		}
	})
}

// optionPanic is the error that f panics with, or nil.
func optionPanic(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}
