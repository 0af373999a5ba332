// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
)

// Answers that do not come straight from a worker of this process go to a
// PID. All of them go to one process, and differ in the PID's RequestId,
// which the engine's remote carries. The engine's own way, a registered
// process and a timer for each request, costs several times as much.
//
// RequestId has 32 bits, and wraps within hours. So the process's id names an
// epoch, which changes at each wrap: an answer that is that late finds
// nothing.

// replyID is the id of the process; later epochs append to it.
const replyID = "protoloop-reply"

func newToken() string { return rand.Text() }

// replies is the table of requests that wait for an answer to their PID. Its
// keys are epoch<<32 | RequestId and grow one by one, so it is made of
// segments of slots; a segment goes when all its slots have been closed.
type replies struct {
	sys       *system
	last      atomic.Uint64 // key
	current   atomic.Pointer[segment]
	epoch     atomic.Pointer[epoch]
	beginning sync.Mutex // of an epoch

	mu       sync.RWMutex
	segments map[uint64]*segment // by number
}

const segmentBits = 8

type segment struct {
	table  *replies // it is a part of; here and not in each request: see carried
	no     uint64   // key >> segmentBits
	closed atomic.Int32
	slots  [1 << segmentBits]atomic.Pointer[Task]
}

func (g *segment) slotOf(key uint64) *atomic.Pointer[Task] { return &g.slots[key%(1<<segmentBits)] }

// epoch is what the PIDs of one epoch have in common.
type epoch struct {
	no  uint32
	pid *actor.PID // with the process in it, so that sending need not look it up
}

// replyTo is where the answers to one request go. Of one that goes by the engine's way
// it is a part: whoever keeps the PID keeps the request, and its answer. Memory of its
// own would be an allocation more for each request to a plain actor, for the sake of
// those who keep PIDs that they have answered.
type replyTo struct {
	pid  actor.PID // whose RequestId finds the slot in seg
	seg  *segment
	whom *actor.PID // who was asked, where the task does not tell; nil: it does
}

func (r *replies) initTable(s *system) { r.sys, r.segments = s, map[uint64]*segment{} }

// assignPID gives to, which is empty but for whom, a PID.
func (r *replies) assignPID(to *replyTo) {
	key := r.last.Add(1)
	if uint32(key) == 0 { // means none
		key = r.last.Add(1)
	}
	e := r.epoch.Load()
	if e == nil || e.no != uint32(key>>32) || e.pid.Address != r.sys.as.ProcessRegistry.Address {
		e = r.beginEpoch(uint32(key >> 32))
	}
	engine.CopyPID(&to.pid, e.pid)
	to.pid.RequestId = uint32(key)
	to.seg = r.segmentOf(key>>segmentBits, true)
}

// openSlot lets answers to the PID reach t, whose scope knows of to.
func (to *replyTo) openSlot(t *Task) { to.seg.slotOf(uint64(to.pid.RequestId)).Store(t) }

// beginEpoch makes the PID of an epoch.
func (r *replies) beginEpoch(no uint32) *epoch {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	id := replyID
	if no > 0 {
		id = fmt.Sprintf("%s-%d", replyID, no)
		r.sys.as.ProcessRegistry.Add(&replyProcess{sys: r.sys, epoch: no}, id)
	}
	e := &epoch{no, r.sys.as.NewLocalPID(id)}
	actor.NewRootContext(r.sys.as, nil).Send(e.pid, nothing{}) // which puts the process into it
	r.epoch.Store(e)
	return e
}

// nothing answers no request: its PID has no RequestId.
type nothing struct{}

// segmentOf returns the one with a number; if there is none it makes it, or
// returns nil.
func (r *replies) segmentOf(no uint64, make bool) *segment {
	if g := r.current.Load(); g != nil && g.no == no {
		return g
	}
	r.mu.RLock()
	g := r.segments[no]
	r.mu.RUnlock()
	if g != nil || !make {
		return g
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if g = r.segments[no]; g == nil {
		g = &segment{table: r, no: no}
		if uint32(no<<segmentBits) == 0 {
			g.closed.Store(1) // RequestId 0 is not used
		}
		r.segments[no] = g
		if c := r.current.Load(); c == nil || c.no < no {
			r.current.Store(g)
		}
	}
	return g
}

// findAsker returns the task that waits for answers to key, or nil.
func (r *replies) findAsker(key uint64) *Task {
	if g := r.segmentOf(key>>segmentBits, false); g != nil {
		return g.slotOf(key).Load()
	}
	return nil
}

// closeRequest takes t out of the table, but for a carrier that is still being
// sent: see noteSent.
func (t *Task) closeRequest() {
	s := t.ext.Load()
	if s == nil || t.lifetime == carrier && !t.has(isSent) {
		return
	}
	to := s.replyTo()
	if to == nil || to.seg.slotOf(uint64(to.pid.RequestId)).Swap(nil) == nil {
		return
	}
	if to.seg.closed.Add(1) == 1<<segmentBits {
		r := to.seg.table
		r.mu.Lock()
		delete(r.segments, to.seg.no)
		r.mu.Unlock()
	}
}

// askerOf returns the task that an answer to pid would reach, or nil.
func (s *system) askerOf(pid *actor.PID) *Task {
	if !s.isReply(pid) {
		return nil
	}
	p, ok := s.as.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		return nil
	}
	rp, ok := p.(*replyProcess)
	if !ok {
		return nil
	}
	return s.replies.findAsker(uint64(rp.epoch)<<32 | uint64(pid.RequestId))
}

// isReply reports whether pid is that of one of our requests, of now or once.
func (s *system) isReply(pid *actor.PID) bool {
	return pid != nil && pid.RequestId != 0 && strings.HasPrefix(pid.Id, replyID) && s.local(pid)
}

// replyProcess is what answers are sent to.
type replyProcess struct {
	sys   *system
	epoch uint32
}

var _ actor.Process = (*replyProcess)(nil)

// SendUserMessage is the engine's: an answer has come.
func (p *replyProcess) SendUserMessage(pid *actor.PID, message any) {
	t := p.sys.replies.findAsker(uint64(p.epoch)<<32 | uint64(pid.RequestId))
	if t == nil {
		return // answered before, cancelled or expired
	}
	t.answerRequest(actor.UnwrapEnvelopeMessage(message), teller{})
}

// answerRequest completes a request by what was sent to its asker's PID.
func (t *Task) answerRequest(m any, by teller) {
	t.completeRequest(t.answerIn(m).copiedFor(t), by)
	if t.lifetime == carrier {
		t.noteEnded()
	}
}

// SendSystemMessage does nothing: nobody watches a reply process.
func (p *replyProcess) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: it lives as long as its actor system.
func (p *replyProcess) Stop(*actor.PID) {}
