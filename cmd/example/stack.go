// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"reflect"
	"strings"

	"github.com/protoloop/protoloop/actors"
)

// library is how the names of the library's functions begin in a stack.
var library = reflect.TypeFor[actors.Task]().PkgPath() + "."

// ownFrames shortens the stack of a panic to what its reader wrote: the frames
// between the panic and the library that called them, the innermost first,
// each as "function (file:line)".
//
// A stack, as [runtime/debug.Stack] formats it, has two lines a frame: the
// function with its arguments, and a tab with the file, line and an offset.
func ownFrames(stack []byte) []string {
	lines := strings.Split(string(stack), "\n")
	panicked := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			panicked = i // the last one: a deferred function may panic again
		}
	}
	var frames []string
	for i := panicked; i+1 < len(lines); i++ {
		call, place := lines[i], lines[i+1]
		if !strings.HasPrefix(place, "\t") {
			continue
		}
		if strings.HasPrefix(call, library) {
			break
		}
		if strings.HasPrefix(call, "panic(") || strings.HasPrefix(call, "runtime.") {
			continue
		}
		if args := strings.LastIndexByte(call, '('); args > 0 {
			call = call[:args]
		}
		call = call[strings.LastIndexByte(call, '/')+1:]
		place, _, _ = strings.Cut(filepath.Base(strings.TrimSpace(place)), " ")
		frames = append(frames, call+" ("+place+")")
	}
	return frames
}
