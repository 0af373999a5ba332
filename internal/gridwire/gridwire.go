// SPDX-License-Identifier: Apache-2.0

// Package gridwire has the frames that nodes of package grid send each other. A frame is a protobuf message, and in it
// are as many items as there were to send to one node.
//
// A field number is a promise to nodes of other versions: never change or reuse one. What a reader does not know it
// skips. A frame that it must not take part of says which version it needs at least: of that a reader that is older
// takes only the numbers of the asks, to refuse them.
package gridwire

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Version is the one of this code.
const Version = 1

// Fields of a frame.
const (
	fieldNeeds   = 1
	fieldSent    = 2
	fieldSession = 3
	fieldOrigin  = 4
	fieldAcks    = 5
	fieldAsk     = 6
	fieldAnswer  = 7
	fieldRefusal = 8
	fieldCancel  = 9
	fieldAudit   = 10
	fieldAudited = 11
)

// Header begins a frame.
type Header struct {
	Needs   uint64
	Sent    time.Duration // by the sender's clock
	Session uint64        // of the sender
	Origin  uint64        // is the same in all sessions of a sender's process; asks are known by it and their ID
}

// Ask is a message to a key.
type Ask struct {
	ID      uint64
	Key     string
	Budget  time.Duration // what is left; 0: it has none
	Type    []byte
	Payload []byte
	Header  map[string]string
	Flags   Flags
}

// Flags of an Ask.
type Flags uint64

// The flags.
const (
	Plain Flags = 1 << iota // nobody waits for an answer
	Where                   // it is not for the key: the answer is the token of its shard
)

// Answer is that of an ask. Either Failure, a messages.Failure, or Type and Payload are set, or none: see Where.
type Answer struct {
	ID      uint64
	Rev     uint64 // of the token of the shard
	Type    []byte
	Payload []byte
	Failure []byte
}

// Refusal says that an ask has not run, and may be sent to another node.
type Refusal struct {
	ID     uint64
	Reason Reason
	Node   string // who may have the key, "": unknown
	Sess   uint64
}

// Reason is that of a Refusal.
type Reason uint64

// The reasons.
const (
	NotOwner Reason = 1
	TooNew   Reason = 2 // the frame needs a later version
)

// Audit asks what has become of asks. It is answered by Audited, with the same number.
type Audit struct {
	Number uint64
	IDs    []uint64
}

// Audited names those that the node does not know, and those that are over and whose answers it has not kept.
type Audited struct {
	Number    uint64
	Unknown   []uint64
	Forgotten []uint64
}

// Reader is told what is in a frame, in order, behind the header. What it gets is a part of the frame.
type Reader interface {
	Begin(Header)
	Acks(ids []uint64)
	Ask(Ask)
	Answer(Answer)
	Refusal(Refusal)
	Cancel(ids []uint64)
	Audit(Audit)
	Audited(Audited)
	// TooNew: the frame needs a later version, and has this ask.
	TooNew(id uint64)
}

// Errors of Read.
var (
	errMalformed = errors.New("a frame is malformed")
	errNoHeader  = errors.New("a frame does not say who has sent it")
)

// AppendHeader begins a frame. Sent is set by SetSent.
func AppendHeader(b []byte, session, origin uint64) []byte {
	b = protowire.AppendTag(b, fieldSent, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, 0)
	b = protowire.AppendTag(b, fieldNeeds, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, fieldSession, protowire.VarintType)
	b = protowire.AppendVarint(b, session)
	b = protowire.AppendTag(b, fieldOrigin, protowire.VarintType)
	return protowire.AppendVarint(b, origin)
}

// SetNeeds says which version the reader of a frame must have. It is below 128.
func SetNeeds(frame []byte, version byte) []byte {
	frame[10] = version
	return frame
}

// AppendUnknown appends what no version knows, for tests.
func AppendUnknown(b []byte, field protowire.Number) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendString(b, "unknown")
	b = protowire.AppendTag(b, field+1, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, 7)
}

// HeaderRoom is more than a header has.
const HeaderRoom = 40

// SetSent says when a frame is sent.
func SetSent(frame []byte, at time.Duration) { binary.LittleEndian.PutUint64(frame[1:9], uint64(at)) }

// AppendAskBody is an ask but for its budget. payload appends the message.
func AppendAskBody(b []byte, a *Ask, size int, payload func([]byte) ([]byte, error)) ([]byte, error) {
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, a.ID)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendString(b, a.Key)
	if len(a.Type) > 0 {
		b = protowire.AppendTag(b, 4, protowire.BytesType)
		b = protowire.AppendBytes(b, a.Type)
	}
	if payload != nil {
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		before := len(b)
		var err error
		if b, err = payload(b); err != nil {
			return nil, err
		}
		if len(b)-before != size {
			return nil, errors.New("it has changed while it was serialized")
		}
	}
	for k, v := range a.Header {
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeOfBytes(len(k))+sizeOfBytes(len(v))))
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, k)
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendString(b, v)
	}
	if a.Flags != 0 {
		b = protowire.AppendTag(b, 7, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(a.Flags))
	}
	return b, nil
}

// sizeOfBytes is that of a field of n bytes with a number below 16.
func sizeOfBytes(n int) int { return 1 + protowire.SizeBytes(n) }

// ItemRoom is more than an item has beside its body.
const ItemRoom = 24

// AppendAsk appends an ask to a frame. budget 0: it has none.
func AppendAsk(b, body []byte, budget time.Duration) []byte {
	size := len(body)
	if budget > 0 {
		size += 1 + protowire.SizeVarint(uint64(budget))
	}
	b = protowire.AppendTag(b, fieldAsk, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = append(b, body...)
	if budget > 0 {
		b = protowire.AppendTag(b, 3, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(budget))
	}
	return b
}

// AppendAnswer appends an answer, as an item, to a frame. payload appends the message of size bytes, if there is one.
func AppendAnswer(b []byte, a *Answer, size int, payload func([]byte) ([]byte, error)) ([]byte, error) {
	body := 1 + protowire.SizeVarint(a.ID) + 1 + protowire.SizeVarint(a.Rev)
	if payload != nil {
		body += sizeOfBytes(len(a.Type)) + sizeOfBytes(size)
	}
	if len(a.Failure) > 0 {
		body += sizeOfBytes(len(a.Failure))
	}
	b = protowire.AppendTag(b, fieldAnswer, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(body))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, a.ID)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, a.Rev)
	if payload != nil {
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendBytes(b, a.Type)
		b = protowire.AppendTag(b, 4, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		before := len(b)
		var err error
		if b, err = payload(b); err != nil {
			return nil, err
		}
		if len(b)-before != size {
			return nil, errors.New("it has changed while it was serialized")
		}
	}
	if len(a.Failure) > 0 {
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendBytes(b, a.Failure)
	}
	return b, nil
}

// AppendRefusal appends a refusal to a frame.
func AppendRefusal(b []byte, r *Refusal) []byte {
	body := 1 + protowire.SizeVarint(r.ID) + 1 + protowire.SizeVarint(uint64(r.Reason)) + sizeOfBytes(len(r.Node)) + 1 + protowire.SizeVarint(r.Sess)
	b = protowire.AppendTag(b, fieldRefusal, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(body))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, r.ID)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(r.Reason))
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendString(b, r.Node)
	b = protowire.AppendTag(b, 4, protowire.VarintType)
	return protowire.AppendVarint(b, r.Sess)
}

// AppendCancel appends a cancel to a frame.
func AppendCancel(b []byte, id uint64) []byte {
	b = protowire.AppendTag(b, fieldCancel, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeVarint(id)))
	return protowire.AppendVarint(b, id)
}

// AppendAcks says to a frame which answers have come.
func AppendAcks(b []byte, ids []uint64) []byte { return appendPacked(b, fieldAcks, ids) }

// AppendAudit appends an audit to a frame.
func AppendAudit(b []byte, a *Audit) []byte {
	b = protowire.AppendTag(b, fieldAudit, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeVarint(a.Number)+sizePacked(a.IDs)))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, a.Number)
	return appendPacked(b, 2, a.IDs)
}

// AppendAudited appends the answer of an audit to a frame.
func AppendAudited(b []byte, a *Audited) []byte {
	b = protowire.AppendTag(b, fieldAudited, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeVarint(a.Number)+sizePacked(a.Unknown)+sizePacked(a.Forgotten)))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, a.Number)
	b = appendPacked(b, 2, a.Unknown)
	return appendPacked(b, 3, a.Forgotten)
}

func sizePacked(ids []uint64) int {
	if len(ids) == 0 {
		return 0
	}
	return sizeOfBytes(sizeOfAll(ids))
}

func sizeOfAll(ids []uint64) (n int) {
	for _, id := range ids {
		n += protowire.SizeVarint(id)
	}
	return n
}

func appendPacked(b []byte, field protowire.Number, ids []uint64) []byte {
	if len(ids) == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeOfAll(ids)))
	for _, id := range ids {
		b = protowire.AppendVarint(b, id)
	}
	return b
}

// Read tells r what is in a frame. At what is malformed it ends with an error; what came before has been told.
func Read(frame []byte, r Reader) error {
	h := Header{}
	begun, err := false, error(nil)
	malformed := eachField(frame, func(field protowire.Number, v value) bool {
		switch field {
		case fieldNeeds:
			h.Needs = v.number
			return v.is(protowire.VarintType) && !begun
		case fieldSent:
			h.Sent = max(time.Duration(v.number), 0)
			return v.is(protowire.Fixed64Type) && !begun
		case fieldSession:
			h.Session = v.number
			return v.is(protowire.VarintType) && !begun
		case fieldOrigin:
			h.Origin = v.number
			return v.is(protowire.VarintType) && !begun
		}
		if field > fieldAudited {
			return true
		}
		if !begun {
			if h.Session == 0 || h.Origin == 0 {
				err = errNoHeader
				return false
			}
			begun = true
			r.Begin(h)
		}
		if !v.is(protowire.BytesType) {
			return false
		}
		if h.Needs > Version {
			if field != fieldAsk {
				return true
			}
			a, ok := readAsk(v.bytes)
			if ok && a.Flags&Plain == 0 {
				r.TooNew(a.ID)
			}
			return ok
		}
		return readItem(field, v.bytes, r)
	})
	switch {
	case err != nil:
		return err
	case !malformed:
		return errMalformed
	case !begun && (h.Session == 0 || h.Origin == 0):
		return errNoHeader
	case !begun:
		r.Begin(h)
	}
	return nil
}

func readItem(field protowire.Number, b []byte, r Reader) bool {
	switch field {
	case fieldAcks, fieldCancel:
		ids, ok := readPacked(b, nil)
		if ok && field == fieldAcks {
			r.Acks(ids)
		} else if ok {
			r.Cancel(ids)
		}
		return ok
	case fieldAsk:
		a, ok := readAsk(b)
		if ok {
			r.Ask(a)
		}
		return ok
	case fieldAnswer:
		var a Answer
		ok := eachField(b, func(field protowire.Number, v value) bool {
			switch field {
			case 1:
				a.ID = v.number
				return v.is(protowire.VarintType)
			case 2:
				a.Rev = v.number
				return v.is(protowire.VarintType)
			case 3:
				a.Type = v.bytes
				return v.is(protowire.BytesType)
			case 4:
				a.Payload = v.bytes
				return v.is(protowire.BytesType)
			case 5:
				a.Failure = v.bytes
				return v.is(protowire.BytesType)
			}
			return true
		})
		if ok {
			r.Answer(a)
		}
		return ok
	case fieldRefusal:
		var f Refusal
		ok := eachField(b, func(field protowire.Number, v value) bool {
			switch field {
			case 1:
				f.ID = v.number
				return v.is(protowire.VarintType)
			case 2:
				f.Reason = Reason(v.number)
				return v.is(protowire.VarintType)
			case 3:
				f.Node = string(v.bytes)
				return v.is(protowire.BytesType)
			case 4:
				f.Sess = v.number
				return v.is(protowire.VarintType)
			}
			return true
		})
		if ok {
			r.Refusal(f)
		}
		return ok
	case fieldAudit:
		var a Audit
		ok := eachField(b, func(field protowire.Number, v value) (ok bool) {
			switch field {
			case 1:
				a.Number = v.number
				return v.is(protowire.VarintType)
			case 2:
				a.IDs, ok = readPacked(v.bytes, a.IDs)
				return ok && v.is(protowire.BytesType)
			}
			return true
		})
		if ok {
			r.Audit(a)
		}
		return ok
	case fieldAudited:
		var a Audited
		ok := eachField(b, func(field protowire.Number, v value) (ok bool) {
			switch field {
			case 1:
				a.Number = v.number
				return v.is(protowire.VarintType)
			case 2:
				a.Unknown, ok = readPacked(v.bytes, a.Unknown)
				return ok && v.is(protowire.BytesType)
			case 3:
				a.Forgotten, ok = readPacked(v.bytes, a.Forgotten)
				return ok && v.is(protowire.BytesType)
			}
			return true
		})
		if ok {
			r.Audited(a)
		}
		return ok
	}
	return true
}

func readAsk(b []byte) (a Ask, ok bool) {
	ok = eachField(b, func(field protowire.Number, v value) bool {
		switch field {
		case 1:
			a.ID = v.number
			return v.is(protowire.VarintType)
		case 2:
			a.Key = asString(v.bytes)
			return v.is(protowire.BytesType)
		case 3:
			a.Budget = max(time.Duration(v.number), 1)
			return v.is(protowire.VarintType)
		case 4:
			a.Type = v.bytes
			return v.is(protowire.BytesType)
		case 5:
			a.Payload = v.bytes
			return v.is(protowire.BytesType)
		case 6:
			return v.is(protowire.BytesType) && a.readHeader(v.bytes)
		case 7:
			a.Flags = Flags(v.number)
			return v.is(protowire.VarintType)
		}
		return true
	})
	return a, ok && a.Key != ""
}

func (a *Ask) readHeader(b []byte) bool {
	var name, text string
	ok := eachField(b, func(field protowire.Number, v value) bool {
		switch field {
		case 1:
			name = string(v.bytes)
		case 2:
			text = string(v.bytes)
		default:
			return true
		}
		return v.is(protowire.BytesType)
	})
	if ok {
		if a.Header == nil {
			a.Header = map[string]string{}
		}
		a.Header[name] = text
	}
	return ok
}

// asString is b without a copy: nobody writes to a frame that was received.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// value is that of a field, of whatever type it is.
type value struct {
	typ    protowire.Type
	number uint64
	bytes  []byte
}

func (v value) is(typ protowire.Type) bool { return v.typ == typ }

// eachField calls f for each field until that reports false. It reports whether all was well.
func eachField(b []byte, f func(protowire.Number, value) bool) bool {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		v := value{typ: typ}
		switch typ {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, typ, b)
		}
		if n < 0 || !f(number, v) {
			return false
		}
		b = b[n:]
	}
	return true
}

func readPacked(b []byte, ids []uint64) ([]uint64, bool) {
	for len(b) > 0 {
		id, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, false
		}
		ids = append(ids, id)
		b = b[n:]
	}
	return ids, true
}
