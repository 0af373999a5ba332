// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/socketio"
)

// TestFailureHook: it is told of panics, and of errors that no client has asked to hear of.
func TestFailureHook(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		var mu sync.Mutex
		var told []string
		defer inspect.OnFailure(w.sys, func(f inspect.Failure) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%s in %s: %v, stack %v, worker %v", f.Kind, f.Task, f.Err, len(f.Stack) > 0, f.Worker != nil))
		})()
		socketio.On(w.io, "panic", func(*actors.Task, *socketio.Socket, any) error { panic("secret") })
		socketio.On(w.io, "fail", func(*actors.Task, *socketio.Socket, any) error { return errors.New("no") })
		p := w.client()
		p.send(`420["fail"]`)
		p.expect(`430[{"error":{"message":"no"}}]`)
		p.send(`42["fail"]`)
		p.send(`421["panic"]`)
		p.expect(`431[{"error":{"message":"internal error"}}]`)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{
			`unobserved failure in socketio event fail: no, stack false, worker true`,
			`callback panic in socketio event panic: panic: secret, stack true, worker true`,
		}; !slices.Equal(told, want) {
			w.Errorf("told:\n\t%s\nwant:\n\t%s", strings.Join(told, "\n\t"), strings.Join(want, "\n\t"))
		}
	})
}
