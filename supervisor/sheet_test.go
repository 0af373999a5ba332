package supervisor

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// A child that is forgotten while the others stop has no row of its own in the
// report, and is in that of the past; the others keep theirs, in order, and the
// total is that of all.
func TestReportOfThoseThatAreForgotten(t *testing.T) {
	for forgotten, want := range []string{"(gone before) 1, b 2, c 4: 7", "(gone before) 2, a 1, c 4: 7", "(gone before) 4, a 1, b 2: 7", "a 1, b 2, c 4: 7"} {
		c := &core{node: &node{pid: actor.NewPID("here", "s")}, kids: map[string]*child{}, due: set{}, held: set{}, decisive: set{}, past: newPast()}
		var all []*child
		for _, name := range []string{"a", "b", "c"} {
			all = append(all, c.addChild(name, &Child{Name: name}))
		}
		c.all = all
		c.sheet.open(all)
		for i, k := range all {
			k.account.Counts.Accepted += 1 << i // it settles
			if i == forgotten {
				c.forget(nil, k)
			}
		}
		r := c.account()
		got := ""
		for i, row := range r.Children {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprint(row.Name, " ", row.Counts.Accepted)
		}
		if got = fmt.Sprint(got, ": ", r.Total.Accepted); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Notes come in the order in which they were put, over many pages, and what is
// put meanwhile comes after them.
func TestInboxKeepsItsOrder(t *testing.T) {
	const all = 1000
	var b inbox
	next, last := 0, 0
	put := func(n int) {
		for ; n > 0 && last < all; n, last = n-1, last+1 {
			b.put(note{gone: &actor.PID{Id: fmt.Sprint(last)}})
		}
	}
	for put(100); next < all; put(10) {
		p, _ := b.take()
		if p == nil {
			t.Fatalf("empty after %d", next)
		}
		for ; p != nil; p = b.reuse(p) {
			put(40)
			for _, n := range p.notes[:p.n] {
				if n.gone.Id != fmt.Sprint(next) {
					t.Fatalf("%s in the place of %d", n.gone.Id, next)
				}
				next++
			}
		}
	}
	if p, more := b.take(); p != nil || more == nil {
		t.Error("not empty at the end")
	}
}
