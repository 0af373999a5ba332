// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// placeholder is an object that stands for an attachment, in a piece of valid
// JSON: {"_placeholder":true,"num":0}. As in the reference, other keys do not
// count, and of a key that is there twice the last one does.
type placeholder struct {
	start, end int
	num        int // -1: none, or no index
}

const (
	placeholderKey = "_placeholder"
	numberKey      = "num"
)

// openValue is an object or array that a scan is within.
type openValue struct {
	start  int
	object bool
	key    string // of the value that follows, if it is one of the two
	named  bool   // a key has come, and its value not yet
	is     bool   // the last "_placeholder" was true
	num    int    // the last "num"
	before int    // placeholders that had been found before it began
}

// placeholders returns those in b, in their order; not those within another one,
// which is replaced as a whole.
func placeholders(b []byte) (list []placeholder) {
	// A key may be written with escapes.
	if !bytes.Contains(b, []byte(placeholderKey)) && !bytes.Contains(b, []byte(`\u`)) {
		return nil
	}
	var open []openValue
	for i := 0; i < len(b); {
		var top *openValue
		if len(open) > 0 {
			top = &open[len(open)-1]
		}
		switch b[i] {
		case ' ', '\t', '\n', '\r', ',', ':':
			i++
		case '{', '[':
			if top != nil {
				top.value(nil)
			}
			open = append(open, openValue{start: i, object: b[i] == '{', num: -1, before: len(list)})
			i++
		case '}', ']':
			i++
			if top.is {
				list = append(list[:top.before], placeholder{top.start, i, top.num})
			}
			open = open[:len(open)-1]
		default: // a string, a number, or one of the three words
			end := skip(b, i)
			switch {
			case top == nil:
			case top.object && !top.named:
				top.named, top.key = true, knownKey(b[i:end])
			default:
				top.value(b[i:end])
			}
			i = end
		}
	}
	return list
}

// value takes in a value of the object; nil: another object or an array.
func (o *openValue) value(text []byte) {
	switch o.key {
	case placeholderKey:
		o.is = string(text) == "true"
	case numberKey:
		o.num = -1
		if n, err := strconv.ParseFloat(string(text), 64); err == nil && n >= 0 && n <= 1<<30 && n == float64(int(n)) {
			o.num = int(n)
		}
	}
	o.key, o.named = "", false
}

// knownKey returns the key if it is one of the two that count.
func knownKey(quoted []byte) string {
	text := string(quoted[1 : len(quoted)-1])
	if bytes.IndexByte(quoted, '\\') >= 0 && json.Unmarshal(quoted, &text) != nil {
		return ""
	}
	switch text {
	case placeholderKey, numberKey:
		return text
	}
	return ""
}

// checkPlaceholders finds placeholders without an attachment, and two for one:
// clients send each occurrence as an attachment of its own, and a thousand for
// one would make gigabytes of text of a megabyte.
func checkPlaceholders(args []json.RawMessage, attachments int) error {
	if attachments == 0 {
		return nil // they are plain objects then, as in the reference
	}
	used := make([]bool, attachments)
	for _, arg := range args {
		for _, ph := range placeholders(arg) {
			switch {
			case ph.num < 0 || ph.num >= attachments:
				return fmt.Errorf("%w: %.64s stands for none of %d", ErrAttachments, arg[ph.start:ph.end], attachments)
			case used[ph.num]:
				return fmt.Errorf("%w: a second placeholder for number %d", ErrAttachments, ph.num)
			}
			used[ph.num] = true
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
	if len(attachments) == 0 || len(arg) == 0 || arg[0] != '{' {
		return nil, false
	}
	list := placeholders(arg)
	if len(list) != 1 || list[0].start != 0 {
		return nil, false
	}
	num := list[0].num
	if num < 0 || num >= len(attachments) {
		return nil, false
	}
	return attachments[num], true
}

// appendPlaceholder appends the one with the number num.
func appendPlaceholder(b []byte, num int) []byte {
	b = append(b, `{"_placeholder":true,"num":`...)
	b = strconv.AppendInt(b, int64(num), 10)
	return append(b, '}')
}
