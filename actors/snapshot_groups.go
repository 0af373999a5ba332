// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// maxGroups is how many groups a look shows at most, those with the most tasks.
const maxGroups = 1000

// manyGroups is of how many groups on names are joined that differ in their digits alone: who names each task by what it is about
// would see a row for each, and never how many there are.
const manyGroups = 200

// groupKey is what the tasks of a group have in common.
type groupKey struct{ kind, task, state, awaits, of string }

// tally counts the tasks of a group.
type tally struct {
	snapshot.Group
	last   int          // the worker that it has counted last, plus 1
	places []loop.Place // of the tasks, if lines are wanted
}

// groupBuilder puts tasks into groups. Most tasks are like the one before: then nothing is looked for.
type groupBuilder struct {
	in    *inspection
	all   map[groupKey]*tally
	alike bool // names that differ in their digits alone are one

	code uintptr // of the function that was asked for its name last …
	name string  // … and that

	own  groupKey // of the task before …
	last *tally   // … and its group; nil: there is none

	core        *core // that the one before that awaited something did
	awaits, of  string
	answersFor  *actor.PID // whose kind is answersKind
	answersKind string
}

// groupsOf puts all tasks that were seen into groups. With alike, names that differ in their digits alone are one.
func (in *inspection) groupsOf(alike bool) map[groupKey]*tally {
	g := groupBuilder{in: in, all: map[groupKey]*tally{}, alike: alike}
	for i := range in.seenOf {
		w := &in.seenOf[i]
		if w.mb == nil || !in.wanted(w.mb) {
			continue
		}
		kind := w.mb.kindName()
		if w.running != nil {
			g.addTask(i, groupKey{kind: kind, task: w.running.name(), state: "running"}, seenTask{Task: w.running, id: w.id, place: w.place})
		}
		for _, t := range in.tasksOf(w) {
			g.addTask(i, g.keyOf(w.mb, kind, t.Task), t)
		}
	}
	return g.all
}

// addTask counts a task of worker i.
func (s *groupBuilder) addTask(i int, own groupKey, t seenTask) {
	w := &s.in.seenOf[i]
	ref := func() snapshot.TaskRef {
		return snapshot.TaskRef{Worker: w.mb.pid, Incarnation: w.incarnation, ID: t.id}
	}
	if s.last == nil || s.own != own {
		s.own, s.last = own, s.findGroup(own, ref)
	}
	g := s.last
	g.Tasks++
	if g.last != i+1 {
		g.last = i + 1
		g.Workers++
	}
	if t.age > g.Oldest {
		g.Oldest = t.age
		g.Example = ref()
	}
	if told := t.toldToEnd(); !told.IsZero() {
		g.ToldToEnd++
		if t.budgetLeft() == noBudgetLeft {
			g.OverBudget++
		}
		if g.FirstTold.IsZero() || told.Before(g.FirstTold) {
			g.FirstTold = told
			g.Told = ref()
		}
	}
	if s.in.options.Lines {
		g.places = append(g.places, t.place)
	}
}

// findGroup is the group of a task, which is its example if it is the first one.
func (s *groupBuilder) findGroup(own groupKey, ref func() snapshot.TaskRef) *tally {
	key := own
	if s.alike {
		key.task, key.awaits = label.Digits(key.task), label.Digits(key.awaits)
	}
	g := s.all[key]
	if g == nil {
		g = &tally{Group: snapshot.Group{Kind: key.kind, Task: own.task, State: key.state, Awaits: own.awaits, Of: key.of, Example: ref()}}
		s.all[key] = g
	}
	if g.Task != own.task {
		g.Task = key.task
	}
	if g.Awaits != own.awaits {
		g.Awaits = key.awaits
	}
	return g
}

// groups are those of all tasks that were seen, those of most tasks first.
func (in *inspection) groups() []snapshot.Group {
	all := in.groupsOf(false)
	if len(all) > manyGroups {
		all = in.groupsOf(true)
	}
	sorted := slices.SortedFunc(maps.Values(all), func(a, b *tally) int {
		return cmp.Or(-cmp.Compare(a.Tasks, b.Tasks), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Task, b.Task),
			strings.Compare(a.State, b.State), strings.Compare(a.Awaits, b.Awaits), strings.Compare(a.Of, b.Of))
	})
	sorted = sorted[:min(len(sorted), maxGroups)]
	if in.options.Lines {
		traceGroups(sorted)
	}
	out := make([]snapshot.Group, 0, len(sorted))
	for _, g := range sorted {
		out = append(out, g.Group)
	}
	return out
}

// keyOf is the group of a task that has awaited.
func (s *groupBuilder) keyOf(mb *mailbox, kind string, t *Task) groupKey {
	k := groupKey{kind: kind, task: s.nameOf(t), state: t.waitState()}
	c := t.awaits.Load()
	if c == nil || c.done.Load() {
		return k
	}
	if c != s.core {
		var on *actor.PID
		s.core = c
		if s.awaits, on = c.describe(); on == nil || on != s.answersFor {
			s.answersFor, s.answersKind = on, mb.sys.ownerKind(on)
		}
		s.of = s.answersKind
	}
	k.awaits, k.of = s.awaits, s.of
	return k
}

// nameOf is the name of a task. That of a function takes longer to find than all else that is looked at.
func (s *groupBuilder) nameOf(t *Task) string {
	b, ok := t.lt.Body.(interface{ codeEntry() uintptr })
	if e := t.ext.Load(); !ok || e != nil && e.seldom().name != "" {
		return t.name()
	}
	if code := b.codeEntry(); code != s.code {
		s.code, s.name = code, codeName(runtime.FuncForPC(code))
	}
	return s.name
}

// isLike reports whether a task is one of a group.
func isLike(t *snapshot.Task, mb *mailbox, s *system, g *snapshot.Group) bool {
	is := func(group, own string) bool { return group == own || group == label.Digits(own) }
	return g.Kind == mb.kindName() && is(g.Task, t.Name) && g.State == t.State && is(g.Awaits, t.Awaits) && g.Of == s.ownerKind(t.On)
}
