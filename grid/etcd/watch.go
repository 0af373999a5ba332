// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/grid"
)

// watcher follows the nodes of the cluster, and the shards that sessions wait for, on one stream. When that
// fails it reads the nodes anew, and goes on with the shards from the revision of their claims. The client's own watches
// would cost two goroutines for each shard, and do not end when their server hangs.
type watcher struct {
	s *Store

	mu       sync.Mutex
	last     int64 // that a wait was given
	waits    map[int64]wait
	changed  chan struct{}
	begin    []int64 // waits that the stream does not have
	end      []int64 // … that it may have, and which are over
	sessions map[uint64]*session

	trouble atomic.Pointer[error] // why there is no stream; nil: there is one, or it was not tried yet
}

// wait is for the deletion of a shard's key.
type wait struct {
	is    *session
	shard int
	from  int64 // revision
}

// nodesWatch is the watch of all nodes. Waits have greater numbers.
const nodesWatch = 1

// A stream on which nothing comes is asked for a sign of life now and then. Without one it is given up,
// and the next may be to another server. If the next has no answer at all it may take twice as long, and so on.
const (
	askAfter    = time.Second
	giveUpAfter = 3 * time.Second
	maxGiveUp   = time.Minute
)

var errSilent = errors.New("the server does not answer")

var errCompacted = errors.New("the revision to go on from was compacted")

func newWatcher(s *Store) *watcher {
	return &watcher{s: s, last: nodesWatch, waits: map[int64]wait{}, changed: make(chan struct{}, 1), sessions: map[uint64]*session{}}
}

// know tells it of a session, whose end is to be noticed.
func (w *watcher) know(is *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[is.node.Session] = is
}

// wait tells a session when a shard's key is deleted from a revision on.
func (w *watcher) wait(is *session, shard int, from int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	w.waits[w.last] = wait{is, shard, from}
	w.begin = append(w.begin, w.last)
	w.signal()
	return w.last
}

func (w *watcher) unwait(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, is := w.waits[id]; is {
		delete(w.waits, id)
		w.end = append(w.end, id)
		w.signal()
	}
}

func (w *watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Waits before the next stream.
const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// run follows until the store is closed.
func (w *watcher) run() {
	pause, giveUp, down := minPause, giveUpAfter, false
	for w.s.ctx.Err() == nil {
		seen := false
		err := w.follow(giveUp, func() {
			seen = true
			w.trouble.Store(nil)
			if pause = minPause; down {
				down = false
				w.s.log.Info("etcd: the nodes of the cluster can be seen again")
			}
		})
		if errors.Is(err, errCompacted) || w.s.ctx.Err() != nil {
			continue
		}
		if giveUp = min(2*giveUp, maxGiveUp); seen || !errors.Is(err, errSilent) {
			giveUp = giveUpAfter
		}
		w.trouble.Store(&err)
		if !down {
			down = true
			w.s.log.Warn("etcd: the nodes of the cluster cannot be seen; it is tried again", slog.Any("error", w.s.explain(w.s.ctx, "watch", err)))
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-w.s.ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// follow follows on one stream until that fails. sees is called when it has the nodes.
func (w *watcher) follow(giveUp time.Duration, sees func()) error {
	ctx, cancel := context.WithCancelCause(clientv3.WithRequireLeader(w.s.ctx))
	defer cancel(nil)
	alive := time.AfterFunc(giveUp, func() { cancel(errSilent) })
	defer alive.Stop()
	st, err := etcdserverpb.NewWatchClient(w.s.client.ActiveConnection()).Watch(ctx)
	if err != nil {
		return because(ctx, err)
	}
	received, failed := make(chan *etcdserverpb.WatchResponse), make(chan error, 1)
	w.s.spawn(func() {
		for {
			resp, err := st.Recv()
			if err != nil {
				failed <- because(ctx, err)
				return
			}
			alive.Reset(giveUp)
			select {
			case received <- resp:
			case <-ctx.Done():
				failed <- context.Cause(ctx)
				return
			}
		}
	})
	f := &following{w: w, st: st, ctx: ctx}
	if err := f.start(); err != nil {
		return because(ctx, err)
	}
	sees()
	tick := time.NewTicker(askAfter)
	defer tick.Stop()
	for quiet := false; ; {
		var err error
		select {
		case resp := <-received:
			quiet = false
			err = f.received(resp)
		case <-w.changed:
			err = f.update()
		case <-tick.C:
			if quiet {
				err = f.st.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_ProgressRequest{ProgressRequest: &etcdserverpb.WatchProgressRequest{}}})
			}
			quiet = true
		case err := <-failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err != nil {
			return because(ctx, err)
		}
	}
}

// because is why ctx has ended, or else err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// following is a stream, with what is known of the nodes by it. One goroutine has it.
type following struct {
	w     *watcher
	st    etcdserverpb.Watch_WatchClient
	ctx   context.Context
	nodes map[string]grid.Node // by key
}

// start reads the nodes, and begins all watches.
func (f *following) start() error {
	prefix := f.w.s.prefix + "nodes/"
	resp, err := f.w.s.client.Get(f.ctx, prefix, clientv3.WithPrefix()) // linearizable: never older than what was seen on another stream
	if err != nil {
		return err
	}
	f.nodes = map[string]grid.Node{}
	for _, kv := range resp.Kvs {
		f.put(kv)
	}
	f.publish()
	// Not from the next revision: as long as that is not written etcd gives no sign of life to the stream. What was
	// written last does not change the nodes if it comes again.
	err = f.create(&etcdserverpb.WatchCreateRequest{
		Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix)), StartRevision: resp.Header.Revision, WatchId: nodesWatch,
	})
	if err != nil {
		return err
	}
	f.w.mu.Lock()
	f.w.begin, f.w.end = slices.Sorted(maps.Keys(f.w.waits)), nil
	f.w.mu.Unlock()
	return f.update()
}

func (f *following) create(c *etcdserverpb.WatchCreateRequest) error {
	return f.st.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{CreateRequest: c}})
}

// update begins and ends watches of shards.
func (f *following) update() error {
	f.w.mu.Lock()
	begin, end := f.w.begin, f.w.end
	f.w.begin, f.w.end = nil, nil
	f.w.mu.Unlock()
	for _, id := range end {
		if err := f.cancel(id); err != nil {
			return err
		}
	}
	for _, id := range begin {
		if err := f.watch(id); err != nil {
			return err
		}
	}
	return nil
}

func (f *following) watch(id int64) error {
	f.w.mu.Lock()
	wait, is := f.w.waits[id]
	f.w.mu.Unlock()
	if !is {
		return nil
	}
	return f.create(&etcdserverpb.WatchCreateRequest{
		Key: []byte(f.w.s.shardKey(wait.shard)), StartRevision: wait.from - 1, WatchId: id, // at which the key was there: see start
		Filters: []etcdserverpb.WatchCreateRequest_FilterType{etcdserverpb.WatchCreateRequest_NOPUT},
	})
}

// cancel ends a watch; one that there is not is no mistake.
func (f *following) cancel(id int64) error {
	return f.st.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CancelRequest{CancelRequest: &etcdserverpb.WatchCancelRequest{WatchId: id}}})
}

func (f *following) received(resp *etcdserverpb.WatchResponse) error {
	compacted := resp.CompactRevision != 0
	switch {
	case resp.Canceled && !compacted && (resp.CancelReason != "" || resp.Created):
		return errors.New(resp.CancelReason)
	case resp.WatchId == nodesWatch && compacted:
		return errCompacted
	case resp.WatchId == nodesWatch:
		f.changed(resp.Events)
		return nil
	case compacted:
		return f.look(resp.WatchId)
	case len(resp.Events) > 0:
		f.w.isFree(resp.WatchId)
		return f.cancel(resp.WatchId)
	}
	return nil
}

// look looks for what a watch has missed.
func (f *following) look(id int64) error {
	f.w.mu.Lock()
	wait, is := f.w.waits[id]
	f.w.mu.Unlock()
	if !is {
		return nil
	}
	resp, err := f.w.s.client.Get(f.ctx, f.w.s.shardKey(wait.shard))
	if err != nil {
		return err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision >= wait.from {
		f.w.isFree(id)
		return nil
	}
	if err := f.cancel(id); err != nil { // etcd has ended it, and keeps its number
		return err
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if _, is := f.w.waits[id]; is {
		wait.from = resp.Header.Revision + 1
		f.w.waits[id] = wait
		f.w.begin = append(f.w.begin, id)
		f.w.signal()
	}
	return nil
}

// isFree tells the session that waits, for the last time.
func (w *watcher) isFree(id int64) {
	w.mu.Lock()
	wait, is := w.waits[id]
	delete(w.waits, id)
	w.mu.Unlock()
	if is {
		wait.is.isFree(wait.shard, id)
	}
}

func (f *following) put(kv *mvccpb.KeyValue) {
	n, err := decodeNode(kv.Value)
	if err != nil {
		f.w.s.log.Error("etcd: a node of the cluster cannot be read, and is left out", slog.String("key", string(kv.Key)), slog.Any("error", err))
		return
	}
	f.nodes[string(kv.Key)] = n
}

// changed is told what has changed in one or more revisions.
func (f *following) changed(events []*mvccpb.Event) {
	for _, e := range events {
		if e.Type == mvccpb.Event_DELETE {
			delete(f.nodes, string(e.Kv.Key))
		} else {
			f.put(e.Kv)
		}
	}
	if len(events) > 0 {
		f.publish()
	}
}

// publish yields a view, and ends the sessions that were in the last and are not in this.
func (f *following) publish() {
	nodes := make([]grid.Node, 0, len(f.nodes))
	for _, key := range slices.Sorted(maps.Keys(f.nodes)) { // by session
		nodes = append(nodes, f.nodes[key])
	}
	views := f.w.s.views
	select {
	case <-views: // it was not received, and is old
	default:
	}
	views <- grid.View{Nodes: nodes}
	f.w.endSessions(f.nodes)
}

// endSessions ends what others saw, and do not see any more.
func (w *watcher) endSessions(nodes map[string]grid.Node) {
	var over []*session
	w.mu.Lock()
	for number, is := range w.sessions {
		if _, there := nodes[is.nodeKey()]; there {
			is.seen = true
		} else if is.seen {
			over = append(over, is)
			delete(w.sessions, number)
		}
	}
	w.mu.Unlock()
	for _, is := range over {
		is.end()
	}
}

func (w *watcher) forget(is *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sessions, is.node.Session)
}
