// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/oneline"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// What tasks wait for in the end is found in a graph of who waits for whom, made of what a look has
// seen. Its nodes are futures that wait for others, what waits for nobody, and tasks, but for those that wait for one thing and that
// nobody waits for: most do, and of these it is enough to know for which node. All that is
// read for it is published; no loop stands still meanwhile, so an edge may be of a moment later than
// another one. A ring of which that makes one more, or one less, is gone, or there, at the next look.

const (
	// maxRoots is how many roots a look shows at most.
	maxRoots = 200
	// maxRootsOfTask is for how many of what it waits for a task is counted.
	maxRootsOfTask = 32
	// maxRing is how many members of a ring are shown.
	maxRing = 100
)

// The words for what a root is; see inspect.Root.
const (
	rootTurn    = "turn"
	rootSleep   = "sleep"
	rootPromise = "promise"
	rootOffload = "offload"
	rootActor   = "actor"
	rootQueue   = "queue"
	rootOpen    = "answer"
	rootRing    = "ring"
)

// graphNode is a node of the graph.
type graphNode struct {
	task *Task // nil: it is no task
	core *core // a future that waits for others; nil: it is none
	any  bool  // any of out will do
	out  []int32
	root *rootCount // it waits for nobody
	full *Limiter   // that has no place for a function; nil: it is none
	id   uint64     // of the task, if that was seen

	// Of the search for rings.
	index, low int32 // from 1 on; 0: not visited
	onStack    bool
	roots      []*rootCount // what it waits for in the end
}

// rootCount counts who waits for a root.
type rootCount struct {
	snapshot.Root
	of     *Task      // the task that it is, which does not wait for itself
	node   int32      // of that task
	last   int32      // the worker that it has counted last, plus 1
	as     *rootCount // that is shown in its place, for all that are like it; nil: there is none
	waited bool       // it was counted in as.N
}

// asRoot is what roots have in common of which there are too many.
type asRoot struct{ is, kind, name string }

// function is what offloaded functions have in common that are one root.
type function struct {
	mb      *mailbox
	limiter *Limiter
	name    string
}

// waitGraph is the graph.
type waitGraph struct {
	in     *inspection
	nodes  []graphNode
	byTask map[*Task]int32
	byCore map[*core]int32
	byKey  map[any]int32 // the other leaves: *mailbox, or the PID of an actor as text
	seenAt map[*mailbox]int
	all    []*rootCount
	runs   map[*Limiter][]int32 // the functions that were seen to run in it
	full   []fullLimiter

	lastCore *core // that was looked for last, and its node: many tasks may await the same
	lastNode int32
}

// For which node a task waits that was seen, if for one.
const (
	waitsForNone int32 = -1 // it sleeps
	hasNode      int32 = -2 // it has one itself: minus the place of that
)

// fullLimiter is the node of one that has no place for a function, of which it is the first that was seen.
type fullLimiter struct {
	node int32
	of   *Task
}

// roots are what the tasks wait for in the end, that for which most do first.
func (in *inspection) roots() []snapshot.Root {
	g := &waitGraph{in: in, byTask: map[*Task]int32{}, byCore: map[*core]int32{}, byKey: map[any]int32{}, seenAt: make(map[*mailbox]int, len(in.seenOf)), runs: map[*Limiter][]int32{}}
	for i := range in.seenOf {
		if w := &in.seenOf[i]; w.mb != nil {
			g.seenAt[w.mb] = i
			w.supervises = w.mb.Supervisor() != nil
		}
	}
	in.waitFor = slices.Grow(in.waitFor[:0], len(in.all))[:len(in.all)]
	g.eachSeen(func(w *seenWorker, _, at int) { in.waitFor[at] = g.waitOf(in.all[at].Task) })
	for i := range in.seenOf {
		if w := &in.seenOf[i]; w.running != nil && !w.supervises {
			g.nodes[g.taskNode(w.running)].id = w.id
		}
	}
	for i := 0; i < len(g.nodes); i++ {
		g.expand(int32(i))
	}
	for _, f := range g.full {
		g.linkToRunning(f)
	}
	if len(g.byTask) > 0 {
		g.eachSeen(func(w *seenWorker, i, at int) {
			if x, has := g.byTask[in.all[at].Task]; has { // by itself, or because another one waits for it
				g.nodes[x].id = in.all[at].id
				in.waitFor[at] = hasNode - x
			}
		})
	}
	g.describeTasks()
	g.findRoots()
	g.joinRoots()
	g.eachSeen(func(w *seenWorker, i, at int) { // by worker
		switch to := in.waitFor[at]; {
		case to <= hasNode:
			g.countTask(g.nodes[hasNode-to].roots, in.all[at].Task, int32(i+1))
		case to != waitsForNone:
			g.countTask(g.nodes[to].roots, nil, int32(i+1))
		}
	})
	return g.shown()
}

// eachSeen calls f with the place in all of each task that counts as one that waits: not those of a
// supervisor.
func (g *waitGraph) eachSeen(f func(w *seenWorker, i, at int)) {
	for i := range g.in.seenOf {
		w := &g.in.seenOf[i]
		if w.supervises {
			continue
		}
		for at := w.begin; at < w.end; at++ {
			f(w, i, at)
		}
	}
}

// waitOf is the node for which a task waits that was seen. Where it is not as simple as that the task gets one itself.
func (g *waitGraph) waitOf(t *Task) int32 {
	if t.lt.Asleep() {
		switch c := t.awaits.Load(); {
		case c == nil:
			return waitsForNone
		case !c.done.Load():
			return g.coreNode(c)
		}
	}
	g.taskNode(t)
	return hasNode
}

func (g *waitGraph) addNode(n graphNode) int32 {
	g.nodes = append(g.nodes, n)
	return int32(len(g.nodes) - 1)
}

func (g *waitGraph) taskNode(t *Task) int32 {
	i, ok := g.byTask[t]
	if !ok {
		i = g.addNode(graphNode{task: t})
		g.byTask[t] = i
	}
	return i
}

// leaf is that of a key, which of makes.
func (g *waitGraph) leaf(key any, of func() snapshot.Root) int32 {
	i, ok := g.byKey[key]
	if !ok {
		r := &rootCount{Root: of()}
		g.all = append(g.all, r)
		i = g.addNode(graphNode{root: r})
		g.byKey[key] = i
	}
	return i
}

// becomeRoot makes a task a root.
func (g *waitGraph) becomeRoot(i int32, is string) {
	n := &g.nodes[i]
	t := n.task
	r := &rootCount{of: t, node: i, Root: snapshot.Root{Is: is, Name: t.name(), Worker: t.mb.pid, Kind: t.mb.kindName()}}
	if at, ok := g.seenAt[t.mb]; ok && is == rootTurn {
		r.Queued = t.mb.queued()
		if w := &g.in.seenOf[at]; w.running == t {
			r.Blocked = w.blocked
		}
	}
	n.root = r
	g.all = append(g.all, r)
}

// describeTasks says which tasks the roots are that are tasks, when it is known which of them were seen.
func (g *waitGraph) describeTasks() {
	for _, r := range g.all {
		if r.of == nil {
			continue
		}
		n := &g.nodes[r.node]
		r.Ref = g.refOf(n)
		at, ok := g.seenAt[r.of.mb]
		if !ok {
			continue
		}
		tasks := g.in.tasksOf(&g.in.seenOf[at])
		if j, found := slices.BinarySearchFunc(tasks, n.id, func(s seenTask, id uint64) int { return cmp.Compare(s.id, id) }); found {
			r.Age = tasks[j].age
		}
	}
}

// refOf is that of a task, if it was seen.
func (g *waitGraph) refOf(n *graphNode) (ref snapshot.TaskRef) {
	ref.Worker = n.task.mb.pid
	if at, ok := g.seenAt[n.task.mb]; ok && n.id > 0 {
		ref.Incarnation, ref.ID = g.in.seenOf[at].incarnation, n.id
	}
	return ref
}

// expand adds what a node waits for.
func (g *waitGraph) expand(i int32) {
	switch n := &g.nodes[i]; {
	case n.root != nil, n.full != nil:
	case n.task != nil:
		g.expandTask(i, n.task)
	default:
		g.expandDeps(i, n.core)
	}
}

func (g *waitGraph) expandTask(i int32, t *Task) {
	switch {
	case t.lt.Ended() || t.has(isPassedOn) && !t.lt.Running() && !t.lt.Suspended():
		g.becomeRoot(i, rootOpen)
	case t.lt.Running():
		if k := g.nestedIn(t); k != nil {
			g.link(i, g.taskNode(k))
			return
		}
		g.becomeRoot(i, rootTurn)
	case t.lt.Fresh():
		g.linkToHolders(i, t)
	default:
		c := t.awaits.Load()
		switch {
		case t.lt.Asleep() && c == nil:
			g.becomeRoot(i, rootSleep)
		case t.lt.Asleep() && !c.done.Load():
			g.link(i, g.coreNode(c))
		default: // it is ready
			g.linkToHolders(i, t)
		}
	}
}

// nestedIn is the task whose first step t waits for in Start, or nil.
func (g *waitGraph) nestedIn(t *Task) *Task {
	if at, ok := g.seenAt[t.mb]; ok {
		if r := g.in.seenOf[at].running; r != nil && r != t && r.lt.Running() {
			return r
		}
	}
	return nil
}

// linkToHolders links a task that waits for a turn to whoever keeps it from having one.
func (g *waitGraph) linkToHolders(i int32, t *Task) {
	mb := t.mb
	if h := mb.holder.Load(); h != nil && h != t && h != t.messageTask() && h.canWait() {
		g.link(i, g.taskNode(h))
		return
	}
	if p := t.placesOf(); p != nil && t.lt.Fresh() && !p.has(t) && p.full() {
		p.mu.Lock()
		held := slices.Clone(p.tasks)
		p.mu.Unlock()
		g.nodes[i].any = true
		for _, o := range held {
			if o != t && o.canWait() {
				g.link(i, g.taskNode(o))
			}
		}
		if len(g.nodes[i].out) > 0 {
			return
		}
	}
	if at, ok := g.seenAt[mb]; ok {
		if r := g.in.seenOf[at].running; r != nil && r != t && r.lt.Running() {
			g.link(i, g.taskNode(r))
			return
		}
	}
	g.link(i, g.leaf(mb, func() snapshot.Root {
		return snapshot.Root{Is: rootQueue, Worker: mb.pid, Kind: mb.kindName(), Queued: mb.queued()}
	}))
}

func (g *waitGraph) link(from, to int32) {
	if out := g.nodes[from].out; !slices.Contains(out, to) {
		g.nodes[from].out = append(out, to)
	}
}

// coreNode is the node of what completes a future that is not done.
func (g *waitGraph) coreNode(c *core) int32 {
	if c != g.lastCore {
		g.lastNode = g.findCoreNode(c)
		g.lastCore = c
	}
	return g.lastNode
}

func (g *waitGraph) findCoreNode(c *core) int32 {
	if c.deps() != nil {
		j, ok := g.byCore[c]
		if !ok {
			j = g.addNode(graphNode{core: c})
			g.byCore[c] = j
		}
		return j
	}
	o := c.owner.Load()
	switch {
	case o == nil:
		return g.leaf(c, func() snapshot.Root { return snapshot.Root{Is: rootPromise, Name: "promise"} })
	case o.lifetime == carrier:
		whom := o.whom()
		return g.leaf(oneline.PID(whom, ""), func() snapshot.Root { return g.actorRoot(o, whom) })
	case o.lifetime == aside:
		return g.functionNode(o)
	case o.attached == nil:
		return g.leaf(c, func() snapshot.Root { return snapshot.Root{Is: rootPromise, Name: o.name()} })
	}
	return g.taskNode(o)
}

// functionNode is the node of an offloaded function: those alike of a worker are one. What waits for a place waits for
// those that have one.
func (g *waitGraph) functionNode(o *Task) int32 {
	var l *Limiter
	waits := false
	if b, ok := o.lt.Body.(interface{ limiterUse() (*Limiter, bool) }); ok {
		l, waits = b.limiterUse()
	}
	if !waits {
		n := len(g.nodes)
		leaf := g.leaf(function{o.mb, l, o.name()}, func() snapshot.Root { return functionRoot(o) })
		if len(g.nodes) > n {
			g.runs[l] = append(g.runs[l], leaf)
		}
		return leaf
	}
	full, ok := g.byKey[l]
	if !ok {
		full = g.addNode(graphNode{full: l, any: true})
		g.byKey[l] = full
		g.full = append(g.full, fullLimiter{full, o})
	}
	return full
}

func functionRoot(o *Task) snapshot.Root {
	return snapshot.Root{Is: rootOffload, Name: o.name(), Worker: o.mb.pid, Kind: o.mb.kindName()}
}

// linkToRunning links a limiter that is full to what was seen to run in it. If nobody awaits any of that it is a root itself.
func (g *waitGraph) linkToRunning(f fullLimiter) {
	n := &g.nodes[f.node]
	n.out = g.runs[n.full]
	if len(n.out) == 0 {
		n.root = &rootCount{Root: functionRoot(f.of)}
		g.all = append(g.all, n.root)
	}
}

// joinRoots makes one of those of one kind and name, as of groups, if there are more than are shown: a thousand tasks that each wait for one that
// sleeps would hide all else.
func (g *waitGraph) joinRoots() {
	if len(g.all) <= maxRoots {
		return
	}
	first := map[asRoot]*rootCount{}
	for _, r := range g.all {
		if r.Is == rootRing || r.Blocked != nil || r.Worker != nil && r.Kind == "" {
			continue
		}
		like := asRoot{r.Is, r.Kind, label.Digits(r.Name)}
		if first[like] == nil {
			first[like] = r
		}
		if as := first[like]; as.Name != r.Name {
			as.Name = like.name
		}
		r.as = first[like]
	}
}

func (g *waitGraph) actorRoot(o *Task, whom *actor.PID) snapshot.Root {
	r := snapshot.Root{Is: rootActor, Name: o.name()}
	if whom != nil {
		r.Worker = actor.NewPID(whom.Address, whom.Id)
	}
	return r
}

// expandDeps is for a future that waits for others.
func (g *waitGraph) expandDeps(i int32, c *core) {
	d := c.deps()
	switch {
	case d == nil: // it is done
	case d.list != nil:
		for _, t := range d.list() {
			if t.canWait() {
				g.link(i, g.taskNode(t))
			}
		}
	default:
		g.nodes[i].any = d.by >= combine.OneValue
		for _, m := range d.cores {
			if !m.done.Load() {
				g.link(i, g.coreNode(m))
			}
		}
	}
	if len(g.nodes[i].out) == 0 && !c.done.Load() {
		name := "promise"
		if d != nil {
			name = d.name()
		}
		r := &rootCount{Root: snapshot.Root{Is: rootPromise, Name: name}}
		g.nodes[i].root = r
		g.all = append(g.all, r)
	}
}

// findRoots finds what each node waits for in the end: Tarjan's search for strongly connected
// components, which comes to those that wait for nobody first. Along a list: a chain can be deeper
// than a stack.
func (g *waitGraph) findRoots() {
	type visit struct{ node, next int32 }
	var index int32
	var path []visit
	var stack []int32
	enter := func(i int32) {
		index++
		n := &g.nodes[i]
		n.index, n.low, n.onStack = index, index, true
		stack = append(stack, i)
		path = append(path, visit{node: i})
	}
	for first := range g.nodes {
		if g.nodes[first].index > 0 {
			continue
		}
		enter(int32(first))
		for len(path) > 0 {
			v := &path[len(path)-1]
			n := &g.nodes[v.node]
			if int(v.next) < len(n.out) {
				to := n.out[v.next]
				v.next++
				if o := &g.nodes[to]; o.index == 0 {
					enter(to)
				} else if o.onStack {
					n.low = min(n.low, o.index)
				}
				continue
			}
			at := v.node
			path = path[:len(path)-1]
			if len(path) > 0 {
				p := &g.nodes[path[len(path)-1].node]
				p.low = min(p.low, n.low)
			}
			if n.low != n.index {
				continue
			}
			begin := slices.Index(stack, at)
			component := stack[begin:]
			for _, i := range component {
				g.nodes[i].onStack = false
			}
			g.settle(component)
			stack = stack[:begin]
		}
	}
}

// settle says what the nodes of a component wait for in the end. All they wait for beside each other
// is settled.
func (g *waitGraph) settle(component []int32) {
	if n := &g.nodes[component[0]]; len(component) == 1 && !slices.Contains(n.out, component[0]) {
		if n.root != nil {
			n.roots = []*rootCount{n.root}
			return
		}
		for _, to := range n.out {
			n.roots = addRoots(n.roots, g.nodes[to].roots)
		}
		return
	}
	inside := func(i int32) bool { return slices.Contains(component, i) }
	if len(component) > 8 {
		in := make(map[int32]bool, len(component))
		for _, i := range component {
			in[i] = true
		}
		inside = func(i int32) bool { return in[i] }
	}
	stuck := true
	var roots []*rootCount
	for _, i := range component {
		n := &g.nodes[i]
		for _, to := range n.out {
			if !inside(to) {
				roots = addRoots(roots, g.nodes[to].roots)
				stuck = stuck && !n.any // another one would do
			}
		}
	}
	if stuck {
		r := &rootCount{Root: snapshot.Root{Is: rootRing, Ring: g.ringOf(component, inside)}}
		g.all = append(g.all, r)
		roots = []*rootCount{r}
	}
	for _, i := range component {
		g.nodes[i].roots = roots
	}
}

// ringOf are tasks of a component each of which waits for the next one, and the last for the first.
func (g *waitGraph) ringOf(component []int32, inside func(int32) bool) (ring []snapshot.RingMember) {
	at := component[0]
	place := map[int32]int{}
	var path []int32
	for {
		if begin, was := place[at]; was {
			path = path[begin:]
			break
		}
		place[at] = len(path)
		path = append(path, at)
		next := slices.IndexFunc(g.nodes[at].out, inside)
		at = g.nodes[at].out[next]
	}
	for _, i := range path {
		if n := &g.nodes[i]; n.task != nil && len(ring) < maxRing {
			ring = append(ring, snapshot.RingMember{Ref: g.refOf(n), Kind: n.task.mb.kindName(), Task: n.task.name()})
		}
	}
	// The one with the first name begins, so that two looks show the same.
	if len(ring) > 0 {
		first := 0
		for i := range ring {
			if cmp.Or(cmp.Compare(ring[i].Ref.Worker.Id, ring[first].Ref.Worker.Id), cmp.Compare(ring[i].Ref.ID, ring[first].Ref.ID)) < 0 {
				first = i
			}
		}
		ring = slices.Concat(ring[first:], ring[:first])
	}
	return ring
}

func addRoots(to, more []*rootCount) []*rootCount {
	if len(to) == 0 {
		return slices.Clip(more)
	}
	for _, r := range more {
		if len(to) < maxRootsOfTask && !slices.Contains(to, r) {
			to = append(to, r)
		}
	}
	return to
}

// countTask counts a task for what it waits for in the end, which is of itself only if it has a node. seen is its worker, plus 1.
func (g *waitGraph) countTask(roots []*rootCount, task *Task, seen int32) {
	var joined []*rootCount
	for _, r := range roots {
		if r.of != nil && r.of == task {
			continue
		}
		if as := r.as; as != nil {
			if !r.waited {
				r.waited = true
				as.N++
				as.Age = max(as.Age, r.Age)
				if r != as {
					as.Queued += r.Queued
				}
			}
			if slices.Contains(joined, as) {
				continue
			}
			r = as
			joined = append(joined, as)
		}
		r.Tasks++
		if r.last != seen {
			r.last = seen
			r.Workers++
		}
	}
}

// shown are the roots that matter: those that somebody waits for.
func (g *waitGraph) shown() []snapshot.Root {
	var out []snapshot.Root
	for _, r := range g.all {
		if r.Tasks > 0 || r.Blocked != nil {
			r.N = max(r.N, 1)
			out = append(out, r.Root)
		}
	}
	slices.SortStableFunc(out, func(a, b snapshot.Root) int {
		return cmp.Or(-cmp.Compare(int64(a.Tasks)+a.Queued, int64(b.Tasks)+b.Queued), cmp.Compare(a.Is, b.Is),
			cmp.Compare(a.Worker.GetId(), b.Worker.GetId()), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), maxRoots)]
}
