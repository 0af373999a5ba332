// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/protoloop/protoloop/actors"
)

// A Backoff that is zero is the option's default; of any other all fields count.
func TestDefaultBackoffs(t *testing.T) {
	o := Options{Retry: actors.Backoff{Initial: time.Hour}}.resolved()
	if o.Retry != (actors.Backoff{Initial: time.Hour, Max: time.Hour}) || o.Breaker.Probe != defaultProbe || o.Trouble != defaultTrouble {
		t.Errorf("%+v, %+v, %+v", o.Retry, o.Breaker.Probe, o.Trouble)
	}
}

// New says all mistakes at once.
func TestBadOptions(t *testing.T) {
	open := Open(func(context.Context) (Source, error) { return nil, nil })
	handle := Handler(func(*actors.Task, Message) error { return nil })
	for want, f := range map[string]func() (*Consumer, error){
		"open is missing":                     func() (*Consumer, error) { return New(nil, handle, Options{}) },
		"handle is missing":                   func() (*Consumer, error) { return New(open, nil, Options{}) },
		"Options.Concurrency is negative: -1": func() (*Consumer, error) { return New(open, handle, Options{Concurrency: -1}) },
		"Options.Prefetch is negative: -1":    func() (*Consumer, error) { return New(open, handle, Options{Prefetch: -1}) },
		"Options.Pollers is negative: -1":     func() (*Consumer, error) { return New(open, handle, Options{Pollers: -1}) },
		"Options.Order is set with 2 Pollers": func() (*Consumer, error) { return New(open, handle, Options{Order: ByGroup, Pollers: 2}) },
		"Options.Timeout is negative: -1ns":   func() (*Consumer, error) { return New(open, handle, Options{Timeout: -1}) },
		"Options.Retry.Factor is less than 1": func() (*Consumer, error) {
			return New(open, handle, Options{Retry: actors.Backoff{Initial: 1, Factor: 0.5}})
		},
		"Options.Trouble.Initial is missing": func() (*Consumer, error) { return New(open, handle, Options{Trouble: actors.Backoff{Jitter: 1}}) },
		"Options.Breaker.Probe.Jitter is not be": func() (*Consumer, error) {
			return New(open, handle, Options{Breaker: Breaker{Probe: actors.Backoff{Initial: 1, Jitter: 2}}})
		},
	} {
		c, err := f()
		var e *actors.OptionError
		if c != nil || !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "consumer: New: "+want) {
			t.Errorf("%v, want: %s", err, want)
		}
	}
	if _, err := New(nil, nil, Options{Pollers: -1, Timeout: -1}); strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all mistakes: %v", err)
	}
	defer func() {
		if p := recover(); p != "consumer: JSON called with a nil function" {
			t.Errorf("panic: %v", p)
		}
	}()
	JSON[int](nil)
}

func TestBatchError(t *testing.T) {
	var b BatchError
	if b.Err() != nil {
		t.Error("an empty one is an error")
	}
	b.Fail(3, ErrGone)
	b.Fail(1, errors.New("busy"))
	err := b.Err()
	if !errors.Is(err, ErrGone) || errorOf(err, 2) != nil || errorOf(err, 3) != ErrGone || errorOf(ErrClosed, 2) != ErrClosed {
		t.Errorf("%v", err)
	}
	if want := "consumer: 2 messages of a batch have failed, the first: busy"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestPoison(t *testing.T) {
	if Poison(nil) != nil {
		t.Error("Poison of nil is an error")
	}
	why := errors.New("why")
	err := fmt.Errorf("more: %w", Poison(why))
	if !errors.Is(err, ErrPoison) || !errors.Is(err, why) || err.Error() != "more: why" {
		t.Errorf("%v", err)
	}
}

// noText is an error whose methods panic if it is nil.
type noText struct{ text string }

func (e *noText) Error() string { return e.text }

func TestSound(t *testing.T) {
	good := errors.New("good")
	if err := sound(good); err != good {
		t.Errorf("%v", err)
	}
	for _, bad := range []error{(*noText)(nil), errors.Join(good, (*noText)(nil)), Poison((*noText)(nil))} {
		err := sound(bad)
		var p *actors.PanicError
		if !errors.As(err, &p) || !strings.Contains(err.Error(), "cannot be read: ") || len(p.Stack) == 0 {
			t.Errorf("%T becomes %v", bad, err)
		}
		if _, poison := bad.(*poisonError); poison && !errors.Is(err, ErrPoison) {
			t.Errorf("%v is no poison", err)
		}
	}
}

type fuzzItem struct {
	ID    string            `json:"id"`
	Count int               `json:"count"`
	Tags  []string          `json:"tags"`
	More  map[string]any    `json:"more"`
	Deep  *fuzzItem         `json:"deep"`
	Attr  map[string]string `json:"attr"`
}

// FuzzJSON: a body is either poison, with a reason that fits an attribute, or
// is handed on as what json.Unmarshal makes of it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"id":"a","count":1}`, `{"id":1}`, `{`, ``, `null`, `[]`, `{"deep":{"deep":{}}}`, "\xff", `{"id":"\ud800"}`, `{} {}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got *fuzzItem
		h := JSON(func(_ *actors.Task, v fuzzItem, _ Message) error { got = &v; return nil })
		err := h(nil, Message{ID: "x", Body: body})
		var want fuzzItem
		bad := json.Unmarshal(body, &want)
		switch {
		case (err == nil) != (bad == nil):
			t.Fatalf("handler: %v, decoder: %v", err, bad)
		case err == nil && !reflect.DeepEqual(*got, want):
			t.Fatalf("handed on %+v, want %+v", *got, want)
		case err != nil && (got != nil || !errors.Is(err, ErrPoison)):
			t.Fatalf("%v", err)
		case err != nil:
			attrs := DeadAttributes(Dead{Message: &Message{ID: "x"}, Reason: err, Tries: 1})
			checkPrintable(t, attrs[AttrReason], maxReason)
		}
	})
}

// FuzzPrintable: what comes out is short, valid and printable, and what was
// so stays as it is.
func FuzzPrintable(f *testing.F) {
	f.Add("a\nb", 2)
	f.Add("\xff€", 3)
	f.Add("€€", 4)
	f.Add("", -1)
	f.Fuzz(func(t *testing.T, s string, most int) {
		got := Printable(s, most)
		checkPrintable(t, got, max(most, 0))
		if again := Printable(got, most); again != got {
			t.Fatalf("%q becomes %q when done twice", got, again)
		}
	})
}

func checkPrintable(t *testing.T, s string, most int) {
	t.Helper()
	if len(s) > most || !utf8.ValidString(s) {
		t.Fatalf("%d bytes, at most %d: %q", len(s), most, s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q in %q", r, s)
		}
	}
}
