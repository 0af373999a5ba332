// SPDX-License-Identifier: Apache-2.0

package natskv

import (
	"context"
	"errors"
	"time"
)

// Nobody answers what was on its way to a server that is lost, and the client does not say that it was: the call would last until
// its context ends. So one that has not been answered for this long is made again, and then after twice that.
const (
	firstWait = 500 * time.Millisecond
	mostTries = 5
)

// beside makes a call again while the one before is under way: on a slow server that is as good as the next. The first that returns
// is the result, and the others are canceled.
func beside(ctx context.Context, call func(ctx context.Context) error) error {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	others := make(chan error, mostTries)
	timer := time.AfterFunc(firstWait, func() {
		for n, wait := 1, 2*firstWait; n < mostTries; n, wait = n+1, 2*wait {
			go func() {
				others <- call(own)
				cancel()
			}()
			select {
			case <-own.Done():
				return
			case <-time.After(wait):
			}
		}
	})
	err := call(own)
	timer.Stop()
	if err != nil && own.Err() != nil && ctx.Err() == nil {
		return <-others // it is why this one has ended
	}
	return err
}

// instead makes a call again in place of the one before: of two at a time the later could take away what the first has got.
func instead(ctx context.Context, call func(ctx context.Context) error) error {
	for n, wait := 1, firstWait; ; n, wait = n+1, 2*wait {
		one, cancel := context.WithTimeout(ctx, wait)
		err := call(one)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || n == mostTries {
			return err
		}
	}
}
