// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"encoding/base64"
	"encoding/binary"
)

// The types of packets, as they are on the wire.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBinary  = 'b' // of a payload: a binary message in base64
)

// separator is between the packets of a payload.
const separator = 0x1e

// Headroom is what [NewFrame] needs in front of a packet: the longest header
// of an unmasked WebSocket frame.
const Headroom = 10

// Frame is an encoded packet, ready for both transports: a broadcast encodes
// one and queues it for everybody. It is immutable.
//
// The WebSocket frame is made here and not by the WebSocket library, which
// would make it once per client: a server's frames are not masked, so that all
// clients get the same bytes.
type Frame struct {
	ws     []byte // header and packet
	packet []byte // the part of ws behind the header
	binary bool
}

// NewFrame makes the frame of a text packet. buf has [Headroom] bytes that are
// overwritten, then the packet with its type. The frame keeps buf.
func NewFrame(buf []byte) *Frame { return newFrame(buf, 0x81) }

// NewBinaryFrame makes the frame of a binary message. It keeps a copy of data.
func NewBinaryFrame(data []byte) *Frame {
	buf := make([]byte, Headroom+len(data))
	copy(buf[Headroom:], data)
	f := newFrame(buf, 0x82)
	f.binary = true
	return f
}

// NewMessage makes the frame of a text message. It keeps a copy of text.
func NewMessage(text []byte) *Frame { return control(packetMessage, text) }

func control(typ byte, data []byte) *Frame {
	buf := make([]byte, Headroom+1, Headroom+1+len(data))
	buf[Headroom] = typ
	return NewFrame(append(buf, data...))
}

func newFrame(buf []byte, first byte) *Frame {
	packet := buf[Headroom:]
	n := len(packet)
	at := 0
	switch {
	case n < 126:
		at = Headroom - 2
		buf[at+1] = byte(n)
	case n <= 0xffff:
		at = Headroom - 4
		buf[at+1] = 126
		binary.BigEndian.PutUint16(buf[at+2:], uint16(n))
	default:
		buf[1] = 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n))
	}
	buf[at] = first
	return &Frame{ws: buf[at:], packet: packet}
}

// frameOverhead is what a frame counts in the bound of a queue beside its
// bytes, so that many empty ones are bounded, too.
const frameOverhead = 64

func (f *Frame) size() int { return len(f.packet) + frameOverhead }

// appendPayload appends the frames as the body of a poll.
func appendPayload(dst []byte, frames []*Frame) []byte {
	for i, f := range frames {
		if i > 0 {
			dst = append(dst, separator)
		}
		if f.binary {
			dst = append(dst, packetBinary)
			dst = base64.StdEncoding.AppendEncode(dst, f.packet)
			continue
		}
		dst = append(dst, f.packet...)
	}
	return dst
}
