// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

var nothing = actor.PropsFromFunc(func(actor.Context) {})

// mistakes are the parts of a joined error, each as child.Field.
func mistakes(t *testing.T, err error) (out []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var m *actors.OptionError
		if !errors.As(e, &m) || m.Why == "" {
			t.Fatalf("%v is no OptionError", e)
		}
		_, child, _ := strings.Cut(m.Of, `, child "`)
		out = append(out, strings.TrimSuffix(child, `"`)+"."+m.Field)
	}
	return out
}

func TestSpecMistakes(t *testing.T) {
	ok := supervisor.Child{Name: "ok", Props: nothing}
	sig := with(ok, func(c *supervisor.Child) { c.Significant, c.Restart = true, supervisor.Transient })
	one := func(c supervisor.Child) supervisor.Spec { return supervisor.Spec{Children: []supervisor.Child{c}} }
	backoff := func(b actors.Backoff) supervisor.Spec {
		return one(with(ok, func(c *supervisor.Child) { c.Backoff = b }))
	}
	reset := func(b actors.Backoff, d time.Duration) supervisor.Spec {
		return one(with(ok, func(c *supervisor.Child) { c.Backoff, c.ResetAfter = b, d }))
	}
	second := time.Second
	for name, test := range map[string]struct {
		spec supervisor.Spec
		want []string
	}{
		"empty":             {supervisor.Spec{}, nil},
		"good":              {supervisor.Spec{Name: "app", MaxRestarts: -1, Children: []supervisor.Child{ok}}, nil},
		"slash":             {supervisor.Spec{Name: "a/b"}, []string{".Name"}},
		"strategy":          {supervisor.Spec{Strategy: 3}, []string{".Strategy"}},
		"negative strategy": {supervisor.Spec{Strategy: -1}, []string{".Strategy"}},
		"auto shutdown":     {supervisor.Spec{AutoShutdown: 3}, []string{".AutoShutdown"}},
		"within":            {supervisor.Spec{Within: -1}, []string{".Within"}},
		"no name":           {one(supervisor.Child{Props: nothing}), []string{"#0.Name"}},
		"child slash":       {one(supervisor.Child{Name: "a/b", Props: nothing}), []string{"a/b.Name"}},
		"no props":          {one(supervisor.Child{Name: "a"}), []string{"a.Props"}},
		"twice":             {supervisor.Spec{Children: []supervisor.Child{ok, ok}}, []string{"ok.Name"}},
		"restart":           {one(supervisor.Child{Name: "a", Props: nothing, Restart: 3}), []string{"a.Restart"}},
		"shutdown":          {one(supervisor.Child{Name: "a", Props: nothing, Shutdown: -2}), []string{"a.Shutdown"}},
		"abandon":           {one(supervisor.Child{Name: "a", Props: nothing, Abandon: true}), nil},
		"abandon, limited":  {one(supervisor.Child{Name: "a", Props: nothing, Abandon: true, Shutdown: time.Second}), []string{"a.Abandon"}},
		"no grace":          {one(supervisor.Child{Name: "a", Props: nothing, Shutdown: actors.NoGrace}), nil},
		"start timeout":     {one(supervisor.Child{Name: "a", Props: nothing, StartTimeout: -1}), []string{"a.StartTimeout"}},
		"retries":           {one(supervisor.Child{Name: "a", Props: nothing, OnCrash: supervisor.CrashPolicy{Retries: -1}}), []string{"a.OnCrash.Retries"}},
		"significant":       {one(sig), []string{"ok.Significant"}},
		"significant, too": {supervisor.Spec{AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
			with(sig, func(c *supervisor.Child) { c.Restart = supervisor.Permanent })}}, []string{"ok.Significant"}},
		"significant, good": {supervisor.Spec{AutoShutdown: supervisor.AllSignificant, Children: []supervisor.Child{sig}}, nil},
		"backoff":           {backoff(actors.Backoff{Initial: second, Max: second, Factor: 1, Jitter: 1}), nil},
		"initial":           {backoff(actors.Backoff{Initial: -1}), []string{"ok.Backoff.Initial"}},
		"no initial":        {backoff(actors.Backoff{Max: second}), []string{"ok.Backoff.Initial"}},
		"max":               {backoff(actors.Backoff{Initial: second, Max: -1}), []string{"ok.Backoff.Max"}},
		"small max":         {backoff(actors.Backoff{Initial: second, Max: second - 1}), []string{"ok.Backoff.Max"}},
		"factor":            {backoff(actors.Backoff{Initial: second, Factor: 0.5}), []string{"ok.Backoff.Factor"}},
		"factor NaN":        {backoff(actors.Backoff{Initial: second, Factor: math.NaN()}), []string{"ok.Backoff.Factor"}},
		"jitter":            {backoff(actors.Backoff{Initial: second, Jitter: 1.1}), []string{"ok.Backoff.Jitter"}},
		"jitter NaN":        {backoff(actors.Backoff{Initial: second, Jitter: math.NaN()}), []string{"ok.Backoff.Jitter"}},
		"negative jitter":   {backoff(actors.Backoff{Initial: second, Jitter: -0.1}), []string{"ok.Backoff.Jitter"}},
		"reset":             {reset(actors.Backoff{Initial: second}, second), nil},
		"negative reset":    {reset(actors.Backoff{Initial: second}, -1), []string{"ok.ResetAfter"}},
		"reset of nothing":  {reset(actors.Backoff{}, second), []string{"ok.ResetAfter"}},
		"all at once": {supervisor.Spec{Name: "/", Strategy: 9, Within: -1, Children: []supervisor.Child{
			{Restart: 7, Shutdown: -5}, ok, ok, {Name: "x", StartTimeout: -1}}},
			[]string{".Name", ".Strategy", ".Within", "#0.Name", "#0.Props", "#0.Restart", "#0.Shutdown", "ok.Name", "x.Props", "x.StartTimeout"}},
	} {
		if got := mistakes(t, test.spec.Validate()); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if _, err := supervisor.Props(test.spec); (err == nil) != (test.want == nil) {
			t.Errorf("%s: Props says %v", name, err)
		}
	}
}

// The words name supervisor, child, field and problem.
func TestSpecMistakeText(t *testing.T) {
	err := supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "a", Props: nothing, StartTimeout: -time.Second}}}.Validate()
	if got, want := err.Error(), `supervisor: spec "app", child "a": StartTimeout is negative: -1s`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Start says all mistakes, too, and starts nothing.
func TestSpecMistakesAtStart(t *testing.T) {
	bubble(t, func(w *world) {
		_, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Within: -1, Children: []supervisor.Child{{Name: "a"}}})
		if got, want := mistakes(t, err), []string{".Name", ".Within", "a.Props"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		_, err = supervisor.StartDynamic(w.Context(), w.sys, supervisor.DynamicSpec{MaxChildren: -1, Within: -1, Child: supervisor.Child{Shutdown: -2}})
		if got, want := mistakes(t, err), []string{".Within", "template.Shutdown", ".MaxChildren"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		_, err = supervisor.StartDynamic(w.Context(), w.sys, supervisor.DynamicSpec{})
		if got, want := mistakes(t, err), []string{".Name"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		s := w.start(supervisor.Spec{})
		_, err = s.Add(w.Context(), supervisor.Child{Name: "x/y", Restart: 4})
		if got, want := mistakes(t, err), []string{"x/y.Name", "x/y.Props", "x/y.Restart"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// What the caller does to its slice later is none of the supervisor's
// business.
func TestSpecIsCopied(t *testing.T) {
	bubble(t, func(w *world) {
		kids := w.children("x")
		inner := w.props(supervisor.Spec{MaxRestarts: -1, Children: kids})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "inner", Props: inner}}})
		kids[0] = w.child("y")
		w.crash(s.Child("inner/x"))
		w.noted("+x -x +x")
	})
}
