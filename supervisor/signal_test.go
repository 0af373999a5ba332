// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestSignalTimes: the first signal is the stop event, those of the same moment are the same one,
// and the next after that ends the grace. Signals know no bubble, so these are sent to what Run has of them.
func TestSignalTimes(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		told := false
		n, err := beginSupervisor(sys, Spec{Name: "app", Children: []Child{{Name: "a", Shutdown: time.Hour, Props: actors.Props(func(aw *actors.Worker) error {
			aw.Background("slow", func(t *actors.Task) error {
				if _, err := t.SleepOrStop(24 * time.Hour); err != nil {
					return err
				}
				told = true
				return t.Sleep(24 * time.Hour)
			})
			return nil
		})}}})
		if err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal)
		r := &runCall{supervisor: n, signals: signals}
		r.waitUntilClosed(n.started)
		go r.waitUntilClosed(n.done)
		look := func(when string, wantTold, wantEnded bool) {
			t.Helper()
			synctest.Wait()
			ended := false
			select {
			case <-n.done:
				ended = true
			default:
			}
			if told != wantTold || ended != wantEnded {
				t.Errorf("%s: told %v, ended %v; want %v, %v", when, told, ended, wantTold, wantEnded)
			}
		}
		time.Sleep(time.Minute)
		look("without a signal", false, false)
		signals <- syscall.SIGUSR1
		look("after the first", true, false)
		signals <- syscall.SIGUSR2
		time.Sleep(sameSignal - 1)
		signals <- syscall.SIGUSR1
		look("after others of the same moment", true, false)
		time.Sleep(time.Nanosecond)
		look("when that is over", true, false)
		signals <- syscall.SIGUSR2
		look("after the next", true, true)
	})
}
