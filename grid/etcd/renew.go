// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// renewer renews leases over one stream. The client's KeepAlive does that at its own times, and counts a
// lease from its answer; KeepAliveOnce opens a stream for each call.
//
// A server works at the requests of a stream one after the other, and a server that hangs ends no stream. So there is a
// next stream, to another server, once a request was not answered for a while. The former stays until
// the next has an answer: one that is merely slow is not cut off.
type renewer struct {
	s *Store

	mu      sync.Mutex
	streams []*stream // the last is the one to ask
	slow    int       // that many were cut off without an answer since the last
}

// maxStreams is how many there are at a time, with those that are stuck.
const maxStreams = 3

var (
	errReplaced = errors.New("the server has not answered, and another has since")
	errClosed   = errors.New("the store is closed")
)

func newRenewer(s *Store) *renewer { return &renewer{s: s} }

// ask is a renewal that waits for its answer.
type ask struct {
	lease clientv3.LeaseID
	at    time.Time
	done  chan struct{} // closed when it has ttl or err
	ttl   int64
	err   error
}

// stream is one of a client to a server. What it has is the renewer's, with mu held.
type stream struct {
	asks   []*ask // without an answer, in their order
	unsent int    // so many of the last of them
	wake   chan struct{}
	cancel context.CancelFunc
}

// renew renews a lease, and returns for how many seconds; 0: there is no such lease. stuck is how long
// a stream may leave requests without an answer.
func (r *renewer) renew(ctx context.Context, lease clientv3.LeaseID, stuck time.Duration) (int64, error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		a, err := r.ask(lease, stuck)
		if err == nil {
			select {
			case <-a.done:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			if a.err == nil {
				return a.ttl, nil
			}
			err = a.err
		}
		if !isPassing(err) {
			return 0, err
		}
		select {
		case <-time.After(wait): // the server has gone, and a renewal does no harm twice
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), err)
		}
	}
}

// ask puts a request on its way.
func (r *renewer) ask(lease clientv3.LeaseID, stuck time.Duration) (*ask, error) {
	a := &ask{lease: lease, at: time.Now(), done: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.streams); n == 0 || r.isStuckHeld(r.streams[n-1], stuck) {
		if !r.openHeld() {
			return nil, errClosed
		}
	}
	st := r.streams[len(r.streams)-1]
	st.asks = append(st.asks, a)
	st.unsent++
	select {
	case st.wake <- struct{}{}:
	default:
	}
	return a, nil
}

// isStuckHeld reports whether a stream has answered nothing for too long. That becomes longer with each that there is, and
// with each that was cut off: where all are slow, as where it takes seconds to check a password, one gets its answer.
func (r *renewer) isStuckHeld(st *stream, stuck time.Duration) bool {
	return len(st.asks) > 0 && time.Since(st.asks[0].at) > stuck<<min(len(r.streams)-1+r.slow, 10)
}

// openHeld opens another stream, and does not if the store is closed.
func (r *renewer) openHeld() bool {
	if len(r.streams) == maxStreams {
		r.slow++
		r.endHeld(r.streams[0], errReplaced)
	}
	st := &stream{wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(r.s.ctx))
	st.cancel = cancel
	if !r.s.spawn(func() { r.run(ctx, st) }) {
		cancel()
		return false
	}
	r.streams = append(r.streams, st)
	return true
}

// endHeld ends a stream, and fails what it has not answered.
func (r *renewer) endHeld(st *stream, err error) {
	st.cancel()
	for i, other := range r.streams {
		if other == st {
			r.streams = append(r.streams[:i:i], r.streams[i+1:]...)
		}
	}
	for _, a := range st.asks {
		a.err = err
		close(a.done)
	}
	st.asks, st.unsent = nil, 0
}

func (r *renewer) run(ctx context.Context, st *stream) {
	err := r.follow(ctx, st)
	if r.s.ctx.Err() != nil {
		err = errClosed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endHeld(st, err)
}

// follow sends what there is to send until the stream fails.
func (r *renewer) follow(ctx context.Context, st *stream) error {
	client, err := clientv3.RetryLeaseClient(r.s.client).LeaseKeepAlive(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	r.s.spawn(func() {
		for {
			resp, err := client.Recv()
			if err != nil {
				failed <- err
				return
			}
			r.answered(st, resp)
		}
	})
	for {
		for {
			lease, is := r.toSend(st)
			if !is {
				break
			}
			if err := client.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(lease)}); err != nil {
				select {
				case err = <-failed: // which says why
				case <-ctx.Done():
				}
				return err
			}
		}
		select {
		case <-st.wake:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *renewer) toSend(st *stream) (clientv3.LeaseID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.unsent == 0 {
		return 0, false
	}
	a := st.asks[len(st.asks)-st.unsent]
	st.unsent--
	return a.lease, true
}

// answered gives an answer to the first request for its lease, and ends the streams that are older.
func (r *renewer) answered(st *stream, resp *etcdserverpb.LeaseKeepAliveResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = 0
	for i, a := range st.asks[:len(st.asks)-st.unsent] {
		if int64(a.lease) == resp.ID {
			st.asks = append(st.asks[:i:i], st.asks[i+1:]...)
			a.ttl = resp.TTL
			close(a.done)
			break
		}
	}
	for len(r.streams) > 1 && r.streams[0] != st && contains(r.streams, st) {
		r.endHeld(r.streams[0], errReplaced)
	}
}

func contains(streams []*stream, st *stream) bool {
	for _, other := range streams {
		if other == st {
			return true
		}
	}
	return false
}
