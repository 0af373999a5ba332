// SPDX-License-Identifier: Apache-2.0

package life

import (
	"fmt"
	"strings"
)

// String is the word for it in the table.
func (h How) String() string {
	return word(h, "none", "finished", "failed", "cut", "late", "returned", "never ran", "given up", "unhandled", "stashed", "lost")
}

// String is the word for it in the table.
func (h Heard) String() string { return word(h, "nothing", "an answer", "an error", "its end") }

// String is the word for it in the table.
func (b Bucket) String() string {
	return word(b, "pending", "finished", "failed", "canceled", "abandoned", "dead-lettered")
}

// String is the word for it in the table.
func (n Notify) String() string { return word(n, "nobody", "the asker", "the dead letters") }

// UnitTable is all of [ClassifyEnd], for tests.
func UnitTable() string {
	var b strings.Builder
	for how := HowNone; how <= HowLost; how++ {
		fmt.Fprintf(&b, "%v\n", how)
		for _, asked := range []bool{false, true} {
			for heard := HeardNothing; heard <= HeardEnd; heard++ {
				if !asked && heard != HeardNothing {
					continue
				}
				who := "nobody has asked"
				if asked {
					who = fmt.Sprintf("its asker has heard %v", heard)
				}
				bucket, notify := ClassifyEnd(how, heard, asked)
				fmt.Fprintf(&b, "\t%s -> %v; tell %v\n", who, bucket, notify)
			}
		}
	}
	return b.String()
}
