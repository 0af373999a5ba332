package loop

import (
	"bytes"
	"fmt"
	"runtime"
	"unsafe"
)

// maxDump bounds a dump of all goroutines.
const maxDump = 16 << 20

// stackOf returns the stack of the goroutine that c is, out of a dump of all
// of them: Go has no other way to look at a goroutine. Its base is main, and
// the dump shows the receiver's address. nil if it was not found.
func stackOf(c *coroutine) []byte {
	mark := fmt.Appendf(nil, "(*coroutine).main(%#x", ptr(c))
	for size := 64 << 10; ; size *= 4 {
		buf := make([]byte, min(size, maxDump))
		n := runtime.Stack(buf, true)
		for block := range bytes.SplitSeq(buf[:n], []byte("\n\n")) {
			if bytes.Contains(block, mark) {
				return bytes.Clone(block)
			}
		}
		if n < len(buf) || size >= maxDump {
			return nil
		}
	}
}

// Stack returns the stack of the goroutine that t runs or is suspended on,
// or nil. It stops the world for as long as it takes to walk all goroutines.
func (t *Task) Stack() []byte {
	if c := t.co; c != nil {
		return stackOf(c)
	}
	return nil
}

func ptr(c *coroutine) uintptr { return uintptr(unsafe.Pointer(c)) }
