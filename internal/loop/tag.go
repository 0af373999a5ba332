// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync"
	"unsafe"
)

// A goroutine profile has the program counters of each goroutine's frames, and
// nothing that tells one goroutine from another. So each coroutine has two frames at
// its base that do: what it runs is called there from one of 64 places, each of which
// is a digit of a number that the coroutine has.
//
// Labels would tell, too, but they are the user's, and show in every profile. More
// such frames would tell more, but the collector walks the stack of each suspended
// task: four frames took a tenth of a burst of awaits (bench: burst/await). And of the few
// that run user code at a time two seldom have the same number; then both are shown.

// tags is how many numbers there are.
const tags = 64 * 64

// tagged is what has such frames.
type tagged interface {
	// begin is called first, and returns the number that the frames are to have; false: main
	// is not to be called.
	begin(yield func(struct{}) bool) (n uint32, ok bool)
	main()
}

// tagFrames returns a coroutine's body that calls first.main with its number in the frames below it.
// Each call in it, and in low, has a program counter of its own, and must be there once.
//
// It is for one coroutine after the other: a body for each would be an allocation more of each.
//
//go:noinline
func tagFrames(first *tagged) func(yield func(struct{}) bool) {
	return func(yield func(struct{}) bool) {
		b := *first
		*first = nil // others go on for longer than this one
		n, ok := b.begin(yield)
		if !ok {
			return
		}
		switch n % 64 {
		case 0:
			tagLowFrame(n/64, b)
		case 1:
			tagLowFrame(n/64, b)
		case 2:
			tagLowFrame(n/64, b)
		case 3:
			tagLowFrame(n/64, b)
		case 4:
			tagLowFrame(n/64, b)
		case 5:
			tagLowFrame(n/64, b)
		case 6:
			tagLowFrame(n/64, b)
		case 7:
			tagLowFrame(n/64, b)
		case 8:
			tagLowFrame(n/64, b)
		case 9:
			tagLowFrame(n/64, b)
		case 10:
			tagLowFrame(n/64, b)
		case 11:
			tagLowFrame(n/64, b)
		case 12:
			tagLowFrame(n/64, b)
		case 13:
			tagLowFrame(n/64, b)
		case 14:
			tagLowFrame(n/64, b)
		case 15:
			tagLowFrame(n/64, b)
		case 16:
			tagLowFrame(n/64, b)
		case 17:
			tagLowFrame(n/64, b)
		case 18:
			tagLowFrame(n/64, b)
		case 19:
			tagLowFrame(n/64, b)
		case 20:
			tagLowFrame(n/64, b)
		case 21:
			tagLowFrame(n/64, b)
		case 22:
			tagLowFrame(n/64, b)
		case 23:
			tagLowFrame(n/64, b)
		case 24:
			tagLowFrame(n/64, b)
		case 25:
			tagLowFrame(n/64, b)
		case 26:
			tagLowFrame(n/64, b)
		case 27:
			tagLowFrame(n/64, b)
		case 28:
			tagLowFrame(n/64, b)
		case 29:
			tagLowFrame(n/64, b)
		case 30:
			tagLowFrame(n/64, b)
		case 31:
			tagLowFrame(n/64, b)
		case 32:
			tagLowFrame(n/64, b)
		case 33:
			tagLowFrame(n/64, b)
		case 34:
			tagLowFrame(n/64, b)
		case 35:
			tagLowFrame(n/64, b)
		case 36:
			tagLowFrame(n/64, b)
		case 37:
			tagLowFrame(n/64, b)
		case 38:
			tagLowFrame(n/64, b)
		case 39:
			tagLowFrame(n/64, b)
		case 40:
			tagLowFrame(n/64, b)
		case 41:
			tagLowFrame(n/64, b)
		case 42:
			tagLowFrame(n/64, b)
		case 43:
			tagLowFrame(n/64, b)
		case 44:
			tagLowFrame(n/64, b)
		case 45:
			tagLowFrame(n/64, b)
		case 46:
			tagLowFrame(n/64, b)
		case 47:
			tagLowFrame(n/64, b)
		case 48:
			tagLowFrame(n/64, b)
		case 49:
			tagLowFrame(n/64, b)
		case 50:
			tagLowFrame(n/64, b)
		case 51:
			tagLowFrame(n/64, b)
		case 52:
			tagLowFrame(n/64, b)
		case 53:
			tagLowFrame(n/64, b)
		case 54:
			tagLowFrame(n/64, b)
		case 55:
			tagLowFrame(n/64, b)
		case 56:
			tagLowFrame(n/64, b)
		case 57:
			tagLowFrame(n/64, b)
		case 58:
			tagLowFrame(n/64, b)
		case 59:
			tagLowFrame(n/64, b)
		case 60:
			tagLowFrame(n/64, b)
		case 61:
			tagLowFrame(n/64, b)
		case 62:
			tagLowFrame(n/64, b)
		default:
			tagLowFrame(n/64, b)
		}
	}
}

// tagLowFrame is the second frame.
//
//go:noinline
func tagLowFrame(n uint32, b tagged) {
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
	case 15:
		b.main()
	case 16:
		b.main()
	case 17:
		b.main()
	case 18:
		b.main()
	case 19:
		b.main()
	case 20:
		b.main()
	case 21:
		b.main()
	case 22:
		b.main()
	case 23:
		b.main()
	case 24:
		b.main()
	case 25:
		b.main()
	case 26:
		b.main()
	case 27:
		b.main()
	case 28:
		b.main()
	case 29:
		b.main()
	case 30:
		b.main()
	case 31:
		b.main()
	case 32:
		b.main()
	case 33:
		b.main()
	case 34:
		b.main()
	case 35:
		b.main()
	case 36:
		b.main()
	case 37:
		b.main()
	case 38:
		b.main()
	case 39:
		b.main()
	case 40:
		b.main()
	case 41:
		b.main()
	case 42:
		b.main()
	case 43:
		b.main()
	case 44:
		b.main()
	case 45:
		b.main()
	case 46:
		b.main()
	case 47:
		b.main()
	case 48:
		b.main()
	case 49:
		b.main()
	case 50:
		b.main()
	case 51:
		b.main()
	case 52:
		b.main()
	case 53:
		b.main()
	case 54:
		b.main()
	case 55:
		b.main()
	case 56:
		b.main()
	case 57:
		b.main()
	case 58:
		b.main()
	case 59:
		b.main()
	case 60:
		b.main()
	case 61:
		b.main()
	case 62:
		b.main()
	default:
		b.main()
	}
}

func addressOf(c *coroutine) uintptr { return uintptr(unsafe.Pointer(c)) }

// tagNumber is the number of the place in c's frame, a hash of its address.
func (c *coroutine) tagNumber() uint32 { return tagOf(addressOf(c)) }

func tagOf(address uintptr) uint32 {
	h := uint64(address) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0x9E3779B97F4A7C15 // else neighbors have the same
	return uint32(h>>32) % tags
}

// tagCalls are the places in tag and in low, by program counter, with what each of
// them says of the number.
var tagCalls = sync.OnceValue(func() (calls [2]map[uintptr]uint32) {
	calls = [2]map[uintptr]uint32{{}, {}}
	for n := range uint32(64) {
		p := tagProbe{n: n*64 + n}
		first := tagged(&p)
		tagFrames(&first)(nil)
		calls[0][p.low], calls[1][p.tag] = n*64, n
	}
	return calls
})

// tagProbe learns from where main was called, and from where that.
type tagProbe struct {
	n        uint32
	low, tag uintptr
}

func (p *tagProbe) begin(func(struct{}) bool) (n uint32, ok bool) { return p.n, true }

func (p *tagProbe) main() {
	var pcs [2]uintptr
	runtime.Callers(2, pcs[:]) // Callers and main come first
	p.low, p.tag = pcs[0], pcs[1]
}

// tagIn is the tag in the frames of a goroutine, from the innermost on.
func tagIn(pcs []uintptr) (n uint32, ok bool) {
	calls := tagCalls()
	for i := len(pcs) - 1; i > 0; i-- {
		if high, is := calls[1][pcs[i]]; is {
			n, ok = calls[0][pcs[i-1]]
			return n + high, ok
		}
	}
	return 0, false
}
