// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// again makes a call until it has an answer. What a leader has got that is lost is answered by nobody, for as long as
// seven seconds; and a server that hangs, never. So each try has a bound, of patience at first, which is
// doubled so that a slow server has the time that it needs. The call has to do no harm if it is made twice, also if the first
// comes to etcd after the second.
func again(ctx context.Context, patience time.Duration, call func(ctx context.Context, try int) error) error {
	var last error // that says more than that the time is over
	wait := 10 * time.Millisecond
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := call(bounded, try)
		late := bounded.Err() != nil
		cancel()
		if err == nil || ctx.Err() == nil && !late && !isPassing(err) {
			return err
		}
		if !late {
			last = err
		}
		if ctx.Err() != nil {
			return cmp.Or(last, err)
		}
		if late {
			patience *= 2
			continue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return last
		}
		wait = min(2*wait, 200*time.Millisecond)
	}
}

// isPassing reports whether another server, or the same a moment later, may do what this one did not.
func isPassing(err error) bool {
	if errors.Is(err, errClosed) {
		return false
	}
	code := status.Code(err)
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		code = known.Code()
	}
	switch code {
	case codes.Unavailable, codes.Unknown, codes.Internal, codes.Canceled, codes.Unauthenticated:
		return true // a token that a restarted server does not know is renewed by the client
	}
	return false
}
