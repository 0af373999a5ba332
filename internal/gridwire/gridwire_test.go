// SPDX-License-Identifier: Apache-2.0

package gridwire

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// script is a Reader that writes down what it is told, and a frame of the same.
type script struct {
	lines []string
	frame []byte
}

func (s *script) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *script) Begin(h Header) {
	s.add("begin %+v", h)
	s.frame = AppendHeader(s.frame, h.Session, h.Origin)
	SetSent(s.frame, h.Sent)
}

func (s *script) Acks(ids []uint64) {
	if len(ids) > 0 {
		s.add("acks %v", ids)
	}
	s.frame = AppendAcks(s.frame, ids)
}

func (s *script) Ask(a Ask) {
	header := ""
	for _, k := range slices.Sorted(maps.Keys(a.Header)) {
		header += fmt.Sprintf("%q=%q ", k, a.Header[k])
	}
	s.add("ask %d %q %v %q %q %s%d", a.ID, a.Key, a.Budget, a.Type, a.Payload, header, a.Flags)
	body, err := AppendAskBody(nil, &a, len(a.Payload), func(b []byte) ([]byte, error) { return append(b, a.Payload...), nil })
	if err != nil {
		panic(err)
	}
	s.frame = AppendAsk(s.frame, body, a.Budget)
}

func (s *script) Answer(a Answer) {
	s.add("answer %d %d %q %q %q", a.ID, a.Rev, a.Type, a.Payload, a.Failure)
	payload := func(b []byte) ([]byte, error) { return append(b, a.Payload...), nil }
	var err error
	if s.frame, err = AppendAnswer(s.frame, &a, len(a.Payload), payload); err != nil {
		panic(err)
	}
}

func (s *script) Refusal(r Refusal) {
	s.add("refusal %+v", r)
	s.frame = AppendRefusal(s.frame, &r)
}

func (s *script) Cancel(ids []uint64) {
	for _, id := range ids { // several in one item are written as one each
		s.add("cancel %d", id)
		s.frame = AppendCancel(s.frame, id)
	}
}

func (s *script) Audit(a Audit) {
	s.add("audit %+v", a)
	s.frame = AppendAudit(s.frame, &a)
}

func (s *script) Audited(a Audited) {
	s.add("audited %+v", a)
	s.frame = AppendAudited(s.frame, &a)
}

func (s *script) TooNew(id uint64) { s.add("too new %d", id) }

// all is a frame with one item of each kind.
func all() []byte {
	s := &script{}
	s.Begin(Header{Sent: time.Hour, Session: 300, Origin: 1 << 63})
	s.Acks([]uint64{1, 1 << 40})
	s.Ask(Ask{ID: 7, Key: "account/7", Budget: time.Second, Type: []byte("a.B"), Payload: []byte("payload"), Header: map[string]string{"a": "b"}, Flags: Plain})
	s.Ask(Ask{ID: 8, Key: "account/8", Flags: Where})
	s.Answer(Answer{ID: 9, Rev: 1000, Type: []byte("a.C"), Payload: bytes.Repeat([]byte("x"), 300)})
	s.Answer(Answer{ID: 10, Rev: 1, Failure: []byte("failure")})
	s.Refusal(Refusal{ID: 11, Reason: NotOwner, Node: "node-1", Sess: 12})
	s.Cancel([]uint64{12})
	s.Audit(Audit{Number: 13, IDs: []uint64{14, 15}})
	s.Audited(Audited{Number: 13, Unknown: []uint64{14}, Forgotten: []uint64{15}})
	return s.frame
}

// TestFrameIsReadAsWritten: each item comes as it was, in order.
func TestFrameIsReadAsWritten(t *testing.T) {
	frame := all()
	read := &script{}
	if err := Read(frame, read); err != nil {
		t.Fatal(err)
	}
	again := &script{}
	if err := Read(read.frame, again); err != nil || !slices.Equal(read.lines, again.lines) || len(read.lines) != 10 {
		t.Errorf("%v\nread  %q\nagain %q", err, read.lines, again.lines)
	}
	if want := `ask 7 "account/7" 1s "a.B" "payload" "a"="b" 1`; read.lines[2] != want {
		t.Errorf("got %s, want %s", read.lines[2], want)
	}
}

// TestVersions: a reader skips what it does not know, and takes nothing but the numbers of asks of a frame that it must
// not read.
func TestVersions(t *testing.T) {
	plain := &script{}
	frame := AppendUnknown(all(), 40)
	if err := Read(frame, plain); err != nil || len(plain.lines) != 10 {
		t.Errorf("with an unknown field: %v, %q", err, plain.lines)
	}
	later := &script{}
	if err := Read(SetNeeds(all(), Version+1), later); err != nil || !slices.Equal(later.lines[1:], []string{"too new 8"}) {
		t.Errorf("a later version: %v, %q", err, later.lines)
	}
}

// TestMalformed: a frame that is cut off anywhere, or has another type of field, ends with an error or has lost its last items.
func TestMalformed(t *testing.T) {
	frame := all()
	whole := &script{}
	if err := Read(frame, whole); err != nil {
		t.Fatal(err)
	}
	for n := range frame {
		cut := &script{}
		err := Read(frame[:n], cut)
		if err == nil && len(cut.lines) >= len(whole.lines) || len(cut.lines) > 0 && !slices.Equal(cut.lines, whole.lines[:len(cut.lines)]) {
			t.Fatalf("%d bytes of %d: %v, %q", n, len(frame), err, cut.lines)
		}
	}
	for _, bad := range [][]byte{
		nil,
		AppendHeader(nil, 0, 1),
		AppendHeader(nil, 1, 0),
		append(AppendHeader(nil, 1, 1), fieldAsk<<3, 1),                              // a number in place of an item
		append(AppendHeader(nil, 1, 1), fieldAsk<<3|2, 2, 2<<3|2, 0),                 // an ask without a key
		append(AppendCancel(AppendHeader(nil, 1, 1), 1), AppendHeader(nil, 2, 2)...), // a second sender
	} {
		if err := Read(bad, &script{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzRead: nothing panics, and what is read is read again as it was when it is written anew.
func FuzzRead(f *testing.F) {
	f.Add(all())
	f.Add(AppendUnknown(all(), 40))
	f.Add(SetNeeds(all(), Version+1))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		read := &script{}
		if Read(frame, read) != nil {
			return
		}
		for _, line := range read.lines {
			if line[:3] == "too" {
				return
			}
		}
		again := &script{}
		err := Read(read.frame, again)
		if err != nil || !slices.Equal(read.lines[1:], again.lines[1:]) {
			t.Errorf("read %q, and then %q, %v", read.lines, again.lines, err)
		}
	})
}

// BenchmarkRead is a frame of one ask and one answer.
func BenchmarkRead(b *testing.B) {
	frame := all()
	b.ReportAllocs()
	for b.Loop() {
		if err := Read(frame, nobody{}); err != nil {
			b.Fatal(err)
		}
	}
}

type nobody struct{}

func (nobody) Begin(Header)    {}
func (nobody) Acks([]uint64)   {}
func (nobody) Ask(Ask)         {}
func (nobody) Answer(Answer)   {}
func (nobody) Refusal(Refusal) {}
func (nobody) Cancel([]uint64) {}
func (nobody) Audit(Audit)     {}
func (nobody) Audited(Audited) {}
func (nobody) TooNew(uint64)   {}

// publication is one with all fields.
func publication() Publication {
	return Publication{Needs: 1, Origin: 1 << 63, Type: []byte("a.B"), Payload: bytes.Repeat([]byte("x"), 300), Header: map[string]string{"a": "b", "": ""}}
}

// TestPublicationIsReadAsWritten, and what is unknown in it is skipped.
func TestPublicationIsReadAsWritten(t *testing.T) {
	want := publication()
	frame := AppendPublication(nil, &want)
	if most := SizePublication(&want); len(frame) > most {
		t.Errorf("it has %d bytes, more than %d", len(frame), most)
	}
	for _, frame := range [][]byte{frame, AppendUnknown(slices.Clone(frame), 99)} {
		if got, err := ReadPublication(frame); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v", got, err)
		}
	}
	later := slices.Clone(frame)
	later[1] = Version + 1
	if _, err := ReadPublication(later); err != errNeedsLater {
		t.Errorf("of a later version: %v", err)
	}
}

// TestFramesAreNoPublications, nor the other way round: no item of the one is taken for the other.
func TestFramesAreNoPublications(t *testing.T) {
	if _, err := ReadPublication(all()); err != errNoPublication {
		t.Errorf("a frame: %v", err)
	}
	of := publication()
	frame := AppendPublication(nil, &of)
	if _, err := ReadPublication(append(slices.Clone(frame), AppendCancel(nil, 1)...)); err != errNoPublication {
		t.Errorf("with a cancel: %v", err)
	}
	for n := range frame {
		if p, err := ReadPublication(frame[:n]); err == nil && len(p.Payload) > 0 && len(p.Payload) != len(of.Payload) {
			t.Errorf("the first %d bytes: %+v", n, p)
		}
	}
	s := &script{}
	if err := Read(frame, s); err != errNoHeader || len(s.lines) > 0 {
		t.Errorf("as a frame: %v, %q", err, s.lines)
	}
	s = &script{}
	if err := Read(append(all(), frame...), s); err != nil && len(s.lines) > 10 {
		t.Errorf("behind a frame: %v, %q", err, s.lines)
	}
}

// FuzzReadPublication: whatever comes, it does not crash, and what it takes is the same when it is written and read again.
func FuzzReadPublication(f *testing.F) {
	p := publication()
	f.Add(AppendPublication(nil, &p))
	f.Add(all())
	f.Add([]byte{0x08, 0x02})
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := ReadPublication(frame)
		if err != nil {
			return
		}
		p.Needs = 1
		again, err := ReadPublication(AppendPublication(nil, &p))
		if err != nil || !bytes.Equal(again.Type, p.Type) || !bytes.Equal(again.Payload, p.Payload) || !maps.Equal(again.Header, p.Header) || again.Origin != p.Origin {
			t.Errorf("%+v is read again as %+v, %v", p, again, err)
		}
	})
}
