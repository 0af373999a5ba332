// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The paths of how-it-works.md are lists of functions. An item names a file and
// functions in it. Each function but the first of an item that begins with "Later" is
// used by one that stands before it in its path.
func TestPathsThroughTheCode(t *testing.T) {
	page := read(t, "how-it-works.md")
	_, section, found := strings.Cut(page, "\n## The paths through the code\n")
	if !found {
		t.Fatal("how-it-works.md does not have the section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	paths := strings.Split(section, "\n### ")[1:]
	if len(paths) != 5 {
		t.Errorf("%d paths, want those of a request, a crash, a stop, a queue message and an ask of another node", len(paths))
	}
	item := regexp.MustCompile("(?m)^[0-9]+\\. (Later[^\\[]*)?\\[`([^`]*)`\\]\\([^)]*\\): (.*(?:\n   .*)*)")
	function := regexp.MustCompile("`([A-Za-z.]+)`")
	parsed := map[string]map[string]*ast.FuncDecl{}
	for _, path := range paths {
		name, _, _ := strings.Cut(path, "\n")
		used := map[string]bool{} // names that the functions so far use
		files := map[string]bool{}
		first := true
		for _, m := range item.FindAllStringSubmatch(path, -1) {
			file := m[2]
			files[file] = true
			if parsed[file] == nil {
				parsed[file] = functionsOf(t, file)
			}
			from := first || m[1] != ""
			first = false
			steps, _, _ := strings.Cut(m[3], " — ")
			for _, f := range function.FindAllStringSubmatch(steps, -1) {
				decl := parsed[file][f[1]]
				if decl == nil {
					t.Errorf("%s: there is no %s in %s", name, f[1], file)
					continue
				}
				if !from && !used[decl.Name.Name] {
					t.Errorf("%s: nothing before %s in %s uses it", name, f[1], file)
				}
				from = false
				ast.Inspect(decl.Body, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						used[id.Name] = true
					}
					return true
				})
			}
		}
		if len(files) < 3 {
			t.Errorf("%s: only %d files: is the pattern right?", name, len(files))
		}
		if strings.Contains(name, "crash") && len(files) > 14 {
			t.Errorf("%s: %d files, and nobody holds more than 14 in the head", name, len(files))
		}
		t.Logf("%s: %d files", name, len(files))
	}
}

// CONTRIBUTING.md says where a change goes: it names files, and functions in them.
func TestWhereAChangeGoes(t *testing.T) {
	_, section, found := strings.Cut(read(t, "../CONTRIBUTING.md"), "\n## Where a change goes\n")
	if !found {
		t.Fatal("CONTRIBUTING.md does not have the section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	place := regexp.MustCompile("((?:`[A-Za-z.]+`(?:,|\\s+and)?\\s+)+)in\\s+\\[`([^`]*\\.go)`\\]")
	function := regexp.MustCompile("`([A-Za-z.]+)`")
	n := 0
	for _, m := range place.FindAllStringSubmatch(section, -1) {
		has := functionsOf(t, m[2])
		for _, f := range function.FindAllStringSubmatch(m[1], -1) {
			if n++; has[f[1]] == nil {
				t.Errorf("there is no %s in %s", f[1], m[2])
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d functions: is the pattern right?", n)
	}
}

// functionsOf has the functions of a file, methods as Type.Name.
func functionsOf(t *testing.T, file string) map[string]*ast.FuncDecl {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*ast.FuncDecl{}
	for _, d := range f.Decls {
		decl, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := decl.Name.Name
		if decl.Recv != nil {
			of := decl.Recv.List[0].Type
			if p, ok := of.(*ast.StarExpr); ok {
				of = p.X
			}
			if g, ok := of.(*ast.IndexExpr); ok {
				of = g.X
			}
			name = of.(*ast.Ident).Name + "." + name
		}
		all[name] = decl
	}
	return all
}
