// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Profiles name whoever has set a pprof label for what it does itself. The
// goroutines that serve everybody keep none of those that happened to be set when
// the first who needed them came.
func TestLabelsStayWithWhoSetsThem(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		block := func(*actors.Task) error { <-release; return nil }
		sleep := func(t *actors.Task) error { return t.Sleep(1) }
		places := actors.NewLimiter("places", 1)
		pids := []string{"a", "b", "c"}
		as := func(user string, f func()) {
			pprof.Do(context.Background(), pprof.Labels("user", user), func(context.Context) { f() })
		}
		for i, name := range pids {
			var pid *actor.PID
			as("alice", func() {
				pid = w.worker(name, actors.Options{BlockedTurn: -1}, none)
				did(w.root, pid, func(t *actors.Task) error {
					for range 10 { // coroutines that others use later
						as("carol", func() { actors.Start(t, func(t *actors.Task) (int, error) { return 0, sleep(t) }) })
					}
					as("carol", func() {
						for range 2 { // one runs, and makes the goroutine of the next
							actors.Offload(t, func(context.Context) (int, error) { <-release; return 0, nil }, actors.Through(places))
						}
					})
					return sleep(t)
				})
			})
			synctest.Wait()
			if i < 2 {
				continue
			}
			for range 20 {
				did(w.root, pid, sleep)
			}
			did(w.root, pid, block)
		}
		synctest.Wait()
		var profile bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
			w.Fatal(err)
		}
		for entry := range strings.SplitSeq(profile.String(), "\n\n") {
			if strings.Contains(entry, "alice") || strings.Contains(entry, "carol") {
				w.Errorf("a goroutine of the system has the labels of a user:\n%s", entry)
			}
		}
		close(release)
	})
}
