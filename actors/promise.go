// SPDX-License-Identifier: Apache-2.0

package actors

// Promise is a future that is completed by hand (asyncio's loop.create_future). The zero
// value is one that is pending: new(actors.Promise[int]). It must not be copied.
type Promise[T any] struct{ f Future[T] }

// Future returns the promise's future, the same at every call.
func (p *Promise[T]) Future() *Future[T] { return &p.f }

// Resolve completes the future with v; false: it was complete.
func (p *Promise[T]) Resolve(v T) bool { return p.f.resolve(v, nil) }

// Reject completes the future with err; false: it was complete. A nil err
// panics.
func (p *Promise[T]) Reject(err error) bool {
	if err == nil {
		panic("actors: Promise.Reject called with a nil error: use Resolve")
	}
	return p.f.fail(err)
}
