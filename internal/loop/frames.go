// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"fmt"
	"path"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
)

// Place names the coroutine that a task runs on. It is of use as long as the task lives.
type Place uintptr

// PlaceOf is that of a task which has begun. In Peek.
func PlaceOf(t *Task) Place { return Place(addressOf(t.co)) }

// Lines are the lines of code where all coroutines of the process are, suspended or not.
type Lines struct {
	byTag map[uint32][]string
	count map[string]int // of goroutines at a line
}

// TakeLines looks at all goroutines, by the profile: see takeStacks. skip says of which functions lines
// are not wanted, by their names.
func TakeLines(skip func(function string) bool) *Lines {
	s := &Lines{byTag: map[uint32][]string{}, count: map[string]int{}}
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1)
	for line := range bytes.Lines(buf.Bytes()) {
		if n, pcs := parseStack(line); len(pcs) > 0 {
			if tag, ok := tagIn(pcs); ok {
				if at := lineIn(pcs, skip); at != "" {
					s.byTag[tag] = append(s.byTag[tag], at)
					s.count[at] += n
				}
			}
		}
	}
	return s
}

// parseStack reads a line of the profile with debug=1: how many goroutines have which frames.
func parseStack(line []byte) (n int, pcs []uintptr) {
	number, list, ok := bytes.Cut(line, []byte(" @ "))
	if !ok || line[0] < '0' || line[0] > '9' {
		return 0, nil
	}
	n, _ = strconv.Atoi(string(number))
	for word := range strings.FieldsSeq(string(list)) {
		if pc, err := strconv.ParseUint(word, 0, 64); err == nil {
			pcs = append(pcs, uintptr(pc))
		}
	}
	return n, pcs
}

// lineIn is the innermost line that is wanted, above the loop.
func lineIn(pcs []uintptr, skip func(function string) bool) string {
	frames := runtime.CallersFrames(pcs)
	inLoop := true // the frames that suspend it are the loop's
	for {
		f, more := frames.Next()
		ours := strings.HasPrefix(f.Function, loopPackage)
		switch {
		case f.Function == yieldName || ours && inLoop || strings.HasPrefix(f.Function, "runtime.") || strings.HasPrefix(f.Function, "iter."):
		case ours:
			return ""
		default:
			inLoop = false
			if !skip(f.Function) {
				return fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(f.File)), path.Base(f.File), f.Line)
			}
		}
		if !more {
			return ""
		}
	}
}

// At is where the coroutines are that p may be: one, as long as they are not very many.
func (s *Lines) At(p Place) []string { return s.byTag[tagOf(uintptr(p))] }

// Count is how many goroutines are at a line.
func (s *Lines) Count(line string) int { return s.count[line] }
