// SPDX-License-Identifier: Apache-2.0

package grid

import "testing"

// TestDropWhileAnswered: an ask may be canceled while its answer is being written. The list of those that are kept is
// the same afterwards.
func TestDropWhileAnswered(t *testing.T) {
	v := &answering{asks: map[askKey]*served{}, byNumber: map[uint32]*served{}}
	kept := &served{key: askKey{1, 1}, number: 1, answered: true, isKept: true, item: []byte("kept")}
	written := &served{key: askKey{1, 2}, number: 2, answered: true}
	for _, s := range []*served{kept, written} {
		v.asks[s.key], v.byNumber[s.number] = s, s
	}
	v.kept.add(kept)
	v.bytes = len(kept.item)
	v.drop(written)
	if v.kept.first != kept || v.kept.last != kept || v.bytes != len(kept.item) || len(v.asks) != 1 {
		t.Error("what is kept has changed")
	}
	v.drop(kept)
	v.drop(kept)
	if v.kept.first != nil || v.kept.last != nil || v.bytes != 0 || len(v.asks)+len(v.byNumber) != 0 {
		t.Error("something is left")
	}
}
