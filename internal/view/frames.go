// SPDX-License-Identifier: Apache-2.0

package view

import (
	"path"
	"strings"
)

// LineOf is the place in a stack that says most to whoever wrote the program: the
// innermost frame that is neither Go's nor this library's, as "list.go:141 service.(*list).add".
// If there is none it is the innermost of all.
func LineOf(stack string) string {
	first := ""
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		file, ok := strings.CutPrefix(lines[i+1], "\t")
		if !ok {
			continue
		}
		i++
		name := functionName(lines[i-1])
		line := shortFrame(name, file)
		if !isLibrary(name) {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}

// functionName is the function of a line of a stack, without its arguments.
func functionName(line string) string {
	line = strings.TrimPrefix(line, "created by ")
	if i := strings.LastIndexByte(line, '('); i > 0 && strings.HasSuffix(line, ")") {
		line = line[:i]
	}
	if i := strings.Index(line, " in goroutine "); i > 0 {
		line = line[:i]
	}
	return line
}

// shortFrame is a frame on one short line. file may have an offset behind it.
func shortFrame(name, file string) string {
	file, _, _ = strings.Cut(file, " +")
	return path.Base(file) + " " + name[strings.LastIndexByte(name, '/')+1:]
}

// FrameOf is a frame on one short line, and whether it is Go's or this library's.
func FrameOf(function, file string) (line string, library bool) {
	return shortFrame(function, file), isLibrary(function)
}

// isLibrary reports whether a function is Go's or this library's, not the program's.
func isLibrary(name string) bool {
	first, rest, isPath := strings.Cut(name, "/")
	if !isPath {
		first, _, _ = strings.Cut(first, ".")
	}
	if standard[first] {
		return true
	}
	if !isPath || first != "github.com" {
		return false
	}
	if strings.HasPrefix(rest, "asynkron/protoactor-go/") {
		return true
	}
	own, is := strings.CutPrefix(rest, "protoloop/protoloop/")
	if !is {
		return false
	}
	dir := own[:strings.IndexAny(own+".", "./")]
	switch dir {
	case "actors", "supervisor", "consumer", "socketio", "internal", "messages", "console", "actortest":
		return true
	}
	return false
}

// standard are the first words of the names of Go's own packages.
var standard = map[string]bool{
	"archive": true, "bufio": true, "bytes": true, "cmp": true, "compress": true, "container": true, "context": true, "crypto": true,
	"database": true, "debug": true, "embed": true, "encoding": true, "errors": true, "expvar": true, "flag": true, "fmt": true,
	"go": true, "hash": true, "html": true, "image": true, "index": true, "internal": true, "io": true, "iter": true, "log": true,
	"maps": true, "math": true, "mime": true, "net": true, "os": true, "path": true, "plugin": true, "reflect": true, "regexp": true,
	"runtime": true, "slices": true, "sort": true, "strconv": true, "strings": true, "structs": true, "sync": true, "syscall": true,
	"testing": true, "text": true, "time": true, "unicode": true, "unique": true, "unsafe": true, "vendor": true, "weak": true, "panic": true,
}
