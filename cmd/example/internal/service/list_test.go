// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestRoom: the list is bounded by what its items take, and by how many entries
// the log has, those of removals included.
func TestRoom(t *testing.T) {
	l := &list{contents: newContents()}
	for i := range 3 {
		l.apply(entry{Item: Item{Key: fmt.Sprint("k", i), Text: strings.Repeat("x", i), Seq: uint64(i + 1)}})
	}
	want := 3*(2+256) + 0 + 1 + 2
	if l.bytes != want || l.room() != nil {
		t.Errorf("%d bytes, room: %v; want %d, and room", l.bytes, l.room(), want)
	}
	for i := range 3 {
		l.apply(entry{Item: Item{Key: fmt.Sprint("k", i), Seq: uint64(i + 4)}, Removed: true})
	}
	if l.bytes != 0 {
		t.Errorf("%d bytes of no items", l.bytes)
	}
	l.bytes = maxBytes
	if err := l.room(); !errors.Is(err, errNoRoom) {
		t.Errorf("%d bytes: %v", l.bytes, err)
	}
	l.bytes = 0
	for range maxEntries - len(l.removals.all) {
		l.removals.add(7, time.Time{})
	}
	if err := l.room(); !errors.Is(err, errNoRoom) {
		t.Errorf("%d entries of removals: %v", len(l.removals.all), err)
	}
}

// TestEarlyItem: an item that the gateway tells the list of is in the log without the queue, and
// the handler of its message, which comes meanwhile or later, finds that.
func TestEarlyItem(t *testing.T) {
	s := running(t)
	list := s.child(listName)
	const items = 50
	var handled []*actors.Future[actors.None]
	for i := range items {
		item := Item{Key: fmt.Sprint("k", i), Text: "x"}
		s.system.Root.Send(list, early{item})
		for range i % 3 {
			handled = append(handled, actors.RequestFuture[actors.None](s.system.Root, list, put{item}))
		}
	}
	for _, f := range handled {
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	actortest.Eventually(t, "the items", func() bool { return s.list.total.Load() == items })
	if _, err := actors.RequestFuture[actors.None](s.system.Root, list, put{Item{Key: "k0", Text: "x"}}).Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.list.log.len(t.Context()); n != items || err != nil {
		t.Errorf("the log has %d entries, %v; want %d", n, err, items)
	}
}
