// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/protoloop/protoloop/internal/loop"
)

// maxTraced is of how many tasks of a group the lines are looked at.
const maxTraced = 16

// traceGroups finds the line where the tasks of each group await. The profile tells one coroutine from another up
// to one in 4,096, so where there are more the line is that which most of some tasks of the group may be at, and of
// two such lines the one where fewer tasks of all are.
func traceGroups(all map[groupKey]*tally) {
	lines := loop.TakeLines(isLibrary)
	for _, g := range all {
		votes := map[string]int{}
		for _, p := range g.some {
			at := slices.Clone(lines.At(p))
			slices.Sort(at)
			for _, line := range slices.Compact(at) {
				votes[line]++
			}
		}
		for line, n := range votes {
			if g.Line == "" || cmp.Or(-cmp.Compare(n, votes[g.Line]), cmp.Compare(lines.Count(line), lines.Count(g.Line)), cmp.Compare(line, g.Line)) < 0 {
				g.Line = line
			}
		}
	}
}

// packagePath is that of this package. Its frames, and those of the packages below it and of what they are made of, are
// not where a user's code awaits.
var packagePath = reflect.TypeFor[Task]().PkgPath()

func isLibrary(function string) bool {
	rest, ours := strings.CutPrefix(function, packagePath)
	if !ours {
		rest, ours = strings.CutPrefix(function, strings.TrimSuffix(packagePath, "actors")+"internal/")
		return ours && !strings.Contains(rest, "_test.")
	}
	return strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/loopsync.") || strings.HasPrefix(rest, "/futures.")
}
