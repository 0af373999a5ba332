// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// Messages come in the order in which they were posted, over many pages, and what is
// posted meanwhile comes after them.
func TestMessageQueueKeepsItsOrder(t *testing.T) {
	const all = 1000
	var b messageQueue
	next, last := 0, 0
	put := func(n int) {
		for ; n > 0 && last < all; n, last = n-1, last+1 {
			b.postMessage(loopMessage{forgotten: &actor.PID{Id: fmt.Sprint(last)}})
		}
	}
	for put(100); next < all; put(10) {
		p := b.takeAll()
		if p == nil {
			t.Fatalf("empty after %d", next)
		}
		for ; p != nil; p = b.releasePage(p) {
			put(40)
			for _, n := range p.messages[:p.n] {
				if n.forgotten.Id != fmt.Sprint(next) {
					t.Fatalf("%s in the place of %d", n.forgotten.Id, next)
				}
				next++
			}
		}
	}
	if b.takeAll() != nil || b.ifEmpty() == nil {
		t.Error("not empty at the end")
	}
}
