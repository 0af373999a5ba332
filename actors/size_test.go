package actors

import (
	"testing"
	"unsafe"
)

// TestSendersLine: what senders need of a worker is one cache line, from the
// entrance to the second word of the loop. The allocator puts a word before a
// mailbox.
func TestSendersLine(t *testing.T) {
	const header, line = 8, 64
	var mb mailbox
	begin, end := header+unsafe.Offsetof(mb.entrance), header+unsafe.Offsetof(mb.loop)+16
	if begin%line != 0 || end != begin+line {
		t.Errorf("it is from %d to %d of a mailbox, in lines of %d", begin, end, line)
	}
	if size := header + unsafe.Sizeof(mb); size <= 704 || size > 768 {
		t.Errorf("a mailbox takes %d bytes: not of the class of 768, the only one near that is whole lines", size)
	}
}

// TestSizes: what there is one of for every call stays in its size class of
// the allocator. Each 8 bytes more of a submission were 1.5 % of the time of
// a burst of them. A mailbox is for a worker, of which there may be many that
// are idle; the class is that with the 8 bytes that the allocator adds.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what      string
		size, max uintptr
	}{
		{"submission", unsafe.Sizeof(submission[int]{}), 160},
		{"request", unsafe.Sizeof(request[int]{}), 160},
		{"request with a Timeout", unsafe.Sizeof(struct {
			request[int]
			scope scope
		}{}), 192},
		{"submission of a task", unsafe.Sizeof(struct {
			submission[int]
			kin kinship
		}{}), 192},
		{"message", unsafe.Sizeof(message{}), 160},
		{"mailbox", unsafe.Sizeof(mailbox{}), 768 - 8},
	} {
		if c.size > c.max {
			t.Errorf("a %s has %d bytes, of %d", c.what, c.size, c.max)
		}
	}
}
