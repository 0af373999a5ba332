// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors/inspect"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden: what pages and command line read of a state, byte for byte. After a change of a
// view run go test ./internal/view -update, and read the changes.
func TestGolden(t *testing.T) {
	s := shop()
	lints := s.Lints()
	timeline := []Record{{ID: 12, At: ago(20 * time.Second), Kind: RecordRestart, What: "failed", Level: Error, Supervisor: "shop", Child: "cart", Task: "checkout", Error: "payment: no route to host", Stack: stackOfAdd}}
	for page, v := range map[string]any{
		"about":       s.About,
		"overview":    s.Overview(lints),
		"waits":       s.Waits(),
		"workers":     s.Workers("", ""),
		"worker":      s.Worker(cartWithTasks(s)),
		"supervision": s.Supervision(timeline),
		"queues":      s.Queues([]Lag{{N: 250}}, []Record{{ID: 3, At: ago(time.Minute), Kind: RecordFailure, What: string(inspect.DeadLetter), Level: Error, Worker: "shop/orders", Task: "orders: message order", Error: "given up after 5 tries"}}),
		"sockets":     s.Sockets(s.Servers, ""),
		"stop":        s.Stop(func(*inspect.Worker) []inspect.Task { return cartWithTasks(s).Tasks }),
		"log":         timeline,
	} {
		t.Run(page, func(t *testing.T) {
			b := new(bytes.Buffer)
			e := json.NewEncoder(b)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(Answer{Page: page, At: s.At, Seq: s.Seq, Verdict: VerdictOf(lints), View: v}); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", page+".json")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("it is\n%s", b)
			}
			if strings.Contains(b.String(), ": null") {
				t.Error("a list without anything is null: a page would have to know both")
			}
		})
	}
}
