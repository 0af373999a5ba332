// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Decoder puts packets together. It belongs to whoever receives for a session.
type Decoder struct {
	MaxAttachments int // of one packet
	pending        *Packet
}

// Text takes in a text message; the packet is nil while its attachments are to
// come. It keeps nothing of b.
func (d *Decoder) Text(b []byte) (*Packet, error) {
	if d.pending != nil {
		return nil, ErrText
	}
	p, err := d.decode(b)
	switch {
	case err != nil:
		return nil, err
	case p.missing > 0:
		d.pending = p
		return nil, nil
	}
	return p, p.check()
}

// Binary takes in an attachment, and keeps it.
func (d *Decoder) Binary(b []byte) (*Packet, error) {
	p := d.pending
	if p == nil {
		return nil, ErrBinary
	}
	p.Attachments = append(p.Attachments, b)
	if p.missing--; p.missing > 0 {
		return nil, nil
	}
	d.pending = nil
	return p, p.check()
}

// check looks at a packet that is complete.
func (p *Packet) check() error {
	if p.Type != Event && p.Type != Ack {
		return nil
	}
	return checkPlaceholders(p.Args, len(p.Attachments))
}

func (d *Decoder) decode(b []byte) (*Packet, error) {
	if len(b) == 0 || b[0] < byte(Connect) || b[0] > byte(BinaryAck) {
		return nil, ErrType
	}
	p := &Packet{Type: Type(b[0]), Namespace: "/", ID: NoID}
	b = b[1:]
	var err error
	if p.Type == BinaryEvent || p.Type == BinaryAck {
		if b, err = d.attachments(p, b); err != nil {
			return nil, err
		}
		p.Type -= BinaryEvent - Event
	}
	if len(b) > 0 && b[0] == '/' {
		name, rest, _ := bytes.Cut(b, []byte{','})
		// The reference's clients send a query with it, which is not its name.
		name, _, _ = bytes.Cut(name, []byte{'?'})
		if len(name) > maxNamespace {
			return nil, ErrNamespace
		}
		p.Namespace, b = string(name), rest
	}
	if b, err = p.id(b); err != nil {
		return nil, err
	}
	return p, p.payload(b)
}

// attachments reads "2-".
func (d *Decoder) attachments(p *Packet, b []byte) ([]byte, error) {
	digits, rest, ok := bytes.Cut(b, []byte{'-'})
	n, _, err := number(digits)
	if !ok || err != nil || len(digits) == 0 {
		return nil, ErrAttachments
	}
	if n > int64(d.MaxAttachments) {
		return nil, ErrTooMany
	}
	p.missing = int(n)
	return rest, nil
}

// id reads the digits, if there are any.
func (p *Packet) id(b []byte) ([]byte, error) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return b, nil
	}
	id, rest, err := number(b[:n])
	if err != nil || len(rest) > 0 {
		return nil, ErrID
	}
	p.ID = id
	return b[n:], nil
}

// number reads a decimal that JavaScript can hold, too.
func number(b []byte) (n int64, rest []byte, err error) {
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		if n = n*10 + int64(b[0]-'0'); n > 1<<53-1 {
			return 0, b, ErrID
		}
		b = b[1:]
	}
	if len(b) > 0 {
		return 0, b, ErrID
	}
	return n, b, nil
}

// payload reads the JSON.
func (p *Packet) payload(b []byte) error {
	if len(b) == 0 {
		if p.Type == Event || p.Type == Ack {
			return ErrPayload // the reference takes it for an event without a name
		}
		return nil
	}
	if !json.Valid(b) {
		return ErrPayload
	}
	b = bytes.TrimSpace(b)
	switch p.Type {
	case Connect:
		if b[0] != '{' {
			return ErrPayload
		}
		p.Args = []json.RawMessage{bytes.Clone(b)}
	case Event:
		if b[0] != '[' {
			return ErrPayload
		}
		return p.event(elements(bytes.Clone(b)))
	case Ack:
		if b[0] != '[' {
			return ErrPayload
		}
		p.Args = elements(bytes.Clone(b))
	case Disconnect:
		return ErrPayload
	case ConnectError:
		if b[0] != '{' && b[0] != '"' {
			return ErrPayload
		}
	}
	return nil
}

// event takes the name from the front of an event's payload: a string, or a
// number, which stands for its own text.
func (p *Packet) event(all []json.RawMessage) error {
	if len(all) == 0 {
		return ErrPayload
	}
	switch c := all[0][0]; {
	case c == '"':
		if name := all[0][1 : len(all[0])-1]; bytes.IndexByte(name, '\\') < 0 {
			p.Name = string(name)
		} else if err := json.Unmarshal(all[0], &p.Name); err != nil {
			return ErrPayload
		}
		if Reserved(p.Name) {
			return ErrPayload
		}
	case c == '-' || c >= '0' && c <= '9':
		p.Name = strings.Clone(string(all[0]))
	default:
		return ErrPayload
	}
	p.Args = all[1:]
	return nil
}

// elements splits a valid JSON array.
func elements(b []byte) []json.RawMessage {
	list := make([]json.RawMessage, 0, 4)
	i := space(b, 1)
	for i < len(b) && b[i] != ']' {
		end := skip(b, i)
		list = append(list, json.RawMessage(b[i:end:end]))
		if i = space(b, end); i < len(b) && b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return list
}
