// SPDX-License-Identifier: Apache-2.0

// Command doccheck reads the names of Go files from standard input, each ended by a NUL, and reports packages and exported
// names that have no doc comment. Generated files, tests and testdata are exempt.
//
// Struct fields and interface methods are not asked for a comment each: a small type reads best with one comment.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", ".", "the folder that the names are relative to")
	flag.Parse()
	if err := os.Chdir(*root); err != nil {
		fatal(err)
	}
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		fatal(err)
	}
	problems, err := check(strings.FieldsFunc(string(in), func(r rune) bool { return r == 0 }))
	if err != nil {
		fatal(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "doccheck:", err)
	os.Exit(2)
}

// checker collects the problems of several files.
type checker struct {
	fset     *token.FileSet
	problems []string
	// packages has the first file of each folder's package, and whether one of its files has the package's comment.
	packages map[string]*pkg
}

type pkg struct {
	first      string
	documented bool
}

// check returns what is wrong with the files, in order of their names.
func check(files []string) ([]string, error) {
	c := &checker{fset: token.NewFileSet(), packages: make(map[string]*pkg)}
	slices.Sort(files)
	for _, name := range files {
		if strings.Contains("/"+name, "/testdata/") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := c.file(name, src); err != nil {
			return nil, err
		}
	}
	for _, p := range c.packages {
		if !p.documented {
			c.problems = append(c.problems, p.first+":1: the package has no doc comment")
		}
	}
	slices.Sort(c.problems)
	return c.problems, nil
}

func (c *checker) report(pos token.Pos, format string, args ...any) {
	p := c.fset.Position(pos)
	c.problems = append(c.problems, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
}

func (c *checker) file(name string, src []byte) error {
	file, err := parser.ParseFile(c.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	if strings.HasSuffix(name, "_test.go") {
		return nil
	}
	dir := filepath.Dir(name)
	if c.packages[dir] == nil {
		c.packages[dir] = &pkg{first: name}
	}
	c.packages[dir].documented = c.packages[dir].documented || file.Doc != nil
	if file.Name.Name == "main" {
		return nil
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			c.function(decl)
		case *ast.GenDecl:
			c.declaration(decl)
		}
	}
	return nil
}

func (c *checker) function(f *ast.FuncDecl) {
	if f.Doc != nil || !f.Name.IsExported() {
		return
	}
	if f.Recv == nil {
		c.report(f.Pos(), "func %s has no doc comment", f.Name)
	} else if recv := receiver(f.Recv.List[0].Type); ast.IsExported(recv) {
		c.report(f.Pos(), "method %s.%s has no doc comment", recv, f.Name)
	}
}

// declaration checks const, var and type. A comment on the group or behind the name will do for const and var.
func (c *checker) declaration(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				c.report(spec.Pos(), "type %s has no doc comment", spec.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					c.report(name.Pos(), "%s %s has no doc comment", d.Tok, name)
				}
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
