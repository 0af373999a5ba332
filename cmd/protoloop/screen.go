// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/protoloop/protoloop/internal/view"
)

// runScreen is top on a full screen.
func runScreen(ctx context.Context, c *command) error {
	end, err := tea.NewProgram(&screen{ctx: ctx, c: c, sort: c.sort, filter: c.filter},
		tea.WithContext(ctx), tea.WithInput(c.in), tea.WithOutput(c.out), tea.WithoutSignalHandler()).Run()
	if s, ok := end.(*screen); ok && s.failed != nil && s.look == nil {
		return s.failed // it never had anything to show
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// screen is what top shows, and what was chosen. Its methods are called one at a time.
type screen struct {
	ctx           context.Context
	c             *command
	width, height int

	look   *look        // the last one; nil: none yet
	detail *view.Worker // of the chosen worker
	failed error        // of the last look; nil: it went well
	at     time.Time    // of the last look that went well

	sort, filter string
	typing       bool // the filter
	paused       bool
	chosen       string // worker of the row that is marked
	first        int    // row at the top
	open         bool   // the chosen worker is shown alone
}

// looked is a look that is there. Detail is of the worker that was asked for then.
type looked struct {
	look   *look
	detail *view.Worker
	err    error
}

// extra is a look beside those that come each second: it asks for no other.
type extra looked

// due says that it is time for the next look.
type due struct{}

func (s *screen) Init() tea.Cmd { return s.fetch() }

// fetch looks, with what is chosen now.
func (s *screen) fetch() tea.Cmd {
	q := url.Values{}
	if s.sort != "" {
		q.Set("sort", s.sort)
	}
	if s.filter != "" {
		q.Set("q", s.filter)
	}
	worker := ""
	if s.open {
		worker = s.chosen
	}
	return func() tea.Msg {
		l, err := s.c.look(s.ctx, q)
		if err != nil {
			return looked{err: err}
		}
		if worker == "" {
			return looked{look: l}
		}
		w := new(view.Worker)
		_, err = s.c.client.get(s.ctx, "worker", url.Values{"id": {worker}}, w)
		return looked{look: l, detail: w, err: err}
	}
}

func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case looked:
		return s, s.take(msg)
	case extra:
		s.take(looked(msg))
	case due:
		if s.paused {
			return s, s.wait()
		}
		return s, s.fetch()
	case tea.KeyPressMsg:
		return s, s.press(msg)
	}
	return s, nil
}

// wait is for the next look.
func (s *screen) wait() tea.Cmd {
	return tea.Tick(s.c.watch, func(time.Time) tea.Msg { return due{} })
}

func (s *screen) take(l looked) tea.Cmd {
	s.failed = l.err
	if l.look == nil && s.look == nil {
		return tea.Quit
	}
	if l.look != nil {
		s.look, s.at = l.look, time.Now()
	}
	if l.err == nil {
		s.detail = l.detail
	}
	if s.chosen == "" && len(s.look.workers.Rows) > 0 {
		s.chosen = s.look.workers.Rows[0].Worker
	}
	return s.wait()
}

// press is a key. A look that is on its way goes on; what was chosen shows in the next one.
func (s *screen) press(key tea.KeyPressMsg) tea.Cmd {
	if s.typing {
		return s.typeFilter(key)
	}
	switch key.String() {
	case "q", "ctrl+c":
		return tea.Quit
	case "esc", "left", "h":
		s.open, s.detail = false, nil
	case "up", "k":
		s.move(-1)
	case "down", "j":
		s.move(1)
	case "home", "g":
		s.move(-len(s.look.rows()))
	case "end", "G":
		s.move(len(s.look.rows()))
	case "pgup":
		s.move(-s.rows())
	case "pgdown", "space":
		s.move(s.rows())
	case "enter", "right", "l":
		s.open = s.chosen != ""
		return s.once()
	case "s", "tab":
		s.nextSort()
		return s.once()
	case "/":
		s.typing, s.filter = true, ""
	case "p":
		s.paused = !s.paused
	}
	return nil
}

// once looks beside the looks that come each second.
func (s *screen) once() tea.Cmd {
	fetch := s.fetch()
	return func() tea.Msg {
		l, ok := fetch().(looked)
		if !ok || l.err != nil {
			return nil // the next one says so
		}
		return extra(l)
	}
}

func (s *screen) typeFilter(key tea.KeyPressMsg) tea.Cmd {
	switch key.String() {
	case "enter":
		s.typing = false
		return s.once()
	case "esc", "ctrl+c":
		s.typing, s.filter = false, ""
	case "backspace":
		if r := []rune(s.filter); len(r) > 0 {
			s.filter = string(r[:len(r)-1])
		}
	default:
		s.filter += key.Text
	}
	return nil
}

// nextSort goes on to the next column.
func (s *screen) nextSort() {
	if s.look == nil || len(s.look.workers.Sorts) == 0 {
		return
	}
	all := s.look.workers.Sorts
	s.sort = all[(slices.Index(all, s.look.workers.Sort)+1)%len(all)]
}

// move marks another row.
func (s *screen) move(by int) {
	rows := s.look.rows()
	if s.open || len(rows) == 0 {
		return
	}
	at := slices.IndexFunc(rows, func(r view.WorkerRow) bool { return r.Worker == s.chosen })
	at = min(max(at+by, 0), len(rows)-1)
	s.chosen = rows[at].Worker
	s.first = min(max(s.first, at-s.rows()+1), at)
}

// rows is how many fit.
func (s *screen) rows() int {
	if s.look == nil {
		return 1
	}
	return max(1, s.height-len(s.look.head())-4)
}

func (s *screen) View() tea.View {
	var lines []string
	switch {
	case s.look == nil:
		lines = []string{"looking at " + s.c.client.what + " …"}
	case s.open && s.detail != nil:
		lines = append(s.look.head(), "")
		lines = append(lines, workerDetail(s.detail, s.width)...)
	default:
		lines = append(s.look.head(), "")
		lines = append(lines, s.tableLines()...)
	}
	lines = lines[:min(len(lines), max(0, s.height-1))]
	for len(lines) < s.height-1 {
		lines = append(lines, "")
	}
	for i := range lines {
		lines[i] = short(lines[i], s.width)
	}
	lines = append(lines, short(s.foot(), s.width))
	if s.c.hasColor() {
		s.paint(lines)
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	return v
}

// tableLines is the table from the first row that shows, the chosen one marked.
func (s *screen) tableLines() []string {
	v := s.look.workers
	s.first = min(s.first, max(0, len(v.Rows)-1))
	rows := s.rows()
	v.Matched -= s.first
	v.Rows = v.Rows[s.first:]
	lines := workerLines(&v, rows, max(0, s.width-2))
	for i := range lines {
		mark := "  "
		if r := i - 1; r >= 0 && r < min(rows, len(v.Rows)) && v.Rows[r].Worker == s.chosen {
			mark = "> "
		}
		lines[i] = mark + lines[i]
	}
	return lines
}

// foot says what the keys do, or what is wrong.
func (s *screen) foot() string {
	switch {
	case s.typing:
		return "show workers with: " + clean(s.filter) + "▏  (enter: done, esc: all)"
	case s.failed != nil:
		return fmt.Sprintf("stale for %s: %v", span(time.Since(s.at).Seconds()), s.failed)
	}
	keys := "q quit · ↑↓ choose · enter look into · s sort · / filter · p pause"
	if s.open {
		keys = "q quit · esc back · p pause"
	}
	if s.look != nil && !s.open {
		keys += " · by " + clean(s.look.workers.Sort)
		if s.filter != "" {
			keys += ", with " + clean(s.filter)
		}
	}
	if s.paused {
		keys = "PAUSED · " + keys
	}
	return keys
}

// paint colors what has to be seen first. The words are the same without it.
func (s *screen) paint(lines []string) {
	for i, line := range lines {
		color := ""
		switch {
		case strings.HasPrefix(line, string(view.Error)+": "):
			color = "31;1"
		case strings.HasPrefix(line, string(view.Warning)+": "):
			color = "33"
		case strings.HasPrefix(line, "> "):
			color = "7"
		case i == len(lines)-1:
			color = "2"
		}
		if color != "" {
			lines[i] = "\x1b[" + color + "m" + line + "\x1b[0m"
		}
	}
}

// workerDetail is one worker: its account, what its turns are of, its tasks and last failures.
func workerDetail(w *view.Worker, width int) []string {
	r := &w.Row
	lines := []string{
		fmt.Sprintf("%s, a %s, %s, start %d", clean(r.Worker), clean(r.Kind), clean(r.State), r.Incarnation),
		fmt.Sprintf("offered %d = accepted %d + refused %d; accepted = finished %d + failed %d + canceled %d + abandoned %d + dead-lettered %d + pending %d",
			w.Counts.Offered, w.Counts.Accepted, w.Counts.Refused, w.Counts.Finished, w.Counts.Failed, w.Counts.Canceled, w.Counts.Abandoned, w.Counts.DeadLettered, w.Counts.Pending),
	}
	if w.Blocked != nil {
		lines = append(lines, fmt.Sprintf("BLOCKED for %s in %s at %s", span(w.Blocked.For), clean(w.Blocked.Task), clean(w.Blocked.Line)))
	}
	if w.ToldToEnd > 0 {
		lines = append(lines, fmt.Sprintf("told to end %s ago", span(w.ToldToEnd)))
	}
	for _, b := range w.Busy {
		lines = append(lines, fmt.Sprintf("busy %s in %s", share(b.Busy), clean(b.Task)))
	}
	t := newTable("TASK", "STATE", "AWAITS", ">AGE", ">BUDGET", ">TOLD TO END")
	for i := range w.Tasks {
		k := &w.Tasks[i]
		t.add(k.Name, k.State, joined(k.On, ": ", k.Awaits), span(k.Age), span(k.Budget), span(k.ToldToEnd))
	}
	lines = append(lines, "")
	lines = append(lines, t.text(width)...)
	if w.More > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", number(w.More, "task")))
	}
	if len(w.Failures) > 0 {
		lines = append(lines, "", "last failures of this kind:")
	}
	for i := range w.Failures {
		f := &w.Failures[i]
		lines = append(lines, clean(fmt.Sprintf("%s %s: %s", f.At.Local().Format(time.TimeOnly), f.Task, f.Error)))
	}
	return lines
}
