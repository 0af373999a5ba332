// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
)

// poison writes text behind each name and into each error that a state has, but in fields of the names in but.
func poison(v reflect.Value, text string, but ...string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), text, but...)
		}
	case reflect.Interface:
		if !v.IsNil() && v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New(text)))
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), text, but...)
		}
	case reflect.Map:
		old := reflect.MakeMap(v.Type())
		for _, k := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(k))
			poison(value, text, but...)
			key := reflect.New(v.Type().Key()).Elem()
			key.Set(k)
			poison(key, text, but...)
			old.SetMapIndex(key, value)
		}
		v.Set(old)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !slices.Contains(but, f.Name) {
				poison(v.Field(i), text, but...)
			}
		}
	case reflect.String:
		if v.CanSet() && v.String() != "" {
			v.SetString(v.String() + text)
		}
	}
}

// notNames are fields that no user has a say in, but for the ID of a message.
var notNames = []string{"ID", "About", "Before", "Past", "Minute", "State", "States", "Is", "Kind", "Kinds", "Line", "Transport"}

// strange is the shop, which also waits for actors without an event loop, here and elsewhere.
func strange(text string, but ...string) *State {
	s := shop()
	there := actor.NewPID("10.0.0.9:4000", "mailer")
	s.Snapshot.Groups = append(s.Snapshot.Groups,
		inspect.Group{Kind: "cart", Task: "ask", State: "awaiting", Awaits: "answer", Of: "shop/plain", Tasks: 3},
		inspect.Group{Kind: "cart", Task: "ask", State: "awaiting", Awaits: "answer", Of: "10.0.0.9:4000/mailer", Tasks: 3},
		inspect.Group{Kind: "cart", Task: "ask", State: "awaiting", Awaits: "answer", Of: "shop/forgotten", Tasks: 3})
	s.Snapshot.Roots = append(s.Snapshot.Roots,
		inspect.Root{Is: "actor", Worker: pid("shop/plain"), Name: "answer", Tasks: 3, Workers: 1},
		inspect.Root{Is: "actor", Worker: there, Name: "answer", Tasks: 3, Workers: 1})
	if text != "" {
		poison(reflect.ValueOf(s), text, append(slices.Clone(notNames), but...)...)
		s.Consumers[0].InFlight[0].ID += text
	}
	// What names the same is to be the same.
	for i, root := range s.Snapshot.Roots[len(s.Snapshot.Roots)-2:] {
		g := &s.Snapshot.Groups[len(s.Snapshot.Groups)-3+i]
		g.Of, g.Awaits = root.Worker.Id, root.Name
		if i == 1 {
			g.Of = root.Worker.Address + "/" + g.Of
		}
	}
	return s
}

func eachText(v any, f func(text string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			eachText(e, f)
		}
	case map[string]any:
		for k, e := range v {
			f(k)
			eachText(e, f)
		}
	}
}

// texts calls f for each text of each page of a state.
func texts(t *testing.T, s *State, f func(page, text string)) {
	t.Helper()
	for page, v := range map[string]any{
		"overview": s.Overview(s.Lints()), "waits": s.Waits(), "workers": s.Workers("", ""), "worker": s.Worker(cartWithTasks(&State{Snapshot: shop().Snapshot})),
		"supervision": s.Supervision(nil), "queues": s.Queues([]Lag{{Err: errors.New("lag")}}, nil), "sockets": s.Sockets(s.Servers, ""),
		"stop": s.Stop(func(w *inspect.Worker) []inspect.Task { return w.Tasks }),
	} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var all any
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		eachText(all, func(text string) { f(page, text) })
	}
}

// TestLongNames: no text of a page grows with what somebody has called something.
func TestLongNames(t *testing.T) {
	for _, text := range []string{strings.Repeat("ä", 100_000), "\xff\xfe"} {
		n := 0
		texts(t, strange(text), func(page, text string) {
			n++
			if len(text) > 2*maxError || !utf8.ValidString(text) {
				t.Errorf("%s: %d bytes: %.200q", page, len(text), text)
			}
		})
		if n < 500 {
			t.Errorf("%d texts", n)
		}
	}
}

// TestNothingPassesRedact: what Redact is told of is nowhere else. What waits for an actor is below that actor all the same.
func TestNothingPassesRedact(t *testing.T) {
	// Other names are the program's.
	s := strange("SECRET", "Address", "Event", "Namespace", "Stats")
	s.Consumers[0].Name = "orders"
	l := &s.Servers[0]
	l.Sessions[0].Address, l.Rooms, l.RoomsOf = "SECRET", map[string]map[string]int{"/": {"SECRET": 1}}, map[string][]string{"a1": {"SECRET"}}
	s.Redact = func(what, text string) string { return fmt.Sprintf("%s-%d", what, len(text)) }
	texts(t, s, func(page, text string) {
		if strings.Contains(text, "SECRET") || strings.Contains(text, "mailer") {
			t.Errorf("%s: %q", page, text)
		}
	})
	for _, s := range []*State{s, strange("")} {
		for _, n := range s.Waits().Tree {
			if n.State == "actor" && len(n.Children) != 1 {
				t.Errorf("%d groups wait for %s", len(n.Children), n.Text)
			}
		}
	}
}
