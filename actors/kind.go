// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math/bits"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/snapshot"
	"github.com/protoloop/protoloop/internal/supervision"
)

// kind is what the workers of one kind of an actor system have in common: what was measured of
// them, and how the last of them have failed. A worker has a pointer to it, and nothing else of that.
type kind struct {
	name string

	queueWait, turnTime histogram
	stamps              [maxStamps]stamp

	labels   sync.Map // a context with labels, by the name of a task
	nLabels  atomic.Int32
	labelled [1 << labelBits]atomic.Pointer[taskLabels] // some of them, by what tasks are called by

	handlers atomic.Int32 // how many a new worker has room for at first: as many as the last one had

	restarts atomic.Int64
	failed   atomic.Int64
	failures pastFailures

	// Guarded by the system's mu: what the workers of the kind have counted that are gone.
	ended        Counts
	blockedTurns int64
}

// maxKinds bounds how many there are: names may be made up at run time.
const maxKinds = 1000

// maxName bounds the names of kinds and tasks, in bytes, where they are kept and in labels: a name may have whatever somebody has sent in it.
const maxName = 255

// otherKind is the name of all that are too many.
const otherKind = "_OTHER"

// kindKey is what a kind is found by: the name that its Options give it, or else the setup function,
// or the type of the actor.
type kindKey struct {
	name string
	code uintptr
	typ  reflect.Type
}

// kinds are those of a system.
type kinds struct {
	mu    sync.RWMutex
	byKey map[kindKey]*kind
	names map[string]*kind // two functions may have one name
}

// kindOf is that of a worker which is being spawned.
func (s *system) kindOf(mb *mailbox) *kind {
	key := kindKey{name: label.Of(mb.opts.Kind, maxName)}
	if key.name == "" {
		switch a := mb.raw().Actor().(type) {
		case *workerActor:
			key.code = reflect.ValueOf(a.setup).Pointer()
		default:
			key.typ = reflect.TypeOf(a)
		}
	}
	k := &s.kinds
	k.mu.RLock()
	found := k.byKey[key]
	k.mu.RUnlock()
	if found != nil {
		return found
	}
	return k.add(key)
}

func (k *kinds) add(key kindKey) *kind {
	name := key.name
	switch {
	case name != "":
	case key.typ != nil:
		name = key.typ.String()
	default:
		name = strings.TrimSuffix(codeName(runtime.FuncForPC(key.code)), "-fm")
	}
	name = label.Of(name, maxName) // that of a generic type has all its arguments
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.byKey[key]; found != nil {
		return found
	}
	if k.byKey == nil {
		k.byKey, k.names = map[kindKey]*kind{}, map[string]*kind{}
	}
	full := len(k.byKey) >= maxKinds
	if full {
		name = otherKind
	}
	found := k.names[name]
	if found == nil {
		found = &kind{name: name}
		k.names[name] = found
	}
	if !full {
		k.byKey[key] = found
	}
	return found
}

// kindName is that of the worker; empty as long as nobody knows it.
func (mb *mailbox) kindName() string {
	if mb.registered() {
		return mb.kind.name
	}
	return ""
}

// noteGone adds what a worker that ends has counted to what its kind has. With the system's mu held.
func (k *kind) noteGone(mb *mailbox) {
	c := mb.readCounts()
	c.Offered, c.Accepted, c.Pending = c.Offered-c.Pending, c.Accepted-c.Pending, 0
	k.ended = k.ended.Plus(c)
	k.blockedTurns += mb.blockedTurns()
}

// histogram counts durations by their logarithm to base 2. Any goroutine.
type histogram struct {
	counts [snapshot.Buckets]atomic.Int64
	sum    atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[min(bits.Len64(uint64(d)), snapshot.Buckets-1)].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) read() (out snapshot.Histogram) {
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	out.Sum = time.Duration(h.sum.Load())
	return out
}

// pastFailures are the last ones of a kind. Their memory is used again, so that keeping one allocates only what its
// error's text does.
type pastFailures struct {
	mu   sync.Mutex
	all  [8]pastFailure
	next int
	n    int
}

// pastFailure is text, because an error of a user's may lead anywhere, and the PID of a mailbox to its process.
type pastFailure struct {
	at          time.Time
	address, id string
	task, what  string
	err, stack  []byte
}

// maxKeptStack and maxKeptError bound what a failure of the past keeps.
const (
	maxKeptStack = 16 << 10
	maxKeptError = 2 << 10
)

func (p *pastFailures) add(worker *actor.PID, what, task, prefix, text string, stack []byte) {
	now := time.Now()
	task = label.Of(task, maxName)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.all[p.next]
	f.at, f.address, f.id, f.task, f.what = now, worker.Address, worker.Id, task, what
	f.err = append(append(f.err[:0], prefix...), text[:min(len(text), maxKeptError)]...)
	f.stack = append(f.stack[:0], stack[:min(len(stack), maxKeptStack)]...)
	p.next = (p.next + 1) % len(p.all)
	p.n = min(p.n+1, len(p.all))
}

// list is the last one first.
func (p *pastFailures) list() (all []snapshot.PastFailure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.n {
		f := &p.all[(p.next-1-i+2*len(p.all))%len(p.all)]
		all = append(all, snapshot.PastFailure{
			At: f.at, Worker: actor.NewPID(f.address, f.id), Task: f.task, Kind: f.what, Err: string(f.err), Stack: slices.Clone(f.stack),
		})
	}
	return all
}

// keepFailure keeps a failure of the worker for whoever looks later.
func (mb *mailbox) keepFailure(what, task string, err error, stack []byte) {
	if !mb.registered() {
		return
	}
	mb.kind.failed.Add(1)
	prefix, text := errorText(err)
	mb.kind.failures.add(mb.pid, what, task, prefix, text, stack)
}

// Kinds is package snapshot's.
func (s *system) Kinds() []snapshot.Kind {
	s.mu.RLock()
	all := make([]*mailbox, 0, len(s.workers))
	for _, mb := range s.workers {
		all = append(all, mb)
	}
	at := map[*kind]*snapshot.Kind{}
	s.kinds.mu.RLock()
	out := make([]snapshot.Kind, 0, len(s.kinds.names))
	for _, k := range s.kinds.names {
		out = append(out, snapshot.Kind{Name: k.name, Counts: supervision.Counts(k.ended), BlockedTurns: k.blockedTurns})
		at[k] = &out[len(out)-1]
	}
	s.kinds.mu.RUnlock()
	s.mu.RUnlock()
	for _, mb := range all {
		k := at[mb.kind]
		if k == nil { // it has come meanwhile
			continue
		}
		k.Workers++
		if mb.gate.Load() != gateOpen {
			k.Stopping++
		}
		k.Counts = supervision.Counts(Counts(k.Counts).Plus(mb.readCounts()))
		queued := mb.queued()
		k.Queued += queued
		if queued > 0 {
			k.OldestWait = max(k.OldestWait, mb.loop.OldestWait())
		}
		k.BlockedTurns += mb.blockedTurns()
		if mb.isHeldUp() {
			k.Blocked++
		}
		waiting := mb.offloaded.countWaiting()
		k.OffloadsWaiting += waiting
		k.Offloads += max(0, mb.offloaded.countFunctions()-waiting)
	}
	for k, shown := range at {
		shown.Restarts, shown.Failed = k.restarts.Load(), k.failed.Load()
		shown.QueueWait, shown.TurnTime = k.queueWait.read(), k.turnTime.read()
		shown.Failures = k.failures.list()
	}
	return out
}
