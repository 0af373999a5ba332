// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/futuretest"
)

// What nobody has looked at is told once, with all that there is to know: of an Any the
// failure of each member, of a WithTimeout the work that took too long. Hooks hear of the
// promises of the whole process, so each case knows its own by their name.
func TestFailuresOfCombinationsThatNobodyHasLookedAt(t *testing.T) {
	type futureOfInt = *actors.Future[int]
	for name, test := range map[string]struct {
		combine func(slow futureOfInt, failing func(...error) []futureOfInt) futureOfInt
		want    string
	}{
		"Any": {func(_ futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Any(failing(errLeft, errRight)...)
		}, "futures.Any: left\nright"},
		"Any of one": {func(_ futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Any(failing(errLeft)...)
		}, "promise: left"},
		"an Any in one": {func(_ futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Any(futures.Any(failing(errLeft, errRight)...), failing(errLeft)[0])
		}, "futures.Any: left\nright\nleft"},
		"an Any whose last member is canceled": {func(_ futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Any(failing(errLeft, actors.ErrCanceled)...)
		}, "futures.Any: left\nactors: canceled (canceled)"},
		"an Any of members that were canceled": {func(_ futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Any(failing(actors.ErrCanceled, actors.ErrCanceled)...)
		}, ""},
		"Race": {func(slow futureOfInt, failing func(...error) []futureOfInt) futureOfInt {
			return futures.Race(slow, failing(errLeft)[0])
		}, "promise: left"},
		"a Race with a WithTimeout": {func(slow futureOfInt, _ func(...error) []futureOfInt) futureOfInt {
			return futures.Race(new(actors.Promise[int]).Future(), futures.WithTimeout(slow, time.Millisecond))
		}, "futures.WithTimeout: actors: timeout: slow of worker after 1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			sys := actortest.NewSystem(t)
			mark := fmt.Sprintf(" <%s>", name)
			failing := func(errs ...error) (fs []futureOfInt) {
				for _, err := range errs {
					p := new(actors.Promise[int])
					p.Reject(fmt.Errorf("%w%s", err, mark))
					fs = append(fs, p.Future())
				}
				return fs
			}
			const last = "the last one"
			var mu sync.Mutex
			var told []string
			lastIsTold := false
			defer inspect.OnFailure(sys, func(f inspect.Failure) {
				mu.Lock()
				defer mu.Unlock()
				s := fmt.Sprintf("%s: %v", f.Task, f.Err)
				switch {
				case !strings.Contains(s, mark): // of another test
				case strings.Contains(s, last):
					lastIsTold = true
				default:
					told = append(told, strings.ReplaceAll(s, mark, ""))
				}
			})()
			pid := actortest.Spawn(t, sys.Root, "worker", futuretest.None, actors.Options{})
			func() {
				slow := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name("slow"+mark))
				<-test.combine(slow, failing).Ready()
			}()
			func() { failing(errors.New(last)) }()
			actortest.Eventually(t, "what is to be told is, and a promise that nobody has looked at either", func() bool {
				runtime.GC()
				mu.Lock()
				defer mu.Unlock()
				return lastIsTold && (len(told) > 0 || test.want == "")
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

// A failure that somebody sees through a combination is no news; one that
// nobody sees is, once.
func TestCombinationsAndFailuresNobodyHasLookedAt(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	pid := actortest.Spawn(t, sys.Root, "worker", futuretest.None, actors.Options{})
	fail := func(name string) *actors.Future[int] {
		return actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, errLeft }, actors.Name(name))
	}
	slow := func(name string, until *actors.Promise[int]) *actors.Future[int] {
		return actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			_, _ = actors.Await(t, until.Future())
			return 0, errLeft
		}, actors.Name(name))
	}
	look := func(f interface{ Ready() <-chan struct{} }) { <-f.Ready() }
	func() {
		all := futures.All(fail("seen 1"))
		_, _ = futuretest.Result(all)
		_, _ = futuretest.Result(futures.Any(fail("seen 2"), fail("seen 3")))
		_, _ = futuretest.Result(futures.Settled(fail("seen 4"), fail("seen 5")))
		_, _ = futuretest.Result(futures.WithTimeout(fail("seen 6"), time.Hour))

		late := new(actors.Promise[int])
		loser := slow("seen 7", late)
		_, _ = futuretest.Result(futures.Race(futures.Resolved(1), loser))
		late.Resolve(1)
		look(loser)

		look(futures.All(fail("unseen 1"), futures.Resolved(1)))
		look(futures.Shield(fail("unseen 2")))

		late = new(actors.Promise[int])
		inner := slow("unseen 3", late)
		futures.Shield(inner).Cancel()
		late.Resolve(1)
		look(inner)
	}()
	unseen := func() map[string]int {
		names := map[string]int{}
		for _, r := range log.Find(0, "never looked at") {
			names[r.Attr("task").(string)]++
		}
		return names
	}
	actortest.Eventually(t, "those that nobody has looked at are logged", func() bool {
		runtime.GC()
		n := unseen()
		return n["unseen 1"] > 0 && n["unseen 2"] > 0 && n["unseen 3"] > 0
	})
	runtime.GC()
	if n := unseen(); len(n) != 3 || n["unseen 1"]+n["unseen 2"]+n["unseen 3"] != 3 {
		t.Errorf("logged: %v", n)
	}
	actortest.Stop(t, sys.Root, pid, time.Minute)
}
