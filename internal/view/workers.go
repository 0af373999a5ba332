// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
)

// Workers is a table of workers.
type Workers struct {
	Total   int         `json:"total"`   // there are
	Matched int         `json:"matched"` // fit the filter
	Sort    string      `json:"sort"`    // the column, the largest first
	Sorts   []string    `json:"sorts"`   // that there are
	Filter  string      `json:"q"`
	Rows    []WorkerRow `json:"rows"`  // 200 at most
	Kinds   []KindRow   `json:"kinds"` // by name; 200 at most
}

// KindRow is the workers of one kind together, those that are gone included where something was counted.
type KindRow struct {
	Kind         string  `json:"kind"`
	Workers      int     `json:"workers"` // now
	Blocked      int     `json:"blocked"` // of these: that a turn holds up
	Busy         float64 `json:"busy"`    // processors that its turns take; 1 is one
	Queued       int64   `json:"queued"`
	Oldest       float64 `json:"oldest_s"`
	Offloads     int     `json:"offloads"`
	Waiting      int     `json:"offloads_waiting"`
	WaitP50      float64 `json:"wait_p50_s"` // in the queue; 0: unknown
	WaitP99      float64 `json:"wait_p99_s"`
	TurnP50      float64 `json:"turn_p50_s"`
	TurnP99      float64 `json:"turn_p99_s"`
	Counts       Counts  `json:"counts"`
	Rate         float64 `json:"rate"` // tasks a second that have ended
	BlockedTurns int64   `json:"blocked_turns"`
	Restarts     int64   `json:"restarts"`
	Failures     int64   `json:"failures"`
}

// WorkerRow is a worker in a table.
type WorkerRow struct {
	Worker      string  `json:"worker"`
	Kind        string  `json:"kind,omitempty"`
	State       string  `json:"state"` // see inspect.Worker
	Incarnation uint64  `json:"incarnation"`
	Busy        float64 `json:"busy"` // share of one processor, 0 to 1
	Queued      int64   `json:"queued"`
	Oldest      float64 `json:"oldest_s"`
	Tasks       int     `json:"tasks"`
	Offloads    int     `json:"offloads"`
	Waiting     int     `json:"offloads_waiting"`
	Blocked     float64 `json:"blocked_s"`  // how long a turn has held it up; 0: none does
	WaitP99     float64 `json:"wait_p99_s"` // of its kind, in the queue; 0: unknown
	TurnP99     float64 `json:"turn_p99_s"` // of its kind
	Finished    int64   `json:"finished"`
	Failed      int64   `json:"failed"`
	Refused     int64   `json:"refused"`
	Rate        float64 `json:"rate"` // tasks a second that have ended
}

// Worker is one worker.
type Worker struct {
	Row         WorkerRow  `json:"row"`
	Counts      Counts     `json:"counts"`
	ToldToEnd   float64    `json:"told_to_end_s"` // since the stop event, or the cause of a restart; 0: neither
	Exclusive   string     `json:"exclusive,omitempty"`
	Delayed     int        `json:"delayed"` // functions of Task.After
	NextDelayed *time.Time `json:"next_delayed,omitempty"`
	Blocked     *Turn      `json:"blocked,omitempty"`
	Turns       int64      `json:"blocked_turns"` // so far
	Timers      int        `json:"timers"`
	Busy        []Share    `json:"busy_tasks"` // what its turns are of, the largest share first
	Tasks       []Task     `json:"tasks"`      // the running one first, then the oldest; 200 at most
	More        int        `json:"more_tasks"`
	Next        uint64     `json:"next,omitempty"` // as after= it shows those that follow; 0: there are none
	Wait        *Histogram `json:"wait,omitempty"` // in the queue, of its kind
	Turn        *Histogram `json:"turn,omitempty"` // of turns, of its kind
	Failures    []Failure  `json:"failures"`       // of its kind, the newest first; 8 at most
}

// Share is how much of a processor the turns of a task take.
type Share struct {
	Task string  `json:"task"`
	Busy float64 `json:"busy"`
}

// Task is a task that has started and not ended.
type Task struct {
	Ref           Ref     `json:"ref"`
	Name          string  `json:"name"`
	State         string  `json:"state"` // "running", "awaiting", "ready"
	Awaits        string  `json:"awaits,omitempty"`
	On            string  `json:"on,omitempty"` // worker or actor that owes it
	Age           float64 `json:"age_s"`
	Budget        float64 `json:"budget_s"`                 // left; 0: no end
	ToldToEnd     float64 `json:"told_to_end_s"`            // since then; 0: it was not
	Creator       string  `json:"creator,omitempty"`        // task that has created it …
	CreatorWorker string  `json:"creator_worker,omitempty"` // … and its worker
}

// Turn is a turn that lasts.
type Turn struct {
	Task  string    `json:"task"`
	Since time.Time `json:"since"`
	For   float64   `json:"for_s"`
	Line  string    `json:"line,omitempty"` // of the user's code
	Stack string    `json:"stack,omitempty"`
}

// Histogram is how long something took. Of 64 messages, or turns, one is measured.
type Histogram struct {
	N       int64    `json:"n"` // that were measured
	P50     float64  `json:"p50_s"`
	P90     float64  `json:"p90_s"`
	P99     float64  `json:"p99_s"`
	Buckets []Bucket `json:"buckets"` // from the first to the last that has something
}

// Bucket has what took longer than the one before it, and at most Le.
type Bucket struct {
	Le float64 `json:"le_s"`
	N  int64   `json:"n"`
}

// Failure is one that is remembered.
type Failure struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind,omitempty"` // see inspect.Kind: "worker failure"
	Worker string    `json:"worker,omitempty"`
	Task   string    `json:"task,omitempty"`
	Error  string    `json:"error"`
	Line   string    `json:"line,omitempty"`
	Stack  string    `json:"stack,omitempty"`
}

// column is one that workers can be sorted by.
type column func(a, b *WorkerRow) int

var columns = map[string]column{
	"worker":      func(a, b *WorkerRow) int { return 0 }, // they come by name
	"kind":        func(a, b *WorkerRow) int { return cmp.Compare(a.Kind, b.Kind) },
	"incarnation": func(a, b *WorkerRow) int { return cmp.Compare(b.Incarnation, a.Incarnation) },
	"busy":        func(a, b *WorkerRow) int { return cmp.Compare(b.Busy, a.Busy) },
	"queued":      func(a, b *WorkerRow) int { return cmp.Compare(b.Queued, a.Queued) },
	"oldest":      func(a, b *WorkerRow) int { return cmp.Compare(b.Oldest, a.Oldest) },
	"tasks":       func(a, b *WorkerRow) int { return cmp.Compare(b.Tasks, a.Tasks) },
	"offloads":    func(a, b *WorkerRow) int { return cmp.Compare(b.Offloads+b.Waiting, a.Offloads+a.Waiting) },
	"blocked":     func(a, b *WorkerRow) int { return cmp.Compare(b.Blocked, a.Blocked) },
	"wait_p99":    func(a, b *WorkerRow) int { return cmp.Compare(b.WaitP99, a.WaitP99) },
	"turn_p99":    func(a, b *WorkerRow) int { return cmp.Compare(b.TurnP99, a.TurnP99) },
	"finished":    func(a, b *WorkerRow) int { return cmp.Compare(b.Finished, a.Finished) },
	"failed":      func(a, b *WorkerRow) int { return cmp.Compare(b.Failed, a.Failed) },
	"refused":     func(a, b *WorkerRow) int { return cmp.Compare(b.Refused, a.Refused) },
	"rate":        func(a, b *WorkerRow) int { return cmp.Compare(b.Rate, a.Rate) },
}

// defaultSort shows first what holds up most.
const defaultSort = "oldest"

// IsColumn reports whether workers can be sorted by it.
func IsColumn(name string) bool { return columns[name] != nil }

// Workers is the page of that name: those whose name or kind contains filter, the largest of a column
// first.
func (s *State) Workers(sort, filter string) *Workers {
	sort = cmp.Or(sort, defaultSort)
	t := &Workers{Total: len(s.Snapshot.Workers), Sort: sort, Sorts: slices.Sorted(maps.Keys(columns)), Filter: filter}
	rows := make([]WorkerRow, 0, min(t.Total, 4*maxRows))
	busy := map[string]float64{}
	for i := range s.Shares {
		busy[s.Shares[i].Worker.GetId()] += s.Shares[i].Busy
	}
	s.eachWorker(func(w, before *inspect.Worker) {
		row := s.row(w, before)
		row.Busy = min(busy[w.PID.Id], 1)
		if filter == "" || strings.Contains(row.Worker, filter) || strings.Contains(row.Kind, filter) {
			t.Matched++
			rows = append(rows, row)
		}
	})
	by := columns[sort]
	slices.SortStableFunc(rows, func(a, b WorkerRow) int { return by(&a, &b) })
	t.Rows = rows[:min(len(rows), maxRows)]
	t.Kinds = s.kindRows()
	return t
}

func (s *State) kindRows() []KindRow {
	rows := []KindRow{}
	for i := range s.Kinds {
		if len(rows) == maxRows {
			break
		}
		k := &s.Kinds[i]
		row := KindRow{
			Kind: k.Name, Workers: k.Workers, Blocked: k.Blocked, Busy: s.busyOfKind(k.Name), Queued: k.Queued, Oldest: seconds(k.OldestWait),
			Offloads: k.Offloads, Waiting: k.OffloadsWaiting,
			WaitP50: seconds(k.QueueWait.Quantile(0.5)), WaitP99: seconds(k.QueueWait.Quantile(0.99)),
			TurnP50: seconds(k.TurnTime.Quantile(0.5)), TurnP99: seconds(k.TurnTime.Quantile(0.99)),
			Counts: countsOf(k.Counts), BlockedTurns: k.BlockedTurns, Restarts: k.Restarts, Failures: k.Failed,
		}
		if before := s.Before.kind(k.Name); before != nil {
			row.Rate = s.rate(endedOf(k.Counts) - endedOf(before.Counts))
		}
		rows = append(rows, row)
	}
	return rows
}

// kind is the one of that name, or nil. s may be nil.
func (s *State) kind(name string) *inspect.WorkerKind {
	if s == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.Kinds, name, func(k inspect.WorkerKind, name string) int { return strings.Compare(k.Name, name) })
	if !ok {
		return nil
	}
	return &s.Kinds[i]
}

// rate is how often a second something was, which has been n times since the look before.
func (s *State) rate(n int64) float64 {
	if s.Before == nil || n <= 0 { // less than 0: another worker of that name
		return 0
	}
	return float64(n) / s.At.Sub(s.Before.At).Seconds()
}

// busyOfKind is how many processors the turns of a kind take.
func (s *State) busyOfKind(kind string) (sum float64) {
	for i := range s.Shares {
		if s.Shares[i].Kind == kind {
			sum += s.Shares[i].Busy
		}
	}
	return sum
}

// eachWorker visits the workers, each with what it was at the look before, or nil. Both are
// sorted by the ids of the PIDs.
func (s *State) eachWorker(f func(w, before *inspect.Worker)) {
	var old []inspect.Worker
	if s.Before != nil {
		old = s.Before.Snapshot.Workers
	}
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		for len(old) > 0 && old[0].PID.Id < w.PID.Id {
			old = old[1:]
		}
		if len(old) > 0 && old[0].PID.Id == w.PID.Id {
			f(w, &old[0])
		} else {
			f(w, nil)
		}
	}
}

func (s *State) row(w, before *inspect.Worker) WorkerRow {
	r := WorkerRow{
		Worker: s.Redact.worker(w.PID.Id), Kind: w.Kind, State: w.State, Incarnation: w.Incarnation,
		Queued: w.Queued, Oldest: seconds(w.OldestWait), Tasks: w.Live,
		Offloads: w.Offloads, Waiting: w.OffloadsWaiting,
		Finished: w.Counts.Finished, Failed: w.Counts.Failed, Refused: w.Counts.Refused,
	}
	if w.Blocked != nil {
		r.Blocked = s.since(w.Blocked.Since)
	}
	if k := s.kind(w.Kind); k != nil {
		r.WaitP99, r.TurnP99 = seconds(k.QueueWait.Quantile(0.99)), seconds(k.TurnTime.Quantile(0.99))
	}
	if before != nil {
		r.Rate = s.rate(endedOf(w.Counts) - endedOf(before.Counts))
	}
	return r
}

// endedOf is how many tasks have ended.
func endedOf(c actors.Counts) int64 { return c.Accepted - c.Pending }

// Worker is the page of that name. w is a look at that worker alone, with its tasks.
func (s *State) Worker(w *inspect.Worker) *Worker {
	var before *inspect.Worker
	if s.Before != nil {
		before = s.Before.worker(w.PID.Id)
	}
	v := &Worker{
		Row: s.row(w, before), Counts: countsOf(w.Counts), Exclusive: s.Redact.task(w.Exclusive), Delayed: w.Delayed, Timers: w.Timers,
		Turns: w.BlockedTurns, Busy: []Share{}, Tasks: []Task{}, Failures: []Failure{},
	}
	if !w.ToldToEnd.IsZero() {
		v.ToldToEnd = s.since(w.ToldToEnd)
	}
	if !w.NextDelayed.IsZero() {
		v.NextDelayed = &w.NextDelayed
	}
	if b := w.Blocked; b != nil {
		v.Blocked = &Turn{Task: s.Redact.task(b.Task), Since: b.Since, For: s.since(b.Since), Line: LineOf(string(b.Stack)), Stack: string(b.Stack)}
	}
	for i := range s.Shares {
		if sh := &s.Shares[i]; sh.Worker.GetId() == w.PID.Id {
			v.Busy = append(v.Busy, Share{s.Redact.task(sh.Task), sh.Busy})
			v.Row.Busy = min(v.Row.Busy+sh.Busy, 1)
		}
	}
	for i := range w.Tasks {
		v.Tasks = append(v.Tasks, s.task(&w.Tasks[i]))
	}
	if v.More = max(0, w.Live-len(w.Tasks)); v.More > 0 && len(w.Tasks) > 0 {
		v.Next = w.Tasks[len(w.Tasks)-1].Ref.ID
	}
	if k := s.kind(w.Kind); k != nil {
		v.Wait, v.Turn = histogramOf(&k.QueueWait), histogramOf(&k.TurnTime)
		for i := range k.Failures {
			v.Failures = append(v.Failures, s.pastFailure(&k.Failures[i]))
		}
	}
	return v
}

func (s *State) task(t *inspect.Task) Task {
	v := Task{
		Name: s.Redact.task(t.Name), State: t.State, Awaits: s.Redact.task(t.Awaits), On: s.Redact.Worker(t.On, s.home()),
		Age: seconds(t.Age), Budget: seconds(t.Budget), Creator: s.Redact.task(t.Creator),
	}
	if r := s.ref(t.Ref, t.Name); r != nil {
		v.Ref = *r
	}
	if t.CreatorWorker != nil {
		v.CreatorWorker = s.Redact.Worker(t.CreatorWorker, s.home())
	}
	if !t.ToldToEnd.IsZero() {
		v.ToldToEnd = s.since(t.ToldToEnd)
	}
	return v
}

func (s *State) pastFailure(f *inspect.PastFailure) Failure {
	return Failure{
		At: f.At, Kind: string(f.Kind), Worker: s.Redact.Worker(f.Worker, s.home()), Task: s.Redact.task(f.Task),
		Error: s.Redact.Text(RedactError, f.Err), Line: LineOf(string(f.Stack)), Stack: string(f.Stack),
	}
}

// histogramOf is nil if nothing was measured.
func histogramOf(h *inspect.Histogram) *Histogram {
	v := &Histogram{N: h.N(), P50: seconds(h.Quantile(0.5)), P90: seconds(h.Quantile(0.9)), P99: seconds(h.Quantile(0.99))}
	if v.N == 0 {
		return nil
	}
	for i, n := range h.Counts {
		if n > 0 || len(v.Buckets) > 0 {
			v.Buckets = append(v.Buckets, Bucket{h.Bound(i).Seconds(), n})
		}
	}
	for v.Buckets[len(v.Buckets)-1].N == 0 {
		v.Buckets = v.Buckets[:len(v.Buckets)-1]
	}
	return v
}
