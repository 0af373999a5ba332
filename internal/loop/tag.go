package loop

import (
	"runtime"
	"sync"
	"unsafe"
)

// A goroutine profile has the program counters of each goroutine's frames, and
// nothing that tells one goroutine from another. So each coroutine has frames at
// its base that do: tag calls itself from one of sixteen places for each digit of
// a number that is the coroutine's.
//
// Labels would tell, too, but they are the user's, and show in every profile.

// tagDigits is how many hexadecimal digits a tag has. Each costs every
// coroutine a frame; of the few that run user code at a time, two seldom have the
// same tag, and then both are shown.
const tagDigits = 3

// tagged is what runs above a tag's frames.
type tagged interface{ live() }

// tag calls b.live with n in the frames below it.
//
//go:noinline
func tag(n uint32, digits int, b tagged) {
	if digits == 0 {
		b.live()
		return
	}
	// Each call has a program counter of its own.
	switch n & 15 {
	case 0:
		tag(n>>4, digits-1, b)
	case 1:
		tag(n>>4, digits-1, b)
	case 2:
		tag(n>>4, digits-1, b)
	case 3:
		tag(n>>4, digits-1, b)
	case 4:
		tag(n>>4, digits-1, b)
	case 5:
		tag(n>>4, digits-1, b)
	case 6:
		tag(n>>4, digits-1, b)
	case 7:
		tag(n>>4, digits-1, b)
	case 8:
		tag(n>>4, digits-1, b)
	case 9:
		tag(n>>4, digits-1, b)
	case 10:
		tag(n>>4, digits-1, b)
	case 11:
		tag(n>>4, digits-1, b)
	case 12:
		tag(n>>4, digits-1, b)
	case 13:
		tag(n>>4, digits-1, b)
	case 14:
		tag(n>>4, digits-1, b)
	default:
		tag(n>>4, digits-1, b)
	}
}

func ptr(c *coroutine) uintptr { return uintptr(unsafe.Pointer(c)) }

// tag is the number in c's frames, a hash of its address.
func (c *coroutine) tag() uint32 {
	h := uint64(ptr(c)) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0x9E3779B97F4A7C15 // else neighbors have the same
	return uint32(h >> (64 - 4*tagDigits))
}

// tagCalls are the sixteen calls in tag, by program counter.
var tagCalls = sync.OnceValue(func() map[uintptr]uint32 {
	calls := map[uintptr]uint32{}
	for n := range uint32(16) {
		var p tagProbe
		tag(n, 1, &p)
		calls[p.call] = n
	}
	return calls
})

// tagProbe learns from where tag has called tag.
type tagProbe struct{ call uintptr }

func (p *tagProbe) live() {
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:]) // Callers, live and the inner tag come first
	p.call = pcs[0]
}

// tagIn is the tag in the frames of a goroutine, from the innermost on.
func tagIn(pcs []uintptr) (n uint32, ok bool) {
	calls, digits := tagCalls(), 0
	for i := len(pcs) - 1; i >= 0 && digits < tagDigits; i-- {
		if d, is := calls[pcs[i]]; is {
			n |= d << (4 * digits)
			digits++
		} else if digits > 0 {
			return 0, false
		}
	}
	return n, digits == tagDigits
}
