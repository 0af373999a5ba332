// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/oneline"
)

// Waits is who waits for whom, and for what in the end.
type Waits struct {
	Tasks  int     `json:"tasks"` // that have started and not ended
	Roots  []Root  `json:"roots"` // most waiters first; 50 at most
	More   int     `json:"more_roots"`
	Groups []Group `json:"groups"` // largest first; 200 at most
	Others int     `json:"more_groups"`
	Graph  Graph   `json:"graph"`
	Tree   []Node  `json:"tree"` // who waits, below whom; 200 nodes at most
}

// Root is what tasks wait for in the end.
type Root struct {
	What    string  `json:"what"`              // in words: "list: add item (blocked)"
	Ring    bool    `json:"ring"`              // tasks that await each other: Members
	Worker  string  `json:"worker,omitempty"`  // that the root belongs to
	Kind    string  `json:"kind,omitempty"`    // of that worker
	Task    string  `json:"task,omitempty"`    // that is waited for, if it is one
	Ref     *Ref    `json:"ref,omitempty"`     // of that task
	Is      string  `json:"is"`                // see inspect.Root: "turn", "sleep", "promise", "offload", "actor", "queue", "answer", "ring"
	Blocked float64 `json:"blocked_s"`         // of a turn that is: for how long
	Queued  int64   `json:"queued"`            // messages of the worker that wait, too
	Line    string  `json:"line,omitempty"`    // of the code it is at
	Age     float64 `json:"age_s"`             // how long the oldest waiter has waited
	Tasks   int     `json:"tasks"`             // that wait, all the way up
	Workers int     `json:"workers"`           // whose tasks these are
	Members []Ref   `json:"members,omitempty"` // of a ring, in order: each awaits the next, and the last the first
	N       int     `json:"n"`                 // so many alike, whose tasks these are: promises, that have no names
}

// Ref names a task: an answer of the console, and the target of an action. Once the task
// has ended it names none.
type Ref struct {
	Worker      string `json:"worker"`
	Incarnation uint64 `json:"incarnation"`
	ID          uint64 `json:"id"`             // 0: it has awaited nothing so far, and has none
	Task        string `json:"task,omitempty"` // its name, to be read
	Kind        string `json:"kind,omitempty"` // of the worker, in a ring
}

// Group is tasks that are the same to a reader.
type Group struct {
	Kind    string  `json:"kind"` // of the workers
	Task    string  `json:"task"`
	State   string  `json:"state"`
	Awaits  string  `json:"awaits,omitempty"`
	Of      string  `json:"of,omitempty"`   // kind of the worker that owes it
	Line    string  `json:"line,omitempty"` // where they await
	N       int     `json:"n"`
	Workers int     `json:"workers"`
	Oldest  float64 `json:"oldest_s"`
	Example *Ref    `json:"example,omitempty"`
}

// Node is a line of the tree: the root is waited for, and those below wait for
// what is above them.
type Node struct {
	Text     string  `json:"text"` // as a line of pstree
	Worker   string  `json:"worker,omitempty"`
	Task     string  `json:"task,omitempty"`
	State    string  `json:"state,omitempty"`
	Line     string  `json:"line,omitempty"`
	N        int     `json:"n"` // so many alike
	Age      float64 `json:"age_s"`
	Ring     bool    `json:"ring"` // it is part of one: the chain goes on at its top
	Ref      *Ref    `json:"ref,omitempty"`
	Children []Node  `json:"children,omitempty"`
	More     int     `json:"more,omitempty"` // children that are not shown
}

// The bounds of a Waits.
const (
	maxShownRoots = 50
	rootsOfLook   = 200 // that a look has at most: of more, those with the most tasks
	maxNodes      = 200
)

// Waits is the page of that name.
func (s *State) Waits() *Waits {
	v := &Waits{Tasks: s.Totals().Tasks, Roots: []Root{}, Groups: []Group{}}
	v.Roots = s.roots()
	if v.More = max(0, len(v.Roots)-maxShownRoots); v.More > 0 {
		v.Roots = v.Roots[:maxShownRoots]
	}
	for i := range s.Snapshot.Groups {
		if i == maxRows {
			v.Others = len(s.Snapshot.Groups) - maxRows
			break
		}
		v.Groups = append(v.Groups, s.group(&s.Snapshot.Groups[i]))
	}
	v.Graph = graphOf(v)
	v.Tree = treeOf(v)
	return v
}

func (s *State) ref(r inspect.TaskRef, task string) *Ref {
	if r.Worker == nil {
		return nil
	}
	return &Ref{Worker: s.Redact.Worker(r.Worker, s.home()), Incarnation: r.Incarnation, ID: r.ID, Task: s.Redact.task(task)}
}

// roots are those of the snapshot. Promises have neither names nor workers, so all of one kind of future are one root: else a
// thousand tasks that each wait for one of their own would hide all others.
func (s *State) roots() []Root {
	out := []Root{}
	promises := map[string]int{} // where in out
	for i := range s.Snapshot.Roots {
		r := s.root(&s.Snapshot.Roots[i])
		if at, ok := promises[r.Task]; ok && r.Is == "promise" {
			o := &out[at]
			o.N += r.N
			o.Tasks += r.Tasks
			o.Workers = max(o.Workers, r.Workers) // maybe the same
			o.Age = max(o.Age, r.Age)
			o.What = o.words()
			continue
		}
		if r.Is == "promise" {
			promises[r.Task] = len(out)
		}
		out = append(out, r)
	}
	if len(s.Snapshot.Roots) >= rootsOfLook {
		for _, at := range promises {
			out[at].What += "; there are more"
		}
	}
	slices.SortStableFunc(out, func(a, b Root) int { return cmp.Compare(b.Tasks, a.Tasks) })
	return out
}

func (s *State) root(r *inspect.Root) Root {
	v := Root{
		N:    max(r.N, 1),
		Ring: len(r.Ring) > 0, Is: r.Is, Worker: s.Redact.Worker(r.Worker, s.home()), Kind: r.Kind, Task: s.Redact.task(r.Name),
		Age: seconds(r.Age), Tasks: r.Tasks, Workers: r.Workers, Queued: r.Queued,
	}
	if r.Ref.ID != 0 {
		v.Ref = s.ref(r.Ref, r.Name)
	}
	if r.Blocked != nil {
		v.Blocked = s.since(r.Blocked.Since)
		v.Line = LineOf(string(r.Blocked.Stack))
	}
	for _, m := range r.Ring {
		ref := s.ref(m.Ref, m.Task)
		ref.Kind = m.Kind
		v.Members = append(v.Members, *ref)
	}
	v.What = v.words()
	if w := s.worker(r.Worker.GetId()); w != nil && r.Is == "offload" && w.OffloadsWaiting > 0 {
		v.What += fmt.Sprintf(" (of the worker's functions %d run, and %d wait for a place)", w.Offloads, w.OffloadsWaiting)
	}
	return v
}

// words is what a root is.
func (r *Root) words() string {
	of, task := cmp.Or(r.Worker, r.Kind), r.Task
	if r.N > 1 {
		of, task = cmp.Or(r.Kind, r.Worker), fmt.Sprintf("%s ×%d", r.Task, r.N)
	}
	switch {
	case r.Ring:
		var names []string
		for _, m := range append(slices.Clone(r.Members), r.Members[:1]...) {
			names = append(names, m.Worker+": "+m.Task)
		}
		return "ring: " + strings.Join(names, " → ")
	case r.Blocked > 0:
		at := ""
		if r.Line != "" {
			at = " at " + r.Line
		}
		return fmt.Sprintf("%s: %s, blocked for %s%s", of, r.Task, briefly(r.Blocked), at)
	}
	switch r.Is {
	case "turn":
		return of + ": " + task + ", which runs"
	case "sleep":
		return of + ": " + task + ", which sleeps"
	case "promise":
		what := r.Task
		if r.N > 1 {
			what = fmt.Sprintf("%s ×%d, each for itself", r.Task, r.N)
		}
		return what + ", which anybody may complete"
	case "offload":
		return of + ": " + task + ", which runs beside the loop"
	case "actor":
		return of + ", an actor without an event loop, or on another machine: " + r.Task
	case "queue":
		if r.N > 1 {
			return fmt.Sprintf("%s ×%d: their turns to come", of, r.N)
		}
		return of + ": its turn to come"
	case "answer":
		return of + ": " + task + ", whose answer somebody else owes"
	}
	return of + ": " + r.Task
}

// ofShown is what Group.Of is shown as: it is a kind, or else the name of a plain or remote actor, as the root of that one has it.
func (s *State) ofShown(of string) string {
	if of == "" || s.kind(of) != nil {
		return of
	}
	for i := range s.Snapshot.Roots {
		if r := &s.Snapshot.Roots[i]; r.Kind == "" && r.Worker != nil && oneline.PID(r.Worker, s.home()) == of {
			return s.Redact.Worker(r.Worker, s.home())
		}
	}
	return s.Redact.worker(of)
}

func (s *State) group(g *inspect.Group) Group {
	return Group{
		Kind: g.Kind, Task: s.Redact.task(g.Task), State: g.State, Awaits: s.Redact.task(g.Awaits), Of: s.ofShown(g.Of), Line: g.Line,
		N: g.Tasks, Workers: g.Workers, Oldest: seconds(g.Oldest), Example: s.ref(g.Example, g.Task),
	}
}

// treeOf puts below each root the groups that wait for it, and below each of these those that wait
// for that. What is a ring among groups need not be one among tasks: a Node says ring only where a
// root does.
func treeOf(v *Waits) []Node {
	t := tree{v: v, left: maxNodes}
	out := []Node{}
	for i := range v.Roots {
		r := &v.Roots[i]
		if t.left == 0 {
			break
		}
		t.left--
		n := Node{Text: r.What, Worker: r.Worker, Task: r.Task, State: r.Is, Line: r.Line, N: 1, Age: max(r.Age, r.Blocked), Ring: r.Ring, Ref: r.Ref}
		t.below(&n, func(g *Group) bool { return waitsForRoot(v.Groups, g, r) }, t.members(r))
		out = append(out, n)
	}
	return out
}

// members are the groups that are those of a ring and nobody else: its line names them.
func (t *tree) members(r *Root) map[*Group]bool {
	all := map[*Group]bool{}
	for i := range t.v.Groups {
		g := &t.v.Groups[i]
		n := 0
		for _, m := range r.Members {
			if g.Kind == m.Kind && sameName(g.Task, m.Task) {
				n++
			}
		}
		if n > 0 && n >= g.N {
			all[g] = true
		}
	}
	return all
}

// noPlace is behind the name of an offloaded function that has not begun, which waits for those that have.
const noPlace = ", which waits for a place"

// waitsForRoot reports whether tasks of a group wait for a root and nothing between.
func waitsForRoot(groups []Group, g *Group, r *Root) bool {
	if r.Ring {
		return slices.ContainsFunc(r.Members, func(m Ref) bool { return g.Of == m.Kind && sameName(g.Awaits, m.Task) })
	}
	held := r.Is == "turn" || r.Is == "queue" // what has not started in that worker waits, too
	switch {
	case g.State == "ready":
		return held && g.Kind == r.Kind
	case held && g.Of == r.Kind && !hasTask(groups, g.Of, g.Awaits):
		return true
	}
	return g.Awaits != "" && sameName(strings.TrimSuffix(g.Awaits, noPlace), r.Task) && (g.Of == r.Kind || g.Of == r.Worker)
}

// sameName reports whether two names are the same, or are where there are so many that digits do not count: see inspect.Group.
func sameName(a, b string) bool {
	return a == b || (strings.Contains(a, "#") || strings.Contains(b, "#")) && label.Digits(a) == label.Digits(b)
}

// hasTask reports whether a task of that name has started in a worker of a kind.
func hasTask(groups []Group, kind, task string) bool {
	return slices.ContainsFunc(groups, func(g Group) bool { return g.Kind == kind && sameName(g.Task, task) })
}

type tree struct {
	v    *Waits
	left int // nodes that may still be shown
}

func (t *tree) below(n *Node, waits func(g *Group) bool, above map[*Group]bool) {
	for i := range t.v.Groups {
		g := &t.v.Groups[i]
		switch {
		case above[g] || !waits(g):
			continue
		case t.left == 0:
			n.More++
			continue
		}
		t.left--
		above[g] = true
		k := Node{Text: g.words(), Task: g.Task, State: g.State, Line: g.Line, N: g.N, Age: g.Oldest, Ref: g.Example}
		t.below(&k, func(o *Group) bool { return o.Of == g.Kind && o.Awaits != "" && sameName(o.Awaits, g.Task) }, above)
		delete(above, g)
		n.Children = append(n.Children, k)
	}
}

// words is a group on one line.
func (g *Group) words() string {
	text := g.Kind + ": " + g.Task
	if g.N > 1 {
		text += fmt.Sprintf(" ×%d", g.N)
	}
	if g.State == "ready" {
		text += ", ready"
	}
	if g.Line != "" {
		text += " at " + g.Line
	}
	if g.Oldest > 0 {
		text += ", " + briefly(g.Oldest)
	}
	return text
}
