// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/messages"
)

const (
	// keepAnswers is for how long an answer is kept whose asker has not said that it has come.
	keepAnswers = 10 * time.Second
	// maxKept is how many bytes of them there are at most.
	maxKept = 64 << 20
	// windowsOfOther is how many of its own windows a node takes of another. The other counts no more what it has given up, and the word of
	// that may be lost. So one with the same window is not refused.
	windowsOfOther = 2
)

// answerPrefix begins the ids of the PIDs that answers to other nodes are sent to. No key has it.
const answerPrefix = "/answer/"

// answering tracks what other nodes have asked the keys of this one.
//
//	asked ──▶ running ──▶ answered ──▶ (none): the asker has it, or 10 s are over
//	             └──────▶ (none): canceled, or the asker's session is over
type answering struct {
	n *network
	// id is that of the PIDs for answers. Another grid of the process has another: what is late for one is none of the next one's.
	id string

	mu sync.Mutex
	// All below is read and written with mu held.
	asks     map[askKey]*served
	byNumber map[uint32]*served
	last     uint32
	kept     linkedList[served, *served] // answered, in that order
	full     *served                     // the first of kept whose answer is kept, too
	bytes    int                         // of kept
	cleans   bool                        // there is a timer
	running  map[string]int              // of each node, in all its sessions: asks that have no answer yet
}

// askKey is an ask as its asker knows it. The origin has the name of its node in it: see reader.Begin.
type askKey struct{ origin, id uint64 }

// served is an ask of another node.
type served struct {
	key    askKey
	id     string // of the key
	shard  int
	rev    uint64 // the token under which it was taken
	number uint32

	// With mu of answering held.
	to            *peer
	work          keyed.Work
	passedOn      keyed.Work // to another key of this node, which is to answer
	answered      bool       // or about to be
	isKept        bool       // it is in kept
	runsFor       *peer      // whose running counts it; nil: none's any more
	dropped       bool
	item          []byte // the answer; nil: it was not kept
	at            time.Duration
	links[served] // in kept
}

// envelope is that of an ask. It is apart from served, which is there for as long as its answer is kept: the message may be large.
type envelope struct {
	is  actor.MessageEnvelope
	pid actor.PID // for the answer
}

func (v *answering) init(n *network) {
	v.n = n
	v.id = answerPrefix + strconv.FormatUint(n.origin, 16)
	v.asks, v.byNumber, v.running = map[askKey]*served{}, map[uint32]*served{}, map[string]int{}
}

// accept takes an ask of another node.
func (v *answering) accept(from *peer, origin uint64, w gridwire.Ask, delay time.Duration) {
	n, g := v.n, v.n.g
	wanted := w.Flags&gridwire.Plain == 0
	key := askKey{origin, w.ID}
	if wanted && v.isKnown(key, from) {
		return
	}
	shard := n.c.shardOf(w.Key)
	right, owned := n.rightOf(shard)
	if !owned {
		v.refuse(from, w, shard)
		return
	}
	if w.Flags&gridwire.Where != 0 {
		item, _ := gridwire.AppendAnswer(nil, &gridwire.Answer{ID: w.ID, Rev: right.Rev}, 0, nil)
		from.putItem(item)
		return
	}
	k := g.kindOf(w.Key)
	if k == nil {
		g.unknown.Add(1)
		v.fail(from, w, right, nil, fmt.Errorf("%w: the node %s has no kind for %q", actors.ErrDeadLetter, n.c.o.Node, w.Key))
		return
	}
	typ := k.wire[protoreflect.FullName(w.Type)]
	if typ == nil {
		k.refused.Add(1)
		g.refusals.log(g, w.Key, typeName(w.Type))
		v.fail(from, w, right, nil, fmt.Errorf("%w: a %s to %s: its kind does not accept it", actors.ErrUnhandled, w.Type, w.Key))
		return
	}
	if err := k.errNoKey(w.Key); err != nil {
		k.refused.Add(1)
		v.fail(from, w, right, nil, err)
		return
	}
	if w.Budget > 0 {
		if w.Budget -= delay; w.Budget <= 0 {
			k.refused.Add(1)
			v.fail(from, w, right, nil, fmt.Errorf("%w: %s: it was on its way for too long", actors.ErrTimeout, w.Key))
			return
		}
		if w.Header == nil {
			w.Header = map[string]string{}
		}
		w.Header[keyed.BudgetHeader] = keyed.FormatBudget(w.Budget)
	}
	msg, err := parse(typ, w.Payload)
	if err != nil {
		k.refused.Add(1)
		v.fail(from, w, right, nil, fmt.Errorf("%w: a %s to %s: %w", actors.ErrUnsendable, w.Type, w.Key, err))
		return
	}
	var s *served
	var env *actor.MessageEnvelope
	if wanted {
		var full bool
		if s, full = v.begin(from, key, w, right); full {
			k.refused.Add(1)
			if g.refusals.mayLog() {
				g.log.Warn("grid: a node has more asks at this one than that takes", "node", from.is.Node, "asks", v.maxAsksOfNode())
			}
			v.fail(from, w, right, msg, fmt.Errorf("%w: %s: the node %s takes %d asks of one node at a time", actors.ErrUnavailable, w.Key, n.c.o.Node, v.maxAsksOfNode()))
			return
		}
		if s == nil {
			return
		}
		env = v.envelope(s, msg, w.Header)
	}
	worker, err := g.admitTo(k, w.Key)
	switch {
	case err == nil && s == nil && w.Header == nil:
		worker.Post(msg, nil, false)
	case err == nil && s == nil:
		worker.Post(msg, &actor.MessageEnvelope{Header: w.Header, Message: msg}, false)
	case err == nil:
		v.runs(s, worker.Post(msg, env, false))
	default:
		v.drop(s)
		if _, notHere := err.(*notHereError); notHere || err == errDrained {
			v.refuse(from, w, shard)
			return
		}
		v.fail(from, w, right, msg, err)
	}
}

// parse calls methods of the user's. Their panic is an error.
func parse(typ protoreflect.MessageType, b []byte) (m proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("a panic as it was parsed: %v", p)
		}
	}()
	m = typ.New().Interface()
	return m, proto.Unmarshal(b, m)
}

// isKnown reports whether an ask has come before. If it has been answered it is answered again.
func (v *answering) isKnown(key askKey, from *peer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.asks[key]
	if s == nil {
		return false
	}
	s.to = from
	v.answerAgain(s)
	return true
}

func (v *answering) answerAgain(s *served) (forgotten bool) {
	if s.isKept && s.item != nil {
		s.to.putItem(s.item)
	}
	return s.isKept && s.item == nil
}

// maxAsksOfNode is how many asks of one node may have no answer yet.
func (v *answering) maxAsksOfNode() int { return windowsOfOther * v.n.c.o.Window }

// begin notes an ask that is about to run. It returns nil if that has come by another link meanwhile, or if its node has as many here as it
// may. That one keeps to its own window is not relied upon: it may be of another version, or have another window.
func (v *answering) begin(from *peer, key askKey, w gridwire.Ask, right Token) (s *served, full bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asks[key] != nil {
		return nil, false
	}
	if v.running[from.is.Node] >= v.maxAsksOfNode() {
		return nil, true
	}
	s = &served{key: key, id: w.Key, shard: right.Shard, rev: right.Rev, to: from}
	for s.number == 0 || v.byNumber[s.number] != nil {
		v.last++
		s.number = v.last
	}
	v.asks[key], v.byNumber[s.number] = s, s
	s.runsFor = from
	from.running.Add(1)
	v.running[from.is.Node]++
	return s, false
}

func (v *answering) envelope(s *served, msg proto.Message, header map[string]string) *actor.MessageEnvelope {
	e := new(envelope)
	e.pid.Address, e.pid.Id, e.pid.RequestId = Address, v.id, s.number
	engine.KeepProcess(&e.pid, &v.n.g.hub.process)
	e.is.Sender, e.is.Message, e.is.Header = &e.pid, msg, header
	return &e.is
}

// runsNoMore: nothing more is expected of it. With mu held.
func (v *answering) runsNoMore(s *served) {
	p := s.runsFor
	if p == nil {
		return
	}
	s.runsFor = nil
	p.running.Add(-1)
	if v.running[p.is.Node]--; v.running[p.is.Node] == 0 {
		delete(v.running, p.is.Node)
	}
}

// runs notes the work of an ask, which may have ended by now.
func (v *answering) runs(s *served, work keyed.Work) {
	v.mu.Lock()
	dropped := s.dropped
	if !s.answered && !dropped {
		s.work = work
	}
	v.mu.Unlock()
	if dropped {
		work.Cancel(actors.ErrCanceled)
	}
}

// passed notes that the request of an ask was passed on, by Forward most often, to another key of this node.
func (v *answering) passed(reply *actor.PID, work keyed.Work) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.byNumber[reply.RequestId]; s != nil && !s.answered {
		s.passedOn = work
	}
}

// drop forgets an ask.
func (v *answering) drop(s *served) {
	if s == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropHeld(s)
}

func (v *answering) dropHeld(s *served) {
	if s.dropped {
		return
	}
	s.dropped = true
	v.runsNoMore(s)
	delete(v.asks, s.key)
	delete(v.byNumber, s.number)
	if s.isKept {
		if v.full == s {
			v.full = s.next
		}
		v.kept.remove(s)
		v.bytes -= len(s.item)
	}
}

// refuse tells an asker that this node has not the key. A plain message that nobody waits for is not lost either: its
// sender hears of that, too.
func (v *answering) refuse(from *peer, w gridwire.Ask, shard int) {
	is := v.n.c.member.Load().ownerPeer(shard)
	from.putRefusal(gridwire.Refusal{ID: w.ID, Reason: gridwire.NotOwner, Node: is.Node, Sess: is.Session})
}

// fail answers what has not run. It is not kept: if the answer is lost the ask is made again. A message that nobody
// waits for is a dead letter.
func (v *answering) fail(from *peer, w gridwire.Ask, right Token, msg proto.Message, err error) {
	if w.Flags&gridwire.Plain != 0 {
		if msg != nil { // else it is counted and logged
			v.n.g.sys.DeadLetter.SendUserMessage(pidOf(w.Key), msg)
		}
		return
	}
	from.putItem(failureItem(w.ID, right.Rev, neverRan(err)))
}

// tooLong is a failure that is too long to be sent, as a peer can make one by its code.
func tooLong(f *messages.Failure) *messages.Failure {
	is := messages.NewFailure(fmt.Errorf("%w: a failure of %d bytes", actors.ErrUnsendable, proto.Size(f)), f.Ran, f.RetrySafe)
	is.MaybeRan = f.MaybeRan
	return is
}

func failureItem(id, rev uint64, f *messages.Failure) []byte {
	b, err := proto.Marshal(f)
	if err != nil { // its texts are valid UTF-8: a user's own Failure
		b, _ = proto.Marshal(&messages.Failure{Code: "error", Message: "a failure that could not be serialized", Ran: true})
	}
	item, _ := gridwire.AppendAnswer(nil, &gridwire.Answer{ID: id, Rev: rev, Failure: b}, 0, nil)
	return item
}

// answer takes what was sent to the PID of an ask. The first answer counts.
func (v *answering) answer(pid *actor.PID, m any) {
	m = actor.UnwrapEnvelopeMessage(m)
	v.mu.Lock()
	s := v.byNumber[pid.RequestId]
	if s == nil || s.answered || pid.Id != v.id {
		v.mu.Unlock()
		return
	}
	s.answered, s.work, s.passedOn = true, nil, nil // who comes next is too late
	v.runsNoMore(s)
	most := s.to.link.mostBytes()
	v.mu.Unlock()
	if to := v.keep(s, v.n.answerItem(s, m, most)); to != nil {
		to.flushOwn()
	}
}

// keep has an answer sent, and keeps it. flush is whom the caller is to flush; nil: nobody.
func (v *answering) keep(s *served, item []byte) (flush *peer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.dropped {
		return nil
	}
	s.item, s.at, s.isKept = item, v.n.c.clock.Now(), true
	v.kept.add(s)
	v.bytes += len(item)
	if v.full == nil {
		v.full = s
	}
	if s.to.running.Load() > 0 { // the next answer goes with it
		s.to.putItem(item)
	} else if s.to.putLast(item) {
		flush = s.to
	}
	for ; v.bytes > maxKept; v.full = v.full.next {
		v.bytes -= len(v.full.item)
		v.full.item = nil
	}
	if !v.cleans {
		v.cleans = true
		v.n.c.clock.AfterFunc(time.Second, v.clean)
	}
	return flush
}

// answerItem is an answer as it is sent.
func (n *network) answerItem(s *served, m any, most int) (item []byte) {
	f, failed := m.(*messages.Failure)
	if right, owned := n.rightOf(s.shard); !failed && (!owned || right.Rev != s.rev) {
		// What it has done may not have been saved, and another may have begun.
		f, failed = messages.NewFailure(fmt.Errorf("%w: %s: the lease of the node %s was over", actors.ErrFenced, s.id, n.c.o.Node), true, false), true
	}
	if failed {
		if item = failureItem(s.key.id, s.rev, f); len(item) <= most {
			return item
		}
		return failureItem(s.key.id, s.rev, tooLong(f))
	}
	msg, is := m.(proto.Message)
	if !is {
		err := fmt.Errorf("%w: the answer %T of %s is no proto.Message", actors.ErrUnsendable, m, s.id)
		return failureItem(s.key.id, s.rev, messages.NewFailure(err, true, false))
	}
	item, err := marshalAnswer(s, msg)
	if err == nil && len(item) > most {
		err = fmt.Errorf("it has %d bytes, and the network takes %d at most", len(item), most)
	}
	if err != nil {
		err = fmt.Errorf("%w: the answer %T of %s: %w", actors.ErrUnsendable, m, s.id, err)
		return failureItem(s.key.id, s.rev, messages.NewFailure(err, true, false))
	}
	return item
}

func marshalAnswer(s *served, m proto.Message) (item []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			item, err = nil, fmt.Errorf("a panic as it was serialized: %v", p)
		}
	}()
	name := m.ProtoReflect().Descriptor().FullName()
	size := proto.Size(m)
	return gridwire.AppendAnswer(make([]byte, 0, 2*gridwire.ItemRoom+len(name)+size), &gridwire.Answer{ID: s.key.id, Rev: s.rev, Type: []byte(name)}, size, func(b []byte) ([]byte, error) {
		return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	})
}

// clean forgets answers that have been kept for long enough.
func (v *answering) clean() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := v.kept.first; s != nil && v.n.c.clock.Now()-s.at >= keepAnswers; s = v.kept.first {
		v.dropHeld(s)
	}
	if v.cleans = v.kept.first != nil; v.cleans {
		v.n.c.clock.AfterFunc(time.Second, v.clean)
	}
}

// acked: the asker has these answers.
func (v *answering) acked(origin uint64, ids []uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		if s := v.asks[askKey{origin, id}]; s != nil && s.isKept {
			v.dropHeld(s)
		}
	}
}

// cancel: the asker waits no more.
func (v *answering) cancel(origin uint64, ids []uint64) {
	for _, id := range ids {
		v.mu.Lock()
		s := v.asks[askKey{origin, id}]
		if s == nil {
			v.mu.Unlock()
			continue
		}
		c := v.cancelHeld(s)
		v.dropHeld(s)
		v.mu.Unlock()
		c.cancel(v.n)
	}
}

// canceled is what goes on with an ask that nobody waits for any more.
type canceled struct {
	works [2]keyed.Work
	reply *actor.PID // nil: it has been answered
}

// cancelHeld is what there is to cancel. With mu held.
func (v *answering) cancelHeld(s *served) canceled {
	c := canceled{works: [2]keyed.Work{s.work, s.passedOn}}
	if !s.answered {
		c.reply = &actor.PID{Address: Address, Id: v.id, RequestId: s.number}
	}
	return c
}

// cancel ends it, here and on the node that it was passed on to. With no lock.
func (c canceled) cancel(n *network) {
	for _, work := range c.works {
		if work != nil {
			work.Cancel(actors.ErrCanceled)
		}
	}
	if c.reply != nil {
		n.asking.cancel(c.reply)
	}
}

// audit says what has become of asks. That one has not run is said only to a session that this node sees: when it saw the
// end of another it has forgotten what that had asked, and its node may not know of the end yet.
func (v *answering) audit(from *peer, origin uint64, a gridwire.Audit, seen bool) {
	w := gridwire.Audited{Number: a.Number}
	v.mu.Lock()
	for _, id := range a.IDs {
		s := v.asks[askKey{origin, id}]
		switch {
		case s == nil && !seen:
			w.Forgotten = append(w.Forgotten, id)
		case s == nil:
			w.Unknown = append(w.Unknown, id)
		case v.answerAgain(s):
			w.Forgotten = append(w.Forgotten, id)
		}
	}
	v.mu.Unlock()
	from.putAudited(w)
}

// left: sessions are over. What they have asked is canceled, as they do not wait any more, unless they have asked it again.
func (v *answering) left(over func(Peer) bool) {
	var all []canceled
	v.mu.Lock()
	for _, s := range v.asks {
		if over(s.to.is) {
			all = append(all, v.cancelHeld(s))
			v.dropHeld(s)
		}
	}
	v.mu.Unlock()
	for _, c := range all {
		c.cancel(v.n)
	}
}

// wireTypes are those of messages that may come from other nodes, by name.
func wireTypes(accepts []reflect.Type) map[protoreflect.FullName]protoreflect.MessageType {
	types := map[protoreflect.FullName]protoreflect.MessageType{}
	for _, typ := range accepts {
		if m, is := reflect.Zero(typ).Interface().(proto.Message); is && typ.Kind() == reflect.Pointer {
			t := m.ProtoReflect().Type()
			types[t.Descriptor().FullName()] = t
		}
	}
	return types
}
