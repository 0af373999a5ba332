// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"testing"
)

// unframe reads a frame as a client would.
func unframe(t *testing.T, b []byte) (opcode byte, payload []byte) {
	t.Helper()
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		t.Fatalf("not a single unmasked frame: %x", b[:2])
	}
	n, rest := uint64(b[1]), b[2:]
	switch n {
	case 126:
		n, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		n, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	if uint64(len(rest)) != n {
		t.Fatalf("%d bytes in a frame of %d", len(rest), n)
	}
	return b[0] & 0x0f, rest
}

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 124, 125, 126, 1000, 0xfffe, 0xffff, 0x10000, 1 << 20} {
		data := bytes.Repeat([]byte("x"), n)
		f := NewMessage(data)
		if op, got := unframe(t, f.ws); op != 1 || string(got) != "4"+string(data) || !bytes.Equal(got, f.packet) {
			t.Errorf("text of %d bytes: opcode %d, %d bytes", n, op, len(got))
		}
		f = NewBinaryFrame(data)
		if op, got := unframe(t, f.ws); op != 2 || !bytes.Equal(got, data) {
			t.Errorf("binary of %d bytes: opcode %d, %d bytes", n, op, len(got))
		}
	}
}

func TestPayload(t *testing.T) {
	got := appendPayload(nil, []*Frame{NewMessage([]byte("a")), NewBinaryFrame([]byte{1, 2, 3, 4}), pingFrames[0]})
	if want := "4a\x1ebAQIDBA==\x1e2"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// collector is a handler that keeps what it gets.
type collector struct {
	got    [][]byte
	reason Reason
	closed int
}

func (c *collector) Text(b []byte) error   { c.got = append(c.got, bytes.Clone(b)); return nil }
func (c *collector) Binary(b []byte) error { c.got = append(c.got, b); return nil }
func (c *collector) Upgraded()             {}
func (c *collector) Closed(r Reason)       { c.reason = r; c.closed++ }

// FuzzPayload feeds a session the body of a POST: it may end the session, once,
// and what it lets through is what was sent.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"4a", "4a\x1e4b", "bAQID\x1e3", "2", "1", "6\x1e5\x1e0", "x", "", "\x1e", "4\xff", "b!", "bQQ", "4é\x1eb===="} {
		f.Add([]byte(seed))
	}
	srv := NewServer(Options{MaxBuffered: 1 << 20, MaxSessions: 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		h := &collector{}
		s := newSession(srv)
		s.handler = h
		if !srv.add(s) {
			t.Fatal("the last session was not forgotten")
		}
		result := s.receivePayload(body)
		if (result == failed) != (h.closed == 1) || h.closed > 1 {
			t.Fatalf("result %d, closed %d times", result, h.closed)
		}
		packets := bytes.Split(body, []byte{separator})
		if len(h.got) > len(packets) {
			t.Fatalf("%d packets out of %d", len(h.got), len(packets))
		}
		next := 0
		for _, got := range h.got {
			for ; next < len(packets); next++ {
				p := packets[next]
				if len(p) > 0 && (p[0] == '4' && bytes.Equal(p[1:], got) || p[0] == 'b' && sameBase64(p[1:], got)) {
					break
				}
			}
			if next++; next > len(packets) {
				t.Fatalf("%q is not in %q, or not in order", got, body)
			}
		}
		s.end(ForcedClose, ending{})
	})
}

func sameBase64(text, data []byte) bool {
	b, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(text, "=")))
	return err == nil && bytes.Equal(b, data)
}
