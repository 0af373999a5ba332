// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/ownership"
)

// callsUnderWay is a Store that counts the renewals under way, as one loop that makes one call after the other
// would: it looks at nothing else meanwhile.
type callsUnderWay struct {
	Store
	mu   sync.Mutex
	last chan struct{} // closed when the renewal that was made last has been answered
}

func (c *callsUnderWay) Join(ctx context.Context, n Node, ttl time.Duration) (Session, error) {
	s, err := c.Store.Join(ctx, n, ttl)
	if err != nil {
		return nil, err
	}
	return sessionUnderWay{s, c}, nil
}

type sessionUnderWay struct {
	Session
	c *callsUnderWay
}

func (s sessionUnderWay) Renew(ctx context.Context) error {
	answered := make(chan struct{})
	defer close(answered)
	s.c.mu.Lock()
	s.c.last = answered
	s.c.mu.Unlock()
	return s.Session.Renew(ctx)
}

// heldUpClock is one whose timers wait for the renewal under way.
type heldUpClock struct {
	ownership.Clock
	calls *callsUnderWay
}

func (c heldUpClock) AfterFunc(d time.Duration, f func()) ownership.Timer {
	return c.Clock.AfterFunc(d, func() {
		c.calls.mu.Lock()
		last := c.calls.last
		c.calls.mu.Unlock()
		if last != nil {
			<-last
		}
		f()
	})
}
