// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is a number that is read, written, and swapped. Nobody can tell whether what has an unknown outcome has
// happened, and if, when: so it may have at any time after it has begun.
var register = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		is, in, out := state.(int64), input.(op), output.(ask)
		told := out.Outcome == answered
		switch in.Do {
		case opRead:
			return !told || out.Result.Value == is, is
		case opWrite:
			return true, in.Value
		default:
			swaps := is == in.Old
			if told && (out.Result.Swapped != swaps || !swaps && out.Result.Value != is) {
				return false, is
			}
			if swaps {
				is = in.Value
			}
			return true, is
		}
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(op), output.(ask)
		return fmt.Sprintf("%s %d (old %d): %s, %+v %s", in.Do, in.Value, in.Old, out.Outcome, out.Result, out.Err)
	},
}

// seenValues is when each value of a register was seen by the first who was answered with it, or has swapped it. Each value has one writer.
func seenValues(asks []ask) map[int64]time.Duration {
	seen := map[int64]time.Duration{}
	see := func(value int64, at time.Duration) bool {
		before, is := seen[value]
		if is && before <= at {
			return false
		}
		seen[value] = at
		return true
	}
	for _, a := range asks {
		switch {
		case a.Outcome == answered && a.Op.Do == opCAS && a.Result.Swapped:
			see(a.Op.Old, a.Ended)
		case a.Outcome == answered && a.Op.Do != opWrite:
			see(a.Result.Value, a.Ended)
		}
	}
	for more := true; more; { // a swap whose value was seen has seen the one before
		more = false
		for _, a := range asks {
			if at, is := seen[a.Op.Value]; is && a.Outcome == unknown && a.Op.Do == opCAS && see(a.Op.Old, at) {
				more = true
			}
		}
	}
	return seen
}

// checkRegisters says which registers were not linearizable. What could not be decided within the time is said, too.
func checkRegisters(history []ask, within time.Duration) (wrong []string) {
	byKey := map[string][]ask{}
	for _, a := range history {
		if a.Kind == kindRegister && a.Outcome != never {
			byKey[a.Key] = append(byKey[a.Key], a)
		}
	}
	for key, asks := range byKey {
		seen := seenValues(asks)
		var ops []porcupine.Operation
		for i, a := range asks {
			end := a.Ended
			if a.Outcome == unknown {
				// What it has written, if it has, was there before somebody saw it. What nobody has seen may as well never have been: with
				// all of these the check would take for ever.
				at, is := seen[a.Op.Value]
				if a.Op.Do == opRead || !is {
					continue
				}
				end = max(at, a.Begun)
			}
			ops = append(ops, porcupine.Operation{ClientId: i, Input: a.Op, Call: int64(a.Begun), Output: a, Return: int64(end)})
		}
		switch result := porcupine.CheckOperationsTimeout(register, ops, within); result {
		case porcupine.Ok:
		case porcupine.Unknown:
			wrong = append(wrong, fmt.Sprintf("register %s: whether its %d operations are linearizable was not found out within %v", key, len(ops), within))
		default:
			wrong = append(wrong, fmt.Sprintf("register %s: its %d operations are not linearizable", key, len(ops)))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// checkLists compares what each list has in the end with what its askers were told.
func checkLists(history []ask, last map[string][]string) (wrong []string) {
	asks := map[string]map[string]ask{}
	for _, a := range history {
		if a.Kind == kindList && a.Op.Do == opAppend {
			if asks[a.Key] == nil {
				asks[a.Key] = map[string]ask{}
			}
			asks[a.Key][a.Op.Name] = a
		}
	}
	for key, asked := range asks {
		names, is := last[key]
		if !is {
			wrong = append(wrong, fmt.Sprintf("list %s was not read in the end", key))
			continue
		}
		count := map[string]int{}
		for _, name := range names {
			count[name]++
		}
		for name, n := range count {
			switch a, is := asked[name]; {
			case !is:
				wrong = append(wrong, fmt.Sprintf("list %s has %s, which nobody has appended", key, name))
			case n > 1:
				wrong = append(wrong, fmt.Sprintf("list %s has %s %d times (%s)", key, name, n, told(a)))
			case a.Outcome == never:
				wrong = append(wrong, fmt.Sprintf("list %s has %s, of which its asker was told that it never ran (%s)", key, name, told(a)))
			}
		}
		for name, a := range asked {
			if a.Outcome == answered && count[name] == 0 {
				wrong = append(wrong, fmt.Sprintf("list %s lacks %s, which was acknowledged (%s)", key, name, told(a)))
			}
		}
		// What was acknowledged before another was asked for stands before it.
		var later string
		ended := time.Duration(math.MaxInt64) // the first end of all that stand behind
		for _, name := range slices.Backward(names) {
			a := asked[name]
			if a.Begun > ended {
				wrong = append(wrong, fmt.Sprintf("list %s has %s before %s, which was acknowledged before it was asked for", key, name, later))
			}
			if a.Outcome == answered && a.Ended < ended {
				later, ended = name, a.Ended
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func told(a ask) string {
	s := fmt.Sprintf("asked by %s from %v to %v: %s", a.Asker, a.Begun, a.Ended, a.Outcome)
	if a.Err != "" {
		s += ", " + a.Err
	}
	return s
}

// checkBudgets says which asks took longer than their budget and a second, not counting the time in which the asker's process had no
// processor.
func checkBudgets(history []ask) (wrong []string) {
	for _, a := range history {
		if took := a.Ended - a.Begun; took-a.Held > a.Budget+time.Second {
			wrong = append(wrong, fmt.Sprintf("%s of %s %s took %v, with a budget of %v (%s)", a.Op.Do, a.Kind, a.Key, took, a.Budget, told(a)))
		}
	}
	return wrong
}

// checkEffects says where a token was good for a handler that has asked for it after a later one was good for another. All use one clock.
func checkEffects(all []effect) (wrong []string) {
	byShard := map[int][]effect{}
	for _, e := range all {
		byShard[e.Shard] = append(byShard[e.Shard], e)
	}
	for shard, effects := range byShard {
		byAfter := slices.SortedFunc(slices.Values(effects), func(a, b effect) int { return cmp.Compare(a.After, b.After) })
		slices.SortFunc(effects, func(a, b effect) int { return cmp.Compare(a.Before, b.Before) })
		var greatest effect // of those that were known before e was asked for
		next := 0
		for _, e := range effects {
			for next < len(byAfter) && byAfter[next].After < e.Before {
				if byAfter[next].Rev > greatest.Rev {
					greatest = byAfter[next]
				}
				next++
			}
			if e.Rev < greatest.Rev {
				wrong = append(wrong, fmt.Sprintf("shard %d: the token %d was good in %s at %v, and %d was in %s at %v before", shard, e.Rev, e.Node, e.Before, greatest.Rev, greatest.Node, greatest.After))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// checkPuts says where etcd has stored something by a token after something by a later one.
func checkPuts(all []put) (wrong []string) {
	all = slices.SortedFunc(slices.Values(all), func(a, b put) int { return cmp.Compare(a.Revision, b.Revision) })
	greatest := map[int]uint64{}
	for _, p := range all {
		if p.Rev < greatest[p.Shard] {
			wrong = append(wrong, fmt.Sprintf("shard %d: at revision %d etcd has stored something by the token %d, after something by %d", p.Shard, p.Revision, p.Rev, greatest[p.Shard]))
		}
		greatest[p.Shard] = max(greatest[p.Shard], p.Rev)
	}
	return wrong
}

// TestChecks: the checks take a right history, and find each mistake.
func TestChecks(t *testing.T) {
	at := func(a ask, begun, ended time.Duration) ask { a.Begun, a.Ended = begun, ended; return a }
	write := func(v int64, outcome string) ask {
		return ask{Kind: kindRegister, Key: "r", Op: op{Do: opWrite, Value: v}, Outcome: outcome, Budget: time.Second}
	}
	read := func(v int64) ask {
		return ask{Kind: kindRegister, Key: "r", Op: op{Do: opRead}, Outcome: answered, Result: result{Value: v}, Budget: time.Second}
	}
	swap := func(old, v int64, is int64) ask { // 0: it has swapped
		return ask{Kind: kindRegister, Key: "r", Op: op{Do: opCAS, Old: old, Value: v}, Outcome: answered, Result: result{Swapped: is == 0, Value: is}, Budget: time.Second}
	}
	mayBe := func(a ask) ask { a.Outcome, a.Result = unknown, result{}; return a }
	add := func(name, outcome string) ask {
		return ask{Kind: kindList, Key: "l", Op: op{Do: opAppend, Name: name}, Outcome: outcome, Budget: time.Second}
	}
	for _, c := range []struct {
		what, want string // part of what is found; empty: nothing
		history    []ask
	}{
		{"in order", "", []ask{at(write(1, answered), 0, 1), at(read(1), 2, 3), at(swap(1, 2, 0), 4, 5), at(swap(1, 3, 2), 6, 7), at(read(2), 8, 9)}},
		{"unknown, seen late", "", []ask{at(write(1, unknown), 0, 1), at(read(0), 2, 3), at(read(1), 4, 5)}},
		{"unknown, never seen", "", []ask{at(write(1, unknown), 0, 1), at(read(0), 2, 3)}},
		{"stale", "not linearizable", []ask{at(write(1, answered), 0, 1), at(read(0), 2, 3)}},
		{"seen and gone", "not linearizable", []ask{at(write(1, unknown), 0, 1), at(read(1), 2, 3), at(read(0), 4, 5)}},
		{"lost", "not linearizable", []ask{at(write(1, answered), 0, 1), at(write(2, answered), 2, 3), at(read(1), 4, 5)}},
		{"ran all the same", "not linearizable", []ask{at(write(1, never), 0, 1), at(read(1), 2, 3)}},
		{"swapped twice", "not linearizable", []ask{at(swap(0, 1, 0), 0, 1), at(swap(0, 2, 0), 2, 3)}},
		{"not swapped, for a value that was gone", "not linearizable", []ask{at(write(1, answered), 0, 1), at(write(2, answered), 2, 3), at(swap(5, 6, 1), 4, 5)}},
		{"swapped unknown, seen by the next", "", []ask{at(write(1, unknown), 0, 1), at(mayBe(swap(1, 2, 0)), 0, 1), at(swap(2, 3, 0), 7, 8), at(read(3), 9, 10)}},
		{"swapped unknown, from what was never there", "not linearizable", []ask{at(mayBe(swap(5, 2, 0)), 0, 1), at(read(2), 7, 8)}},
	} {
		if got := strings.Join(checkRegisters(c.history, time.Minute), "; "); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	for _, c := range []struct {
		what, want string
		last       []string
		history    []ask
	}{
		{"all there", "", []string{"a", "b", "d"}, []ask{at(add("a", answered), 0, 1), at(add("b", answered), 0, 1), at(add("c", never), 0, 1), at(add("d", unknown), 0, 1), at(add("e", unknown), 0, 1)}},
		{"late", "", []string{"b", "a"}, []ask{at(add("a", unknown), 0, 1), at(add("b", answered), 2, 3)}},
		{"lost", "lacks b", []string{"a"}, []ask{at(add("a", answered), 0, 1), at(add("b", answered), 0, 1)}},
		{"twice", "a 2 times", []string{"a", "a"}, []ask{at(add("a", unknown), 0, 1)}},
		{"told never", "never ran", []string{"a"}, []ask{at(add("a", never), 0, 1)}},
		{"of nobody", "nobody", []string{"x", "a"}, []ask{at(add("a", answered), 0, 1)}},
		{"disorder", "b before a", []string{"b", "a"}, []ask{at(add("a", answered), 0, 1), at(add("b", unknown), 2, 3)}},
	} {
		if got := strings.Join(checkLists(c.history, map[string][]string{"l": c.last}), "; "); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	late := at(read(0), 0, 2500*time.Millisecond)
	if got := checkBudgets([]ask{late}); len(got) != 1 {
		t.Errorf("an ask that was late: %q", got)
	}
	if late.Held = 600 * time.Millisecond; len(checkBudgets([]ask{late})) != 0 {
		t.Error("an ask of a process that was held is late")
	}
	good := []effect{{Shard: 1, Rev: 5, Before: 0, After: 9}, {Shard: 1, Rev: 7, Before: 8, After: 10}, {Shard: 1, Rev: 5, Before: 10, After: 11}, {Shard: 2, Rev: 1, Before: 20, After: 21}}
	if got := checkEffects(good); len(got) != 0 {
		t.Errorf("effects at a time: %q", got)
	}
	if got := checkEffects(append(good, effect{Shard: 1, Rev: 5, Before: 11, After: 30})); len(got) != 1 {
		t.Errorf("a token that falls: %q", got)
	}
	puts := []put{{Shard: 1, Rev: 7, Revision: 3}, {Shard: 1, Rev: 5, Revision: 2}, {Shard: 2, Rev: 1, Revision: 9}}
	if got := checkPuts(puts); len(got) != 0 {
		t.Errorf("puts in order: %q", got)
	}
	if got := checkPuts(append(puts, put{Shard: 1, Rev: 5, Revision: 4})); len(got) != 1 {
		t.Errorf("a put by a token that falls: %q", got)
	}
}
