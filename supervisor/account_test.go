// SPDX-License-Identifier: Apache-2.0

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
		c := &core{node: &node{pid: actor.NewPID("here", "s")}, children: map[string]*child{}, undecided: childSet{}, toStart: childSet{}, significant: childSet{}, formerChildren: newPast()}
		var all []*child
		for _, name := range []string{"a", "b", "c"} {
			all = append(all, c.registerChild(name, &Child{Name: name}))
		}
		c.childrenAtStop = all
		c.rows.makeRows(all)
		for i, k := range all {
			k.account.Counts.Accepted += 1 << i // it settles
			if i == forgotten {
				c.forgetChild(nil, k)
			}
		}
		r := c.finalReport()
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
