package actors

import (
	"testing"
	"unsafe"
)

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
		{"submission of a task", unsafe.Sizeof(struct {
			submission[int]
			kin kinship
		}{}), 192},
		{"message", unsafe.Sizeof(message{}), 160},
		{"mailbox", unsafe.Sizeof(mailbox{}), 896 - 8},
	} {
		if c.size > c.max {
			t.Errorf("a %s has %d bytes, of %d", c.what, c.size, c.max)
		}
	}
}
