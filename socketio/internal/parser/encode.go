// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// Args are arguments in JSON, with what their placeholders stand for.
type Args struct {
	json        []byte // without the brackets
	Attachments [][]byte
	lookalike   bool // a value looks like a placeholder
}

// ErrLookalike is a value of a caller's that, beside an attachment, would be
// taken for the placeholder of one.
var ErrLookalike = errors.New(`socketio: an object with "_placeholder": true cannot be sent together with binary data`)

// Append appends an argument: a []byte or Binary becomes an attachment, so does
// each Binary within v, the rest is for encoding/json.
func (a *Args) Append(v any) error {
	if err := a.append(v); err != nil {
		return err
	}
	if a.lookalike && len(a.Attachments) > 0 {
		return ErrLookalike
	}
	return nil
}

func (a *Args) append(v any) error {
	if len(a.json) > 0 {
		a.json = append(a.json, ',')
	}
	switch v := v.(type) {
	case []byte:
		a.attach(v)
		return nil
	case Binary:
		a.attach(v)
		return nil
	case json.RawMessage: // checked and compacted by encoding/json, below
	case string: // the most frequent by far, with nothing to escape
		if plain(v) {
			a.json = append(a.json, '"')
			a.json = append(a.json, v...)
			a.json = append(a.json, '"')
			return nil
		}
	}
	from := len(a.json)
	inside := newBinaries(v)
	if inside != nil {
		v = inside.copy(reflect.ValueOf(v)).Interface()
	}
	w := appender{a.json}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("socketio: argument of type %T: %w", v, err)
	}
	a.json = w.b[:len(w.b)-1] // without Encode's newline
	a.lookalike = a.lookalike || len(placeholders(a.json[from:])) > 0
	if inside != nil {
		a.extract(from, inside)
	}
	return nil
}

// AppendRaw appends arguments that refer to attachments of their own.
func (a *Args) AppendRaw(args []json.RawMessage, attachments [][]byte) error {
	if len(a.Attachments) > 0 {
		panic("socketio: AppendRaw behind other attachments")
	}
	for _, arg := range args {
		if err := a.append(arg); err != nil {
			return err
		}
	}
	a.Attachments = attachments
	return checkPlaceholders(args, len(attachments))
}

// With returns the arguments with one more, and leaves a as it is.
func (a *Args) With(v string) *Args {
	more := &Args{json: bytes.Clone(a.json), Attachments: a.Attachments}
	_ = more.Append(v) // a string can be encoded
	return more
}

// EndsInString reports whether the last argument is a string.
func (a *Args) EndsInString() bool { return len(a.json) > 0 && a.json[len(a.json)-1] == '"' }

// Split returns the first argument, which is a string as of an event's name, and the others as one JSON array.
func (a *Args) Split() (name string, rest json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader(a.json))
	if dec.Decode(&name) != nil {
		return "", json.RawMessage("[]")
	}
	left := bytes.TrimPrefix(a.json[dec.InputOffset():], []byte(","))
	return name, slices.Concat([]byte("["), left, []byte("]"))
}

// Len is the size of the arguments in bytes, without attachments.
func (a *Args) Len() int { return len(a.json) }

func (a *Args) attach(data []byte) {
	a.json = appendPlaceholder(a.json, len(a.Attachments))
	a.Attachments = append(a.Attachments, data)
}

// extract turns the stand-ins behind from into attachments.
func (a *Args) extract(from int, inside *binaries) {
	rest := bytes.Clone(a.json[from:])
	a.json = a.json[:from]
	for {
		before, data, after, found := inside.cut(rest)
		a.json = append(a.json, before...)
		if !found {
			return
		}
		a.attach(data)
		rest = after
	}
}

// appender is a Writer to a slice.
type appender struct{ b []byte }

func (w *appender) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// plain reports whether s is the same in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Header is what stands in front of a packet's payload.
type Header struct {
	Type      Type // with attachments it becomes the binary one
	Namespace string
	ID        int64 // NoID: none
}

// Encode appends the packet to dst: its header, and the arguments as an array.
func (h Header) Encode(dst []byte, a *Args) []byte {
	dst = h.append(dst, len(a.Attachments))
	dst = append(dst, '[')
	dst = append(dst, a.json...)
	return append(dst, ']')
}

// EncodeObject appends a packet whose payload is one value, or none if v is
// nil: of the types Connect, ConnectError and Disconnect.
func (h Header) EncodeObject(dst []byte, v any) ([]byte, error) {
	dst = h.append(dst, 0)
	if v == nil {
		return dst, nil
	}
	w := appender{dst}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return w.b[:len(w.b)-1], nil
}

func (h Header) append(dst []byte, attachments int) []byte {
	if attachments > 0 {
		dst = append(dst, byte(h.Type+BinaryEvent-Event))
		dst = strconv.AppendInt(dst, int64(attachments), 10)
		dst = append(dst, '-')
	} else {
		dst = append(dst, byte(h.Type))
	}
	if h.Namespace != "/" {
		dst = append(dst, h.Namespace...)
		dst = append(dst, ',')
	}
	if h.ID != NoID {
		dst = strconv.AppendInt(dst, h.ID, 10)
	}
	return dst
}
