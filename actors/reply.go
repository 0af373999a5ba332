package actors

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/messages"
)

// Answers that do not come straight from a worker of this process go to a
// PID. All of them go to one process, and differ in the PID's RequestId,
// which the engine's remote carries. The engine's own way, a registered
// process and a timer for each request, costs it ten times as much.
//
// RequestId has 32 bits, and wraps within hours. So the process's id names an
// epoch, which changes at each wrap: an answer that is that late finds
// nothing.

// replyID is the id of the process; later epochs append to it.
const replyID = "protoloop-reply"

func newToken() string { return rand.Text() }

// replies is the table of requests that wait for an answer to their PID.
type replies struct {
	sys    *system
	mu     sync.Mutex
	epoch  uint32
	next   uint32
	id     string // replyID, of the epoch
	shards [32]replyShard
}

type replyShard struct {
	mu    sync.Mutex
	tasks map[uint64]*Task // by epoch<<32 | RequestId
	_     [40]byte
}

func (r *replies) init(s *system) {
	r.sys, r.id = s, replyID
	for i := range r.shards {
		r.shards[i].tasks = map[uint64]*Task{}
	}
}

// open makes pid, which is empty, the one for answers to t, whose scope is s.
func (r *replies) open(t *Task, s *scope, pid *actor.PID) {
	r.mu.Lock()
	r.next++
	if r.next == 0 { // wrapped; 0 means none
		r.next = 1
		r.epoch++
		r.id = fmt.Sprintf("%s-%d", replyID, r.epoch)
		r.sys.as.ProcessRegistry.Add(&replyProcess{sys: r.sys, epoch: r.epoch}, r.id)
	}
	key, id := uint64(r.epoch)<<32|uint64(r.next), r.id
	r.mu.Unlock()

	pid.Address, pid.Id, pid.RequestId = r.sys.as.ProcessRegistry.Address, id, uint32(key)
	s.request.Store(key)
	sh := r.shard(key)
	sh.mu.Lock()
	sh.tasks[key] = t
	sh.mu.Unlock()
}

func (r *replies) shard(key uint64) *replyShard { return &r.shards[key%uint64(len(r.shards))] }

// find returns the task that waits for answers to key, or nil.
func (r *replies) find(key uint64) *Task {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.tasks[key]
}

// closeRequest takes t out of the table.
func (t *Task) closeRequest() {
	s := t.ext.Load()
	if s == nil {
		return
	}
	key := s.request.Load()
	if key == 0 {
		return
	}
	sh := t.system().replies.shard(key)
	sh.mu.Lock()
	delete(sh.tasks, key)
	sh.mu.Unlock()
}

// asker returns the task that an answer to pid would reach, or nil.
func (s *system) asker(pid *actor.PID) *Task {
	if pid == nil || pid.RequestId == 0 || !strings.HasPrefix(pid.Id, replyID) || !s.local(pid) {
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
	return s.replies.find(uint64(rp.epoch)<<32 | uint64(pid.RequestId))
}

// replyProcess is what answers are sent to.
type replyProcess struct {
	sys   *system
	epoch uint32
}

var _ actor.Process = (*replyProcess)(nil)

func (p *replyProcess) SendUserMessage(pid *actor.PID, message any) {
	t := p.sys.replies.find(uint64(p.epoch)<<32 | uint64(pid.RequestId))
	if t == nil {
		return // answered before, cancelled or expired
	}
	t.answer(actor.UnwrapEnvelopeMessage(message))
	if t.lifetime == carrier {
		t.over()
	}
}

// answer completes the future of a request with what was sent to its PID.
func (t *Task) answer(v any) bool {
	switch v := v.(type) {
	case *actor.DeadLetterResponse:
		return t.future().fail(ErrDeadLetter)
	case *messages.Failure:
		if _, wanted := t.future().(*Future[*messages.Failure]); !wanted {
			return t.future().fail(v)
		}
	}
	return t.future().deliver(v)
}

func (p *replyProcess) SendSystemMessage(*actor.PID, any) {}
func (p *replyProcess) Stop(*actor.PID)                   {}
