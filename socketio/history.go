// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"container/list"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// history tracks what recovering clients of a namespace have missed: the
// reference's SessionAwareAdapter, with bounds. It is guarded by the
// namespace's mu.
//
// Its events are numbered from 1. A client knows the last one that it has got by
// the event's offset, which is its last argument.
type history struct {
	opts   Recovery
	prefix string // of the offsets: those of another process match nothing
	last   uint64 // the number of the last event
	events []keptEvent

	saved map[string]*savedState // by private id
	order list.List              // of the same, oldest first
}

// keptEvent is an event that somebody may have missed. It keeps frames, and not
// arguments, which may have the caller's slices.
type keptEvent struct {
	at            time.Time
	frames        []*engineio.Frame
	rooms, except []string // as of the broadcast
	skip          string   // the id of the socket that is left out
}

// savedState is what a client gets back.
type savedState struct {
	id, private string
	rooms       []string
	data        any
	position
	cut  uint64 // the last event when it was cut off
	from uint64 // when restored: the first event that it has missed
	at   time.Time
	in   *list.Element
}

// position is what a client has been sent of the namespace's events.
type position struct {
	since uint64 // the last event when it connected
	sent  uint64 // the last event that went to it; 0: none
}

func newHistory(o Recovery) *history {
	return &history{opts: o, prefix: engineio.NewID()[:6], saved: map[string]*savedState{}}
}

// offset is that of the last event.
func (h *history) offset() string { return h.prefix + strconv.FormatUint(h.last, 36) }

// number is the number of the event with that offset.
func (h *history) number(offset string) (n uint64, known bool) {
	digits, ours := strings.CutPrefix(offset, h.prefix)
	n, err := strconv.ParseUint(digits, 36, 64)
	return n, ours && err == nil && n <= h.last
}

// first is the number of the first event that is kept.
func (h *history) first() uint64 { return h.last + 1 - uint64(len(h.events)) }

// record keeps an event and returns its frames, with the offset as the last
// argument.
func (h *history) record(a *parser.Args, to Broadcast) []*engineio.Frame {
	now := time.Now()
	h.last++
	drop := 0
	for drop < len(h.events) && (len(h.events)-drop >= h.opts.MaxEvents || now.Sub(h.events[drop].at) > h.opts.MaxDisconnection) {
		h.events[drop] = keptEvent{}
		drop++
	}
	e := keptEvent{at: now, frames: to.ns.frames(parser.Event, parser.NoID, a.With(h.offset())), rooms: to.rooms, except: to.except}
	if to.skip != nil {
		e.skip = to.skip.id
	}
	h.events = append(h.events[drop:], e)
	return e.frames
}

// marked returns the arguments of an event that is not kept. A client takes the
// last argument for an offset if it is a string, so it gets one there, too.
func (h *history) marked(a *parser.Args) *parser.Args {
	if h == nil || !a.EndsInString() {
		return a
	}
	return a.With(h.offset())
}

// save keeps the state of a socket that has been cut off.
func (h *history) save(s *savedState) {
	s.at = time.Now()
	for h.order.Len() > 0 {
		oldest := h.order.Front().Value.(*savedState)
		if !h.expired(oldest) && len(h.saved) < h.opts.MaxSessions {
			break
		}
		h.forget(oldest)
	}
	h.saved[s.private] = s
	s.in = h.order.PushBack(s)
}

func (h *history) forget(s *savedState) {
	delete(h.saved, s.private)
	h.order.Remove(s.in)
}

func (h *history) expired(s *savedState) bool { return time.Since(s.at) > h.opts.MaxDisconnection }

// restore takes the state that belongs to a private id, if the events that the
// client may have missed are all still there. offset is what the client says is
// the last it has got; nil: it has got none. The state can be had once: two
// sockets of one id would be one too many.
func (h *history) restore(private string, offset any) *savedState {
	s := h.saved[private]
	if s == nil {
		return nil
	}
	if h.expired(s) {
		h.forget(s)
		return nil
	}
	seen := s.since
	if offset != nil {
		text, _ := offset.(string)
		n, known := h.number(text)
		if !known {
			return nil
		}
		seen = max(seen, n) // an earlier one is from before this state
	}
	if seen >= s.sent { // it has all that went to it, and missed what came behind the cut
		seen = max(seen, s.cut)
	}
	if s.from = seen + 1; s.from < h.first() {
		return nil
	}
	h.forget(s)
	return s
}

// missed returns the frames of the events that a client has missed, and the
// number of the last of them; false: one of them is not there any more.
func (h *history) missed(s *savedState) (frames []*engineio.Frame, last uint64, all bool) {
	if s.from < h.first() {
		return nil, 0, false
	}
	for i, e := range h.events[s.from-h.first():] {
		if e.includes(s.rooms) {
			frames = append(frames, e.frames...)
			last = s.from + uint64(i)
		}
	}
	return frames, last, true
}

// includes reports whether a socket that had been in these rooms would have got
// the event: the reference's shouldIncludePacket.
func (e *keptEvent) includes(rooms []string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(rooms, func(r string) bool { return slices.Contains(list, r) })
	}
	return (len(e.rooms) == 0 || in(e.rooms)) && !in(e.except) && (e.skip == "" || !slices.Contains(rooms, e.skip))
}
