// SPDX-License-Identifier: Apache-2.0

package life

import (
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
)

// TestChildTable: what each event does in each state that can be reached.
func TestChildTable(t *testing.T) { golden(t, "child.txt", ChildTable().Golden()) }

func TestSupervisorTable(t *testing.T) { golden(t, "supervisor.txt", SupervisorTable().Golden()) }

// A supervisor gets rid of a child by itself, whatever that does or does not: by
// stopping it, by leaving it behind and by forgetting it.
func TestChildEnds(t *testing.T) {
	for _, c := range ChildTable().States() {
		if c.state == ChildSpawning {
			continue // Spawn returns, or panics
		}
		for _, e := range []ChildEvent{ChildStopAsked, ChildGraceOver, ChildAbandoned, ChildForgotten} {
			c, _ = c.On(e, ChildFacts{})
		}
		if c != (Child{ChildRemoved, ChildWantNothing}) {
			t.Errorf("in the end it is %v", c)
		}
	}
	if stuck := ChildTable().Stuck(); len(stuck) > 0 {
		t.Errorf("no end can be reached from %v", stuck)
	}
	if stuck := SupervisorTable().Stuck(); len(stuck) > 0 {
		t.Errorf("no end can be reached from %v", stuck)
	}
}

// What a supervisor has not said to a child does not happen to it: the children's
// words alone start, restart and stop nothing, but for the end of a stop.
func TestChildByItself(t *testing.T) {
	const asked = ChildSpawn | ChildQuiesce | ChildStopGraceful | ChildEndGrace | ChildStopUnwaited | ChildAbandon | ChildTellStopping
	for _, c := range ChildTable().States() {
		for _, m := range childMoments() {
			switch m.Event {
			case ChildSetUp, ChildLeaves, ChildCrashed, ChildEnded, ChildHasQuiesced:
			default:
				continue
			}
			_, effects := c.On(m.Event, m.Facts)
			if effects.Has(asked) || effects.Has(ChildRestart|ChildStopNow) && !c.state.IsEnding() {
				t.Errorf("%v, %v: %v", c, m, effects)
			}
		}
	}
}

func TestChildAllocatesNothing(t *testing.T) {
	moments := childMoments()
	c := NewChild()
	if n := testing.AllocsPerRun(100, func() {
		for _, m := range moments {
			c, _ = c.On(m.Event, m.Facts)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestChildLeavesNothingUndone looks at each step by itself, from every state.
func TestChildLeavesNothingUndone(t *testing.T) {
	for state := range ChildRemoved + 1 {
		for want := range ChildWantBoth + 1 {
			c := Child{state, want}
			for _, m := range childMoments() {
				if !c.canHear(m.Event) {
					continue
				}
				if to, effects := c.On(m.Event, m.Facts); forgetsWhat(c, m, to, effects) != "" {
					t.Errorf("%v, %v -> %v, %v: %s", c, m, to, effects, forgetsWhat(c, m, to, effects))
				}
			}
		}
	}
}

// FuzzChild lets anything happen to a child in any order, also what a driver would
// keep from it, and looks at what it is asked to do, as the driver and the actor see
// it.
func FuzzChild(f *testing.F) {
	moments := childMoments()
	byName := map[string]byte{}
	for i, m := range moments {
		byName[m.String()] = byte(i)
	}
	for _, life := range [][]string{
		{"start asked", "spawned", "set up", "crashed", "decided", "restart due", "quiesce asked", "quiesced", "quiesce over", "start asked", "set up", "stop asked{grace}", "ended", "forgotten"},
		{"start asked", "spawn failed", "start asked", "spawned", "start timed out", "crashed", "restart due", "start asked", "set up", "ended", "decided", "let go", "forgotten"},
		{"start asked", "spawned", "set up", "restart due", "crashed", "stop asked{grace, drains}", "set up", "crashed{drains}", "crashed", "abandoned"},
		{"start asked", "spawned", "leaves", "set up", "leaves", "crashed", "start asked", "set up", "leaves", "stop asked{grace}", "ended"},
		{"start asked", "spawned", "start asked", "set up", "stop asked{abandon}", "abandoned", "start asked", "spawned", "stop asked{kill}", "cut off", "ended"},
	} {
		var seed []byte
		for _, name := range life {
			i, known := byName[name]
			if !known {
				f.Fatalf("no event is called %q", name)
			}
			seed = append(seed, i)
		}
		f.Add(seed)
	}
	for seed := range uint64(50) { // so that go test alone sees some, too
		r := rand.New(rand.NewPCG(seed, 1))
		events := make([]byte, 200)
		for i, c := 0, NewChild(); i < len(events); i++ {
			n := r.IntN(len(moments))
			for !c.canHear(moments[n].Event) && r.IntN(10) > 0 { // else most of them would change nothing
				n = r.IntN(len(moments))
			}
			c, _ = c.On(moments[n].Event, moments[n].Facts)
			events[i] = byte(n)
		}
		f.Add(events)
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		c, w := NewChild(), childWatch{}
		for _, b := range events {
			m := moments[int(b)%len(moments)]
			to, effects := c.On(m.Event, m.Facts)
			wrong := w.sees(c, m.Event, to, effects)
			if wrong == "" {
				wrong = forgetsWhat(c, m, to, effects)
			}
			if wrong != "" {
				t.Fatalf("%v, %v -> %v, %v: %s", c, m, to, effects, wrong)
			}
			c = to
		}
	})
}

// childWatch is what a driver knows of a child by what it was asked to do.
type childWatch struct {
	waits    bool // somebody waits for the answer of a start
	actor    bool // there is an actor that has not been abandoned
	stopping bool // it was said that its stop has begun
	deciding bool // somebody was asked to decide
}

// sees returns what is wrong with a step, or nothing.
func (w *childWatch) sees(from Child, e ChildEvent, to Child, effects ChildEffects) string {
	if e == ChildStartAsked {
		w.waits = true
	}
	for _, answer := range []ChildEffects{ChildStartUp, ChildStartFailed} {
		if effects.Has(answer) {
			if !w.waits {
				return "a start is answered twice, or there was none"
			}
			w.waits = false
		}
	}
	if w.waits != (to.state == ChildSpawning || to.state == ChildStarting) {
		return "a start is not answered when it has come to its end, or before"
	}
	if effects.Has(ChildSpawn) && (w.actor || to.state != ChildSpawning) {
		return "there are two actors of one name"
	}
	if !w.actor && effects.Has(ChildRestart|ChildQuiesce|ChildStopGraceful|ChildEndGrace|ChildStopNow|ChildStopUnwaited|ChildAbandon) {
		return "there is no actor to do this to"
	}
	w.actor = to.state.HasActor()
	if effects.Has(ChildTellStopping) {
		if w.stopping {
			return "its stop begins twice"
		}
		w.stopping = true
	}
	if effects.Has(ChildTellStopped) {
		if !w.stopping {
			return "a stop ends that has not begun"
		}
		w.stopping = false
	}
	if w.stopping != to.state.IsEnding() {
		return "whoever hears of its stop hears something else than is"
	}
	if effects.Has(ChildAskDecision) {
		w.deciding = true
	}
	if to.want.Decision() && !w.deciding {
		return "it waits for a decision that nobody was asked for"
	}
	w.deciding = w.deciding && to.want.Decision()
	if from.state.Shown() != to.state.Shown() && !effects.Has(ChildEnter) {
		return "nobody sees its state change"
	}
	if from.state == ChildRemoved && to != from {
		return "it is back, and no child any more"
	}
	return ""
}

// forgetsWhat returns what has been left undone about an event, or nothing.
func forgetsWhat(from Child, m ChildMoment, to Child, effects ChildEffects) string {
	const stop = ChildStopGraceful | ChildStopUnwaited | ChildEndGrace | ChildStopNow
	ends := from.state.IsEnding()
	if m.Facts.Stopping && effects.Has(ChildAskDecision) {
		return "somebody is asked to decide, and the supervisor decides on nobody any more"
	}
	switch m.Event {
	case ChildCrashed:
		if ends && !effects.Has(ChildRestart|ChildStopNow) {
			return "it has suspended itself, and would never end"
		}
		if from.state.HasComeUp() && !m.Facts.Stopping && !to.want.Decision() {
			return "nobody decides on its failure"
		}
	case ChildEnded:
		if from.state.HasComeUp() && !m.Facts.Stopping && !to.want.Decision() {
			return "nobody decides on its end"
		}
	case ChildLeaves:
		if from.state == ChildUp && to.state.Shown() != "stopping" {
			return "it is shown as up, and takes nothing new"
		}
	case ChildHasQuiesced:
		if from.state.HasActor() && !ends && to.state != ChildQuiesced {
			return "who waits for it to be quiesced waits for ever"
		}
	case ChildGraceOver, ChildCutOff:
		if ends && to.state != ChildKilling {
			return "it has no time left, and takes more"
		}
	case ChildDecided, ChildQuiesceOver:
		if to.want.Decision() {
			return "it would be decided on twice"
		}
	case ChildStopAsked:
		if from.state.HasActor() && !ends && !effects.Has(stop) {
			return "its actor does not stop"
		}
		if suspended := from.state.HasFailed() || from.state == ChildQuiesced; suspended && !effects.Has(ChildRestart|ChildStopNow) {
			return "it is suspended, and cannot go on to its end"
		}
	}
	return ""
}

// The drivers hold the tables' values and replace them in one place each: their fields
// are this package's own.
func TestOneWriter(t *testing.T) {
	files, err := os.ReadDir("../../supervisor")
	if err != nil {
		t.Fatal(err)
	}
	writes := regexp.MustCompile(`(?m)^.*(\.life\s*=[^=]|life\.(Child|Supervisor)\{.).*$`)
	var found []string
	for _, f := range files {
		if name := f.Name(); regexp.MustCompile(`_test\.go$`).MatchString(name) || !regexp.MustCompile(`\.go$`).MatchString(name) {
			continue
		}
		text, err := os.ReadFile("../../supervisor/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range writes.FindAllString(string(text), -1) {
			found = append(found, f.Name()+": "+line)
		}
	}
	if len(found) != 2 {
		t.Errorf("the life of a child, or of a supervisor, is written in %d places, want one for each: %q", len(found), found)
	}
}
