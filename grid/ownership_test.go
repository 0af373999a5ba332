// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// foldersOfState have what is saved, and not who owns what. There a stale read or a refused write is tried again.
var foldersOfState = []string{"state", "remind"}

// findsJetStream returns what in a file could keep ownership in JetStream.
func findsJetStream(f *ast.File) (found []string) {
	for _, i := range f.Imports {
		if path := strings.Trim(i.Path.Value, `"`); strings.HasSuffix(path, "nats.go/jetstream") || strings.HasSuffix(path, "consumer/jetstream") {
			found = append(found, path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, is := n.(*ast.SelectorExpr)
		if !is || s.Sel.Name != "JetStream" && !strings.Contains(s.Sel.Name, "KeyValue") {
			return true
		}
		if of, is := s.X.(*ast.Ident); !is || of.Name != "mvccpb" { // that is etcd's
			found = append(found, s.Sel.Name)
		}
		return true
	})
	return found
}

// TestOwnershipIsNotJetStreams: a bucket of JetStream does not say who owns what. It cuts a TTL to whole seconds, so that a
// lease ends early; a read of it may be stale; and in a cluster it refuses writes that are made at a time.
func TestOwnershipIsNotJetStreams(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(foldersOfState, path):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		for _, what := range findsJetStream(f) {
			if !strings.HasPrefix(path, "hub"+string(filepath.Separator)) { // it serves queues
				t.Errorf("%s uses %s", path, what)
			}
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d files: %v", files, err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x; import ("github.com/nats-io/nats.go"; "github.com/nats-io/nats.go/jetstream")
		func f(nc *nats.Conn, js jetstream.JetStream) { nc.JetStream(); js.CreateKeyValue(nil, jetstream.KeyValueConfig{}) }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := findsJetStream(f); len(got) != 5 {
		t.Errorf("in a file that does that: %q", got)
	}
}
