// SPDX-License-Identifier: Apache-2.0

package label

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOf(t *testing.T) {
	long := strings.Repeat("ä", 100)
	seen := map[string]string{}
	for _, name := range []string{"", "list", "a\xff", "a\xfe", "a\ufffd", "a", long, long + "2", long + "\xff", long[:11]} {
		got := Of(name, 11)
		if other, is := seen[got]; is {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
		if !utf8.ValidString(got) || len(got) > 11+len(cut)+16 {
			t.Errorf("%q: %q", name, got)
		}
		if IsCut(got) == (got == name) {
			t.Errorf("%q: IsCut(%q) is %v", name, got, IsCut(got))
		}
	}
}

func TestDigits(t *testing.T) {
	for name, want := range map[string]string{"": "", "load": "load", "17": "#", "load user 123, try 4": "load user #, try #", "ä1ä": "ä#ä", "a#b": "a#b"} {
		if got := Digits(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

type panics struct{}

func (panics) Error() string { panic("Error") }

func TestText(t *testing.T) {
	for text, want := range map[string]string{"": "", "äb": "äb", "ääx": "ä … (5 bytes in all)", "a\xff": "a\ufffd"} {
		if got := Text(text, 3); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := OfError(errors.New("full"), 3); got != "ful … (4 bytes in all)" {
		t.Error(got)
	}
	if got := OfError(panics{}, 100); got != "label.panics, whose Error method panics" {
		t.Error(got)
	}
}
