// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
)

// What nobody has looked at is told once, with all that there is to know: of an Any the
// failure of each member, of a WithTimeout the work that took too long.
func TestFailuresOfCombinationsThatNobodyHasLookedAt(t *testing.T) {
	failing := func(errs ...error) (fs []*actors.Future[int]) {
		for _, err := range errs {
			p := new(actors.Promise[int])
			p.Reject(err)
			fs = append(fs, p.Future())
		}
		return fs
	}
	for name, test := range map[string]struct {
		combine func(slow *actors.Future[int]) *actors.Future[int]
		want    string
	}{
		"Any":        {func(*actors.Future[int]) *actors.Future[int] { return futures.Any(failing(errLeft, errRight)...) }, "futures.Any: left\nright"},
		"Any of one": {func(*actors.Future[int]) *actors.Future[int] { return futures.Any(failing(errLeft)...) }, "promise: left"},
		"an Any in one": {func(*actors.Future[int]) *actors.Future[int] {
			return futures.Any(futures.Any(failing(errLeft, errRight)...), failing(errLeft)[0])
		}, "futures.Any: left\nright\nleft"},
		"an Any whose last member is canceled": {func(*actors.Future[int]) *actors.Future[int] {
			return futures.Any(failing(errLeft, actors.ErrCanceled)...)
		}, "futures.Any: left\nactors: canceled (canceled)"},
		"an Any of members that were canceled": {func(*actors.Future[int]) *actors.Future[int] {
			return futures.Any(failing(actors.ErrCanceled, actors.ErrCanceled)...)
		}, ""},
		"Race": {func(slow *actors.Future[int]) *actors.Future[int] { return futures.Race(slow, failing(errLeft)[0]) }, "promise: left"},
		"a Race with a WithTimeout": {func(slow *actors.Future[int]) *actors.Future[int] {
			return futures.Race(new(actors.Promise[int]).Future(), futures.WithTimeout(slow, time.Millisecond))
		}, "futures.WithTimeout: actors: timeout: slow of worker after 1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			sys := actortest.NewSystem(t)
			var mu sync.Mutex
			var told []string
			defer inspect.OnFailure(sys, func(f inspect.Failure) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprintf("%s: %v", f.Task, f.Err))
			})()
			pid := actortest.Spawn(t, sys.Root, "worker", none, actors.Options{})
			func() {
				slow := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name("slow"))
				<-test.combine(slow).Ready()
			}()
			marker := fmt.Errorf("the marker of %s", name)
			func() { failing(marker) }()
			actortest.Eventually(t, "the marker is told, which nobody has looked at either", func() bool {
				runtime.GC()
				mu.Lock()
				defer mu.Unlock()
				for i, s := range told {
					if s == "promise: "+marker.Error() {
						told = append(told[:i], told[i+1:]...)
						return true
					}
				}
				return false
			})
			actortest.Eventually(t, "what is to be told is", func() bool {
				runtime.GC()
				mu.Lock()
				defer mu.Unlock()
				return len(told) > 0 || test.want == ""
			})
			actortest.Stop(t, sys.Root, pid, actors.NoGrace)
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(told) != fmt.Sprint([]string{test.want}) && !(test.want == "" && len(told) == 0) {
				t.Errorf("told %q, want %q", told, test.want)
			}
		})
	}
}
