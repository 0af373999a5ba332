package parser

import (
	"bytes"
	"encoding/json"
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

// FuzzArgs encodes values with binary data in them and reads them back.
func FuzzArgs(f *testing.F) {
	f.Add("text", []byte("data"), "key")
	f.Add(binaryMark, []byte{0, 255}, `"_placeholder"`)
	f.Fuzz(func(t *testing.T, text string, data []byte, key string) {
		if key == "_socketio_binary" {
			return // reserved
		}
		var a Args
		for _, v := range []any{text, data, map[string]any{key: []any{Binary(data), text}}} {
			if err := a.Append(v); err != nil {
				t.Fatal(err)
			}
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
		if err != nil || len(p.Args) != 3 || len(p.Attachments) != 2 {
			t.Fatalf("%q: %v", out, err)
		}
		var object map[string][]json.RawMessage
		if err := json.Unmarshal(Inline(p.Args[2], p.Attachments), &object); err != nil {
			t.Fatal(err)
		}
		for _, list := range object {
			var got []byte
			if err := json.Unmarshal(list[0], &got); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%q became %q, %v", data, got, err)
			}
		}
	})
}
