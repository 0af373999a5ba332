// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"

	"github.com/protoloop/protoloop/internal/loop"
)

// place is where an offloaded function runs.
func (u *offloaded[T]) place() (c *limited, fn any) { return &u.limited, u.fn }

// offloadStacks returns the stacks of offloaded functions that are abandoned; nil for one
// whose goroutine is not found. With many goroutines the text does not tell one from
// another, and the stack is that of all that hang in the same function in the same way.
func offloadStacks(left []*Task) [][]byte {
	text, whole := loop.GoroutineText()
	blocks := bytes.Split(text, []byte("\n\n"))
	stacks := make([][]byte, len(left))
	for i, t := range left {
		u, ok := t.lt.Body.(interface{ place() (*limited, any) })
		if !ok {
			continue
		}
		c, fn := u.place()
		for _, block := range blocks {
			// Its base, which the whole text has with its second argument, c.
			_, base, found := bytes.Cut(block, []byte(".(*Limiter).runLimited"))
			if whole {
				_, base, _ = bytes.Cut(base, []byte(", "))
				found = found && bytes.HasPrefix(base, fmt.Appendf(nil, "%p", c))
			} else {
				found = found && bytes.Contains(block, []byte(runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()+"+"))
			}
			if found {
				stacks[i] = bytes.Clone(block)
				break
			}
		}
	}
	return stacks
}
