// SPDX-License-Identifier: Apache-2.0

package loop

import "testing"

// model is a loop with what posts to it, looks at it and takes it over, as far as the
// inbox and the runners' words go. It is a value: a step is a change of a copy. Each
// step has one atomic operation, and what it does to a word it reads from moveTable,
// as the functions of word.go do. What it does to the inbox is held to inboxTable.
type model struct {
	inbox  int8 // how many entries; asleep: nobody runs the loop
	wrong  bool // a move was made that inboxTable does not allow
	lane   int8 // the loop's own
	wakes  int8 // calls of a runner that are to be answered
	runs   int8 // which runner may run the loop
	runner [2]modelRunner
	post   int8 // how many are still to be posted
	call   bool // … and the poster has found the loop asleep
	others [2]modelLooker
	ran    int8 // turns that came to their end
	lost   int8 // turns that were taken away
	told   int8 // turns whose leave has reported that
}

const asleep = -1

type modelRunner struct {
	at    int8
	turn  int8
	place place
	token place // in looked; 0: none
}

// what a runner is about to do
const (
	runIdle int8 = iota
	runTake
	runEnter
	runLeave
	runWait // for whoever looks
	runSleep
	runOver
)

type modelLooker struct {
	at    int8
	looks int8 // still to do
	over  bool // it takes the turn over
	r     int8
	turn  int8
	place place // of the turn, when it was read
}

// what a looker is about to do
const (
	lookRead int8 = iota
	lookPin
	lookUnpin
	lookStore
	lookSend
	lookWake
)

// inboxState is that of n entries.
func (m *model) inboxState() inboxState {
	switch m.inbox {
	case asleep:
		return inboxIdle
	case 0:
		return inboxEmpty
	}
	return inboxFilled
}

// moveInbox has n entries in the inbox after a move.
func (m *model) moveInbox(by inboxMove, n int8) {
	want, ok := m.inboxState().after(by)
	m.inbox = n
	m.wrong = m.wrong || !ok || m.inboxState() != want
}

// endTurn is the end of the turn of runner i, seen from where.
func (m *model) endTurn(i int, from place) {
	if m.runner[i].at = runEnter; from == isLost {
		m.runner[i].at = runOver
		m.told++
		return
	}
	m.ran++
}

func (m *model) runStep(i int) bool {
	r := &m.runner[i]
	switch r.at {
	case runIdle:
		if m.wakes == 0 || int(m.runs) != i {
			return false
		}
		m.wakes--
		r.at = runTake
	case runTake:
		m.lane += m.inbox
		m.moveInbox(inboxTake, 0)
		r.at = runEnter
	case runEnter:
		if m.lane == 0 {
			r.at = runSleep
			break
		}
		m.lane--
		r.turn++
		r.place, _ = r.place.afterMove(enter)
		r.at = runLeave
	case runLeave:
		from := r.place
		to, ok := from.afterMove(leave)
		if ok {
			r.place = to
		}
		if from == isPinned {
			r.at = runWait
		} else {
			m.endTurn(i, from)
		}
	case runWait:
		if r.token == 0 {
			return false
		}
		m.endTurn(i, r.token)
		r.token = 0
	case runSleep:
		r.at = runTake
		if _, ok := m.inboxState().after(inboxSleep); ok {
			m.moveInbox(inboxSleep, asleep)
			r.at = runIdle
		}
	default:
		return false
	}
	return true
}

func (m *model) postStep() bool {
	switch {
	case m.call:
		m.call = false
		m.wakes++
	case m.post == 0:
		return false
	case m.inbox == asleep:
		m.moveInbox(inboxPush, 1)
		m.post, m.call = m.post-1, true
	default:
		m.moveInbox(inboxPush, m.inbox+1)
		m.post--
	}
	return true
}

func (k *modelLooker) move() move {
	switch {
	case k.over:
		return unpinTakeOver
	case k.place == inReported:
		return unpinReport
	}
	return unpin
}

func (m *model) lookStep(i int) bool {
	k := &m.others[i]
	if k.at == lookRead && k.looks == 0 {
		return false
	}
	if k.at == lookRead {
		k.looks--
		k.r = m.runs
		r := m.runner[k.r]
		k.turn, k.place, k.at = r.turn, r.place, lookPin
		return true
	}
	r := &m.runner[k.r]
	switch k.at {
	case lookPin:
		k.at = lookRead
		if to, ok := k.place.afterMove(pin); ok && r.turn == k.turn && r.place == k.place {
			r.place, k.at = to, lookUnpin
		}
	case lookUnpin:
		if k.at = lookStore; r.place == isPinned {
			r.place, _ = isPinned.afterMove(k.move())
			k.done(m, lookRead)
		}
	case lookStore:
		r.place, _ = isAwaited.afterMove(k.move())
		k.at = lookSend
	case lookSend:
		r.token, _ = isPinned.afterMove(k.move())
		k.done(m, lookRead)
	case lookWake: // the loop is the taker's
		m.runs++
		m.wakes++
		k.at = lookRead
	}
	return true
}

func (k *modelLooker) done(m *model, at int8) {
	if k.at = at; k.over {
		m.lost++
		k.at = lookWake
	}
}

// TestModelOfALoop goes through all states that a loop can come to with three messages,
// somebody who looks twice, and somebody who takes a turn over, in whatever order they
// take their steps.
func TestModelOfALoop(t *testing.T) {
	const posts = 3
	begin := model{inbox: asleep, post: posts}
	for i := range begin.runner {
		begin.runner[i].place = inLoop
	}
	begin.others[0].looks = 2
	begin.others[1] = modelLooker{looks: 1, over: true}
	seen := map[model]bool{}
	ends, takeovers := 0, 0
	var visit func(m model)
	visit = func(m model) {
		if seen[m] {
			return
		}
		seen[m] = true
		if m.ran+m.lost > posts {
			t.Fatalf("a message has had two turns: %+v", m)
		}
		if m.wrong {
			t.Fatalf("the inbox was moved as the table does not allow: %+v", m)
		}
		if m.told > m.lost {
			t.Fatalf("a turn was told twice that it is lost: %+v", m)
		}
		for _, k := range m.others {
			r := m.runner[k.r]
			pinned := r.place == isPinned || r.place == isAwaited
			if (k.at == lookUnpin || k.at == lookStore) && (!pinned || r.turn != k.turn) {
				t.Fatalf("the turn does not stay that is looked at: %+v", m)
			}
		}
		moved := false
		next := func(step func(*model) bool) {
			if after := m; step(&after) {
				moved = true
				visit(after)
			}
		}
		for i := range 2 {
			next(func(m *model) bool { return m.runStep(i) })
			next(func(m *model) bool { return m.lookStep(i) })
		}
		next((*model).postStep)
		if moved {
			return
		}
		ends++
		takeovers += int(m.lost)
		if m.inbox != asleep || m.lane != 0 || m.wakes != 0 || m.ran+m.lost != posts || m.told != m.lost {
			t.Fatalf("it ends with something undone: %+v", m)
		}
		for _, r := range m.runner {
			if r.at != runIdle && r.at != runOver || r.place != inLoop && r.at == runIdle || r.place != isLost && r.at == runOver {
				t.Fatalf("a runner waits for ever, or does not know where it is: %+v", m)
			}
		}
	}
	visit(begin)
	t.Logf("%d states, %d ends, %d of them after a takeover", len(seen), ends, takeovers)
	if len(seen) < 1000 || takeovers == 0 || takeovers == ends {
		t.Error("the model does not come to what it is to show")
	}
}
