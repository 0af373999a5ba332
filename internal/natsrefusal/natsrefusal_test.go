// SPDX-License-Identifier: Apache-2.0

package natsrefusal_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/internal/natsrefusal"
)

func violation(of, subject string) error {
	return fmt.Errorf("nats: permissions violation: Permissions Violation for %s to %q", of, subject)
}

func TestSubject(t *testing.T) {
	for want, err := range map[string]error{
		"$JS.API.STREAM.INFO.X": violation("Publish", "$JS.API.STREAM.INFO.X"),
		"":                      violation("Subscription", "x"),
	} {
		if got := natsrefusal.Subject(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// TestWatch: a call ends when it is refused, and not by what was refused before it, or by what others are.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last atomic.Pointer[error]
		set := func(err error) { last.Store(&err) }
		begin := func(ctx context.Context) chan error {
			ended := make(chan error, 1)
			go func() {
				ended <- natsrefusal.Watch(ctx, func() error { return *last.Load() }, []string{"X", "X_DEAD"}, func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				})
			}()
			synctest.Wait()
			return ended
		}
		goesOn := func(ended chan error) {
			t.Helper()
			time.Sleep(time.Minute)
			select {
			case err := <-ended:
				t.Fatalf("it has ended: %v", err)
			default:
			}
		}
		set(violation("Publish", "$JS.API.STREAM.INFO.X"))
		first := begin(t.Context())
		goesOn(first)
		for _, err := range []error{nil, errors.New("nats: slow consumer"), violation("Publish", "$JS.API.STREAM.INFO.Y"), violation("Publish", "XY"), violation("Subscription", "X")} {
			set(err)
			goesOn(first)
		}
		why := violation("Publish", "$JS.API.CONSUMER.CREATE.X_DEAD.consumer")
		set(why)
		if err := <-first; err != why {
			t.Errorf("ended by %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		second := begin(ctx)
		goesOn(second)
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("ended by %v", err)
		}
	})
}
