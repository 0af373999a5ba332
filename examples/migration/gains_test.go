// SPDX-License-Identifier: Apache-2.0

package migration_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/examples/migration"
	"github.com/protoloop/protoloop/messages"
)

// The tests of this file show what the steps change; README.md tells of them.

// Ten customers pay at once, at a bank that takes a second for each. With the
// blocking Result they wait for each other.
func TestTenPaymentsAtOnce(t *testing.T) {
	for i, want := range []time.Duration{10 * time.Second, 10 * time.Second, time.Second} {
		s := steps()[i]
		t.Run(s.name, func(t *testing.T) {
			s.run(t, outside{bankTakes: time.Second}, func(w *world) {
				var paid []*actor.Future
				for i := range 10 {
					w.ordered(fmt.Sprint(i))
				}
				start := time.Now()
				for i := range 10 {
					paid = append(paid, w.send(&migration.Confirm{ID: fmt.Sprint(i), Card: "visa"}))
				}
				for i, f := range paid {
					w.wantOf(f, &migration.Receipt{ID: fmt.Sprint(i), Paid: 4})
				}
				if took := time.Since(start); took != want {
					w.Errorf("it took %v; want %v", took, want)
				}
			})
		})
	}
}

// The event loop finds the blocking Result: the first step tells what to
// rewrite.
func TestBlockedTurnsAreNamed(t *testing.T) {
	for i, want := range []int{0, 1, 0} {
		s := steps()[i]
		t.Run(s.name, func(t *testing.T) {
			s.run(t, outside{bankTakes: 1500 * time.Millisecond}, func(w *world) {
				w.ordered("a")
				w.want(&migration.Confirm{ID: "a", Card: "visa"}, &migration.Receipt{ID: "a", Paid: 4})
				blocked := actortest.LogOf(w.sys).Find(slog.LevelWarn, "blocked turn")
				if len(blocked) != want {
					w.Fatalf("%d turns are reported: %v; want %d", len(blocked), blocked, want)
				}
				for _, r := range blocked {
					if r.Attr("task") != "*migration.Charge" {
						w.Errorf("reported: %v", r)
					}
				}
			})
		})
	}
}

// A shop that is closed while a customer pays tells the customer so. Before,
// the customer waits for as long as it can.
func TestCustomerHearsOfTheEnd(t *testing.T) {
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			s.run(t, outside{bankTakes: time.Hour}, func(w *world) {
				w.ordered("a")
				paid := w.send(&migration.Confirm{ID: "a", Card: "visa"})
				synctest.Wait()
				start := time.Now()
				w.root.Stop(w.shop)
				got, err := paid.Result()
				took := time.Since(start)
				if s.name == plain().name {
					if !errors.Is(err, actor.ErrTimeout) || took != time.Minute {
						w.Errorf("got %v, %v after %v; want a timeout", got, err, took)
					}
					return
				}
				if f, ok := got.(*messages.Failure); !ok || !errors.Is(f, actors.ErrStopped) || took != 0 {
					w.Errorf("got %v, %v after %v; want at once that it was stopped", got, err, took)
				}
			})
		})
	}
}
