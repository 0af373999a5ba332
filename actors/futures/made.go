// SPDX-License-Identifier: Apache-2.0

package futures

import "github.com/protoloop/protoloop/actors"

// Resolved returns a future that is complete, with v.
func Resolved[T any](v T) *actors.Future[T] {
	p := new(actors.Promise[T])
	p.Resolve(v)
	return p.Future()
}

// Failed returns a future that has failed with err. A nil err panics.
func Failed[T any](err error) *actors.Future[T] {
	if err == nil {
		panic("futures: Failed called with a nil error: use Resolved")
	}
	p := new(actors.Promise[T])
	p.Reject(err)
	return p.Future()
}
