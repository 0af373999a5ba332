// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// reported stops a tree of which one child drains for 2 s, unwinds for 1 s and
// runs its hook for 3 s, and another one has a task that does not return.
func reported(w *world) supervisor.Report {
	slow := w.part("slow", func(_ int, aw *actors.Worker) error {
		aw.OnStop(func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
		return nil
	}, actors.Options{StopGrace: 10 * time.Second})
	inner := w.props(supervisor.Spec{Children: []supervisor.Child{
		{Name: "slow", Props: slow, Shutdown: 2 * time.Second}, {Name: "stuck", Props: w.part("stuck", nil, actors.Options{StopGrace: time.Second}), Shutdown: time.Second}}})
	pool, err := supervisor.DynamicProps(supervisor.DynamicSpec{Child: w.child("p")})
	if err != nil {
		w.Fatal(err)
	}
	s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "inner", Props: inner}, w.plainly("plain", nil), {Name: "pool", Props: pool}}})
	if pid, err := s.Dynamic("pool").Start(w.Context(), "one", nil); err != nil || !pid.Equal(s.Child("pool/one")) {
		w.Errorf("%v, %v", pid, err)
	}
	w.ask(s.Child("pool/one"), life{})
	w.tell(s.Child("inner/slow"), do{func(t *actors.Task) error {
		t.Sleep(time.Hour)
		return t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(time.Second) })
	}})
	w.crash(s.Child("inner/stuck"))
	w.tell(s.Child("inner/stuck"), stuck{})
	synctest.Wait()
	return w.stop(s)
}

// The report says how long each phase of each stop took.
func TestReportPhases(t *testing.T) {
	bubble(t, func(w *world) {
		r := reported(w)
		want := []supervisor.Phase{{Name: "drain", Took: 2 * time.Second}, {Name: "unwind", Took: time.Second}, {Name: "hooks", Took: 3 * time.Second}, {Name: "release"}}
		if got := row(r.Children, "inner/slow").Phases; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		// A loop that is stuck in a turn learns of the end of its grace later.
		stuck := time.Duration(0)
		for _, p := range row(r.Children, "inner/stuck").Phases {
			stuck += p.Took
		}
		if stuck < 2*time.Second || stuck > 3*time.Second {
			t.Errorf("the one that was stuck took %v", stuck)
		}
		if all := r.Phases; len(all) != 1 || all[0] != (supervisor.Phase{Name: "stop", Took: 6*time.Second + stuck}) {
			t.Errorf("%v in all", all)
		}
	})
}

// A child that waits for its restart, with its hooks run, has nothing to do in a
// stop: the wait is none of it.
func TestReportPhasesAtRest(t *testing.T) {
	bubble(t, func(w *world) {
		c := w.child("waits")
		c.Backoff = actors.Backoff{Initial: time.Minute}
		s := w.start(supervisor.Spec{MaxRestarts: 5, Children: []supervisor.Child{c}})
		w.crash(s.Child("waits"))
		time.Sleep(10 * time.Second)
		r := w.stop(s)
		for _, p := range slices.Concat(row(r.Children, "waits").Phases, r.Phases) {
			if p.Took != 0 {
				t.Errorf("%s took %v of a stop that took no time", p.Name, p.Took)
			}
		}
	})
}

// It prints as a table that a person can read, with the stacks below.
func TestReportText(t *testing.T) {
	bubble(t, func(w *world) {
		text := reported(w).String()
		table, below, _ := strings.Cut(text, "\n\n")
		var got []string
		for line := range strings.Lines(table) {
			fields := strings.Fields(line)
			got = append(got, strings.Join(fields[:min(len(fields), 10)], " ")) // without the times
		}
		want := []string{
			"stopped app",
			"child accepted finished failed canceled abandoned dead letters pending refused",
			"inner 3 0 1 1 1 0 0 0 0",
			"inner/slow 1 0 0 1 0 0 0 0 0",
			"inner/stuck 2 0 1 0 1 0 0 0 1",
			"plain - - - - - - - - 0",
			"pool 1 1 0 0 0 0 0 0 0",
			"pool/one 1 1 0 0 0 0 0 0 0",
			"total 4 1 1 1 1 0 0 0",
		}
		for i, line := range got {
			if i >= len(want) || !strings.HasPrefix(line, want[i]) {
				t.Errorf("line %d is %q", i, line)
			}
		}
		if len(got) != len(want) || !strings.HasPrefix(below, "abandoned: inner/stuck: supervisor_test.stuck, since ") || !strings.Contains(below, "helpers_test.go") {
			t.Errorf("%s", text)
		}
	})
}

// Of many children the text shows those that matter, and names that have come from
// anywhere are on one line each.
func TestReportTextOfMany(t *testing.T) {
	bubble(t, func(w *world) {
		d, err := supervisor.StartDynamic(w.Context(), w.sys, supervisor.DynamicSpec{Name: "pool", Child: w.child("p")})
		if err != nil {
			w.Fatal(err)
		}
		for i := range 200 {
			name := fmt.Sprint("c", i)
			if i == 190 {
				name = "bad\n\x1b[31mname"
			}
			pid, err := d.Start(w.Context(), name, nil)
			if err != nil {
				w.Fatal(err)
			}
			if w.ask(pid, life{}); i == 190 {
				w.crash(pid)
			}
		}
		r, err := d.Stop(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		lines := strings.Split(r.String(), "\n")
		want := map[int]string{
			2:  "bad [31mname 2 1 1 0 0 0 0 0", // the one that failed, before those that only worked
			3:  "c0 1 1 0 0 0 0 0 0",
			52: "and 150 more",
			53: "total 201 200 1 0 0 0 0 0",
		}
		for i, want := range want {
			if i >= len(lines) || !strings.HasPrefix(strings.Join(strings.Fields(lines[i]), " "), want) {
				t.Errorf("line %d of %d is not %q:\n%s", i, len(lines), want, strings.Join(lines[:min(len(lines), 56)], "\n"))
			}
		}
	})
}

// Offloaded functions that do not return are named one by one, as their tasks are.
func TestReportNamesOffloads(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "db", Props: w.part("db", nil, actors.Options{StopGrace: time.Second}), Shutdown: time.Second}}})
		stuck := func(context.Context) (int, error) { <-w.hold; return 0, nil }
		w.tell(s.Child("db"), do{func(t *actors.Task) error {
			actors.Offload(t, func(context.Context) (int, error) { return 0, nil }, actors.Name("ping"))
			actors.Offload(t, stuck, actors.Name("query"))
			actors.Offload(t, stuck, actors.Name("commit"))
			_, err := actors.Await(t, actors.Offload(t, stuck))
			return err
		}})
		synctest.Wait()
		r := w.stop(s)
		left, ok := errors.AsType[*supervisor.AbandonedError](r.Err())
		if want := []string{"db: query", "db: commit", "db: offload supervisor_test.TestReportNamesOffloads.func1.1"}; !ok || !slices.Equal(left.Tasks, want) {
			t.Errorf("%v, want %v", r.Err(), want)
		}
	})
}

// As JSON it has the same figures.
func TestReportJSON(t *testing.T) {
	bubble(t, func(w *world) {
		r := reported(w)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		type part struct {
			Name, Kind string
			Counted    bool
			Counts     actors.Counts
			Restarts   int
			Abandoned  []struct{ Name, Stack string }
			Phases     []struct {
				Name string
				Took float64 `json:"took_s"`
			}
			Children []part
		}
		var got struct {
			Supervisor string
			Total      actors.Counts
			Children   []part
			Clean      *bool
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.Supervisor != "app" || got.Total != r.Total || len(got.Children) != 3 || got.Clean == nil || *got.Clean {
			t.Fatalf("%s", text)
		}
		inner, plain := got.Children[0], got.Children[1]
		slow, stuck := inner.Children[0], inner.Children[1]
		if inner.Kind != "supervisor" || slow.Kind != "worker" || plain.Kind != "plain" || plain.Counted || !slow.Counted || stuck.Restarts != 1 {
			t.Errorf("%s", text)
		}
		if slow.Phases[2].Name != "hooks" || slow.Phases[2].Took != 3 || len(stuck.Abandoned) != 1 || !strings.Contains(stuck.Abandoned[0].Stack, "helpers_test.go") {
			t.Errorf("%s", text)
		}
	})
}

// Each event is a record of the log, too, that names supervisor and child.
func TestEventRecords(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{{Name: "in", Props: w.props(supervisor.Spec{Children: []supervisor.Child{
			with(w.child("x"), func(c *supervisor.Child) {
				c.Props, c.Shutdown = w.part("x", nil, actors.Options{StopGrace: time.Second}), time.Second
			})}})}}})
		w.crash(s.Child("in/x"))
		w.tell(s.Child("in/x"), stuck{})
		synctest.Wait()
		w.stop(s)
		var got []string
		for _, r := range actortest.LogOf(w.sys).Find(slog.LevelDebug, "supervisor: ") {
			who, _ := r.Attr("supervisor").(string)
			child, _ := r.Attr("child").(string)
			got = append(got, strings.TrimSuffix(who+"/"+child, "/")+strings.TrimPrefix(r.Message, "supervisor:"))
			if r.Message == "supervisor: child failed" && (r.Attr("error") == nil || r.Attr("stack") == "" || r.Attr("message") != "supervisor_test.boom") {
				t.Errorf("%v", r)
			}
		}
		want := []string{"app/in/x child started", "app/in child started", "app/in/x child failed", "app/in/x restarting", "app/in/x restarted",
			"app stopping", "app/in stopping", "app/in stopping", "app/in/x stopping", "app/in/x abandoned", "app/in/x stopped", "app/in stopped", "app/in stopped", "app stopped"}
		if !slices.Equal(got, want) {
			t.Errorf("records:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	})
}

func TestChildInfoString(t *testing.T) {
	all := []supervisor.ChildInfo{
		{Name: "store", Kind: supervisor.KindWorker, State: "up", Restarts: 2, Err: errors.New("no disk")},
		{Name: "inner", Kind: supervisor.KindSupervisor, State: "starting", Children: []supervisor.ChildInfo{
			{Name: "x\n", Kind: supervisor.KindPlain, State: "gone"}, {Name: "y", Kind: supervisor.KindWorker, State: "up"}}},
	}
	want := "[store: up, worker, 2 restarts, last of: no disk inner: starting, supervisor [x : gone, plain; y: up, worker]]"
	if got := fmt.Sprint(all); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
