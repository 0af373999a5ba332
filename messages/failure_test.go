// SPDX-License-Identifier: Apache-2.0

package messages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/testtools"
)

var (
	errFull    = errors.New("full")
	errTimeout = timeoutError{}
	errUnknown = errors.New("not registered")
)

// timeoutError matches the standard library's error too, as actors.ErrTimeout does.
type timeoutError struct{}

func (timeoutError) Error() string        { return "timed out" }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func init() {
	RegisterError("test.full", errFull)
	RegisterError("test.timeout", errTimeout)
}

// trip sends f through the wire format.
func trip(t *testing.T, f *Failure) *Failure {
	t.Helper()
	b, err := proto.Marshal(f)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	got := new(Failure)
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	return got
}

// TestFailureFlags crosses what the maker of a Failure says with what the
// Failures in its error say.
func TestFailureFlags(t *testing.T) {
	bools := []bool{false, true}
	for _, ran := range bools {
		for _, safe := range bools {
			for _, innerRan := range bools {
				for _, innerSafe := range bools {
					inner := &Failure{Code: "newer.code", Ran: innerRan, RetrySafe: innerSafe}
					for _, err := range []error{inner, fmt.Errorf("asked: %w", inner), errors.Join(&Failure{RetrySafe: true}, inner)} {
						f := trip(t, NewFailure(err, ran, safe))
						if f.Ran != (ran || innerRan) || f.RetrySafe != (safe && innerSafe) {
							t.Errorf("NewFailure(%v with %t, %t; %t, %t) has %t, %t", err, innerRan, innerSafe, ran, safe, f.Ran, f.RetrySafe)
						}
					}
				}
			}
		}
	}
}

// TestFailureMaybeRan: that the work may have run goes on with a Failure, unless it is known to have run, and no retry is safe.
func TestFailureMaybeRan(t *testing.T) {
	lost := &Failure{Code: "newer.lost", MaybeRan: true, RetrySafe: true} // which no honest peer says
	for _, err := range []error{lost, fmt.Errorf("asked: %w", lost), errors.Join(&Failure{RetrySafe: true}, lost)} {
		for _, ran := range []bool{false, true} {
			f := trip(t, NewFailure(err, ran, true))
			if f.MaybeRan != !ran || f.Ran != ran || f.RetrySafe {
				t.Errorf("NewFailure(%v with ran %t) is %v", err, ran, f)
			}
		}
	}
	if f := NewFailure(errors.Join(lost, &Failure{Ran: true}), false, true); f.MaybeRan || !f.Ran || f.RetrySafe {
		t.Errorf("beside one that has run: %v", f)
	}
	if f := NewFailure(errFull, false, true); f.MaybeRan {
		t.Errorf("%v", f)
	}
}

func TestFailureRoundTrip(t *testing.T) {
	newer := &Failure{Code: "newer.code", Message: "from afar", RetrySafe: true, Causes: []string{"newer.cause"}}
	for _, test := range []struct {
		name   string
		err    error
		code   string
		causes []string
		text   string
		is     []error
		isNot  []error
		ran    bool
	}{
		{
			name: "registered", err: errFull,
			code: "test.full", text: "full (test.full)", ran: true,
			is: []error{errFull}, isNot: []error{errTimeout, io.EOF},
		},
		{
			name: "wrapped", err: fmt.Errorf("push: %w", errTimeout),
			code: "test.timeout", text: "push: timed out (test.timeout)", ran: true,
			is: []error{errTimeout, context.DeadlineExceeded}, isNot: []error{errFull, context.Canceled},
		},
		{
			name: "joined, in order of registration", err: errors.Join(errUnknown, errTimeout, errFull),
			code: "test.full", causes: []string{"test.timeout"}, ran: true,
			text: "not registered\ntimed out\nfull (test.full)",
			is:   []error{errFull, errTimeout, context.DeadlineExceeded}, isNot: []error{errUnknown},
		},
		{
			name: "unknown", err: errUnknown,
			code: "error", text: "not registered", ran: true,
			isNot: []error{errUnknown, errFull},
		},
		{
			name: "empty text", err: errors.New(""),
			code: "error", text: "unknown error", ran: true,
		},
		{
			name: "a failure's own unknown codes", err: newer,
			code: "newer.code", causes: []string{"newer.cause"}, text: "from afar (newer.code)", ran: true,
			isNot: []error{errFull},
		},
		{
			name: "a wrapped failure, with a further error", err: fmt.Errorf("%w: %w", errFull, newer),
			code: "newer.code", causes: []string{"newer.cause", "test.full"}, ran: true,
			text: "full: from afar (newer.code)",
			is:   []error{errFull},
		},
		{
			name: "a failure without a code, with a further error",
			err:  fmt.Errorf("%w: %w", errFull, &Failure{Message: "plain"}),
			code: "test.full", text: "full: plain (test.full)", ran: true,
			is: []error{errFull},
		},
		{
			name: "two failures", err: errors.Join(newer, NewFailure(errFull, true, false)),
			code: "newer.code", causes: []string{"newer.cause", "test.full"}, ran: true,
			text: "from afar (newer.code)\nfull (test.full) (newer.code)",
			is:   []error{errFull},
		},
		{
			name: "nil failure", err: (*Failure)(nil),
			code: "error", text: "unknown error", ran: true,
			isNot: []error{errFull},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := trip(t, NewFailure(test.err, true, false))
			if f.Code != test.code || !slices.Equal(f.Causes, test.causes) {
				t.Errorf("code, causes = %q, %q, want %q, %q", f.Code, f.Causes, test.code, test.causes)
			}
			if f.Ran != test.ran || f.RetrySafe {
				t.Errorf("ran, retry safe = %t, %t, want %t, false", f.Ran, f.RetrySafe, test.ran)
			}
			if f.Error() != test.text {
				t.Errorf("Error() = %q, want %q", f.Error(), test.text)
			}
			for _, target := range test.is {
				if !errors.Is(f, target) {
					t.Errorf("errors.Is(f, %q) = false", target)
				}
			}
			for _, target := range test.isNot {
				if errors.Is(f, target) {
					t.Errorf("errors.Is(f, %q) = true", target)
				}
			}
			again := trip(t, NewFailure(f, !f.Ran, !f.RetrySafe))
			if !proto.Equal(again, f) {
				t.Errorf("a second trip changed %v to %v", f, again)
			}
		})
	}
}

func TestFailureAs(t *testing.T) {
	sent := trip(t, NewFailure(errFull, false, true))
	var f *Failure
	if err := fmt.Errorf("asking: %w", sent); !errors.As(err, &f) || f != sent {
		t.Fatalf("errors.As found %v, want the failure", f)
	}
}

func TestFailureNil(t *testing.T) {
	var f *Failure
	if f.Error() != "<nil>" || f.Is(errFull) {
		t.Errorf("Error, Is of nil = %q, %t", f.Error(), f.Is(errFull))
	}
	testtools.WantPanic(t, func() { NewFailure(nil, false, false) }, "messages: NewFailure(nil)")
}

func TestFailureText(t *testing.T) {
	for name, in := range map[string]string{
		"invalid UTF-8":               "a\xffb\xc3",
		"long":                        strings.Repeat("x", 1<<20),
		"long runes":                  "x" + strings.Repeat("語", maxMessage),
		"long, growing when repaired": strings.Repeat("a\xff", maxMessage),
	} {
		t.Run(name, func(t *testing.T) {
			sent := &Failure{Code: "bad\xff", Message: in, Causes: []string{"\xc3", "", "error"}}
			for _, err := range []error{errors.New(in), sent, fmt.Errorf("wrapped: %w", sent)} {
				f := trip(t, NewFailure(err, true, false))
				if !utf8.ValidString(f.Message) || len(f.Message) > maxMessage {
					t.Errorf("message of %d bytes, valid: %t", len(f.Message), utf8.ValidString(f.Message))
				}
				if len(in) > maxMessage && !strings.HasSuffix(f.Message, ellipsis) {
					t.Errorf("the cut message ends with %q", f.Message[len(f.Message)-8:])
				}
			}
		})
	}
}

// rudeError panics in each of its methods.
type rudeError struct{ inner error }

func (rudeError) Error() string   { panic("Error") }
func (rudeError) Is(error) bool   { panic("Is") }
func (rudeError) Unwrap() []error { panic("Unwrap") }

func TestFailureOfRudeError(t *testing.T) {
	f := NewFailure(rudeError{errFull}, true, false)
	if want := "messages.rudeError whose Error method panicked"; f.Code != "error" || f.Message != want {
		t.Errorf("got %v, want the message %q", f, want)
	}
}

func FuzzFailure(f *testing.F) {
	for _, err := range []error{errFull, errors.Join(errUnknown, errTimeout, errFull), &Failure{Code: "newer", RetrySafe: true}} {
		b, _ := proto.Marshal(NewFailure(err, true, false))
		f.Add(b)
	}
	f.Add([]byte("\x0a\x02\xff\xfe"))
	lost, _ := proto.Marshal(&Failure{MaybeRan: true, RetrySafe: true}) // which no honest peer says
	f.Add(lost)
	f.Fuzz(func(t *testing.T, b []byte) {
		in := new(Failure)
		if proto.Unmarshal(b, in) != nil {
			return
		}
		if in.Error() == "" {
			t.Error("no text")
		}
		known := errors.Is(in, errFull)
		out := trip(t, NewFailure(fmt.Errorf("relayed: %w", in), false, true))
		if errors.Is(out, errFull) != known {
			t.Errorf("%v matches errFull: %t; relayed as %v: %t", in, known, out, !known)
		}
		if out.Ran != in.Ran || out.MaybeRan != (in.MaybeRan && !in.Ran) || out.RetrySafe != (in.RetrySafe && !in.MaybeRan) {
			t.Errorf("ran, may have run, safe: relayed %t, %t, %t as %t, %t, %t",
				in.Ran, in.MaybeRan, in.RetrySafe, out.Ran, out.MaybeRan, out.RetrySafe)
		}
	})
}
