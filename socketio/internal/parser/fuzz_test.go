// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

// FuzzDecode feeds a decoder packets, each line one; a line that begins with a b
// is binary. Whatever it lets through is encoded again, and must be the same
// when it is decoded again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"0", `0/admin,{"token":"x"}`, `2["e",1,"a",{"b":[]}]`, `212["e"]`, `35[{"a":1},2]`, `4{"message":"x"}`, "1/x,", "2[7]",
		"52-1[\"e\",{\"_placeholder\":true,\"num\":0},{\"x\":{\"num\":1,\"_placeholder\":true}}]\nbone\nbtwo",
		"61-/n,3[[{\"_placeholder\":true,\"num\":0}]]\nb", "51-[\"e\",\"\\\"_placeholder\"]\nb1\n2[\"f\"]", "bx", "5", "2/,", `2["\ud800",1e999]`,
		"51-[\"e\",{\"_placeholder\":true,\"num\":0,\"_placeholder\":false}]\nb1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := Decoder{MaxAttachments: 5}
		for _, line := range bytes.Split(in, []byte("\n")) {
			var p *Packet
			var err error
			if len(line) > 0 && line[0] == 'b' {
				p, err = d.Binary(bytes.Clone(line[1:]))
			} else {
				p, err = d.Text(line)
			}
			if err != nil {
				return
			}
			if p != nil {
				roundTrip(t, p)
			}
		}
	})
}

func roundTrip(t *testing.T, p *Packet) {
	for _, arg := range p.Args {
		if !json.Valid(arg) {
			t.Fatalf("argument %q is no JSON", arg)
		}
		if in := Inline(arg, p.Attachments); !json.Valid(in) {
			t.Fatalf("%q with its attachments inline is no JSON: %q", arg, in)
		}
		_, _ = Attachment(arg, p.Attachments)
	}
	if p.Type != Event && p.Type != Ack {
		return
	}
	var a Args
	if p.Type == Event {
		if err := a.Append(p.Name); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.AppendRaw(p.Args, p.Attachments); err != nil {
		t.Fatal(err)
	}
	text := Header{p.Type, p.Namespace, p.ID}.Encode(nil, &a)
	d := Decoder{MaxAttachments: len(p.Attachments)}
	again, err := d.Text(text)
	for _, b := range p.Attachments {
		if again != nil || err != nil {
			t.Fatalf("%q: %v, %v before its attachments", text, again, err)
		}
		again, err = d.Binary(b)
	}
	if err != nil || again.Type != p.Type || again.Namespace != p.Namespace || again.ID != p.ID || len(again.Args) != len(p.Args) || len(again.Attachments) != len(p.Attachments) {
		t.Fatalf("%q became %q: %s, %v", show(p), text, show(again), err)
	}
	for i := range p.Args {
		if !sameJSON(p.Args[i], again.Args[i]) {
			t.Fatalf("argument %q became %q", p.Args[i], again.Args[i])
		}
	}
}

// sameJSON compares but for white space.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// FuzzArgs encodes values with binary data in them beside what a client may have
// sent, reads them back, and compares with encoding/json, for which binary data
// is base64 text.
func FuzzArgs(f *testing.F) {
	f.Add("text", []byte("data"), "key", `{"a":1}`)
	f.Add(`{"_socketio_binary":"`, []byte{0, 255}, `"_placeholder"`, `{"_socketio_binary":"!"}`)
	f.Add("_placeholder", []byte{}, "num", `[{"_placeh\u006flder":true,"num":99}]`)
	f.Add("", []byte("x"), "_placeholder", `"\ud800"`)
	f.Fuzz(func(t *testing.T, text string, data []byte, key, relayed string) {
		raw := json.RawMessage(relayed)
		if !json.Valid(raw) {
			raw = json.RawMessage("null")
		}
		var decoded any
		_ = json.Unmarshal(raw, &decoded) // 1e999 stays nil
		values := []any{
			text, raw, decoded, map[string]any{key: []any{Binary(data), text, decoded}},
			struct {
				Inner any `json:"_placeholder"`
				Raw   []json.RawMessage
				Data  *Binary
			}{decoded, []json.RawMessage{raw}, (*Binary)(&data)},
		}
		var a Args
		for i, v := range values {
			if err := a.Append(v); err != nil {
				if errors.Is(err, ErrLookalike) && hasLookalike(t, values[:i+1]) {
					return
				}
				t.Fatal(err)
			}
		}
		if hasLookalike(t, values) {
			t.Fatalf("%q: what looks like a placeholder was encoded beside attachments", values)
		}
		d := Decoder{MaxAttachments: 2}
		out := Header{Ack, "/", NoID}.Encode(nil, &a)
		p, err := d.Text(out)
		for _, b := range a.Attachments {
			if p != nil || err != nil {
				t.Fatalf("%q: %v %v", out, p, err)
			}
			p, err = d.Binary(b)
		}
		if err != nil || len(p.Args) != len(values) || len(p.Attachments) != 2 {
			t.Fatalf("%q: %v", out, err)
		}
		for i, v := range values {
			if got, want := Inline(p.Args[i], p.Attachments), plainJSON(t, v); !sameJSON(got, want) {
				t.Fatalf("argument %d: got %s, want %s", i, got, want)
			}
		}
	})
}

// plainJSON is v as it is without attachments.
func plainJSON(t *testing.T, v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hasLookalike looks for one as a client does, on what it has parsed.
func hasLookalike(t *testing.T, v any) bool {
	var decoded any
	d := json.NewDecoder(bytes.NewReader(plainJSON(t, v)))
	d.UseNumber()
	if err := d.Decode(&decoded); err != nil {
		t.Fatal(err)
	}
	var look func(v any) bool
	look = func(v any) bool {
		switch v := v.(type) {
		case []any:
			return slices.ContainsFunc(v, look)
		case map[string]any:
			for _, e := range v {
				if look(e) {
					return true
				}
			}
			return v["_placeholder"] == true
		}
		return false
	}
	return look(decoded)
}
