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
	byTag map[uint32]map[string]float64 // how many goroutines with that number are at a line
	count map[string]float64            // of goroutines at a line
}

// TakeLines looks at all goroutines, by the profile: see takeStacks. skip says of which functions lines
// are not wanted, by their names.
func TakeLines(skip func(function string) bool) *Lines {
	s := &Lines{byTag: map[uint32]map[string]float64{}, count: map[string]float64{}}
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1)
	for line := range bytes.Lines(buf.Bytes()) {
		if n, pcs := parseStack(line); len(pcs) > 0 {
			if tag, ok := tagIn(pcs); ok {
				if at := lineIn(pcs, skip); at != "" {
					if s.byTag[tag] == nil {
						s.byTag[tag] = map[string]float64{}
					}
					s.byTag[tag][at] += float64(n)
					s.count[at] += float64(n)
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
	have := map[uint32]float64{}
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
		likely := s.likelihood(line, have, float64(len(places)))
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
	for line := range candidates {
		s.takeOff(line, have, float64(len(places)), line == best)
	}
	return best
}

// takeOff takes off a line those of n tasks, so many of each number, that are there.
func (s *Lines) takeOff(line string, have map[uint32]float64, n float64, most bool) {
	part := s.part(line, have, n)
	if !most && (n < manyAtLine || part < 0.05+4*math.Sqrt(s.count[line]/tags/n)) { // it may be by chance
		return
	}
	for tag, own := range have {
		lines := s.byTag[tag] // nil: the profile has none of that number, because the task went on or came later
		if seen, there := lines[line]; there {
			off := min(part*own, seen)
			s.count[line] -= off
			if lines[line] = seen - off; lines[line] < 0.01 {
				delete(lines, line)
			}
		}
	}
}

// manyAtLine is how many tasks have to be for it to show that some of them are at another line.
const manyAtLine = 100

// part is which part of n tasks, so many of each number, are at a line: the slope of the regression, where they are many.
func (s *Lines) part(line string, have map[uint32]float64, n float64) float64 {
	if n < manyAtLine {
		return 1
	}
	mean, both, square := n/tags, 0.0, 0.0
	for tag, own := range have {
		both += own * s.byTag[tag][line]
		square += own * own
	}
	if square -= n * mean; square <= 0 { // all numbers alike
		return 1
	}
	return min(max((both-mean*s.count[line])/square, 0), 1)
}

// likelihood is how likely it is that n tasks, so many of each number, are at a line, and not elsewhere: the logarithm, but for what
// is the same for all lines.
func (s *Lines) likelihood(line string, have map[uint32]float64, n float64) (sum float64) {
	all := s.count[line]
	sum = math.Log(all + 0.1)     // of all that is left, where there is more it is likelier to be
	others := max(all-n, 0) + 0.1 // there may always be one more
	for tag, own := range have {
		seen := s.byTag[tag][line]
		if seen < own {
			sum += (own - seen) * unlikely
			own = seen
		}
		sum += poisson(seen-own, others/tags) - poisson(seen, (all+0.1)/tags)
	}
	return sum
}

// poisson is the logarithm of how likely it is that there are k where there are mean of them on the average.
func poisson(k, mean float64) float64 {
	factorial, _ := math.Lgamma(k + 1)
	return k*math.Log(mean) - mean - factorial
}
