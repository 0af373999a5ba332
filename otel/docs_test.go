// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// docRows are the rows of the tables of docs/telemetry.md whose head has these cells.
func docRows(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	in := false
	for line := range bytes.Lines(text) {
		l := strings.TrimSpace(string(line))
		switch {
		case l == head:
			in = true
		case !strings.HasPrefix(l, "|"):
			in = false
		case in && !strings.HasPrefix(l, "|---"):
			var cells []string
			for _, c := range strings.Split(strings.Trim(l, "|"), "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("docs/telemetry.md has no table %s", head)
	}
	return rows
}

var quoted = regexp.MustCompile("`([^`]+)`")

// DocMetrics are those of docs/telemetry.md, each as "type, unit, attributes", where an attribute is the last part of its name, with its
// values if there are few.
func DocMetrics(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, row := range docRows(t, "| name | type, unit | attributes |") {
		var attrs []string
		for _, a := range strings.Split(row[2], ";") {
			name, rest, few := strings.Cut(strings.TrimSpace(a), ":")
			name, _, _ = strings.Cut(name, ",") // what is said of it
			if name == "" {
				continue
			}
			if few {
				values := strings.Split(strings.ReplaceAll(rest, " ", ""), ",")
				slices.Sort(values)
				name += "=" + strings.Join(values, "|")
			}
			attrs = append(attrs, name)
		}
		slices.Sort(attrs)
		for _, name := range quoted.FindAllStringSubmatch(row[0], -1) {
			if all[name[1]] != "" {
				t.Errorf("docs/telemetry.md has %s twice", name[1])
			}
			all[name[1]] = row[1] + "; " + strings.Join(attrs, " ")
		}
	}
	return all
}

// DocQueueSpans are the spans of queues of docs/telemetry.md, as "KIND name".
func DocQueueSpans(t *testing.T) (all []string) {
	t.Helper()
	for _, row := range docRows(t, "| a queue's | by | span | name |") {
		for _, name := range strings.Split(row[3], ", ") {
			all = append(all, strings.ToLower(row[2])+" "+name)
		}
	}
	slices.Sort(all)
	return all
}

// TestDocsNameTheSpansOfWork: the table of docs/telemetry.md has the kind and the name of the span of each kind of work.
func TestDocsNameTheSpansOfWork(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range docRows(t, "| work | is | span | name |") {
		for _, is := range quoted.FindAllStringSubmatch(row[1], -1) {
			key := workSort{is: is[1]}
			if strings.Contains(row[3], "kind/") {
				key.kind = "kind"
			}
			if strings.Contains(row[3], "message type") {
				key.message = "message type"
			} else {
				key.name = "the task's name"
			}
			seen[key.is] = true
			s := newSpanSort(key)
			c := trace.NewSpanStartConfig(s.start...)
			if got, want := fmt.Sprint(strings.ToUpper(c.SpanKind().String()), " ", s.name), row[2]+" "+row[3]; got != want {
				t.Errorf("the span of %s is %q, and docs/telemetry.md says %q", key.is, got, want)
			}
		}
	}
	for _, is := range []string{"ask", "remote", "send", "submit", "start", "offload"} {
		if !seen[is] {
			t.Errorf("docs/telemetry.md does not have the work %q", is)
		}
	}
}
