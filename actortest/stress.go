// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"sync"
	"testing"
)

const (
	stressGoroutines = 10
	stressRounds     = 50
)

// Stress starts and stops something 500 times: in 50 rounds each on 10
// goroutines at a time. start may be called by all of them at once; it starts
// one instance and returns the function that stops it, which has to return
// when the instance is gone. Either may fail the test by t.Error.
//
// In [Run] whatever an instance leaves behind fails the test. Whether two
// stops of one instance may overlap is for start to try: it can return a
// function that makes several at once.
func Stress(t testing.TB, start func() (stop func())) {
	t.Helper()
	var wg sync.WaitGroup
	for range stressGoroutines {
		wg.Go(func() {
			for range stressRounds {
				if t.Failed() {
					return
				}
				start()()
			}
		})
	}
	wg.Wait()
}
