// SPDX-License-Identifier: Apache-2.0

package view

import "testing"

// TestLineOf: the line of a stack is the program's own.
func TestLineOf(t *testing.T) {
	for name, c := range map[string]struct{ stack, want string }{
		"a handler that sleeps":                 {stackOfAdd, "list.go:141 list.(*List).add"},
		"with its goroutine":                    {"goroutine 7 [sleep]:\n" + stackOfAdd, "list.go:141 list.(*List).add"},
		"a program's main":                      {"sync.(*Mutex).Lock(...)\n\t/go/src/sync/mutex.go:46\nmain.main.func1(0x1)\n\t/src/app/main.go:12 +0x1d\n", "main.go:12 main.main.func1"},
		"the library's own tests are a program": {"github.com/protoloop/protoloop/actors.Ask(...)\n\t/p/actors/call.go:1\ngithub.com/protoloop/protoloop/actors_test.ask(...)\n\t/p/actors/x_test.go:9\n", "x_test.go:9 actors_test.ask"},
		"so are its examples":                   {"github.com/protoloop/protoloop/cmd/example/internal/service.(*list).add(0x1)\n\t/p/list.go:3 +0x1\n", "list.go:3 service.(*list).add"},
		"nothing of a program":                  {"runtime.gopark(...)\n\t/go/src/runtime/proc.go:398\n", "proc.go:398 runtime.gopark"},
		"nothing":                               {"", ""},
		"half of a stack":                       {"main.main()", ""},
	} {
		if got := LineOf(c.stack); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
