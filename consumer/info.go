// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/safeerr"
)

// Info is a consumer as it was at one moment: values only.
type Info struct {
	Name    string       // Options.Name
	Workers []*actor.PID // that consume, by PID
	Stats   Stats
	// Concurrency, Prefetch and MaxTries are as in Options, with their defaults.
	Concurrency, Prefetch, MaxTries int
	// InFlight are the 200 messages that have been in flight for longest, the oldest first.
	InFlight []MessageInfo
	// LastPoll is when a call of Receive has last returned without an error, and
	// LastReceive when one has brought messages; zero: none has.
	LastPoll, LastReceive time.Time
	// QueueTime is how long the last message that came had been in the queue; 0: its queue
	// does not tell.
	QueueTime time.Duration
	// OpenCause is the last error for which the breaker is open; nil: it is closed.
	OpenCause error
	// Errors are the last eight errors of handlers and of the source, the oldest first.
	Errors []ErrorRecord
}

// MessageInfo is a message in flight. There is nothing in it that the message's producer has sent, but
// its ID, if the queue takes that from him.
type MessageInfo struct {
	ID string
	// KeyHash is the same for the same Key within a process, and says nothing else of it.
	KeyHash uint64
	// Kind is what the task of its handler is called.
	Task   string
	Worker *actor.PID
	// Tries is how often it has been tried before, or with its handler that runs.
	Tries int
	// State is "waiting" for its handler, "running", "pausing" before it is tried again, or what the
	// source is told next: "acking", "retrying", "deferring", "burying" or "returning".
	State string
	Age   time.Duration // since the source got it
}

// ErrorRecord is an error of a handler, or of a call of the source.
type ErrorRecord struct {
	At      time.Time
	Message string // ID; empty: it is the source's
	Try     int    // of the message
	Err     error
	Stack   []byte // of a panic
}

// The bounds of an Info.
const (
	maxInfoMessages = 200
	maxInfoErrors   = 8
)

// keySeed makes hashes of keys say nothing about them outside of this process.
var keySeed = maphash.MakeSeed()

// Info returns the consumer as it is. Any goroutine.
func (c *Consumer) Info() Info {
	now := time.Now()
	i := Info{Name: c.opts.Name, Concurrency: c.opts.Concurrency, Prefetch: c.opts.Prefetch, MaxTries: c.opts.MaxTries}
	c.mu.Lock()
	defer c.mu.Unlock()
	i.Stats = c.statsHeld()
	i.LastPoll, i.LastReceive, i.QueueTime = c.recent.polled, c.recent.received, c.recent.queueTime
	i.Errors = c.recent.listErrors()
	if c.breaker.isOpen() {
		i.OpenCause = c.breaker.cause
	}
	for h := range c.breaker.users {
		if !slices.ContainsFunc(i.Workers, h.worker.Equal) {
			i.Workers = append(i.Workers, h.worker)
		}
		n := 0
		for d := h.all.first; d != nil && n < maxInfoMessages; d, n = d.next, n+1 {
			i.InFlight = append(i.InFlight, h.messageInfo(d, now))
		}
	}
	slices.SortFunc(i.Workers, func(a, b *actor.PID) int { return cmp.Compare(a.Id, b.Id) })
	slices.SortStableFunc(i.InFlight, func(a, b MessageInfo) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.Worker.Id, b.Worker.Id))
	})
	i.InFlight = i.InFlight[:min(len(i.InFlight), maxInfoMessages)]
	return i
}

// messageInfo is what may be shown of a delivery. With mu held.
func (h *inFlight) messageInfo(d *delivery, now time.Time) MessageInfo {
	return MessageInfo{
		ID: d.m.ID, KeyHash: maphash.String(keySeed, d.m.Key), Task: h.names.forMessage(d.m).task, Worker: h.worker,
		Tries: d.triesBegun(h), State: d.life.State().String(), Age: now.Sub(d.m.ReceivedAt),
	}
}

// triesBegun is how often the message has been tried, with the run of its handler that is under
// way. With mu held.
func (d *delivery) triesBegun(h *inFlight) int {
	n := h.tried(d)
	if s := d.life.State(); s == life.DeliveryWaiting || s == life.DeliveryPausing {
		n--
	}
	return n
}

// recent tracks what has happened last, for Info. The consumer's lock guards it.
type recent struct {
	polled, received time.Time
	queueTime        time.Duration
	errors           []ErrorRecord
	next             int // where the next one goes, once there are as many as there may be
}

func (r *recent) noteReceived(ds []*delivery, now time.Time) {
	if r.polled = now; len(ds) == 0 {
		return
	}
	r.received = now
	if m := ds[len(ds)-1].m; !m.SentAt.IsZero() {
		r.queueTime = max(m.ReceivedAt.Sub(m.SentAt), 0)
	}
}

func (r *recent) addError(e ErrorRecord) {
	if len(r.errors) < maxInfoErrors {
		r.errors = append(r.errors, e)
		return
	}
	r.errors[r.next] = e
	r.next = (r.next + 1) % maxInfoErrors
}

// listErrors returns them, the oldest first.
func (r *recent) listErrors() []ErrorRecord {
	out := make([]ErrorRecord, 0, len(r.errors))
	out = append(append(out, r.errors[r.next:]...), r.errors[:r.next]...)
	for i := range out {
		if p, ok := safeerr.As[*actors.PanicError](out[i].Err); ok {
			out[i].Stack = p.Stack
		}
	}
	return out
}

// noteError keeps an error for Info; m is nil if it is the source's.
func (c *Consumer) noteError(m *Message, try int, err error) {
	e := ErrorRecord{At: time.Now(), Try: try, Err: err}
	if m != nil {
		e.Message = m.ID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent.addError(e)
}

// Lagger is a Source that knows how many messages of its queue nobody has received yet, or about how many. Lag
// may be called while other methods are, and returns when ctx ends.
type Lagger interface {
	Source
	Lag(ctx context.Context) (int64, error)
}

// Lag asks the source how many messages of its queue nobody has received yet. It is
// [errors.ErrUnsupported] if that cannot tell, and [ErrClosed] if no worker consumes now.
// It calls the source, so do not ask more often than every few seconds. Any goroutine.
func (c *Consumer) Lag(ctx context.Context) (int64, error) {
	err := fmt.Errorf("consumer: no worker consumes: %w", ErrClosed)
	for _, r := range c.runs() {
		n, asked := int64(0), false
		if n, asked, err = r.askLag(ctx); asked {
			return n, err
		}
	}
	return 0, err
}

// runs are the incarnations of workers that consume.
func (c *Consumer) runs() []*run {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*run
	for h := range c.breaker.users {
		all = append(all, h.run)
	}
	return all
}

// lagCalls lets calls of Lag end before the source is closed, which is to be the last call.
type lagCalls struct {
	mu     sync.Mutex
	closed bool
	ctx    context.Context // ends when the source is to be closed
	cancel context.CancelFunc
	calls  sync.WaitGroup // begun while it was not closed
}

func newLagCalls() *lagCalls {
	l := &lagCalls{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// begin reports whether a call may begin. If so it ends by calls.Done.
func (l *lagCalls) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.calls.Add(1)
	}
	return !l.closed
}

// end lets no more calls begin, and waits until those that have begun have returned.
func (l *lagCalls) end() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.calls.Wait()
}

// askLag asks this incarnation's source. asked: it is still there.
func (r *run) askLag(ctx context.Context) (n int64, asked bool, err error) {
	src, ok := r.src.(Lagger)
	if !ok {
		return 0, true, fmt.Errorf("consumer: the source does not tell how many messages wait: %w", errors.ErrUnsupported)
	}
	if !r.lags.begin() {
		return 0, false, fmt.Errorf("consumer: no worker consumes: %w", ErrClosed)
	}
	defer r.lags.calls.Done()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	defer context.AfterFunc(r.lags.ctx, cancel)()
	n, err = src.Lag(ctx)
	return n, true, err
}
