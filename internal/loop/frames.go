// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"fmt"
	"math"
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
	byTag map[uint32]map[string]int // how many goroutines with that number are at a line
	count map[string]int            // of goroutines at a line
}

// TakeLines looks at all goroutines, by the profile: see takeStacks. skip says of which functions lines
// are not wanted, by their names.
func TakeLines(skip func(function string) bool) *Lines {
	s := &Lines{byTag: map[uint32]map[string]int{}, count: map[string]int{}}
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1)
	for line := range bytes.Lines(buf.Bytes()) {
		if n, pcs := parseStack(line); len(pcs) > 0 {
			if tag, ok := tagIn(pcs); ok {
				if at := lineIn(pcs, skip); at != "" {
					if s.byTag[tag] == nil {
						s.byTag[tag] = map[string]int{}
					}
					s.byTag[tag][at] += n
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

// unlikely is how likely it is, beyond all that is counted, that a task was at another line by the time the profile came to it: the
// logarithm.
const unlikely = -5

// sure is by how much, as a logarithm, the line of some tasks has to be more likely than the next one.
const sure = 3

// Take is the line that most of some tasks are at; empty if that cannot be told. What is told has those tasks taken off, so those who ask
// for the tasks that are most first are told most.
//
// A number is that of several coroutines, of 25 if there are 100,000 tasks. So it is not the lines themselves that count, which all are
// among so many, but how many there are: if n of the tasks have a number, then n coroutines of that number are at their line, beside
// as many as there are by chance.
func (s *Lines) Take(places []Place) string {
	have := map[uint32]int{}
	for _, p := range places {
		have[tagOf(uintptr(p))]++
	}
	candidates := map[string]bool{}
	for tag := range have {
		for line := range s.byTag[tag] {
			candidates[line] = true
		}
	}
	best, most, next := "", math.Inf(-1), math.Inf(-1)
	for line := range candidates {
		likely := s.likelihood(line, have, len(places))
		switch {
		case likely > most:
			best, most, next = line, likely, most
		case likely > next:
			next = likely
		}
	}
	if most-next < sure {
		return ""
	}
	for tag, n := range have {
		n = min(n, s.byTag[tag][best])
		s.count[best] -= n
		if s.byTag[tag][best] -= n; s.byTag[tag][best] == 0 {
			delete(s.byTag[tag], best)
		}
	}
	return best
}

// likelihood is how likely it is that n tasks, so many of each number, are at a line, and not elsewhere: the logarithm, but for what
// is the same for all lines.
func (s *Lines) likelihood(line string, have map[uint32]int, n int) (sum float64) {
	all := float64(s.count[line])
	sum = math.Log(all + 0.1)              // of all that is left, where there is more it is likelier to be
	others := max(all-float64(n), 0) + 0.1 // there may always be one more
	for tag, own := range have {
		seen := s.byTag[tag][line]
		if seen < own {
			sum += float64(own-seen) * unlikely
			own = seen
		}
		sum += poisson(seen-own, others/tags) - poisson(seen, (all+0.1)/tags)
	}
	return sum
}

// poisson is the logarithm of how likely it is that there are k where there are mean of them on the average.
func poisson(k int, mean float64) float64 {
	factorial, _ := math.Lgamma(float64(k + 1))
	return float64(k)*math.Log(mean) - mean - factorial
}
