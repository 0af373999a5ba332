// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	long := "/" + strings.Repeat("n", maxNamespace)
	for _, c := range []struct {
		in   string
		want string // as show has it
		err  error
	}{
		{in: "0", want: "0 / -1 []"},
		{in: `0{"token":"x"}`, want: `0 / -1 [{"token":"x"}]`},
		{in: "0/admin", want: "0 /admin -1 []"},
		{in: `0/admin,{}`, want: "0 /admin -1 [{}]"},
		{in: `0/admin?token=1,{}`, want: "0 /admin -1 [{}]"},
		{in: "1", want: "1 / -1 []"},
		{in: "1/admin,", want: "1 /admin -1 []"},
		{in: `2["e"]`, want: `2 / -1 e []`},
		{in: `2["e",1,"a,b]",{"x":[1,{"y":"}\""}]}, null ,true]`, want: `2 / -1 e [1 "a,b]" {"x":[1,{"y":"}\""}]} null true]`},
		{in: ` 2["e"]`, err: ErrType},
		{in: `212["e"]`, want: `2 / 12 e []`},
		{in: `2/admin,9007199254740991["e"]`, want: `2 /admin 9007199254740991 e []`},
		{in: `2007["e"]`, want: `2 / 7 e []`},
		{in: `2[7,1]`, want: `2 / -1 7 [1]`},
		{in: `2[-1.5e3]`, want: `2 / -1 -1.5e3 []`},
		{in: `2["a\u00e9\"b"]`, want: `2 / -1 aé"b []`},
		{in: "2 [ \"e\" , 1 ] \n", want: `2 / -1 e [1]`},
		{in: `3[]`, want: `3 / -1 []`},
		{in: `35[{"a":1},2]`, want: `3 / 5 [{"a":1} 2]`},
		{in: `4{"message":"x"}`, want: `4 / -1 []`},
		{in: `4"x"`, want: `4 / -1 []`},
		{in: `50-["e"]`, want: `2 / -1 e []`},
		{in: `60-3[]`, want: `3 / 3 []`},
		{in: "", err: ErrType},
		{in: "7", err: ErrType},
		{in: "abc", err: ErrType},
		{in: "2", err: ErrPayload},
		{in: "3", err: ErrPayload},
		{in: "2{}", err: ErrPayload},
		{in: "2[]", err: ErrPayload},
		{in: "2[null]", err: ErrPayload},
		{in: "2[{}]", err: ErrPayload},
		{in: `2["e"`, err: ErrPayload},
		{in: `2["e"]]`, err: ErrPayload},
		{in: `2abc["e"]`, err: ErrPayload},
		{in: `2["disconnect"]`, err: ErrPayload},
		{in: `2["\u0064isconnect"]`, err: ErrPayload},
		{in: `3{}`, err: ErrPayload},
		{in: `0[]`, err: ErrPayload},
		{in: `0"x"`, err: ErrPayload},
		{in: `1{}`, err: ErrPayload},
		{in: `4[]`, err: ErrPayload},
		{in: `29007199254740992["e"]`, err: ErrID},
		{in: `299999999999999999999999["e"]`, err: ErrID},
		{in: `5["e"]`, err: ErrAttachments},
		{in: `5-["e"]`, err: ErrAttachments},
		{in: `5x-["e"]`, err: ErrAttachments},
		{in: `51`, err: ErrAttachments},
		{in: `5-1-["e"]`, err: ErrAttachments},
		{in: `511-["e"]`, err: ErrTooMany},
		{in: "0" + long, err: ErrNamespace},
		{in: "0" + long[:len(long)-1], want: "0 " + long[:len(long)-1] + " -1 []"},
		{in: "2" + strings.Repeat("[", 20_000), err: ErrPayload},
	} {
		d := Decoder{MaxAttachments: 10}
		p, err := d.Text([]byte(c.in))
		if !errors.Is(err, c.err) || err == nil && show(p) != c.want {
			t.Errorf("%.60q: got %v, %v; want %s, %v", c.in, show(p), err, c.want, c.err)
		}
	}
}

func show(p *Packet) string {
	if p == nil {
		return "nil"
	}
	s := fmt.Sprintf("%c %s %d ", p.Type, p.Namespace, p.ID)
	if p.Type == Event {
		s += p.Name + " "
	}
	return s + fmt.Sprintf("%s", p.Args)
}

func TestAttachments(t *testing.T) {
	d := Decoder{MaxAttachments: 10}
	if _, err := d.Binary([]byte("x")); !errors.Is(err, ErrBinary) {
		t.Error(err)
	}
	for range 2 { // a decoder goes on behind a packet
		p, err := d.Text([]byte(`52-["e",{"_placeholder":true,"num":1},{"a":[{"num":0, "_placeholder" : true}],"_placeholder":1}]`))
		if p != nil || err != nil {
			t.Fatal(p, err)
		}
		if p, err = d.Binary([]byte("one")); p != nil || err != nil {
			t.Fatal(p, err)
		}
		p, err = d.Binary([]byte("two"))
		if err != nil || show(p) != `2 / -1 e [{"_placeholder":true,"num":1} {"a":[{"num":0, "_placeholder" : true}],"_placeholder":1}]` {
			t.Fatal(show(p), err)
		}
		if b, whole := Attachment(p.Args[0], p.Attachments); !whole || string(b) != "two" {
			t.Error(string(b), whole)
		}
		if _, whole := Attachment(p.Args[1], p.Attachments); whole {
			t.Error("an object with a placeholder in it is none")
		}
		if got := Inline(p.Args[1], p.Attachments); string(got) != `{"a":["b25l"],"_placeholder":1}` {
			t.Error(string(got))
		}
	}
	_, _ = d.Text([]byte(`51-["e"]`))
	if _, err := d.Text([]byte(`2["e"]`)); !errors.Is(err, ErrText) {
		t.Error(err)
	}
	for _, wrong := range []string{`{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":0,"num":"x"}`,
		`{"num":0,"_placeholder":false,"_placeh\u006flder":true,"num":7}`, `{"_placeholder":true,"num":9,"long":"` + strings.Repeat("x", 100) + `"}`, `{"_placeholder":true,"num":-1}`, `{"_placeholder":true,"num":0.5}`, `{"_placeholder":true}`, `[[{"_placeholder":true,"num":"0"}]]`} {
		d := Decoder{MaxAttachments: 10}
		_, _ = d.Text([]byte(`51-["e",` + wrong + `]`))
		if _, err := d.Binary([]byte("x")); !errors.Is(err, ErrAttachments) {
			t.Error(wrong, err)
		}
	}
	// What only looks like one is left alone, and so is one without attachments.
	for _, plain := range []string{`"{\"_placeholder\":true,\"num\":9}"`, `{"a":"_placeholder","num":9}`, `["_placeholder"]`, `{"_placeholder":false,"num":9}`, `"_placeholder"`,
		`{"_placeholder":true,"num":9,"_placeholder":[]}`, `{"_PLACEHOLDER":true,"num":9}`, `{"a":{"b":{"_placeholder":"true"}},"num":9}`, `[true,"_placeholder",true]`} {
		d := Decoder{MaxAttachments: 10}
		_, _ = d.Text([]byte(`51-["e",` + plain + `]`))
		p, err := d.Binary([]byte("x"))
		if err != nil || string(Inline(p.Args[0], p.Attachments)) != plain {
			t.Error(plain, p, err)
		}
	}
	if p, err := d.decode([]byte(`2["e",{"_placeholder":true,"num":9}]`)); err != nil || p.check() != nil {
		t.Error(err)
	}
}

func TestEncode(t *testing.T) {
	type inner struct {
		Data Binary `json:"data"`
		Text string `json:"text"`
	}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, c := range []struct {
		h    Header
		args []any
		want string
		bins string
	}{
		{Header{Event, "/", NoID}, []any{"e", 1, nil, true, "a<b>&\"é\x01"}, `2["e",1,null,true,"a<b>&\"é\u0001"]`, ""},
		{Header{Event, "/admin", 7}, []any{"e"}, `2/admin,7["e"]`, ""},
		{Header{Ack, "/", 0}, nil, `30[]`, ""},
		{Header{Ack, "/n", 3}, []any{raw(` {"a" : [1]} `)}, `3/n,3[{"a":[1]}]`, ""},
		{Header{Event, "/", 1}, []any{"e", []byte("x"), Binary("y"), []byte(nil)},
			`53-1["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`, "x|y|"},
		{Header{Ack, "/n", 1}, []any{[]inner{{Binary("a"), `{"_socketio_binary":"`}, {nil, "t"}}, "z", Binary("\xff\x00")},
			`63-/n,1[[{"data":{"_placeholder":true,"num":0},"text":"{\"_socketio_binary\":\""},{"data":{"_placeholder":true,"num":1},"text":"t"}],"z",{"_placeholder":true,"num":2}]`, "a||\xff\x00"},
	} {
		var a Args
		for _, arg := range c.args {
			if err := a.Append(arg); err != nil {
				t.Fatal(err)
			}
		}
		var bins []string
		for _, b := range a.Attachments {
			bins = append(bins, string(b))
		}
		if got := string(c.h.Encode(nil, &a)); got != c.want || strings.Join(bins, "|") != c.bins {
			t.Errorf("got %s %q, want %s", got, bins, c.want)
		}
	}
	var a Args
	if err := a.Append(func() {}); err == nil {
		t.Error("a function was encoded")
	}
	if err := (&Args{}).AppendRaw([]json.RawMessage{raw(`{`)}, nil); err == nil {
		t.Error("invalid JSON was encoded")
	}
	if got, err := (Header{ConnectError, "/n", NoID}).EncodeObject([]byte("4"), map[string]string{"message": "<no>"}); err != nil || string(got) != `44/n,{"message":"<no>"}` {
		t.Error(string(got), err)
	}
}
