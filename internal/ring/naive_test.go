// SPDX-License-Identifier: Apache-2.0

package ring

import "testing"

// naive is the reference: of nodes that stand still, those that are stuck for good
// if self never goes on. It takes all for stuck, and lets those go that can go on
// by the others, until none is left that can.
func naive(all []Node, self Node) map[Node]bool {
	stuck := map[Node]bool{}
	for _, n := range all {
		stuck[n] = true
	}
	for changed := true; changed; {
		changed = false
		for _, n := range all {
			if n != self && stuck[n] && goes(n, stuck) {
				delete(stuck, n)
				changed = true
			}
		}
	}
	return stuck
}

// goes reports whether n goes on by what is not stuck.
func goes(n Node, stuck map[Node]bool) bool {
	w := n.Wait()
	blocked, skipped := 0, 0
	for k := range w.size() {
		_, m, a := w.member(n, k)
		switch {
		case a == Free:
			return true
		case a == Skip:
			if skipped++; skipped == w.Skips {
				return true
			}
		case stuck[m]:
			blocked++
		case w.Any:
			return true
		}
	}
	return blocked == 0
}

// leads reports whether there is a way from n to self through what is stuck.
func leads(n, self Node, stuck map[Node]bool) bool {
	seen, left := map[Node]bool{}, []Node{n}
	for len(left) > 0 {
		n := left[len(left)-1]
		left = left[:len(left)-1]
		if n == self {
			return true
		}
		if seen[n] || !stuck[n] {
			continue
		}
		seen[n] = true
		w := n.Wait()
		for k := range w.size() {
			if _, m, a := w.member(n, k); a == Follow {
				left = append(left, m)
			}
		}
	}
	return false
}

// FuzzRing compares the searches in a graph that stands still with the reference.
// The first byte is the number of nodes; then, for each, one that says what it
// waits for and how many members it has, and one for each member.
func FuzzRing(f *testing.F) {
	f.Add([]byte{3, 0x10, 1, 0x10, 2, 0x10, 0})
	f.Add([]byte{4, 0x20, 1, 2, 0x21, 0, 3, 0x11, 0, 0x10, 1})
	f.Add([]byte{5, 0x10, 1, 0x31, 2, 3, 4, 0x20, 1, 0, 0x12, 1, 0x23, 0, 1})
	for i := range 16 {
		long := make([]byte, 300)
		for k := range long {
			long[k] = byte(k * (k + i) * (2*i + 7) >> 2)
		}
		f.Add(long)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		all := pointsOf(data)
		self := all[0].(*point)
		for _, first := range self.to {
			if first == nil {
				continue
			}
			stuck := naive(all, self)
			if got := Stuck(self, first); got != stuck[first] {
				t.Errorf("Stuck from %v is %v, want %v", first, got, stuck[first])
			}
			path, found := breaks(self, first)
			if want := stuck[first] && leads(first, self, stuck); found != want {
				t.Errorf("Break from %v is %v, want %v", first, found, want)
			}
			if found {
				checkPath(t, self, first, path, stuck)
			}
		}
		stuck := naive(all, nil)
		for _, n := range all {
			if got := Stuck(nil, n); got != stuck[n] {
				t.Errorf("Stuck of %v without anybody who looks is %v, want %v", n, got, stuck[n])
			}
		}
	})
}

func pointsOf(data []byte) []Node {
	all := make([]Node, 1+data[0]%24)
	for i := range all {
		all[i] = &point{name: string(rune('a' + i))}
	}
	data = data[1:]
	next := func() (b byte) {
		if len(data) > 0 {
			b, data = data[0], data[1:]
		}
		return b
	}
	for _, n := range all {
		p, how := n.(*point), next()
		p.any = how&1 != 0
		for range how >> 4 & 7 {
			m := next()
			p.to, p.free = append(p.to, all[int(m)%len(all)]), append(p.free, m >= 250)
			if m%32 == 31 {
				p.to[len(p.to)-1] = nil
			}
		}
		switch how >> 1 & 7 {
		case 1:
			p.skips = 1
		case 2:
			p.skips = 2
		case 3:
			p.from = len(p.to) / 2
		case 4:
			for _, m := range p.to {
				if m != nil {
					p.list = append(p.list, m)
				}
			}
		}
	}
	return all
}

// checkPath fails the test unless each node of the path waits for the next one,
// and the last one for self.
func checkPath(t *testing.T, self, first Node, path []Node, stuck map[Node]bool) {
	if len(path) == 0 {
		if first != self {
			t.Errorf("the path from %v is empty", first)
		}
		return
	}
	if path[0] != first {
		t.Errorf("the path %v begins at %v", path, first)
	}
	for i, n := range path {
		next := self
		if i+1 < len(path) {
			next = path[i+1]
		}
		w, waits := n.Wait(), false
		for k := range w.size() {
			_, m, a := w.member(n, k)
			waits = waits || a == Follow && m == next
		}
		if !waits || !stuck[n] {
			t.Errorf("on the path %v, %v does not wait for %v, or is not stuck", path, n, next)
		}
	}
}
