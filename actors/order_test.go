package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// TestStashKeepsTheOrderOfArrival: whichever of them is stashed first.
func TestStashKeepsTheOrderOfArrival(t *testing.T) {
	bubble(t, func(w *world) {
		var got trace
		lives := 0
		pid := w.worker("worker", actors.Options{StopGrace: time.Minute}, func(wk *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(wk, func(t *actors.Task, d time.Duration) error {
				got.add("%v", d)
				if !first {
					return nil
				}
				if err := t.Sleep(d); err != nil {
					return err
				}
				t.Stash()
				if d == 5*time.Second {
					panic("the last of them")
				}
				return nil
			})
			return nil
		})
		for _, s := range []time.Duration{3, 0, 4, 1, 5, 2} {
			w.root.Send(pid, s*time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got.want(w, "3s", "0s", "4s", "1s", "5s", "2s", "3s", "0s", "4s", "1s", "5s", "2s")
	})
}
