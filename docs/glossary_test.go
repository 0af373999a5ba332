// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Nobody uses the words that the glossary has retired: not in comments, strings and names of
// code that is no test, nor in the pages. CHANGELOG.md and the list of old names tell of the past.
func TestRetiredWords(t *testing.T) {
	retired := retiredWords(t)
	if len(retired) < 15 {
		t.Fatalf("only these words: %q", retired)
	}
	var words []string
	for w := range retired {
		words = append(words, regexp.QuoteMeta(w))
	}
	slices.Sort(words)
	pattern := regexp.MustCompile(`(?i)\b(?:` + strings.Join(words, "|") + `)\b`)
	look := func(where, text string) {
		for _, w := range pattern.FindAllString(strings.Join(strings.Fields(text), " "), -1) {
			t.Errorf("%s says %q: the glossary says %q", where, w, retired[strings.ToLower(w)])
		}
	}
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			if name := d.Name(); d.IsDir() && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") && name != "..") {
				return fs.SkipDir
			}
			return err
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".pb.go"):
			n++
			lookInCode(t, path, look)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 300 {
		t.Errorf("only %d files of code", n)
	}
	for _, page := range pages(t) {
		if base := filepath.Base(page); base != "glossary.md" && base != "api-v0.1.md" {
			look(page, read(t, page))
		}
	}
}

// lookInCode looks at the comments, the strings and the names of a file. A name is its words.
func lookInCode(t *testing.T, path string, look func(where, text string)) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Comments {
		look(files.Position(c.Pos()).String(), c.Text())
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				look(files.Position(n.Pos()).String(), n.Value)
			}
		case *ast.Ident:
			look(files.Position(n.Pos()).String(), wordsOf(n.Name))
		}
		return true
	})
}

var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// wordsOf is "forced stop asked" of ForcedStopAsked.
func wordsOf(name string) string { return strings.ToLower(hump.ReplaceAllString(name, "$1 $2")) }

// retiredWords is the glossary's table of them, each with what to say. What to say has an entry.
func retiredWords(t *testing.T) map[string]string {
	t.Helper()
	entries, table, ok := strings.Cut(read(t, "glossary.md"), "\n## Retired words\n")
	if !ok {
		t.Fatal("the glossary has no retired words")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	all := map[string]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "retired" {
			continue
		}
		say := strings.TrimSpace(cells[2])
		if !regexp.MustCompile(`(?m)^\| (?:[^|]*, )?` + regexp.QuoteMeta(say) + `(?:,[^|]*)? \|`).MatchString(entries) {
			t.Errorf("the glossary has no entry for %q", say)
		}
		for word := range strings.SplitSeq(cells[1], ",") {
			all[strings.TrimSpace(word)] = say
		}
	}
	return all
}
