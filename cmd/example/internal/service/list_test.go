// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRoom: the list is bounded by what its items take, and by how many entries
// the log has, those of removals included.
func TestRoom(t *testing.T) {
	l := &list{items: map[string]Item{}}
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
