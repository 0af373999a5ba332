// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a number of clients of one server, the first of which adds items.
type load struct {
	t       *testing.T
	clients []*watcher
	closed  atomic.Bool

	mu       sync.Mutex // guards the adding
	next, to int        // numbers of the items that are to be added now
	removes  bool       // each item that is heard of
	packet   []byte

	sent []atomic.Int64 // of each item, as time since began
	came atomic.Int64   // events at clients, and acknowledgements
	want atomic.Int64   // of those; then all is there
	all  chan time.Time
}

// watcher is a client and what it has heard of.
type watcher struct {
	*wire
	ended chan struct{}
	times []time.Duration // between an item's add and now, of each item
}

// newLoad connects clients that are ready for that many items.
func newLoad(t *testing.T, addr string, clients, items int) *load {
	t.Helper()
	l := &load{t: t, sent: make([]atomic.Int64, items), all: make(chan time.Time, 1)}
	for range clients {
		l.clients = append(l.clients, &watcher{wire: newWire(t, addr), ended: make(chan struct{}), times: make([]time.Duration, 0, items)})
	}
	for i, c := range l.clients {
		go l.watch(c, i == 0)
	}
	t.Cleanup(l.close) // before those of the connections
	return l
}

// close ends the clients.
func (l *load) close() {
	l.closed.Store(true)
	for _, c := range l.clients {
		c.conn.Close()
		<-c.ended
	}
}

var beginning = time.Now()

// watch reads what a client hears until it is closed.
func (l *load) watch(w *watcher, adds bool) {
	defer close(w.ended)
	for {
		packet, err := w.read()
		if l.closed.Load() {
			return
		}
		if err != nil {
			l.t.Errorf("a client: %v", err)
			return
		}
		if n := added(packet); n >= 0 {
			w.times = append(w.times, time.Since(beginning)-time.Duration(l.sent[n].Load()))
			l.count()
			if adds {
				l.remove(n)
			}
		} else if adds && bytes.HasPrefix(packet, []byte("43")) {
			if !bytes.Contains(packet, []byte(`[{"key":"item-`)) {
				l.t.Errorf("an add was answered with %s", packet)
			}
			l.count()
			l.acknowledged()
		}
		if adds && w.r.Buffered() == 0 { // what there is to send goes in one write
			l.mu.Lock()
			l.flush()
			l.mu.Unlock()
		}
	}
}

// count counts what has come.
func (l *load) count() {
	if l.came.Add(1) == l.want.Load() {
		l.all <- time.Now()
	}
}

var addedEvent = []byte(`42["item_added",{"key":"item-`)

// added returns the number of the item that a packet tells of, or -1.
func added(packet []byte) int {
	rest, ok := bytes.CutPrefix(packet, addedEvent)
	if !ok {
		return -1
	}
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// add has the next item sent. With mu held.
func (l *load) add() {
	l.sent[l.next].Store(int64(time.Since(beginning)))
	n := strconv.Itoa(l.next)
	l.packet = append(append(l.packet[:0], "42"...), n...)
	l.packet = append(append(l.packet, `["add",{"key":"item-`...), n...)
	l.packet = append(l.packet, `","text":"The text of an item, of a usual length"}]`...)
	l.clients[0].write(l.packet)
	l.next++
}

// remove has an item removed, if that is wanted.
func (l *load) remove(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removes {
		l.clients[0].write(fmt.Appendf(nil, `42["item_removed",{"key":"item-%d"}]`, n))
	}
}

// flush sends what add has left to send. With mu held.
func (l *load) flush() {
	if err := l.clients[0].flush(); err != nil {
		l.t.Error(err)
	}
}

// acknowledged adds another item, if there are more to add.
func (l *load) acknowledged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next < l.to {
		l.add()
	}
}

// expect has l.all tell when that many more items are acknowledged and known
// to all clients.
func (l *load) expect(items int) {
	for _, c := range l.clients {
		c.times = c.times[:0]
	}
	l.want.Add(int64(items * (len(l.clients) + 1)))
}

// burst adds items as fast as the acknowledgements allow, with so many in
// flight, and returns how long it took until all clients had heard of them, and
// the times of each.
func (l *load) burst(items, inFlight int) (time.Duration, []time.Duration) {
	l.t.Helper()
	l.expect(items)
	began := time.Now()
	l.mu.Lock()
	l.to = l.next + items
	for range inFlight {
		l.add()
	}
	l.flush()
	l.mu.Unlock()
	took := l.wait().Sub(began)
	return took, l.times()
}

// steady adds items at a rate, whatever comes back, and returns the times
// until the clients heard of them.
func (l *load) steady(items int, every time.Duration) []time.Duration {
	l.t.Helper()
	l.expect(items)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range items {
		l.mu.Lock()
		l.add()
		l.flush()
		l.mu.Unlock()
		<-tick.C
	}
	l.wait()
	return l.times()
}

// times returns how long it took each client to hear of each item, sorted.
func (l *load) times() (all []time.Duration) {
	for _, c := range l.clients {
		all = append(all, c.times...)
	}
	slices.Sort(all)
	return all
}

func (l *load) wait() time.Time {
	l.t.Helper()
	select {
	case at := <-l.all:
		return at
	case <-time.After(5 * time.Minute):
		l.t.Fatalf("%d events of %d have come", l.came.Load(), l.want.Load())
		return time.Time{}
	}
}
