// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// Run returns what main does, and leaves nothing behind: the bubble would not end.
func TestRun(t *testing.T) {
	log := actortest.NewLog()
	setDefaultLog(t, log)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		left := make(chan error, 2)
		v, err := actors.Run(ctx, func(t *actors.Task) (int, error) {
			t.Go(func(t *actors.Task) error { err := t.Sleep(time.Hour); left <- err; return err })
			child, err := actors.Spawn(t.Context(), t, "child", none, actors.Options{})
			if err != nil {
				return 0, err
			}
			actors.SubmitErr(t, child, func(t *actors.Task) error { err := t.Sleep(time.Hour); left <- err; return err })
			return 42, t.Sleep(time.Second)
		})
		if v != 42 || err != nil {
			t.Error(v, err)
		}
		for range 2 {
			if err := <-left; !errors.Is(err, actors.ErrStopped) {
				t.Errorf("what main has left behind: %v", err)
			}
		}
		if _, err := actors.Run(ctx, func(*actors.Task) (int, error) { return 0, errNone }); err != errNone {
			t.Error(err)
		}
		_, err = actors.Run(ctx, func(*actors.Task) (int, error) { panic("boom") })
		testtools.WantText(t, err, "panic: boom")
		short, cancel := context.WithTimeoutCause(ctx, time.Second, errClient)
		defer cancel()
		_, err = actors.Run(short, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
		if !errors.Is(err, actors.ErrTimeout) || !errors.Is(err, errClient) {
			t.Error(err)
		}
		_, err = actors.Run(ctx, func(t *actors.Task) (int, error) {
			return actors.Run(t.Context(), func(*actors.Task) (int, error) { return 0, nil })
		})
		testtools.WantText(t, err, "actors: Run called in task", "use actors.Start")
	})
	for _, r := range log.Records() {
		t.Errorf("logged: %s", r)
	}
}

// setDefaultLog has slog.Default log to h until the test ends. What was made before goes on logging where it did: its
// logger may be the first default, which writes by package log, and that SetDefault would send to h.
func setDefaultLog(tb testing.TB, h slog.Handler) {
	before, writer, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(h))
	log.SetOutput(writer)
	log.SetFlags(flags)
	tb.Cleanup(func() { slog.SetDefault(before) })
}

// A program that is about one function which awaits.
func ExampleRun() {
	brewed, err := actors.Run(context.Background(), func(t *actors.Task) (string, error) {
		water := t.Go(func(t *actors.Task) error { return t.Sleep(20 * time.Millisecond) })
		tea := t.Go(func(t *actors.Task) error { return t.Sleep(10 * time.Millisecond) })
		return "tea", errors.Join(t.Await(water), t.Await(tea))
	})
	fmt.Println(brewed, err)
	// Output: tea <nil>
}
