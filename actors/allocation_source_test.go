// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestStructsWithoutNamesEmbedNothing: what is made in one allocation with a task has it in a field that has a name. A struct that embeds it
// has all of its methods, hundreds, and the compiler writes each of them for each such struct and each type of a result: they
// were two in three bytes of what these tests are compiled to.
func TestStructsWithoutNamesEmbedNothing(t *testing.T) {
	fset := token.NewFileSet()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			made, is := node.(*ast.CompositeLit)
			if !is {
				return true
			}
			if s, is := made.Type.(*ast.StructType); is {
				for _, f := range s.Fields.List {
					n++
					if len(f.Names) == 0 {
						t.Errorf("%v: a struct without a name embeds what this is", fset.Position(f.Pos()))
					}
				}
			}
			return true
		})
	}
	if n == 0 {
		t.Error("no struct without a name is made")
	}
}
