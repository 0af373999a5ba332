// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

var news = grid.TopicOf[*wrapperspb.StringValue]("news of *.>")

// reader is a node with a worker that hears news.
type reader struct {
	*testing.T
	sys *actor.ActorSystem

	mu    sync.Mutex
	heard []string
}

func startReader(t *testing.T, c *hubclient.Client, net grid.Net) *reader {
	t.Helper()
	g, sys, err := startGrid(t.Context(), c, net, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Shutdown)
	t.Cleanup(func() { _, _ = g.Drain(context.Background()) })
	r := &reader{T: t, sys: sys}
	pid, err := actors.Spawn(t.Context(), sys.Root, "reader", func(w *actors.Worker) error {
		news.On(w, func(_ *actors.Task, m *wrapperspb.StringValue) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.heard = append(r.heard, m.Value)
			return nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = actors.Stop(context.Background(), sys.Root, pid, actors.NoGrace) })
	return r
}

func (r *reader) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.heard...)
}

// count is how often each was heard.
func (r *reader) count() map[string]int {
	seen := map[string]int{}
	for _, one := range r.all() {
		seen[one]++
	}
	return seen
}

func (r *reader) publish(what string) error {
	return news.Publish(r.sys.Root, wrapperspb.String(what))
}

// hears publishes until it has heard one: all of the other node's come from then on.
func (r *reader) hears(by *reader, what string) {
	r.Helper()
	n := 0
	actortest.Eventually(r.T, what, func() bool {
		n++
		if err := by.publish(fmt.Sprint(what, " ", n)); err != nil && !errors.Is(err, grid.ErrHereOnly) {
			r.Fatal(err)
		}
		for _, one := range r.all() {
			if strings.HasPrefix(one, what) {
				return true
			}
		}
		return false
	})
}

// numbered checks that what begins with prefix was heard once each, in order, and returns how many.
func (r *reader) numbered(prefix string) int {
	r.Helper()
	n, last := 0, -1
	for _, one := range r.all() {
		rest, is := strings.CutPrefix(one, prefix)
		if !is {
			continue
		}
		number, err := strconv.Atoi(rest)
		if err != nil || number <= last {
			r.Errorf("%q is heard behind %d", one, last)
		}
		n, last = n+1, number
	}
	return n
}

// TestTopics: what one node publishes is heard on the other, over a hub with certificates, once and in order, and on its own.
func TestTopics(t *testing.T) {
	ca := authority(t)
	h := start(t, hub.Options{Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub")})
	node := func(name string) *reader {
		c := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, name)})
		return startReader(t, c, c.Net())
	}
	a, b := node("a"), node("b")
	a.hears(b, "of b")
	b.hears(a, "of a")
	const many = 1000
	for i := range many {
		for _, r := range []*reader{a, b} {
			if err := r.publish(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if i%100 == 99 { // so that no buffer is full on a slow machine
			for _, r := range []*reader{a, b} {
				actortest.Eventually(t, "both nodes to hear both", func() bool { return r.count()[fmt.Sprint(i)] == 2 })
			}
		}
	}
	for name, r := range map[string]*reader{"a": a, "b": b} {
		seen := r.count()
		for i := range many {
			if n := seen[fmt.Sprint(i)]; n != 2 {
				t.Errorf("%s has heard %d %d times", name, i, n)
			}
		}
	}
}

// TestTopicsWhenAHubIsLost: of three hubs that is killed over which one node hears the other. Nothing comes twice or out of order, and
// afterwards all of it comes.
func TestTopicsWhenAHubIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("three processes with etcd are much for a slow machine")
	}
	ca := authority(t)
	procs, all := killTrio(t, ca)
	node := func(name string) *reader {
		return startReader(t, dial(t, hubclient.Options{Hubs: all, Certificates: nodeFiles(t, ca, name)}), atFirst(t, ca, all, name))
	}
	a, b := node("a"), node("b")
	a.hears(b, "before")
	b.hears(a, "also before")
	var published int
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = b.publish(fmt.Sprint("number ", published))
				published++
				time.Sleep(time.Millisecond)
			}
		}
	}()
	actortest.Eventually(t, "news", func() bool { return a.numbered("number ") > 100 })
	procs[all[0]].Signal(syscall.SIGKILL)
	a.hears(b, "after")
	b.hears(a, "also after")
	close(stop)
	<-done
	a.hears(b, "end")
	b.hears(b, "own end")
	got, own := a.numbered("number "), b.numbered("number ")
	t.Logf("of %d one node has heard %d, and the one that has published them %d", published, got, own)
	if own != published {
		t.Errorf("the node that has published %d has heard %d", published, own)
	}
}
