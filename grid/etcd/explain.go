// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain says what failed, and what to do about it if that is known.
func (s *Store) explain(ctx context.Context, what string, err error) error {
	if err == nil {
		err = errors.New("it has ended")
	}
	if cause := context.Cause(ctx); cause != nil {
		switch trouble := s.watch.trouble.Load(); {
		case !errors.Is(err, cause) && !errors.Is(err, ctx.Err()):
			err = fmt.Errorf("%w: %w", cause, err)
		case trouble != nil: // a call says only that its time is over
			err = fmt.Errorf("%w: %w", cause, *trouble)
		default:
			err = cause
		}
	}
	if hint := s.hintOf(err); hint != "" {
		return fmt.Errorf("etcd: %s: %s: %w", what, hint, err)
	}
	return fmt.Errorf("etcd: %s: %w", what, err)
}

func (s *Store) hintOf(err error) string {
	is := func(all ...error) bool {
		text := err.Error()
		for _, one := range all {
			if errors.Is(err, one) || text == one.Error() { // a watch says it in words alone
				return true
			}
		}
		return false
	}
	switch {
	case is(rpctypes.ErrPermissionDenied, rpctypes.ErrGRPCPermissionDenied):
		return "the user of the client needs readwrite of the prefix " + s.prefix + " (etcdctl role grant-permission ROLE readwrite --prefix " + s.prefix + ")"
	case is(rpctypes.ErrUserEmpty, rpctypes.ErrGRPCUserEmpty):
		return "the server wants to know the user: give the client a certificate, or Username and Password"
	case is(rpctypes.ErrAuthFailed, rpctypes.ErrGRPCAuthFailed):
		return "the server does not take this Username and Password"
	case is(rpctypes.ErrInvalidAuthToken, rpctypes.ErrGRPCInvalidAuthToken):
		return "the server does not know the client's token; give it Username and Password, so that it gets a new one"
	case is(rpctypes.ErrTooManyOps):
		return "the server's --max-txn-ops is too small: a claim needs 32"
	case is(rpctypes.ErrNoSpace):
		return "the server's disk space or quota is used up (etcdctl alarm list)"
	case status.Code(err) == codes.Unavailable:
		return "no server answers"
	}
	return ""
}
