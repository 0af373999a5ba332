// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is public to testdata/api.txt")

// public are the packages of the root module that others import.
var public = []string{"actors", "actors/futures", "actors/loopsync", "actors/inspect", "supervisor", "grid", "grid/state", "grid/remind", "socketio", "socketio/admin", "consumer", "console", "actortest", "messages"}

// surfaceFile has all that is public, a line each.
const surfaceFile = "testdata/api.txt"

// TestSurface compares what is public with testdata/api.txt: nothing becomes public, goes,
// or has another signature without a line there that somebody has read. After a change
// that is meant run go test ./docs -run Surface -update.
func TestSurface(t *testing.T) {
	var got strings.Builder
	for _, pkg := range public {
		for _, line := range surface(t, pkg) {
			fmt.Fprintf(&got, "%s: %s\n", pkg, line)
		}
	}
	const file = surfaceFile
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Split(read(t, file), "\n")
	is := strings.Split(got.String(), "\n")
	for _, line := range is {
		if !slices.Contains(want, line) {
			t.Errorf("not in %s: %s", file, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(is, line) {
			t.Errorf("only in %s: %s", file, line)
		}
	}
}

// TestFailureKinds: the table of errors.md has each kind of failure that a hook is told of,
// and no other.
func TestFailureKinds(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "errors.md"), "\n## What nobody is told")
	told := map[string]bool{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[2], "`") {
			told[strings.Trim(cells[2], " `")] = true
		}
	}
	delete(told, "Kind") // the head of the column
	for _, line := range surface(t, "actors/inspect") {
		kind, is := strings.CutPrefix(line, "const ")
		if kind == "All" { // of Options.Tasks
			continue
		}
		if is && !told[kind] {
			t.Errorf("the table of errors.md has no %s", kind)
		}
		delete(told, kind)
	}
	for kind := range told {
		t.Errorf("the table of errors.md has %s, which is no kind", kind)
	}
}

// TestEachErrorHasARow: the first table of errors.md has each error that a package exports, by its
// name, and no other.
func TestEachErrorHasARow(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "errors.md"), "\n## Each error")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `\\*?([a-z]+\\.[A-Za-z]+)` \\|").FindAllStringSubmatch(section, -1) {
		rows[m[1]] = true
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^(\S+): (?:var (Err\w+)|type (\w*Error))\b`).FindAllStringSubmatch(read(t, surfaceFile), -1) {
		n++
		name := path.Base(m[1]) + "." + m[2] + m[3]
		if !rows[name] {
			t.Errorf("the table of errors.md has no %s", name)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("the table of errors.md has %s, which no package exports", name)
	}
	if n < 40 {
		t.Errorf("only %d errors: is the pattern right?", n)
	}
}

// surface is what a package exports, a line each: names, and signatures of functions and
// methods. Of generated files it leaves the messages' own methods out.
func surface(t *testing.T, pkg string) (lines []string) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("../" + pkg + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, pkg)
	if err != nil {
		t.Fatal(err)
	}
	values := func(kind string, vs []*doc.Value) {
		for _, v := range vs {
			for _, name := range v.Names {
				if ast.IsExported(name) {
					lines = append(lines, kind+" "+name)
				}
			}
		}
	}
	funcs := func(fs []*doc.Func) {
		for _, f := range fs {
			f.Decl.Doc, f.Decl.Body = nil, nil
			var b bytes.Buffer
			if err := printer.Fprint(&b, fset, f.Decl); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, strings.Join(strings.Fields(b.String()), " "))
		}
	}
	values("const", p.Consts)
	values("var", p.Vars)
	funcs(p.Funcs)
	for _, typ := range p.Types {
		lines = append(lines, "type "+typ.Name)
		for _, spec := range typ.Decl.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if st, ok := ts.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						if name.IsExported() {
							lines = append(lines, "field "+typ.Name+"."+name.Name)
						}
					}
				}
			}
		}
		values("const", typ.Consts)
		values("var", typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	slices.Sort(lines)
	return lines
}
