// SPDX-License-Identifier: Apache-2.0

package grid

// linkedList is a list of what is linked through itself, so that to add one allocates nothing.
type linkedList[T any, P linkedItem[T]] struct{ first, last *T }

// links are embedded in what is in a linkedList, one at a time.
type links[T any] struct{ prev, next *T }

func (l *links[T]) linksOf() *links[T] { return l }

type linkedItem[T any] interface {
	*T
	linksOf() *links[T]
}

func (l *linkedList[T, P]) add(item *T) {
	of := P(item).linksOf()
	of.prev, of.next = l.last, nil
	if l.last == nil {
		l.first = item
	} else {
		P(l.last).linksOf().next = item
	}
	l.last = item
}

func (l *linkedList[T, P]) remove(item *T) {
	of := P(item).linksOf()
	if of.prev == nil {
		l.first = of.next
	} else {
		P(of.prev).linksOf().next = of.next
	}
	if of.next == nil {
		l.last = of.prev
	} else {
		P(of.next).linksOf().prev = of.prev
	}
	of.prev, of.next = nil, nil
}
