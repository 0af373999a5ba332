package parser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// placeholderKey marks an object that stands for an attachment:
// {"_placeholder":true,"num":0}.
var placeholderKey = []byte(`"_placeholder"`)

// maxPlaceholder is how long one may be, white space included. Clients write
// theirs by JSON.stringify, without any; a bound keeps the scan linear.
const maxPlaceholder = 64

// placeholder is one in a piece of valid JSON.
type placeholder struct {
	start, end int
	num        int // -1: none, or no index
}

// placeholders returns those in b, in their order.
func placeholders(b []byte) (list []placeholder) {
	if !bytes.Contains(b, placeholderKey) {
		return nil
	}
	var open []int // the objects and arrays that i is in
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			if bytes.HasPrefix(b[i:], placeholderKey) && len(open) > 0 {
				start := open[len(open)-1]
				if p, ok := placeholderAt(b, start); ok {
					list = append(list, p)
					i, open = p.end, open[:len(open)-1]
					continue
				}
			}
			i = skipString(b, i)
			continue
		case '{', '[':
			open = append(open, i)
		case '}', ']':
			open = open[:max(len(open)-1, 0)]
		}
		i++
	}
	return list
}

// placeholderAt reads the object that begins at start, if it is one.
func placeholderAt(b []byte, start int) (placeholder, bool) {
	if b[start] != '{' {
		return placeholder{}, false
	}
	window := b[start:min(start+maxPlaceholder, len(b))]
	end := skip(window, 0)
	var object struct {
		Is  any `json:"_placeholder"`
		Num any `json:"num"`
	}
	if json.Unmarshal(window[:end], &object) != nil || object.Is != true {
		return placeholder{}, false
	}
	p := placeholder{start, start + end, -1}
	if n, ok := object.Num.(float64); ok && n >= 0 && n == float64(int(n)) {
		p.num = int(n)
	}
	return p, true
}

// checkPlaceholders finds placeholders without an attachment.
func (p *Packet) checkPlaceholders() error {
	if p.Type != Event && p.Type != Ack {
		return nil
	}
	if len(p.Attachments) == 0 {
		return nil // they are plain objects then, as in the reference
	}
	for _, arg := range p.Args {
		for _, ph := range placeholders(arg) {
			if ph.num < 0 || ph.num >= len(p.Attachments) {
				return ErrAttachments
			}
		}
	}
	return nil
}

// Inline returns the JSON with each placeholder replaced by its attachment, as
// a base64 string: what encoding/json reads into a []byte.
func Inline(arg json.RawMessage, attachments [][]byte) json.RawMessage {
	if len(attachments) == 0 {
		return arg
	}
	list := placeholders(arg)
	if len(list) == 0 {
		return arg
	}
	var out []byte
	at := 0
	for _, ph := range list {
		out = append(out, arg[at:ph.start]...)
		out = append(out, '"')
		if ph.num >= 0 && ph.num < len(attachments) {
			out = base64.StdEncoding.AppendEncode(out, attachments[ph.num])
		}
		out = append(out, '"')
		at = ph.end
	}
	return append(out, arg[at:]...)
}

// Attachment returns the attachment that arg as a whole stands for.
func Attachment(arg json.RawMessage, attachments [][]byte) ([]byte, bool) {
	if len(attachments) == 0 {
		return nil, false
	}
	if len(arg) > maxPlaceholder {
		return nil, false
	}
	ph, ok := placeholderAt(arg, 0)
	if !ok || ph.end != len(arg) || ph.num < 0 || ph.num >= len(attachments) {
		return nil, false
	}
	return attachments[ph.num], true
}

// appendPlaceholder appends the one with the number num.
func appendPlaceholder(b []byte, num int) []byte {
	b = append(b, `{"_placeholder":true,"num":`...)
	b = strconv.AppendInt(b, int64(num), 10)
	return append(b, '}')
}
