// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A part of the contract that the root does not run would be checked by
// nobody, and a guarantee without a part is a promise only.
func TestRootRunsTheWholeContract(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range parseFile(t, name).Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() {
				parts = append(parts, f.Name.Name)
			}
		}
	}
	var run, guarantees []string
	guarantee := regexp.MustCompile(`^TestGuarantee(\d\d)`)
	for _, d := range parseFile(t, "../../actors_test.go").Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name == "TestMain" || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		if m := guarantee.FindStringSubmatch(f.Name.Name); m != nil {
			guarantees = append(guarantees, strings.TrimPrefix(m[1], "0"))
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "contract" {
					run = append(run, s.Sel.Name)
				}
			}
			return true
		})
	}
	slices.Sort(parts)
	slices.Sort(run)
	if !slices.Equal(parts, run) {
		t.Errorf("actors_test.go runs %v\n       the contract is %v", run, parts)
	}

	doc, err := os.ReadFile("../../actors/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var promised []string
	for _, m := range regexp.MustCompile(`(?m)^//\s+(\d+)\. `).FindAllStringSubmatch(string(doc), -1) {
		promised = append(promised, m[1])
	}
	if len(promised) == 0 || !slices.Equal(guarantees, promised) {
		t.Errorf("actors/doc.go promises %v, actors_test.go has tests of %v", promised, guarantees)
	}
}

func parseFile(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Package testing in a program is dead weight, and gives its command line the
// flags of a test. So what is made for tests is named here, and nothing else in
// any module of go.work imports it or testing, but tests.
func TestOnlyTestsImportTesting(t *testing.T) {
	const module = "github.com/protoloop/protoloop/"
	forTests := []string{
		"testing", "testing/synctest",
		module + "actortest",
		module + "cmd/example/internal/browser",
		module + "consumer/consumertest",
		module + "consumer/jetstream/jetstreamtest",
		module + "examples/tutorial/internal/program",
		module + "grid/gridtest",
		module + "grid/gridtest/nettest",
		module + "grid/gridtest/storetest",
		module + "grid/remind/remindtest",
		module + "grid/state/statetest",
		module + "internal/consoletest",
		module + "internal/contract",
		module + "internal/futuretest",
		module + "internal/seeded",
		module + "internal/testtools",
	}
	list := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "work")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal("go list work: ", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		if seen[path] = true; slices.Contains(forTests, path) {
			continue
		}
		for _, i := range strings.Fields(imports) {
			if slices.Contains(forTests, i) {
				t.Errorf("%s imports %s", path, i)
			}
		}
	}
	for _, path := range append(forTests[2:], module+"cmd/example") {
		if !seen[path] {
			t.Errorf("go list work does not list %s: was it renamed?", path)
		}
	}
}
