// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

type (
	embedded  struct{ Inner Binary }
	byPointer struct{ Deep Binary }
	recursive struct{ *recursive }
	named     Binary
	withTags  struct {
		Renamed Binary `json:"r"`
		Hidden  Binary `json:"-"`
		//lint:ignore SA5008 that is how a field is called "-"
		Dash    Binary `json:"-,"`
		Empty   Binary `json:",omitempty"`
		Nil     Binary `json:",omitzero"`
		Filled  Binary `json:",omitempty,omitzero"`
		private Binary
	}
	plainText    struct{ Text string }
	withEmbedded struct {
		embedded
		plainText
		*byPointer
		*recursive
		Name string
	}
	shadowed struct {
		Inner string
		embedded
	}
	node struct {
		Data Binary
		Next *node
		More any `json:",omitempty"`
	}
	// period has a method that looks at what encoding/json does not see.
	period struct {
		Data  Binary
		valid bool
	}
	withPeriod struct {
		P period `json:",omitzero"`
		Q period `json:",omitzero"`
		R any    `json:",omitzero"`
	}
	guarded struct {
		mu   sync.Mutex
		Data Binary
	}
	own        struct{ Data Binary }
	ownPointer struct{ Data Binary }
)

func (p period) IsZero() bool { return !p.valid }

func (o own) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]any{"own": o.Data}) }
func (o *ownPointer) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"own": o.Data})
}

// TestBinaryAnywhere encodes values with Binary data in all places: with the
// attachments put in again they are what encoding/json makes of them. (But for a
// nil one, which is an empty attachment.)
func TestBinaryAnywhere(t *testing.T) {
	x := Binary("x")
	long := &node{Data: x}
	for range 5000 {
		long = &node{Data: Binary{}, Next: long}
	}
	locked := &guarded{Data: x}
	locked.mu.Lock() // a copy of it would be locked for ever; go vet finds a copy by assignment only
	for name, c := range map[string]struct {
		v           any
		attachments int
	}{
		"slices":             {[][]Binary{{x, {}}, nil, {}, {x}}, 3},
		"array":              {[2]Binary{x, {}}, 2},
		"pointers":           {[]**Binary{new(&x), nil, new((*Binary)(nil))}, 1},
		"maps":               {map[int]map[string]Binary{7: {"<a>": x}, 8: nil}, 1},
		"any":                {[]any{map[string]any{"a": []any{x, 1, nil}}, x, []byte("no"), named("no"), fmt.Stringer(nil)}, 2},
		"interface":          {[]interface{ String() string }{stringer{x}}, 1},
		"tags":               {withTags{Renamed: x, Hidden: x, Dash: x, Filled: x, private: x}, 3},
		"empty":              {withTags{Renamed: Binary{}, Dash: Binary{}, Empty: Binary{}, Nil: Binary{}, Filled: Binary{}}, 3},
		"embedded":           {withEmbedded{embedded{x}, plainText{"t"}, &byPointer{x}, &recursive{}, "n"}, 2},
		"embedded nil":       {&withEmbedded{embedded: embedded{x}}, 1},
		"shadowed":           {shadowed{"s", embedded{x}}, 0},
		"list":               {long, 5001},
		"twice":              {[]*node{{Data: x}, {Data: x, More: &node{Data: Binary{}}}}, 3},
		"omitzero":           {withPeriod{P: period{x, true}, Q: period{x, false}, R: period{x, true}}, 2},
		"own marshaler":      {[]any{own{x}, &own{x}, &ownPointer{x}, map[string]own{"k": {x}}, time.Unix(1, 0), x}, 1},
		"no pointer to it":   {[]any{ownPointer{x}, map[string]ownPointer{"k": {x}}}, 2},
		"addressable":        {&struct{ P, Q any }{&[]ownPointer{{x}}, struct{ O ownPointer }{ownPointer{x}}}, 1},
		"behind a lock":      {[]*guarded{locked}, 1},
		"generic":            {map[string]any{"list": []named{named("x")}}, 0},
		"in what is no leaf": {struct{ V *any }{new(any(struct{ B any }{&x}))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var a Args
			if err := a.Append(c.v); err != nil {
				t.Fatal(err)
			}
			if len(a.Attachments) != c.attachments {
				t.Errorf("%d attachments, want %d: %.1000s", len(a.Attachments), c.attachments, a.json)
			}
			for _, b := range a.Attachments {
				if s := string(b); s != "x" && s != "" {
					t.Errorf("attachment %q", s)
				}
			}
			if got, want := Inline(a.json, a.Attachments), plainJSON(t, c.v); string(got) != strings.TrimSpace(string(want)) {
				t.Errorf("got  %.1000s\nwant %.1000s", got, want)
			}
		})
	}
}

type stringer struct{ Data Binary }

func (stringer) String() string { return "" }

// TestBinaryInACycle has values that contain themselves: the error is
// encoding/json's.
func TestBinaryInACycle(t *testing.T) {
	n := &node{Data: Binary("x")}
	n.Next = n
	m := map[string]any{"data": Binary("x")}
	m["self"] = m
	list := []any{Binary("x"), nil}
	list[1] = list
	without := map[string]any{}
	without["self"] = []any{without}
	for _, v := range []any{n, m, list, without, &struct{ *node }{n}} {
		if err := (&Args{}).Append(v); err == nil || !strings.Contains(err.Error(), "cycle") {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// TestLookalike has data that looks like what stands for an attachment. Alone it
// is data; beside an attachment a client would take it for one, or break off.
func TestLookalike(t *testing.T) {
	raw := json.RawMessage(`{"_placeholder":true,"num":99}`)
	var decoded any
	_ = json.Unmarshal(raw, &decoded)
	for _, v := range []any{raw, decoded, map[string]any{"in": []any{decoded}}, json.RawMessage(`{"num":0,"a":[],"_placehold\u0065r" : true}`)} {
		var a Args
		if err := a.Append(v); err != nil || len(a.Attachments) > 0 {
			t.Error("alone:", err)
		}
		if err := a.Append(1); err != nil {
			t.Error(err)
		}
		if err := a.Append([]byte("x")); err != ErrLookalike {
			t.Error("before an attachment:", err)
		}
		a = Args{}
		_ = a.Append([]any{Binary("x")})
		if err := a.Append(v); err != ErrLookalike {
			t.Error("behind an attachment:", err)
		}
	}
	for _, bins := range [][][]byte{{[]byte("x")}, make([][]byte, 98)} {
		if err := (&Args{}).AppendRaw([]json.RawMessage{raw}, bins); err == nil || !strings.Contains(err.Error(), `"num":99`) {
			t.Error(err)
		}
	}
	for _, bins := range [][][]byte{nil, make([][]byte, 100)} {
		if err := (&Args{}).AppendRaw([]json.RawMessage{raw}, bins); err != nil {
			t.Error(err)
		}
	}
}

// TestMarkedData has what clients can send that was, or could be, taken for
// binary data on its way out.
func TestMarkedData(t *testing.T) {
	for _, raw := range []string{
		`{"_socketio_binary":"AAAA"}`, `{"_socketio_binary":"!"}`, `[{"_socketio_binary":""},"\"_socketio_binary\""]`,
	} {
		var decoded any
		if err := json.Unmarshal([]byte(raw), &decoded); err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{json.RawMessage(raw), decoded, []any{decoded, Binary("x")}} {
			var a Args
			if err := a.Append(v); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(a.json), raw) {
				t.Errorf("%s became %s", raw, a.json)
			}
		}
	}
}

// BenchmarkAppend encodes an argument with and without binary data.
func BenchmarkAppend(b *testing.B) {
	decoded := map[string]any{"user": "alice", "tags": []any{"a", "b", "c"}, "at": 12.5, "nested": map[string]any{"x": 1.0, "y": true}}
	for name, v := range map[string]any{
		"struct": struct{ Name, Text string }{"alice", "hello"}, "decoded": decoded, "list": []any{"a", 1.0, nil},
		"struct with any": struct{ Name, V any }{"alice", 1}, "binary": struct{ Data Binary }{Binary("x")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var a Args
				if err := a.Append(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
