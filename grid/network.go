// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/internal/gridwire"
)

// network is what a node has to do with the others: asks of theirs to its keys, and its own to theirs. Each session has
// a link. The two sides have a lock each, and none is held while the other's is taken.
type network struct {
	c      *cluster
	g      *Grid
	net    Net
	origin uint64 // see gridwire.Header
	seed   maphash.Seed
	link   atomic.Pointer[link]
	bad    atomic.Int64 // frames that were not understood, or whose sender is another's session
	// sessions is how many there were.
	sessions atomic.Int64

	mu    sync.Mutex
	links map[*link]struct{} // that have not been closed

	asking    asking
	answering answering
}

func newNetwork(c *cluster) *network {
	n := &network{c: c, g: c.g, net: c.o.Net, origin: rand.Uint64() | 1, seed: maphash.MakeSeed(), links: map[*link]struct{}{}}
	n.asking.init(n)
	n.answering.init(n)
	return n
}

// open lets the others reach the node in a session, before they see it.
func (n *network) open(ctx context.Context, self Peer) error {
	l := &link{n: n, self: self, peers: map[Peer]*peer{}}
	line, err := n.net.Open(ctx, self, l)
	if err != nil {
		return fmt.Errorf("no line to the network: %w", err)
	}
	l.line = line
	l.limit = max(line.MaxFrame()-ackRoom, gridwire.HeaderRoom)
	l.isOpen.Store(true)
	n.mu.Lock()
	n.links[l] = struct{}{}
	n.mu.Unlock()
	if err := context.Cause(ctx); err != nil { // the node is not to join any more, and close may not have seen this link
		l.close()
		return err
	}
	n.link.Store(l)
	n.asking.linkOpened()
	topicsOf(n.g.sys).linkOpened(n.g, n.sessions.Add(1) > 1)
	return nil
}

// lingers is for how long a line goes on after the end of its session: what was cut off tells its askers so.
const lingers = time.Second

// over: the session has ended.
func (n *network) over() {
	l := n.link.Swap(nil)
	if l == nil {
		return
	}
	n.asking.linkOver(l)
	n.c.clock.AfterFunc(lingers, l.close)
}

// close ends all that there is, once the node has left.
func (n *network) close() {
	n.over()
	n.asking.close()
	n.mu.Lock()
	links := slices.Collect(maps.Keys(n.links))
	n.mu.Unlock()
	for _, l := range links {
		l.close()
	}
}

// link is the node's place in the network for one session. It is the [Receiver] of its line.
type link struct {
	n     *network
	self  Peer
	line  Line
	limit int           // bytes of a frame without acks
	frame atomic.Uint64 // number of the last
	// isOpen is set when line is. What comes before is lost: nobody sees the session yet.
	isOpen atomic.Bool

	mu        sync.Mutex
	peers     map[Peer]*peer
	strangers []*peer // those of peers that the node did not see in the cluster, and maybe does not yet; in their order
	closed    bool
}

var _ Receiver = (*link)(nil)

// maxStrangers is how many sessions that the node does not see in the cluster a link remembers: it may see them a moment
// later. What is late from one that is over makes one, too, and whoever speaks in ever more sessions.
const maxStrangers = 1024

// peer is what there is for a session of a node. It is made if there is nothing. known: the node sees it in the cluster.
func (l *link) peer(is Peer, known bool) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[is]
	if p == nil {
		p = &peer{link: l, is: is}
		l.peers[is] = p
		if !known {
			l.addStrangerHeld(p)
		}
	}
	p.known = p.known || known
	return p
}

func (l *link) addStrangerHeld(p *peer) {
	if len(l.strangers) == maxStrangers {
		if oldest := l.strangers[0]; !oldest.known && l.peers[oldest.is] == oldest {
			delete(l.peers, oldest.is)
		}
		l.strangers[0] = nil
		l.strangers = l.strangers[1:]
	}
	l.strangers = append(l.strangers, p)
}

// has is the peer, nil if there is none.
func (l *link) has(is Peer) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peers[is]
}

func (l *link) allPeers() []*peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*peer, 0, len(l.peers))
	for _, p := range l.peers {
		all = append(all, p)
	}
	return all
}

func (l *link) forget(is Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, is)
}

func (l *link) close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if !closed {
		l.n.mu.Lock()
		delete(l.n.links, l)
		l.n.mu.Unlock()
		if err := l.line.Close(); err != nil {
			l.n.g.log.Warn("grid: a line to the network was not closed", "error", err)
		}
	}
}

// Received is [Receiver]'s.
func (l *link) Received(from string, frame []byte) {
	if !l.isOpen.Load() {
		return
	}
	r := reader{link: l, n: l.n, from: from}
	err := gridwire.Read(frame, &r)
	if r.peer != nil {
		r.peer.running.Add(-1)
	}
	if len(r.answers) > 0 {
		// Callbacks of futures may run then, and block.
		go deliverAnswers(l.n, r.answers)
	}
	if err != nil || r.bad {
		l.n.refuseFrame(from, frame, err)
	}
}

// refuseFrame counts a frame that no node sends.
func (n *network) refuseFrame(from string, frame []byte, err error) {
	n.bad.Add(1)
	if n.g.refusals.mayLog() {
		n.g.log.Warn("grid: a frame was refused", "from", from, "bytes", len(frame), "error", err)
	}
}

// Undelivered is [Receiver]'s.
func (l *link) Undelivered(to Peer, tag uint64) {
	if p := l.has(to); p != nil {
		l.n.asking.notDelivered(p, tag, true)
	}
}

// Gone is [Receiver]'s.
func (l *link) Gone(node string) {
	if node != l.self.Node {
		l.n.asking.gone(l, node)
	}
}

// Missed is [Receiver]'s.
func (l *link) Missed() {
	l.n.asking.auditAll()
}

// reader takes part of a frame.
type reader struct {
	link    *link
	n       *network
	from    string
	peer    *peer
	known   bool // the sender's session is in the view
	origin  uint64
	delay   time.Duration
	bad     bool
	answers []outcome
}

// Begin is [gridwire.Reader]'s.
func (r *reader) Begin(h gridwire.Header) {
	is := Peer{r.from, h.Session}
	known, anothers := r.n.asking.standing(is)
	if r.bad = anothers; anothers {
		return
	}
	r.peer, r.known = r.link.peer(is, known), known
	r.peer.running.Add(1) // until it is known what else is in the frame
	// Who sends to a node knows its number, and could ask with that. So the name is in it, in a way that nobody else can know.
	r.origin = h.Origin ^ maphash.String(r.n.seed, r.from)
	r.delay = r.peer.delayOf(h.Sent, r.n.c.clock.Now())
	if r.peer.suspect.Load() || r.peer.absent.Load() {
		r.n.asking.heard(r.peer)
	}
}

// Acks is [gridwire.Reader]'s.
func (r *reader) Acks(ids []uint64) {
	if !r.bad {
		r.n.answering.acked(r.origin, ids)
	}
}

// Ask is [gridwire.Reader]'s.
func (r *reader) Ask(a gridwire.Ask) {
	if !r.bad {
		r.n.answering.accept(r.peer, r.origin, a, r.delay)
	}
}

// TooNew is [gridwire.Reader]'s.
func (r *reader) TooNew(id uint64) {
	if !r.bad {
		r.peer.putRefusal(gridwire.Refusal{ID: id, Reason: gridwire.TooNew})
	}
}

// Answer is [gridwire.Reader]'s.
func (r *reader) Answer(a gridwire.Answer) {
	if !r.bad {
		if o, is := r.n.asking.answered(r.peer, a); is {
			r.answers = append(r.answers, o)
		}
	}
}

// Refusal is [gridwire.Reader]'s.
func (r *reader) Refusal(f gridwire.Refusal) {
	if !r.bad {
		r.n.asking.refused(r.peer, f)
	}
}

// Cancel is [gridwire.Reader]'s.
func (r *reader) Cancel(ids []uint64) {
	if !r.bad {
		r.n.answering.cancel(r.origin, ids)
	}
}

// Audit is [gridwire.Reader]'s.
func (r *reader) Audit(a gridwire.Audit) {
	if !r.bad {
		r.n.answering.audit(r.peer, r.origin, a, r.known)
	}
}

// Audited is [gridwire.Reader]'s.
func (r *reader) Audited(a gridwire.Audited) {
	if !r.bad {
		r.n.asking.audited(r.peer, a)
	}
}

// peer is a node in one of its sessions, as a link has it: what is to be sent there, and what was asked there.
type peer struct {
	link    *link
	is      Peer
	suspect atomic.Bool  // the network has lost it
	absent  atomic.Bool  // a frame has come back, and nothing was heard since
	running atomic.Int32 // asks of its that have no answer yet, and frames of its that are being read

	mu       sync.Mutex
	frames   []outFrame // to be sent, from first on; the last takes more
	first    int
	spare    []byte
	acks     []uint64 // of answers that have come, for the next frame
	flushing bool
	delay    delay

	known bool // the node saw it in the cluster; with mu of the link held

	// With mu of asking held.
	flight   linkedList[ask, *ask] // what was sent, in that order
	asks     int                   // … and waits for an answer
	sends    int                   // … and for none
	wasThere bool                  // in a view
	absence  absence
	isOld    bool // there is a later session of the node
}

type outFrame struct {
	number uint64
	bytes  []byte
}

const (
	// frameSize is what a frame has at most, unless one item has more.
	frameSize = 32 << 10
	maxAcks   = 100
	// maxIdleFrames is for how many frames there is memory when none waits.
	maxIdleFrames = 64
	ackRoom       = 8 + 10*maxAcks
)

// begin is the frame for an item of that size. With mu held.
func (p *peer) begin(size int) *outFrame {
	if n := len(p.frames); n > p.first {
		if f := &p.frames[n-1]; len(f.bytes)+size <= min(frameSize, p.link.limit) {
			return f
		}
	}
	if p.first > len(p.frames)/2 { // else the list would grow for as long as it is never empty
		n := copy(p.frames, p.frames[p.first:])
		clear(p.frames[n:])
		p.frames, p.first = p.frames[:n], 0
	}
	b := gridwire.AppendHeader(p.spare[:0], p.link.self.Session, p.link.n.origin)
	p.spare = nil
	gridwire.SetSent(b, p.link.n.c.clock.Now()) // and not when it is sent: the process may stand still in between, and budgets are of now
	p.frames = append(p.frames, outFrame{p.link.frame.Add(1), b})
	return &p.frames[len(p.frames)-1]
}

// flushSoon has what was put sent with what others put by then. With mu held.
func (p *peer) flushSoon() {
	if !p.flushing {
		p.flushing = true
		go p.flushLater()
	}
}

// flushNow reports whether the caller is to call flushOwn when it holds no lock: nothing is expected that could go with what
// was put. With mu held.
func (p *peer) flushNow() bool {
	if p.flushing || p.is == p.link.self { // what the node sends itself is handled meanwhile
		p.flushSoon()
		return false
	}
	p.flushing = true
	return true
}

// putAsk puts an ask. If it is alone the caller is to call flushOwn when own is true.
func (p *peer) putAsk(body []byte, budget time.Duration, alone bool) (frame uint64, own bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.begin(len(body) + gridwire.ItemRoom)
	f.bytes = gridwire.AppendAsk(f.bytes, body, budget)
	if alone {
		return f.number, p.flushNow()
	}
	p.flushSoon()
	return f.number, false
}

func (p *peer) putItem(item []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appendItem(item)
	p.flushSoon()
}

// putLast is putItem for the last one for a while. The caller is to call flushOwn if own is true.
func (p *peer) putLast(item []byte) (own bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appendItem(item)
	return p.flushNow()
}

func (p *peer) appendItem(item []byte) {
	f := p.begin(len(item))
	f.bytes = append(f.bytes, item...)
}

func (p *peer) putRefusal(r gridwire.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.begin(3*gridwire.ItemRoom + len(r.Node))
	f.bytes = gridwire.AppendRefusal(f.bytes, &r)
	p.flushSoon()
}

func (p *peer) putCancel(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.begin(gridwire.ItemRoom)
	f.bytes = gridwire.AppendCancel(f.bytes, id)
	p.flushSoon()
}

func (p *peer) putAudit(a gridwire.Audit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.begin(2*gridwire.ItemRoom + 10*len(a.IDs))
	f.bytes = gridwire.AppendAudit(f.bytes, &a)
	p.flushSoon()
}

func (p *peer) putAudited(a gridwire.Audited) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.begin(3*gridwire.ItemRoom + 10*(len(a.Unknown)+len(a.Forgotten)))
	f.bytes = gridwire.AppendAudited(f.bytes, &a)
	p.flushSoon()
}

// ack notes that an answer has come. The next frame says so: one of its own would cost as much as the answer.
func (p *peer) ack(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.acks) < 10*maxAcks { // else the node forgets the answer by itself
		p.acks = append(p.acks, id)
	}
}

// flushLater sends what there is, and what comes meanwhile. It begins when the goroutines have run that can run by now: a frame of
// answers wakes many that ask again, and a frame of asks as many workers. Without that each of these would be a frame of its own, which
// took 1.7 times as long at 64 in flight and at 512, most of it in the hubs (bench: asks/far-64). Its price is that on a busy processor an ask
// waits for one round of the others' turns.
func (p *peer) flushLater() {
	runtime.Gosched()
	p.mu.Lock()
	for len(p.frames) > p.first {
		p.sendFirst()
	}
	p.flushing = false
	p.mu.Unlock()
}

// flushOwn sends what there is on the caller's own goroutine: to wake another would take longer than that. Its price is paid by that
// goroutine, which may be a worker's: a frame of one item to write, and no wait.
func (p *peer) flushOwn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.frames) > p.first {
		p.sendFirst()
	}
	if p.flushing = len(p.frames) > p.first; p.flushing { // others have put that: it is not for this goroutine to go on
		go p.flushLater()
	}
}

// sendFirst sends a frame. With mu held, but not meanwhile.
func (p *peer) sendFirst() {
	l, f := p.link, p.frames[p.first]
	p.frames[p.first] = outFrame{}
	if p.first++; p.first == len(p.frames) { // its memory is for the next, unless it was a long queue
		p.frames, p.first = p.frames[:0], 0
		if cap(p.frames) > maxIdleFrames {
			p.frames = nil
		}
	}
	if n := min(len(p.acks), maxAcks); n > 0 {
		f.bytes = gridwire.AppendAcks(f.bytes, p.acks[:n])
		p.acks = append(p.acks[:0], p.acks[n:]...)
	}
	p.mu.Unlock()
	if p.is == l.self {
		l.Received(l.self.Node, append([]byte(nil), f.bytes...))
	} else if err := l.line.Send(p.is, f.number, f.bytes); err != nil {
		l.n.asking.notDelivered(p, f.number, false)
	}
	p.mu.Lock()
	if cap(f.bytes) <= 2*frameSize {
		p.spare = f.bytes
	}
}

// delay tracks by how much longer than the fastest a frame was on its way. What is left of a budget is less by that:
// a network that stood still would else let work begin that has expired. Clocks that begin at
// other moments do not matter for that. If for long none was as fast as that any more, it is the clocks that have come apart: that
// of a virtual machine which is moved to another host stands still meanwhile.
type delay struct {
	least time.Duration // receiver's clock less sender's, of the fastest
	at    time.Duration
	known bool
	slow  struct { // those since, all of which were slower
		n     int
		least time.Duration
		since time.Duration
	}
}

// So many frames, over so long a time, are no burst behind a standstill.
const (
	manySlow = 10
	longSlow = 10 * time.Second
)

// driftOf is by how much two clocks may have come apart: 200 ppm is more than what a clock may be wrong by.
func driftOf(d time.Duration) time.Duration { return d / 5000 }

func (p *peer) delayOf(sent, now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay.of(now-sent, now)
}

func (d *delay) of(took, now time.Duration) time.Duration {
	least := d.least + driftOf(now-d.at)
	if !d.known || took <= least {
		*d = delay{least: took, at: now, known: true}
		return 0
	}
	s := &d.slow
	if s.n++; s.n == 1 {
		s.least, s.since = took, now
	}
	s.least = min(s.least, took)
	if s.n >= manySlow && now-s.since >= longSlow {
		least = s.least
		*d = delay{least: least, at: now, known: true}
	}
	return took - least
}

// rightOf is the token of a shard, if it is this node's at this moment.
func (n *network) rightOf(shard int) (Token, bool) { return n.c.member.Load().tokenOf(shard) }
