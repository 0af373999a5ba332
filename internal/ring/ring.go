// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"slices"
	"sync"
)

// Node is something that waits for others, or may do so later. Nodes are
// compared by ==. All methods are called on any goroutine.
type Node interface {
	// Probe lets the node know, for good, that a holder waits for it. What it
	// starts to wait for afterwards it has to look at itself.
	Probe()
	// Wait says what the node waits for now.
	Wait() Wait
	// Member is the i-th of what a Wait without a List counts.
	Member(i int) (Node, Answer)
	// Prefer is called with the member that kept the node from being stuck, or
	// may do so: the next Wait of one that waits for any of its members had
	// better begin with it.
	Prefer(i int)
}

// Wait is what a node waits for: all of some nodes, or any one of them. One that
// waits for nothing has no members.
type Wait struct {
	ID   any  // tells this wait of the node from its next one
	Any  bool // one is enough
	From int  // the member to ask first
	N    int  // members …
	List []Node
	// Skips is, if it is not zero, how many members that are skipped are enough
	// for the node to go on.
	Skips int
}

// Answer says what to make of a member.
type Answer uint8

const (
	Skip   Answer = iota // nothing is to come from it any more, or it keeps nobody
	Follow               // it is the node to look at
	Free                 // because of it the whole node goes on
)

func (w *Wait) size() int {
	if w.List != nil {
		return len(w.List)
	}
	return w.N
}

// member is the k-th to ask.
func (w *Wait) member(n Node, k int) (i int, m Node, a Answer) {
	if w.List != nil {
		return k, w.List[k], Follow
	}
	i = (w.From + k) % w.N
	m, a = n.Member(i)
	return i, m, a
}

// Stuck reports whether what n waits for seems to come only after self has gone
// on, or never: whether n is in a ring with self, or waits for one. If not, self
// has nothing to fear from it: whoever is to go on first has the probe.
func Stuck(self, n Node) bool {
	if goesOn(self, n) {
		return false
	}
	return newSearch(self).isStuck(n)
}

// goesOn reports whether n goes on without self, as far as that is to be seen
// without remembering the way: it goes along a chain of nodes that wait for one
// thing each, or need but one. It needs no memory, however long the chain is.
func goesOn(self, n Node) bool {
	var met Node // now and then the one it is at: to find out that it goes in circles
	for steps, next := 0, 1; ; steps++ {
		if n == self || n == met {
			return false
		}
		if steps == next {
			met, next = n, 2*next
		}
		n.Probe()
		on, free := onlyWait(n)
		if free {
			return true
		}
		if on == nil {
			return false
		}
		n = on
	}
}

// onlyWait returns the one node that n waits for, or one that is enough. nil:
// there are several.
func onlyWait(n Node) (on Node, free bool) {
	w := n.Wait()
	skipped := 0
	for k := range w.size() {
		i, m, a := w.member(n, k)
		switch {
		case a == Free:
			n.Prefer(i)
			return nil, true
		case a == Skip:
			if skipped++; skipped == w.Skips {
				return nil, true
			}
		case w.Any:
			n.Prefer(i)
			return m, false
		case on != nil:
			return nil, false
		default:
			on = m
		}
	}
	return on, on == nil
}

// Graph is nodes that can be in a ring with each other. The zero value is ready.
type Graph struct {
	mu sync.Mutex // of whoever takes a node out of a ring
}

// Break decides about a suspicion: self waits for n, as long as holds reports
// so. If they are in a ring it calls cut with the nodes from n on, which have
// self behind the last one. cut has to end the wait of self: from then on there
// is no ring. No other cut is called meanwhile.
func (g *Graph) Break(self, n Node, holds func() bool, cut func(path []Node)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		s := newSearch(self)
		if !s.isStuck(n) || s.path == nil {
			return false
		}
		if !holds() {
			return false
		}
		if s.stillHolds() {
			cut(s.path)
			return true
		} // else something has moved, but there may be another ring
	}
}

// search finds out who is stuck, and remembers the way. What it takes for stuck
// waits for self or, in the end, for itself: it never goes on by itself.
//
// Nodes that are on the way are taken for stuck until one of them is found not
// to be; then all that was found since is forgotten.
type search struct {
	self  Node
	stuck map[Node]bool
	free  map[Node]bool // found not to be, even if all on the way are
	trail []Node        // those stuck, in order
	found []evidence
	way   []visit // a list, and no call within a call: it may be longer than a stack is deep
	path  []Node  // the way to where it has come back to self, first
}

// visit is a node on the way, and how far it has been asked.
type visit struct {
	evidence
	asked   int    // members, so far
	skipped int    // … of which so many were skipped
	last    member // that was asked
	stuck   bool   // as far as is known
	start   mark
}

// evidence is why a node was found to be stuck: it waits for these, or for any of
// its members, which all are stuck.
type evidence struct {
	node    Node
	wait    Wait
	members []member
}

type member struct {
	i    int
	node Node
}

// mark is a point of the search to go back to.
type mark struct {
	trail, found int
	path         []Node
}

func newSearch(self Node) *search {
	return &search{self: self, stuck: map[Node]bool{}, free: map[Node]bool{}}
}

// isStuck looks at all that n waits for, not only until something is found: self
// may be behind the rest.
func (s *search) isStuck(n Node) bool {
	stuck, known := s.beginVisit(n)
	for len(s.way) > 0 {
		v := &s.way[len(s.way)-1]
		over := known && s.takeAnswer(v, stuck)
		if !over {
			stuck, known, over = s.askNext(v)
		}
		if over {
			stuck, known = s.endVisit(), true
		}
	}
	return stuck
}

// beginVisit begins the visit of n, unless the answer is known.
func (s *search) beginVisit(n Node) (stuck, known bool) {
	switch {
	case n == s.self:
		if s.path == nil {
			s.path = make([]Node, len(s.way), len(s.way)+1)
			for i := range s.way {
				s.path[i] = s.way[i].node
			}
		}
		return true, true
	case s.stuck[n]:
		return true, true
	case s.free[n]:
		return false, true
	}
	start := mark{len(s.trail), len(s.found), s.path}
	s.stuck[n] = true
	s.trail = append(s.trail, n)
	n.Probe() // before the look: see the package comment
	s.way = append(s.way, visit{evidence: evidence{node: n, wait: n.Wait()}, start: start})
	return false, false
}

// askNext asks the next member, and returns the answer if that is known at once.
func (s *search) askNext(v *visit) (stuck, known, over bool) {
	for v.asked < v.wait.size() {
		i, m, a := v.wait.member(v.node, v.asked)
		v.asked++
		switch a {
		case Follow:
			v.last = member{i, m}
			stuck, known = s.beginVisit(m)
			return stuck, known, false
		case Free:
			v.node.Prefer(i)
			v.stuck = false
			return false, false, true
		}
		if v.skipped++; v.skipped == v.wait.Skips {
			v.stuck = false
			return false, false, true
		}
	}
	return false, false, true
}

// takeAnswer takes the answer of the member that was asked last. It reports whether
// that settles it.
func (s *search) takeAnswer(v *visit, stuck bool) (over bool) {
	switch {
	case stuck:
		v.stuck = true
		if !v.wait.Any {
			v.members = append(v.members, v.last)
		}
	case v.wait.Any:
		v.node.Prefer(v.last.i)
		v.stuck = false
		return true
	}
	return false
}

// endVisit ends the last visit, and returns its answer.
func (s *search) endVisit() (stuck bool) {
	v := s.way[len(s.way)-1]
	s.way[len(s.way)-1] = visit{}
	s.way = s.way[:len(s.way)-1]
	if v.stuck {
		s.found = append(s.found, v.evidence)
		return true
	}
	for _, n := range s.trail[v.start.trail:] {
		delete(s.stuck, n)
	}
	s.trail, s.found, s.path = s.trail[:v.start.trail], s.found[:v.start.found], v.start.path
	s.free[v.node] = true
	return false
}

// stillHolds reports whether all that was found still is so. Then it all was at the
// moment when this began, and what is stuck at one moment is so for ever; unless a
// node waits for all of its members, and one that is not stuck lets it go later:
// what might let it go is not taken into account.
func (s *search) stillHolds() bool {
	return !slices.ContainsFunc(s.found, func(e evidence) bool {
		w := e.node.Wait()
		return w.ID != e.wait.ID || w.Any != e.wait.Any || w.Any && !s.allStuck(e.node, &w) || !w.Any && !e.stillHolds(&w)
	})
}

// stillHolds reports whether the node waits for what it was found to wait for, and
// nothing else has let it go.
func (e *evidence) stillHolds(w *Wait) bool {
	left := e.members
	for k := range w.size() {
		switch i, m, a := w.member(e.node, k); {
		case a == Free:
			return false
		case a == Follow && len(left) > 0 && left[0].node == m && (w.List != nil || left[0].i == i):
			left = left[1:]
		}
	}
	return len(left) == 0
}

// allStuck reports whether n waits for any of its members, and these are all
// stuck.
func (s *search) allStuck(n Node, w *Wait) bool {
	skipped, waits := 0, false
	for k := range w.size() {
		_, m, a := w.member(n, k)
		switch {
		case a == Free:
			return false
		case a == Skip:
			if skipped++; skipped == w.Skips {
				return false
			}
		case m != s.self && !s.stuck[m]:
			return false
		default:
			waits = true
		}
	}
	return waits
}
