// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/coro"
)

// Go has no way to look at one other goroutine. There are two to look at all:
//
//   - runtime.Stack stops the world while it writes about all of them, for seconds
//     with 100,000 suspended tasks (BenchmarkStacks). It has the state of
//     each, its arguments and its outermost frames, however deep it is.
//   - The goroutine profile stops the world for a moment only and walks the
//     goroutines beside those that run. It has the innermost frames of each, 128
//     unless GODEBUG says otherwise.

// fullDumpMax is how many goroutines there may be for runtime.Stack.
const fullDumpMax = 500

// maxDump bounds what it writes: that many are at most 100 frames deep there.
const maxDump = 16 << 20

// stacks is what one pass over all goroutines has found.
type stacks struct {
	dump  []byte                 // of runtime.Stack; nil: what follows is of a profile
	byTag map[uint32][][]uintptr // the frames of coroutines that are not suspended
	deep  [][]uintptr            // those whose outermost frames are not in the profile
}

// takeStacks looks at all goroutines.
func takeStacks() *stacks {
	if n := runtime.NumGoroutine(); n <= fullDumpMax {
		if dump := dumpAll(n); dump != nil {
			return &stacks{dump: dump}
		}
	}
	return profileAll()
}

// dumpAll is runtime.Stack of n goroutines; nil if it is too long.
func dumpAll(n int) []byte {
	for size := max(64<<10, n<<11); size <= maxDump; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < len(buf) {
			return buf[:n]
		}
	}
	return nil
}

// GoroutineText is about all goroutines, in blocks with an empty line between them: that
// of runtime.Stack, with a block and the arguments of each, or if they are many the
// profile with debug=1, in which those with the same frames share a block.
func GoroutineText() (text []byte, whole bool) {
	if n := runtime.NumGoroutine(); n <= fullDumpMax {
		if dump := dumpAll(n); dump != nil {
			return dump, true
		}
	}
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1)
	return buf.Bytes(), false
}

// profileAll reads the goroutine profile. In the form with debug=1 each line
// that begins with a number is of the goroutines that have the same frames.
func profileAll() *stacks {
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1)
	s := &stacks{byTag: map[uint32][][]uintptr{}}
	for line := range bytes.Lines(buf.Bytes()) {
		_, pcs := parseStack(line)
		s.addGoroutine(pcs)
	}
	return s
}

// addGoroutine notes a goroutine with these frames, unless it is a coroutine that is
// suspended, or none of ours.
func (s *stacks) addGoroutine(pcs []uintptr) {
	if len(pcs) == 0 {
		return
	}
	n, ok := tagIn(pcs)
	deep := !ok && !isBaseFrame(pcs[len(pcs)-1])
	switch {
	case !ok && !deep || isSuspended(pcs):
	case deep:
		s.deep = append(s.deep, pcs)
	default:
		s.byTag[n] = append(s.byTag[n], pcs)
	}
}

// isBaseFrame reports whether a frame is the outermost of a goroutine.
func isBaseFrame(pc uintptr) bool {
	f := runtime.FuncForPC(pc)
	return f != nil && f.Name() == "runtime.goexit"
}

// yieldName is the function in which coroutines are suspended.
var yieldName = reflect.TypeFor[coro.Coro]().PkgPath() + ".(*Coro).Yield"

// isSuspended reports whether a goroutine with these frames is a coroutine that
// has yielded.
func isSuspended(pcs []uintptr) bool {
	frames := runtime.CallersFrames(pcs[:min(len(pcs), 6)])
	for {
		f, more := frames.Next()
		if f.Function == yieldName {
			return true
		}
		if !more {
			return false
		}
	}
}

// stackOf returns the stack of the goroutine that c is, which runs user code; nil if
// it was not found.
func (s *stacks) stackOf(c *coroutine) []byte {
	if s.dump != nil {
		// Its base is main, and the dump shows the receiver's address.
		mark := fmt.Appendf(nil, "(*coroutine).main(%#x", addressOf(c))
		for block := range bytes.SplitSeq(s.dump, []byte("\n\n")) {
			if bytes.Contains(block, mark) {
				return bytes.Clone(block)
			}
		}
		return nil
	}
	found, note := s.byTag[c.tagNumber()], ""
	if found == nil {
		found = s.deep
		if len(found) > 0 {
			note = fmt.Sprintf("the %d innermost of its frames:\n", len(found[0]))
		}
	}
	if len(found) > 1 {
		note += fmt.Sprintf("one of these %d goroutines:\n", len(found))
	}
	text := []byte(note)
	for i, pcs := range found {
		if i == maxAlike {
			text = fmt.Appendf(text, "\n… and %d more\n", len(found)-i)
			break
		}
		if i > 0 {
			text = append(text, '\n')
		}
		text, _ = AppendFrames(text, pcs, nil)
	}
	return slices.Clip(text)
}

// maxAlike is how many goroutines that may be the one are shown.
const maxAlike = 5

// loopPackage is how the names of the loop's functions begin: what is below
// them in a stack is not the task's.
var loopPackage = reflect.TypeFor[Loop]().PkgPath() + "."

// AppendFrames appends the text of a stack down to the first frame of the loop, or of one of the
// functions that are named. It returns how many frames that were.
func AppendFrames(buf []byte, pcs []uintptr, bases []string) (text []byte, n int) {
	frames := runtime.CallersFrames(pcs)
	for n = 0; ; n++ {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, loopPackage) || slices.Contains(bases, f.Function) {
			break
		}
		name := f.Function
		if name == "runtime.gopanic" {
			name = "panic" // as debug.Stack has it
		}
		buf = append(buf, name...)
		buf = append(buf, "(...)\n\t"...)
		buf = append(buf, f.File...)
		buf = append(buf, ':')
		buf = strconv.AppendInt(buf, int64(f.Line), 10)
		buf = append(buf, " +0x"...)
		buf = strconv.AppendUint(buf, uint64(f.PC-f.Entry), 16)
		buf = append(buf, '\n')
		if !more {
			return buf, len(pcs)
		}
	}
	return buf, n
}

// passes lets one pass over all goroutines serve all who wait for one.
type passes struct {
	asked atomic.Uint64

	mu    sync.Mutex
	last  *stacks // while somebody may want it
	began uint64  // asked when it began
}

// stacks returns what a pass has found that has begun after the call.
func (s *passes) stacks() *stacks {
	ticket := s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.began < ticket {
		s.began = s.asked.Load()
		s.last = takeStacks()
	}
	found := s.last
	if s.asked.Load() == s.began {
		s.last = nil // nobody waits
	}
	return found
}

// Stack returns the stack of the goroutine that t, a task of l's, has its turn
// on, or nil. With many goroutines that takes long, beside all else: see BenchmarkStacks.
func (l *Loop) Stack(t *Task) []byte {
	if c := t.co; c != nil {
		return l.pool.passes.stacks().stackOf(c)
	}
	return nil
}
