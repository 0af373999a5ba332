package loop

import (
	"runtime"
	"sync"
	"unsafe"
)

// A goroutine profile has the program counters of each goroutine's frames, and
// nothing that tells one goroutine from another. So each coroutine has a frame at
// its base that does: what it runs is called there from one of 16 places, which
// one is a number that the coroutine has.
//
// Labels would tell, too, but they are the user's, and show in every profile. More
// such frames would tell more, but the collector walks the stack of each suspended
// task: three frames more took a tenth of a burst of awaits, and more places take it
// longer to find its way. And of the few that run user code at a time two seldom have
// the same number; then both are shown.

// tags is how many places there are.
const tags = 16

// tagged is what has such a frame.
type tagged interface{ main() }

// tag returns a function that calls b.main from the nth place. Each call has a
// program counter of its own, and must be there once.
//
//go:noinline
func tag(n uint32, b tagged) func() {
	return func() {
		switch n {
		case 0:
			b.main()
		case 1:
			b.main()
		case 2:
			b.main()
		case 3:
			b.main()
		case 4:
			b.main()
		case 5:
			b.main()
		case 6:
			b.main()
		case 7:
			b.main()
		case 8:
			b.main()
		case 9:
			b.main()
		case 10:
			b.main()
		case 11:
			b.main()
		case 12:
			b.main()
		case 13:
			b.main()
		case 14:
			b.main()
		default:
			b.main()
		}
	}
}

func ptr(c *coroutine) uintptr { return uintptr(unsafe.Pointer(c)) }

// tag is the number of the place in c's frame, a hash of its address.
func (c *coroutine) tag() uint32 {
	h := uint64(ptr(c)) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0x9E3779B97F4A7C15 // else neighbors have the same
	return uint32(h>>32) % tags
}

// tagCalls are the places in tag, by program counter.
var tagCalls = sync.OnceValue(func() map[uintptr]uint32 {
	calls := map[uintptr]uint32{}
	for n := range uint32(tags) {
		var p tagProbe
		tag(n, &p)()
		calls[p.call] = n
	}
	return calls
})

// tagProbe learns from where tag has called main.
type tagProbe struct{ call uintptr }

func (p *tagProbe) main() {
	var pcs [1]uintptr
	runtime.Callers(2, pcs[:]) // Callers and main come first
	p.call = pcs[0]
}

// tagIn is the tag in the frames of a goroutine, from the innermost on.
func tagIn(pcs []uintptr) (n uint32, ok bool) {
	calls := tagCalls()
	for i := len(pcs) - 1; i >= 0; i-- {
		if n, ok = calls[pcs[i]]; ok {
			return n, true
		}
	}
	return 0, false
}
