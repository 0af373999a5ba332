// SPDX-License-Identifier: Apache-2.0

// Package label makes text that can be shown and sent of what somebody has called something. A name may be
// of any length and need not be UTF-8, and what takes names need not bear that: Prometheus refuses a whole scrape,
// and a batch of OTLP is lost, for one of them.
package label

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"
)

// cut stands for what was left out of a name.
const cut = "…#"

// Of is a name itself if it is UTF-8 and has at most so many bytes; else it is what can be shown of it, with a hash that
// tells it apart from others.
func Of(name string, most int) string {
	if len(name) <= most && utf8.ValidString(name) {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // it never fails
	return fmt.Sprintf("%s%s%x", strings.ToValidUTF8(name[:min(len(name), most)], ""), cut, h.Sum64())
}

// IsCut reports whether Of may have made a name, and not whoever has called something so.
func IsCut(name string) bool { return strings.Contains(name, cut) }

// Digits is a name with one # for each run of digits, which tasks of one kind often differ in.
func Digits(name string) string {
	if !strings.ContainsAny(name, "0123456789") {
		return name
	}
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		digit := name[i] >= '0' && name[i] <= '9'
		switch {
		case !digit:
			b = append(b, name[i])
		case i == 0 || name[i-1] < '0' || name[i-1] > '9':
			b = append(b, '#')
		}
	}
	return string(b)
}

// Text is a text as it is if it is UTF-8 and has at most so many bytes; else its beginning, which says so.
func Text(text string, most int) string {
	if len(text) > most {
		return fmt.Sprintf("%s … (%d bytes in all)", strings.ToValidUTF8(text[:most], ""), len(text))
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// OfError is the text of an error, whose method is the user's and may panic.
func OfError(err error, most int) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T, whose Error method panics", err)
		}
	}()
	return Text(err.Error(), most)
}
