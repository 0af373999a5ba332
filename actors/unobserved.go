// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/internal/safelog"
)

// failureNote outlives a failed future, to tell whether anybody looked at it.
type failureNote struct {
	seen atomic.Bool
	err  error
	what string

	// Not the mailbox: what it leads to may lead to the future, and then that
	// is never collected, nor the worker and its actor system.
	log    *slog.Logger
	worker string
	unseen *throttle
}

// watchFailure arranges that a failure nobody looks at is logged when its
// future is collected, as asyncio does with an exception that was never
// retrieved. Ends that came from outside (cancel, restart, stop) are no news.
// The price is on failures only.
func watchFailure(c *core, err error) *failureNote {
	o := c.owner.Load()
	if o == nil || o.attached == nil ||
		saysOnly(err, ErrCanceled, ErrStopped, ErrStopping, ErrRestarted) {
		return nil
	}
	mb := o.mb
	n := &failureNote{err: err, what: o.nameHeld(), log: safelog.Contain(cmp.Or(mb.opts.Logger, mb.sys.as.Logger())), worker: mb.pid.Id, unseen: mb.sys.unseen}
	runtime.AddCleanup(c, (*failureNote).collected, n)
	return n
}

func (n *failureNote) collected() {
	if !n.seen.Load() && n.unseen.allow() {
		n.log.Warn("actors: the failure of a future was never looked at", "worker", n.worker, "task", n.what, "error", printable(n.err))
	}
}

// throttle lets ten events a second through.
type throttle struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

func (th *throttle) allow() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	if now := time.Now(); now.Sub(th.since) > time.Second || now.Before(th.since) {
		th.since, th.n = now, 0
	}
	th.n++
	return th.n <= 10
}
