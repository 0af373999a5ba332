// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"reflect"
	"strings"

	"github.com/protoloop/protoloop/internal/loop"
)

// traceGroups finds the line where the tasks of each group await. The profile tells one coroutine from another up
// to one in 4,096, so where there are more a group of few may have none.
func traceGroups(all []*tally) {
	lines := loop.TakeLines(isLibrary)
	for _, g := range all {
		g.Line = lines.Take(g.places)
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
