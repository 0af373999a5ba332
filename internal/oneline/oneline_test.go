// SPDX-License-Identifier: Apache-2.0

package oneline_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/oneline"
)

func TestName(t *testing.T) {
	if got := oneline.Name("made\n\x1b[31mby a client, ünï"); got != "made  [31mby a client, ünï" {
		t.Errorf("%q", got)
	}
}

func TestPID(t *testing.T) {
	for _, test := range []struct {
		pid        *actor.PID
		home, want string
	}{
		{actor.NewPID("here:1", "app/w"), "here:1", "app/w"},
		{actor.NewPID("there:1", "app/w"), "here:1", "there:1/app/w"},
		{actor.NewPID("there:1", "app/w"), "", "there:1/app/w"},
		{actor.NewPID("nonhost", "app/w"), "here:1", "app/w"},
		{actor.NewPID("there:1", "a\nb"), "", "there:1/a b"},
		{nil, "", ""},
	} {
		if got := oneline.PID(test.pid, test.home); got != test.want {
			t.Errorf("%v at %q is %q, want %q", test.pid, test.home, got, test.want)
		}
	}
}
