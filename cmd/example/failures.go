// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/protoloop/protoloop/actors"
)

var errSoldOut = errors.New("sold out")

// failures shows what becomes of a task that fails and of one that panics:
// both reach whoever awaits them, on another worker or on none.
func failures(ctx context.Context, c *crew, out io.Writer) error {
	stock, err := c.spawn(ctx, "stock", bare)
	if err != nil {
		return err
	}
	till, err := c.spawn(ctx, "till", bare)
	if err != nil {
		return err
	}

	order := actors.Submit(c.root, stock, func(*actors.Task) (int, error) {
		return 0, fmt.Errorf("order 7: %w", errSoldOut)
	})
	// A task of another worker awaits it, adds its own words, and main awaits
	// that one.
	sale := actors.Submit(c.root, till, func(t *actors.Task) (int, error) {
		n, err := actors.Await(t, order)
		if err != nil {
			return 0, fmt.Errorf("no sale: %w", err)
		}
		return n, nil
	})
	if _, err = sale.Wait(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Fprintf(out, "\nA task failed. Two workers further on:\n  error: %v\n  errors.Is(err, errSoldOut): %t\n",
		err, errors.Is(err, errSoldOut))

	cart := actors.Submit(c.root, stock, func(*actors.Task) (int, error) {
		return total([]int{12, 5, 30}, 0, 3), nil
	})
	if _, err = cart.Wait(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p, ok := errors.AsType[*actors.PanicError](err)
	if !ok {
		return fmt.Errorf("the task was meant to panic, but ended with %w", err)
	}
	fmt.Fprintf(out, "\nA task panicked. Its future has the stack:\n  %v\n", p)
	for _, frame := range ownFrames(p.Stack) {
		fmt.Fprintln(out, "    at", frame)
	}

	// A panic in a submitted task is nobody's business but its future's.
	sum, err := actors.Submit(c.root, stock, func(*actors.Task) (int, error) {
		return total([]int{12, 5, 30}, 0, 2), nil
	}).Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  The worker goes on: the next task returned %d.\n", sum)
	return nil
}

func total(prices []int, items ...int) int {
	sum := 0
	for _, i := range items {
		sum += prices[i]
	}
	return sum
}
