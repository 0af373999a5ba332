// SPDX-License-Identifier: Apache-2.0

package gridwire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Publication is what was published to a topic: a frame of its own, which comes by a way of its own. The first fields are
// those of a Header; no item of other frames has the number of one of the others.
type Publication struct {
	Needs   uint64
	Origin  uint64 // of the process that has published it, as in a Header
	Type    []byte
	Payload []byte
	Header  map[string]string
}

// Fields of a publication.
const (
	fieldType    = 20
	fieldPayload = 21
	fieldHeaders = 22
)

// Errors of ReadPublication.
var (
	errNoPublication = errors.New("it is malformed")
	errNeedsLater    = errors.New("it needs a later version")
)

// AppendPublication appends one. Needs is 1.
func AppendPublication(b []byte, p *Publication) []byte {
	b = protowire.AppendTag(b, fieldNeeds, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, fieldOrigin, protowire.VarintType)
	b = protowire.AppendVarint(b, p.Origin)
	b = protowire.AppendTag(b, fieldType, protowire.BytesType)
	b = protowire.AppendBytes(b, p.Type)
	b = protowire.AppendTag(b, fieldPayload, protowire.BytesType)
	b = protowire.AppendBytes(b, p.Payload)
	for k, v := range p.Header {
		b = protowire.AppendTag(b, fieldHeaders, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeOfBytes(len(k))+sizeOfBytes(len(v))))
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, k)
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendString(b, v)
	}
	return b
}

// SizePublication is how long it is at most.
func SizePublication(p *Publication) int {
	size := 2*ItemRoom + 4*ItemRoom + len(p.Type) + len(p.Payload)
	for k, v := range p.Header {
		size += ItemRoom + len(k) + len(v)
	}
	return size
}

// ReadPublication reads one. What it gets is a part of the frame. What it does not know it skips, but for an item of another
// frame: whoever sends one by a topic has not meant it well.
func ReadPublication(frame []byte) (p Publication, err error) {
	header := Ask{}
	ok := eachField(frame, func(field protowire.Number, v value) bool {
		switch {
		case field == fieldNeeds:
			p.Needs = v.number
			return v.is(protowire.VarintType)
		case field == fieldOrigin:
			p.Origin = v.number
			return v.is(protowire.VarintType)
		case field == fieldType:
			p.Type = v.bytes
			return v.is(protowire.BytesType)
		case field == fieldPayload:
			p.Payload = v.bytes
			return v.is(protowire.BytesType)
		case field == fieldHeaders:
			return v.is(protowire.BytesType) && header.readHeader(v.bytes)
		}
		return field < fieldAcks || field > fieldAudited
	})
	p.Header = header.Header
	switch {
	case p.Needs > Version:
		return Publication{}, errNeedsLater
	case !ok || p.Origin == 0 || len(p.Type) == 0:
		return Publication{}, errNoPublication
	}
	return p, nil
}
