// SPDX-License-Identifier: Apache-2.0

package loop

import "sync/atomic"

// word says where a runner is, in which of its turns: turn<<placeBits | place.
type word uint64

// place is where a runner is, from the point of view of everybody else.
type place uint8

const (
	inLoop     place = iota + 1 // it owns its loop, or has none
	inUser                      // in user code
	inReported                  // in user code, and the watchdog has reported the turn
	isPinned                    // in user code, and somebody looks: the turn must not end
	isAwaited                   // the turn is over, and waits for whoever looks
	isLost                      // in user code, and the turn was taken away: for good
	places

	placeBits = 3
	placeMask = 1<<placeBits - 1
)

// move is a reason for a word to change.
type move uint8

const (
	enter         move = iota // the runner begins user code, which is a new turn
	leave                     // the runner comes back from user code
	pin                       // anybody: has the turn stay, to read what the loop owns
	unpin                     // whoever has pinned it: all is as before
	unpinReport               // …: the turn has been reported, now or before
	unpinTakeOver             // …: the turn has lost its loop
	moves
)

// moveTable says who may bring a word from where to where. What is not in it
// does not happen: a move from there fails, and changes nothing.
//
// A runner alone makes the moves enter and leave. All others are between pin and an
// unpin, and one goroutine at a time is there: pin is an exchange, and nobody pins
// what is pinned. A turn that ends meanwhile does not spin, because whoever has
// pinned it may have lost its processor: it says that it waits, and is called. Its
// turn is over then, rather than in user code again, or whoever pins it over and
// over would keep it for ever.
//
// A turn that is lost never comes back: its runner ends when user code returns.
// So leave fails from isLost, as often as it is tried.
var moveTable = [moves][places]place{
	enter:         {inLoop: inUser},
	leave:         {inUser: inLoop, inReported: inLoop, isPinned: isAwaited},
	pin:           {inUser: isPinned, inReported: isPinned},
	unpin:         {isPinned: inUser, isAwaited: inLoop},
	unpinReport:   {isPinned: inReported, isAwaited: inLoop},
	unpinTakeOver: {isPinned: isLost, isAwaited: isLost},
}

// afterMove is where a move leads from p; ok is false if it is not allowed there.
func (p place) afterMove(m move) (to place, ok bool) {
	to = moveTable[m][p]
	return to, to != 0
}

func wordOf(turn uint64, p place) word { return word(turn<<placeBits | uint64(p)) }

// placeOf is where the runner is.
func (w word) placeOf() place { return place(w & placeMask) }

// withPlace is w with another place: the same turn.
func (w word) withPlace(p place) word { return w&^placeMask | word(p) }

// sameTurn reports whether w and v are of one turn of one runner.
func (w word) sameTurn(v word) bool { return w&^placeMask == v&^placeMask }

// turnWord is a runner's word. What is written into one is written by its methods
// enter, leave, leaveSlow, pin and unpin, which TestMoveTable holds to the table.
type turnWord struct {
	bits atomic.Uint64

	// looked calls the runner that waits for whoever looks, with the place that its
	// turn would have by then.
	looked chan place
}

func (s *turnWord) initWord() {
	s.looked = make(chan place, 1)
	s.bits.Store(uint64(wordOf(0, inLoop)))
}

func (s *turnWord) loadWord() word { return word(s.bits.Load()) }

// isTurnLost reports whether the turn was taken away.
func (s *turnWord) isTurnLost() bool { return s.loadWord().placeOf() == isLost }

// tryMove makes a move from w. It reports false if the word is another by now, or the
// move is not allowed.
func (s *turnWord) tryMove(m move, w word) bool {
	to, ok := w.placeOf().afterMove(m)
	return ok && s.bits.CompareAndSwap(uint64(w), uint64(w.withPlace(to)))
}

// enterTurn begins a turn. Like leaveTurn it does without the table: the two cost one atomic
// operation each in every turn (BenchmarkTurnWord). By the runner.
func (s *turnWord) enterTurn(turn uint64) {
	yieldAt(atEnter)
	s.bits.Store(uint64(wordOf(turn, inUser)))
}

// leaveTurn ends a turn that nobody has looked at, or reports false. By the runner.
func (s *turnWord) leaveTurn(turn uint64) bool {
	yieldAt(atLeave)
	return s.bits.CompareAndSwap(uint64(wordOf(turn, inUser)), uint64(wordOf(turn, inLoop)))
}

// leaveSlow ends whatever turn there is, and returns from where. It waits for whoever
// looks. From inLoop there was none, and from isLost there is none any more. By the
// runner.
func (s *turnWord) leaveSlow() (from place) {
	for {
		w := s.loadWord()
		yieldAt(atLeaveSlow)
		switch from = w.placeOf(); {
		case from == inLoop, from == isLost:
			return from
		case !s.tryMove(leave, w):
		case from == isPinned:
			yieldAt(atWaitLooked)
			return <-s.looked
		default:
			return from
		}
	}
}

// pinWord keeps a turn that was w when it was looked at last from ending. By anybody.
func (s *turnWord) pinWord(w word) bool {
	yieldAt(atPin)
	return s.tryMove(pin, w)
}

// unpinWord lets the turn that was pinned as w go on, by one of the moves unpin…, and
// reports whether it has waited for that. By whoever has pinned it.
func (s *turnWord) unpinWord(w word, m move) (waited bool) {
	yieldAt(atUnpin)
	if s.tryMove(m, w.withPlace(isPinned)) {
		return false
	}
	yieldAt(atUnpinStore)
	to, _ := isAwaited.afterMove(m) // nobody but the runner has changed it
	s.bits.Store(uint64(w.withPlace(to)))
	place, _ := isPinned.afterMove(m)
	yieldAt(atUnpinCall)
	s.looked <- place
	return true
}

// undoPin is the move that undoes a pin of w.
func (w word) undoPin() move {
	if w.placeOf() == inReported {
		return unpinReport
	}
	return unpin
}
