// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/cmd/example/internal/service/listpb"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/statetest"
	"github.com/protoloop/protoloop/socketio"
)

// withSharedList runs f in virtual time with a list whose store may have faults.
func withSharedList(t *testing.T, f func(t *testing.T, sys *actor.ActorSystem, g *grid.Grid, store *statetest.Faulty)) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		store := &statetest.Faulty{Store: new(state.Memory)}
		f(t, sys, startShared(t, sys, store), store)
	})
}

func putOf(key string) *listpb.Put {
	return &listpb.Put{Item: &listpb.Item{Key: key, Text: "text of " + key}}
}

// textOf is changes in short: +key for an item, -key for a removal.
func textOf(c *listpb.Changes) string {
	var b strings.Builder
	if c.GetAll() {
		b.WriteString("all:")
	}
	for _, one := range c.GetChanges() {
		sign := " +"
		if one.Removed {
			sign = " -"
		}
		fmt.Fprintf(&b, "%s%s@%d", sign, one.Item.Key, one.Item.Seq)
	}
	return strings.TrimSpace(b.String())
}

// TestFollow: a follower is told each change once, when it is stored and not before, whatever becomes of who has asked for it.
func TestFollow(t *testing.T) {
	withSharedList(t, func(t *testing.T, sys *actor.ActorSystem, g *grid.Grid, store *statetest.Faulty) {
		list := g.PID(sharedKind, sharedKey)
		follow := func(f *listpb.Follow) *actors.Future[*listpb.Changes] {
			return actors.RequestFuture[*listpb.Changes](sys.Root, list, f)
		}
		want := func(f *actors.Future[*listpb.Changes], want string, seq uint64) {
			t.Helper()
			got, err := f.Wait(t.Context())
			if textOf(got) != want || got.GetSeq() != seq || err != nil {
				t.Errorf("told %q up to %d, %v; want %q up to %d", textOf(got), got.GetSeq(), err, want, seq)
			}
		}
		put := func(key string) error {
			_, err := actors.Call[*emptypb.Empty](t.Context(), sys.Root, list, putOf(key))
			return err
		}
		want(follow(&listpb.Follow{All: true}), "all:", 0)
		first := follow(&listpb.Follow{})
		synctest.Wait()
		if first.Done() {
			t.Error("told of nothing at once")
		}
		for _, key := range []string{"a", "a", "b"} {
			if err := put(key); err != nil {
				t.Fatal(err)
			}
		}
		want(first, "+a@1", 1)
		want(follow(&listpb.Follow{Seq: 1}), "+b@2", 2)
		begun := time.Now()
		want(follow(&listpb.Follow{Seq: 2}), "", 2)
		if took := time.Since(begun); took != followFor {
			t.Errorf("told of nothing after %v", took)
		}

		// The store does not answer, and who asks gives up. What has been asked for is stored later, and told then.
		held := make(chan struct{})
		store.Set(func(ctx context.Context, what, _ string) error {
			select {
			case <-held:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, nil)
		waits := follow(&listpb.Follow{Seq: 2})
		if _, err := actors.Call[*listpb.Removed](t.Context(), sys.Root, list, &listpb.Remove{Key: "a"}, actors.Timeout(time.Second)); !errors.Is(err, actors.ErrTimeout) {
			t.Errorf("a removal that is not stored: %v", err)
		}
		synctest.Wait()
		if waits.Done() {
			t.Error("told of what is not stored")
		}
		close(held)
		want(waits, "-a@3", 3)
		if err := put("a"); err != nil { // it comes again, by the queue: it was removed
			t.Error(err)
		}
		want(follow(&listpb.Follow{Seq: 1}), "+b@2 -a@3", 3)
		removed, err := actors.Call[*listpb.Removed](t.Context(), sys.Root, list, &listpb.Remove{Key: "a"})
		if removed.GetRemoved() || err != nil {
			t.Errorf("removed twice: %v, %v", removed, err)
		}

		// The next owner knows it all. Who has what it has waits, who is behind is told all, and who has what it has not, too.
		if _, err := g.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		next := startShared(t, sys, store)
		list = next.PID(sharedKind, sharedKey)
		want(follow(&listpb.Follow{Seq: 2}), "all: +b@2", 3)
		want(follow(&listpb.Follow{Seq: 4}), "all: +b@2", 3)
		waits = follow(&listpb.Follow{Seq: 3})
		if err := errors.Join(put("a"), put("c")); err != nil {
			t.Error(err)
		}
		want(waits, "+c@4", 4)

		// A stop holds up nobody who waits for a change.
		waits = follow(&listpb.Follow{Seq: 4})
		synctest.Wait()
		begun = time.Now()
		if _, err := next.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		want(waits, "", 4)
		if took := time.Since(begun); took != 0 {
			t.Errorf("the drain took %v", took)
		}
	})
}

func startShared(t *testing.T, sys *actor.ActorSystem, store state.Store) *grid.Grid {
	t.Helper()
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{sharedKindOf(store)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = g.Drain(context.Background()) })
	return g
}

// TestSharedFits: what the store gets of a list that has no room any more is no larger than it takes, and is the same list again.
func TestSharedFits(t *testing.T) {
	var s shared
	add := func(i Item, removed bool) change {
		c := change{entry: entry{Item: i, Removed: removed}, time: 1_800_000_000}
		c.Seq = s.seq + 1
		s.Apply(c)
		return c
	}
	wide := func(n int) Item {
		return Item{Key: fmt.Sprintf("%0*d", maxKey, n), Text: strings.Repeat("\U0001f375", maxText)}
	}
	for n := 0; s.room() == nil; n++ { // of all sizes
		switch n % 4 {
		case 0:
			add(Item{Key: fmt.Sprint(n), Text: "x"}, false)
		case 1:
			add(wide(n), false)
		case 2:
			add(Item{Key: fmt.Sprint("gone ", n), Text: "x"}, false)
			add(Item{Key: fmt.Sprint("gone ", n)}, true)
		case 3:
			add(Item{Key: fmt.Sprintf("%0*d", maxKey, n), Text: "x"}, false)
			add(Item{Key: fmt.Sprintf("%0*d", maxKey, n)}, true)
		}
	}
	data, err := stateFormat.Encode(&s)
	if err != nil {
		t.Fatal(err)
	}
	r := state.Record{Token: 1 << 60, Seq: 1 << 60, Snapshot: data}
	for n := range storeEvery {
		change, err := changeFormat.Encode(&change{entry: entry{Item: Item{Key: wide(n).Key, Text: wide(n).Text, Seq: 1 << 60}}})
		if err != nil {
			t.Fatal(err)
		}
		r.Changes = append(r.Changes, change)
	}
	stored, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if most := 1<<20 - 1<<10; len(stored) > most { // a message of NATS, with its header
		t.Errorf("%d bytes are stored, %d fit", len(stored), most)
	}
	t.Logf("%d items and %d removals, as room counts them %d bytes, in all %d", len(s.items), len(s.removals), s.stored()+s.bytes, len(stored))

	var again shared
	if err := stateFormat.Decode(data, &again); err != nil {
		t.Fatal(err)
	}
	if again.seq != s.seq || again.bytes != s.bytes || again.contents.bytes != s.contents.bytes || len(again.removals) != len(s.removals) {
		t.Errorf("decoded: number %d, %d and %d bytes, %d removals; want %d, %d and %d, %d",
			again.seq, again.bytes, again.contents.bytes, len(again.removals), s.seq, s.bytes, s.contents.bytes, len(s.removals))
	}
	if page, want := fmt.Sprint(again.page(0)), fmt.Sprint(s.page(0)); page != want {
		t.Error("the page is another one")
	}
	for key := range s.removed {
		if !again.knows(key) {
			t.Errorf("%s is not known any more", key)
		}
	}
}

// TestSharedForgets: the newest removals are remembered for a week, and all for as long as an add may be on its way.
func TestSharedForgets(t *testing.T) {
	var s shared
	now := int64(1_800_000_000)
	remove := func(key string) {
		for _, removed := range []bool{false, true} {
			c := change{entry: entry{Item: Item{Key: key, Text: "x", Seq: s.seq + 1}, Removed: removed}, time: now}
			s.Apply(c)
		}
	}
	for n := range keepRemoved + 100 {
		remove(fmt.Sprint(n))
	}
	if !s.knows("0") || len(s.removals) != keepRemoved+100 {
		t.Errorf("%d removals are remembered of the same second", len(s.removals))
	}
	now += int64(forgetAtLeast / time.Second)
	remove("later")
	if len(s.removals) != keepRemoved || s.knows("100") || !s.knows("101") || !s.knows("later") {
		t.Errorf("%d removals are remembered after a while", len(s.removals))
	}
	now += int64(forgetRemoved / time.Second)
	remove("much later")
	if len(s.removals) != 1 || !s.knows("much later") || s.bytes != len("much later")+goneStored {
		t.Errorf("%d removals are remembered after a week", len(s.removals))
	}
}

// TestView tells the clients of a process what has changed, be it by one or by all.
func TestView(t *testing.T) {
	io, err := socketio.NewServer(actortest.NewSystem(t), socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := &view{contents: newContents(), io: io, max: 3}
	items := func(keys ...string) (es []entry) {
		for _, k := range keys {
			var e entry
			if _, err := fmt.Sscanf(k, "%1s%d", &e.Key, &e.Seq); err != nil {
				t.Fatal(err)
			}
			es = append(es, e)
		}
		return es
	}
	for _, tt := range []struct{ all, told, shows string }{
		{"a1 b2 c3", "+a +b +c", "c3 b2 a1"},
		{"a1 b2 c3", "", "c3 b2 a1"},
		{"a1 c3 d5", "-b +d", "d5 c3 a1"},
		{"c3 a7", "-a -d +a", "a7 c3"},
		{"", "-c -a", ""},
	} {
		var told []string
		for _, e := range v.differences(items(strings.Fields(tt.all)...)) {
			sign := "+"
			if e.Removed {
				sign = "-"
			}
			told = append(told, sign+e.Key)
			if err := v.tell(e); err != nil {
				t.Fatal(err)
			}
		}
		var shows []string
		for _, i := range v.page(0).Items {
			shows = append(shows, fmt.Sprint(i.Key, i.Seq))
		}
		if got := strings.Join(told, " "); got != tt.told || strings.Join(shows, " ") != tt.shows {
			t.Errorf("of %q it tells %q and shows %q, want %q and %q", tt.all, got, shows, tt.told, tt.shows)
		}
		if full := len(v.items) == 3; v.full() != full {
			t.Errorf("full with %d items of 3: %t", len(v.items), v.full())
		}
	}
}
