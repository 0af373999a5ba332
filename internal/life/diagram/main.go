// SPDX-License-Identifier: Apache-2.0

// Command diagram writes the diagrams of package life's tables into the comments
// and pages that show them. It runs in the folder of package life: go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/life/table"
)

// place is where a diagram stands.
type place struct {
	file string // below the root of the module
	name string // of the table, as the file says it
	of   table.Diagram
}

// places are all of them.
func places() []place {
	return []place{
		{"internal/life/worker.go", "life.Worker", life.WorkerTable()},
		{"docs/how-it-works.md", "life.Worker", life.WorkerTable()},
		{"internal/life/child.go", "life.Child", life.ChildTable()},
		{"internal/life/supervisor.go", "life.Supervisor", life.SupervisorTable()},
		{"internal/life/delivery.go", "life.Delivery", life.DeliveryTable()},
		{"supervisor/doc.go", "life.Child", life.ChildTableShown()},
	}
}

func main() {
	for _, p := range places() {
		if err := p.write("../.."); err != nil {
			fmt.Fprintln(os.Stderr, "diagram:", err)
			os.Exit(1)
		}
	}
}

// write brings the diagram up to date.
func (p place) write(root string) error {
	was, is, err := p.read(root)
	if err != nil || was == is {
		return err
	}
	return os.WriteFile(filepath.Join(root, p.file), []byte(is), 0o644)
}

// read returns the file, and what it should be.
func (p place) read(root string) (was, is string, err error) {
	b, err := os.ReadFile(filepath.Join(root, p.file))
	if err != nil {
		return "", "", err
	}
	is, err = table.Splice(string(b), p.name, p.of)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", p.file, err)
	}
	return string(b), is, nil
}
