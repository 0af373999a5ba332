// SPDX-License-Identifier: Apache-2.0

package loop

// fifo is a queue of tasks, linked by next. Its items are numbered from out to
// in, so that a task that yields can tell when all that was there has gone. They
// stay so whatever is put back before them: in - out is always the length.
type fifo struct {
	head, tail *Task
	in, out    uint32 // they wrap
}

func (q *fifo) len() int { return int(q.in - q.out) }

func (q *fifo) push(t *Task) {
	t.next = nil
	if q.tail == nil {
		q.head = t
	} else {
		q.tail.next = t
	}
	q.tail = t
	q.in++
}

// append adds n tasks that are linked in order.
func (q *fifo) append(first, last *Task, n int) {
	last.next = nil
	if q.tail == nil {
		q.head = first
	} else {
		q.tail.next = first
	}
	q.tail = last
	q.in += uint32(n)
}

// pushFront puts t before all others.
func (q *fifo) pushFront(t *Task) {
	t.next = q.head
	q.head = t
	if q.tail == nil {
		q.tail = t
	}
	q.out--
}

func (q *fifo) pop() *Task {
	t := q.head
	if t == nil {
		return nil
	}
	q.head = t.next
	if q.head == nil {
		q.tail = nil
	}
	t.next = nil
	q.out++
	return t
}

// prepend puts all of o, in order, before q.
func (q *fifo) prepend(o *fifo) {
	if o.head == nil {
		return
	}
	o.tail.next = q.head
	if q.tail == nil {
		q.tail = o.tail
	}
	q.head = o.head
	q.out -= uint32(o.len())
	*o = fifo{}
}
