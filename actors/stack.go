package actors

import (
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/protoloop/protoloop/internal/loop"
)

// newPanicError is called by the deferred function that has recovered v.
func newPanicError(v any) *PanicError { return &PanicError{v, ownStack()} }

// loopPackage is how the names of the loop's functions begin: what is below
// them in a stack is not the task's.
var loopPackage = reflect.TypeFor[loop.Loop]().PkgPath() + "."

// ownStack is the stack from the panic down to the task. debug.Stack would walk
// on through the loop's machinery, three times over because it begins with a
// small buffer, and print the words of each frame's arguments: 16 µs, half of
// what a restart took.
func ownStack() []byte {
	var pcs [64]uintptr
	n := runtime.Callers(3, pcs[:])
	if n == len(pcs) { // deep: debug.Stack leaves out the middle
		return debug.Stack()
	}
	buf := make([]byte, 0, 1<<10)
	for frames := runtime.CallersFrames(pcs[:n]); ; {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, loopPackage) {
			return buf
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
			return buf
		}
	}
}
