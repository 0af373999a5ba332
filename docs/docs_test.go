// SPDX-License-Identifier: Apache-2.0

// Package docs_test checks that the pages of this folder are true to the
// code: each Go snippet is a part of a file that is compiled and run, each
// name exists, and each link leads somewhere.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/protoloop/protoloop/actors"
)

// pages are README.md and all pages of this folder, by their paths from here.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"../README.md", "../CONTRIBUTING.md"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only these pages: %q", all)
	}
	return all
}

// aboutActors reports whether the names in a page are those of package actors and
// what is built on it, where nothing else is said. The others are about packages
// that have an Options of their own, or have names that are gone.
func aboutActors(page string) bool {
	return !slices.Contains([]string{"consumer.md", "socketio.md", "service.md", "dependencies.md", "observe.md", "api-v0.1.md"}, page)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A Go snippet is quoted, to the letter, from an example or from a step of the
// tutorial, so that it compiles and does what it says.
func TestSnippetsAreQuoted(t *testing.T) {
	var examples []string
	for _, pattern := range []string{
		"../actors/example_*_test.go", "../actors/loopsync/example_*test.go", "../actors/futures/example_*test.go", "../actors/inspect/example_*test.go",
		"../supervisor/example_*_test.go", "../grid/example_*test.go", "../grid/state/example_*test.go", "../grid/remind/example_*test.go", "../grid/hub/hubclient/example_*test.go", "../consumer/example_*test.go", "../consumer/jetstream/example_*test.go",
		"../console/example_*test.go", "../socketio/example_*test.go", "../socketio/admin/example_*test.go", "../otel/example_*test.go", "../examples/tutorial/step*/*.go", "../examples/incidents/*.go",
		"readme_test.go",
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no examples in %s: %v", pattern, err)
		}
		for _, f := range files {
			examples = append(examples, read(t, f))
		}
	}
	snippet := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	n := 0
	for _, page := range pages(t) {
		text := read(t, page)
		all := snippet.FindAllStringSubmatch(text, -1)
		n += len(all)
		if got := strings.Count(text, "```go"); got != len(all) {
			t.Errorf("%s: %d of %d snippets begin at the margin and are checked", page, len(all), got)
		}
		for _, m := range all {
			if !slices.ContainsFunc(examples, func(e string) bool { return strings.Contains(e, "\n"+m[1]) }) {
				t.Errorf("%s: not in an example:\n%s", page, m[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d snippets: is the pattern right?", n)
	}
}

// What a step of the tutorial prints, as its page shows it, is what its test
// expects.
func TestTutorialShowsOutput(t *testing.T) {
	var tests strings.Builder
	files, err := filepath.Glob("../examples/tutorial/step*/main_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		tests.WriteString(read(t, f))
	}
	console := regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	n := 0
	for _, m := range console.FindAllStringSubmatch(read(t, "tutorial.md"), -1) {
		for line := range strings.Lines(m[1]) {
			if strings.HasPrefix(line, "$ ") {
				continue
			}
			n++
			if !strings.Contains(tests.String(), strings.TrimSuffix(line, "\n")) {
				t.Errorf("no test expects %s", line)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d lines: is the pattern right?", n)
	}
}

// exported returns the names that a package declares, with the fields of its
// types as Type.Field.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no package in %s: %v", dir, err)
	}
	names := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			declared(d, names)
		}
	}
	return names
}

// declared adds what a declaration declares, but for methods.
func declared(d ast.Decl, names map[string]bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names[d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names[n.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, f := range st.Fields.List {
						for _, n := range f.Names {
							names[s.Name.Name+"."+n.Name] = true
						}
					}
				}
			}
		}
	}
}

// A name in code, such as `actors.Spawn`, `t.Sleep(d)` or `Options.StopGrace`,
// exists.
func TestNamesExist(t *testing.T) {
	packages := map[string]map[string]bool{
		"actors":     exported(t, "actors"),
		"loopsync":   exported(t, "actors/loopsync"),
		"inspect":    exported(t, "actors/inspect"),
		"actortest":  exported(t, "actortest"),
		"messages":   exported(t, "messages"),
		"supervisor": exported(t, "supervisor"),
	}
	// What the pages call a task, a future and a worker.
	receivers := map[string]reflect.Type{
		"t": reflect.TypeFor[*actors.Task](),
		"f": reflect.TypeFor[*actors.Future[int]](),
		"w": reflect.TypeFor[*actors.Worker](),
	}
	code := regexp.MustCompile("`[^`\n]+`")
	name := regexp.MustCompile(`\b(\w+)\.([A-Z]\w*)`)
	sentinel := regexp.MustCompile(`^Err[A-Z]\w*$`)
	n := 0
	for _, page := range pages(t) {
		if !aboutActors(page) {
			continue
		}
		for _, span := range code.FindAllString(read(t, page), -1) {
			if s := strings.Trim(span, "`"); sentinel.MatchString(s) && !packages["actors"][s] {
				t.Errorf("%s: no %s in actors", page, s)
			}
			for _, m := range name.FindAllStringSubmatch(span, -1) {
				n++
				switch {
				case packages[m[1]] != nil && !packages[m[1]][m[2]]:
					t.Errorf("%s: no %s in package %s", page, m[2], m[1])
				case m[1] == "Options" && !packages["actors"][m[0]]:
					t.Errorf("%s: no field %s", page, m[0])
				case receivers[m[1]] != nil:
					if _, ok := receivers[m[1]].MethodByName(m[2]); !ok {
						t.Errorf("%s: %v has no method %s", page, receivers[m[1]], m[2])
					}
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d names: is the pattern right?", n)
	}
}

// A link to a file of the repository leads somewhere, and so does one to a
// heading.
func TestLinksLead(t *testing.T) {
	code := regexp.MustCompile("`[^`\n]+`")
	link := regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(prose(t, page), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file := filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))
			if m[1] == "" {
				file = page
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if anchor := strings.TrimPrefix(m[2], "#"); anchor != "" && !slices.Contains(anchors(prose(t, file)), anchor) {
				t.Errorf("%s: %s has no heading %s", page, file, anchor)
			}
		}
	}
}

// prose is a page without its code blocks.
func prose(t *testing.T, page string) string {
	t.Helper()
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(read(t, page), "")
}

// anchors are the headings of a page as links name them.
func anchors(page string) (all []string) {
	for line := range strings.Lines(page) {
		if h, ok := strings.CutPrefix(line, "#"); ok {
			h = strings.ToLower(strings.TrimSpace(strings.TrimLeft(h, "#")))
			all = append(all, strings.Map(func(r rune) rune { // as GitHub makes them
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return r
				}
				return -1
			}, h))
		}
	}
	return all
}

// README is read in three minutes, at 300 words a minute: so many words it has at most, apart from
// its code and the targets of its links.
func TestReadmeIsShort(t *testing.T) {
	text := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(read(t, "../README.md"), "")
	text = regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(text, "]")
	if n := len(strings.Fields(text)); n > 900 {
		t.Errorf("README has %d words, want 900 at most", n)
	}
}
