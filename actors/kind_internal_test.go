// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// TestPastFailures: keeping one allocates nothing once each place has held one, and what was listed stays as it is.
func TestPastFailures(t *testing.T) {
	var p pastFailures
	pid := actor.NewPID("here", "w")
	err := &PanicError{Value: "boom", Stack: bytes.Repeat([]byte("x"), 2*maxKeptStack)}
	add := func() {
		prefix, text := errorText(err)
		p.add(pid, "what", "task", prefix, text, err.Stack)
	}
	for range len(p.all) {
		add()
	}
	if n := testing.AllocsPerRun(100, add); n != 0 {
		t.Errorf("%v allocations for a failure", n)
	}
	all := p.list()
	long := errors.New(strings.Repeat("y", 2*maxKeptError))
	for range len(p.all) {
		prefix, text := errorText(long)
		p.add(pid, "what", "task", prefix, text, []byte("other"))
	}
	for _, f := range all {
		if f.Err != err.Error() || len(f.Stack) != maxKeptStack || f.Stack[0] != 'x' {
			t.Errorf("it has become %q with %.10q, of %d bytes", f.Err, f.Stack, len(f.Stack))
		}
	}
	if got := p.list()[0].Err; len(got) != maxKeptError {
		t.Errorf("%d bytes of an error are kept", len(got))
	}
}
