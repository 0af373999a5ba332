// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhoCompletesRequests holds the code to its one door: nothing but completion.go
// decides a request's end and tells whoever has asked. What a task runs calls the two
// typed forms of that, and no future of a task is completed by hand.
func TestWhoCompletesRequests(t *testing.T) {
	door := map[string][]string{ // what may be called, and where
		"failLater":          {"completion.go"},
		"deliverAnswerLater": {"completion.go"},
		"answerFirst":        {"completion.go"},
		"completeFunction":   {"call.go", "group_task.go", "start.go"},
		"completeHandled":    {"offload.go", "worker.go"},
		// Tasks are counted in one place, as they leave their worker.
		"settleBucket": {"incoming.go"},
	}
	byHand := []string{"fail", "resolve", "resolveLater", "resolveMember", "failMember", "publishResult"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if _, is := door[method.Sel.Name]; is {
				if called[method.Sel.Name] == nil {
					called[method.Sel.Name] = map[string]bool{}
				}
				called[method.Sel.Name][name] = true
			}
			if slices.Contains(byHand, method.Sel.Name) && isFutureOfTask(method.X) {
				t.Errorf("%v: the future of a task is completed by %s; see completion.go", fset.Position(call.Pos()), method.Sel.Name)
			}
			return true
		})
	}
	for what, allowed := range door {
		if in := slices.Sorted(maps.Keys(called[what])); !slices.Equal(in, allowed) {
			t.Errorf("%s is called in %q, want %q", what, in, allowed)
		}
	}
}

// isFutureOfTask reports whether an expression is like u.fut, or t.future().
func isFutureOfTask(x ast.Expr) bool {
	if call, ok := x.(*ast.CallExpr); ok {
		x = call.Fun
	}
	s, ok := x.(*ast.SelectorExpr)
	return ok && (s.Sel.Name == "fut" || s.Sel.Name == "future")
}
