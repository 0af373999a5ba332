// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// timeline starts a task and only then, busy with other things, comes back
// for its result. In Python this is a coroutine that
// run_coroutine_threadsafe starts on an event loop in another thread.
func timeline(ctx context.Context, c *crew, out io.Writer) error {
	loop, err := c.spawn(ctx, "loop", bare)
	if err != nil {
		return err
	}
	other, err := c.spawn(ctx, "other", bare)
	if err != nil {
		return err
	}

	var result, wrapped *actors.Future[string]
	con := newConsole(out)
	work := func(t *actors.Task) (string, error) {
		con.say("SETUP")
		if err := t.Sleep(2 * time.Second); err != nil {
			return "", err
		}
		con.say("MIDDLE")
		if err := t.Sleep(2 * time.Second); err != nil {
			return "", err
		}
		con.say("END")
		return "Result", nil
	}

	// The task starts while main is still printing: whether its first line
	// comes before or after main's next one is up to the scheduler. (In
	// Python it is up to the interpreter lock, which main usually keeps until
	// it sleeps.) So main keeps the console until it has said what it has to
	// say; the task, well under way, waits for it in say.
	con.together(func(say func(string)) {
		say("START")
		result = actors.Submit(c.root, loop, work)
		// A future has any number of waiters, on any worker: this one is
		// asyncio's wrap_future, the same result seen from another loop.
		wrapped = actors.Submit(c.root, other, func(t *actors.Task) (string, error) {
			return actors.Await(t, result)
		})
		say(answer(result.Done()))
		say(answer(wrapped.Done()))
		say("before first sleep")
	})
	if err := block(ctx, 3*time.Second); err != nil {
		return err
	}
	con.say("after first sleep")
	con.say(answer(result.Done()))
	con.say(answer(wrapped.Done()))
	con.say("before second sleep")
	if err := block(ctx, 3*time.Second); err != nil {
		return err
	}
	con.say("after second sleep")
	con.say(answer(result.Done()))
	con.say(answer(wrapped.Done()))
	text, err := wrapped.Wait(ctx)
	if err != nil {
		return err
	}
	con.say(text)
	return nil
}

// block is a time.Sleep that Ctrl-C can end: the calling goroutine does
// nothing else, and no task needs it to.
func block(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer prints a bool as Python does.
func answer(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
