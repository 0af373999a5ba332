package socketio

import (
	"strconv"
	"time"

	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// history tracks what recovering clients of a namespace have missed: the
// reference's SessionAwareAdapter, with bounds. It is guarded by the
// namespace's mu.
type history struct {
	opts   Recovery
	prefix string // of the offsets: those of another process match nothing
	next   uint64
	events []keptEvent // the last one has the number next-1

	saved map[string]*savedState // by private id
	order []*savedState          // oldest first; may have some that are not in saved any more
}

// keptEvent is an event that somebody may have missed.
type keptEvent struct {
	at   time.Time
	args *parser.Args // with the offset
	to   Broadcast
}

// savedState is what a client gets back.
type savedState struct {
	id, private string
	rooms       []string
	data        any
	at          time.Time
}

func newHistory(o Recovery) *history {
	return &history{opts: o, prefix: engineio.NewID()[:6], saved: map[string]*savedState{}}
}

// record keeps an event and returns its arguments with the offset as the last
// one: from that the client knows what it has seen.
func (h *history) record(a *parser.Args, to Broadcast) *parser.Args {
	now := time.Now()
	a = a.With(h.prefix + strconv.FormatUint(h.next, 36))
	h.next++
	drop := 0
	for drop < len(h.events) && (len(h.events)-drop >= h.opts.MaxEvents || now.Sub(h.events[drop].at) > h.opts.MaxDisconnection) {
		h.events[drop] = keptEvent{}
		drop++
	}
	h.events = append(h.events[drop:], keptEvent{now, a, to})
	return a
}

// save keeps the state of a socket that has been cut off.
func (h *history) save(s *savedState) {
	s.at = time.Now()
	for len(h.order) > 0 && (h.expired(h.order[0]) || len(h.saved) >= h.opts.MaxSessions || h.saved[h.order[0].private] != h.order[0]) {
		if oldest := h.order[0]; h.saved[oldest.private] == oldest {
			delete(h.saved, oldest.private)
		}
		h.order[0] = nil
		h.order = h.order[1:]
	}
	h.saved[s.private] = s
	h.order = append(h.order, s)
}

func (h *history) expired(s *savedState) bool { return time.Since(s.at) > h.opts.MaxDisconnection }

// restore takes the state that belongs to a private id, if the events behind
// the offset are all still there. It can be had once: two sockets of one id
// would be one too many.
func (h *history) restore(private, offset string) *savedState {
	s := h.saved[private]
	if s == nil {
		return nil
	}
	if h.expired(s) {
		delete(h.saved, private)
		return nil
	}
	if _, known := h.behind(offset); !known {
		return nil
	}
	delete(h.saved, private)
	return s
}

// behind returns the events after the one with that offset.
func (h *history) behind(offset string) ([]keptEvent, bool) {
	if len(offset) <= len(h.prefix) || offset[:len(h.prefix)] != h.prefix {
		return nil, false
	}
	n, err := strconv.ParseUint(offset[len(h.prefix):], 36, 64)
	first := h.next - uint64(len(h.events))
	if err != nil || n < first || n >= h.next {
		return nil, false
	}
	return h.events[n-first+1:], true
}
